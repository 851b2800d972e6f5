#!/usr/bin/env python3
"""Liquid in real mails: each contact gets what the template decides for them, the same bytes as the preview shows; one for whom it fails is
skipped with render_error and the campaign goes on; nothing of an attribute begins a header, opens a tag or runs a script.
"""
import csv
import email
import email.policy
import io

from program import check, quote, run_test, wait_for

SUBJECT = "{% if contact.orders > 3 %}Thanks{% else %}Hello{% endif %} {{ contact.name | default: 'friend' }}"
HTML = ("<body><p>{{ contact.name }}|{{ contact.orders | divided_by: contact.parts }}</p>{% for n in (1..contact.parts) %}{{ n }}{% endfor %}"
        "<a href=\"{{ contact.site }}\">site</a> <a href=\"https://shop.example.com/a?x=1&amp;y=2\">shop</a>"
        "{{ company }} {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></body>")
PEOPLE = [  # email, name, site, orders, parts
    ("ann@example.com", "Ann <b>&", "https://ann.example/", 8, 2),
    ("bob@example.com", "", "JavaScript:alert(1)", 3, 1),
    ("eve@example.com", "Eve\r\nBcc: x@example.com", "/e", 4, 4),
    ("zoe@example.com", "Zoe", "/z", 1, 0),  # divided by zero
]


def mails(world):
    _, data, _ = world.sink_api().call("GET", "/received?format=csv", raw=True)
    for number, row in enumerate(csv.DictReader(io.StringIO(data.decode()))):
        _, raw, _ = world.sink_api().call("GET", f"/messages/{row.get('number', number)}?format=raw", raw=True)
        yield row["recipient"], email.message_from_bytes(raw, policy=email.policy.default)


def refused(api):
    """Mistakes come back with their places, and nothing is saved."""
    status, body, _ = api.call("POST", "/v1/templates", {"name": "bad", "subject": "{{ contact.name | shout }}", "html": "{% if contact.x %}\n{{ contact[x] }}",
                                                         "text": "{{ unsubscribe_url }}{% if true %}{{ postal_address }}{% endif %}"})
    places = {detail["path"] for detail in body["details"]}
    check(status == 422 and {"subject:1:19", "html:1:1", "text"} <= places, f"{status} {body}")


def run(world):
    world.start_sink()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop & Co", "postal_address": "1 Main Street"})
    for name, kind, personal in (("name", "text", True), ("site", "text", True), ("orders", "integer", False), ("parts", "integer", False)):
        api.ok("POST", "/v1/attributes", {"name": name, "type": kind, "personal": personal})
    refused(api)
    template = api.ok("POST", "/v1/templates", {"name": "t", "subject": SUBJECT, "html": HTML})["id"]
    list_id = api.ok("POST", "/v1/lists", {"name": "people"})["id"]
    for address, name, site, orders, parts in PEOPLE:
        attributes = {"site": site, "orders": orders, "parts": parts} | ({"name": name} if name else {})
        api.ok("POST", "/v1/contacts", {"email": address, "attributes": attributes, "lists": [list_id]})
    campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": template, "list_id": list_id, "from": "news@shop.example.com"})["id"]

    def preview(address):
        said = api.call("GET", f"/v1/campaigns/{campaign}/preview?email={quote(address)}")
        return said if said[0] != 404 else None
    previews = {address: wait_for("a preview", lambda a=address: preview(a), 20, world.server) for address, *_ in PEOPLE}
    check(previews["zoe@example.com"][0] != 200 and "html:1:" in str(previews["zoe@example.com"][1]), f"a preview that fails: {previews['zoe@example.com']}")
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    wait_for("the end", lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["status"] == "completed", 60, world.server)

    got = dict(mails(world))
    check(sorted(got) == ["ann@example.com", "bob@example.com", "eve@example.com"], f"mails to {sorted(got)}")
    skips = api.ok("GET", f"/v1/campaigns/{campaign}/skips")["items"]
    check([(item["reason"], item["count"]) for item in skips] == [("render_error", 1)], f"skips: {skips}")
    subjects = {who: mail["Subject"] for who, mail in got.items()}
    check(subjects == {"ann@example.com": "Thanks Ann <b>&", "bob@example.com": "Hello friend", "eve@example.com": "Thanks Eve Bcc: x@example.com"}, f"{subjects}")
    check(all(mail["Bcc"] is None for mail in got.values()), "a value began a header")
    html = {who: mail.get_body(preferencelist=("html",)).get_content() for who, mail in got.items()}
    check("<p>Ann &lt;b&gt;&amp;|4</p>12<a href=\"https://ann.example/\">" in html["ann@example.com"], html["ann@example.com"])
    check("<p>|3</p>1<a href=\"#\">" in html["bob@example.com"], html["bob@example.com"])
    for who, text in html.items():
        check("/c/" in text and "shop.example.com/a" not in text and "/o/" in text and "Liquid" not in text and "{%" not in text, f"{who}: {text}")
        shown = previews[who][1]["html"]
        check(len(shown.split()) == len(text.split()) and shown[:60] == text[:60], f"{who}: the preview is another mail: {shown}")
    return f"{len(got)} mails, 1 skipped"


if __name__ == "__main__":
    run_test(run)
