#!/usr/bin/env python3
"""The mail of a double opt-in: a form is posted, a mail with a link arrives, its page has one button, and who presses it is subscribed; once an
hour and address, never to who is suppressed, exactly once over kill -9; by the API and the command line too; a rebuild mails nothing. What happens an
hour and a week later is in api/consents_test.cc, in virtual time."""
import csv
import email
import email.policy
import io
import json
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request

from program import check, run_test, wait_for

clients = iter(range(1, 250))


def page(url, fields=None):
    """Each from an address of its own: how often one client may post is looked at elsewhere (consents.py)."""
    data = None if fields is None else urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, data=data, headers={"X-Forwarded-For": f"192.0.2.{next(clients)}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Mails:
    def __init__(self, world):
        self.world = world

    def numbers(self, to):
        _, data, _ = self.world.sink_api().call("GET", "/received?format=csv", raw=True)
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        return [number for number, row in enumerate(rows, 1) if to in row.values()]

    def wait(self, to, count=1):
        wait_for(f"mail {count} to {to}", lambda: len(self.numbers(to)) >= count, 30, self.world.server)
        numbers = self.numbers(to)
        check(len(numbers) == count, f"{len(numbers)} mails to {to}, not {count}")
        raw = self.world.sink_api().call("GET", f"/messages/{numbers[-1]}?format=raw", raw=True)[1]
        return email.message_from_bytes(raw, policy=email.policy.default)


def link_in(mail):
    links = {re.search(r"http\S+/y/[\w-]+", mail.get_body((kind,)).get_content())[0] for kind in ("plain", "html")}
    check(len(links) == 1, f"both parts have one link: {links}")
    return links.pop()


def person(api, address):
    return wait_for(address, lambda: api.ok("GET", "/v1/contacts?email=" + urllib.parse.quote(address))["items"], 20)[0]["id"]


def history(api, who, state):
    return [one for one in api.ok("GET", f"/v1/contacts/{who}/consents")["history"] if one["state"] == state]


def the_form(world, api):
    """Its address; refused without a sender, with one it has the built-in text."""
    text = api.ok("POST", "/v1/consent-texts", {"name": "news", "language": "en", "text": "Yes, send me news."})["id"]
    status, answer, _ = api.call("POST", "/v1/forms", {"name": "x", "list_id": 1, "text": text, "double_opt_in": True})
    check(status == 422 and answer["details"][0]["path"] == "/from", f"{status} {answer}")
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "company": "Shop & Co"})
    api.ok("POST", "/v1/templates", {"name": "no link", "subject": "s", "text": "t", "message_class": "transactional"})
    status, answer, _ = api.call("POST", "/v1/forms", {"name": "x", "list_id": 1, "text": text, "double_opt_in": True, "template": "no link"})
    check(status == 422 and answer["code"] == "confirm_url_missing", f"{status} {answer}")
    code, _, _ = world.cli("form", "create", "x", "--list", "1", "--text", text, "--template", "no link", check_code=False)
    check(code == 1 or code == 3, f"a template without --double-opt-in: exit {code}")
    made = json.loads(world.cli("form", "create", "footer", "--list", "1", "--text", text, "--double-opt-in", "--output", "json")[1])
    wait_for("the form", lambda: api.call("GET", f"/v1/forms/{made['id']}")[0] == 200, 20)
    shown = api.ok("GET", f"/v1/forms/{made['id']}")
    check(shown["mail"] == {"template_id": None}, f"{shown}")
    return shown["url"], text


def asked_while_nothing_can_be_sent(world, api, url):
    """All are answered alike; of what was asked nothing is lost with the process."""
    api.ok("POST", "/v1/contacts", {"email": "ann@example.com", "lists": [1]})
    api.ok("POST", "/v1/suppressions", {"email": "dan@example.com", "stream": "marketing"})
    person(api, "ann@example.com")
    said = {page(url, {"email": address}) for address in ("ann@example.com", "Eve@example.com", "dan@example.com")}
    check(len(said) == 1 and next(iter(said))[0] == 200, f"{said}")
    wait_for("what is asked of eve", lambda: api.ok("GET", "/v1/messages")["items"], 20)
    world.server.kill()


def one_mail(world, api, mails):
    mail = mails.wait("Eve@example.com")
    check(mail["subject"] == "Please confirm your subscription" and "Shop & Co" in mail.get_body(("plain",)).get_content(), str(mail))
    check(mail["auto-submitted"] == "auto-generated" and mail["list-unsubscribe"] is None and "/o/" not in str(mail), str(mail))
    link, eve = link_in(mail), person(api, "eve@example.com")
    for _ in range(2):
        status, shown = page(link)
        check(status == 200 and shown.count("<button") == 1 and "news" in shown, f"{status} {shown}")
    check(api.ok("GET", f"/v1/contacts/{eve}")["lists"] == [], "looking subscribes nobody")
    for _ in range(3):
        check(page(link, {"action": "confirm"})[0] == 200, "confirmed, and confirmed again")
    wait_for("eve on the list", lambda: api.ok("GET", f"/v1/contacts/{eve}")["lists"], 20)
    granted = history(api, eve, "granted")
    check(len(granted) == 1 and granted[0]["source"] == "double_opt_in" and granted[0]["ip"].startswith("192.0.2."), f"{granted}")
    check(granted[0]["form_id"] == 1 and "text" in granted[0] and "confirmation 1" in granted[0]["proof"], f"{granted}")
    sent = api.ok("GET", "/v1/messages")["items"]
    check(len(sent) == 1 and sent[0]["source"] == "consents" and sent[0]["status"] == "delivered", f"{sent}")
    return link


def once_an_hour(api, mails, url):
    for spelled in ("fay@example.com", "FAY@example.com") * 6:
        check(page(url, {"email": spelled})[0] == 200, "taken")
    link = link_in(mails.wait("fay@example.com"))
    check(len(history(api, person(api, "fay@example.com"), "pending")) == 1, "asked once")
    check(page(link, {"action": "again"})[0] == 409, "one was sent within the hour")
    mails.wait("fay@example.com")
    check(mails.numbers("dan@example.com") == [] and mails.numbers("ann@example.com") == [], "none to who is suppressed, or subscribed")


def by_the_api(world, api, mails, text):
    """With a template of one's own; and by the command line."""
    api.ok("POST", "/v1/templates", {"name": "yes", "subject": "Yes, {{ contact.email }}?", "html": "<p><a href=\"{{ confirm_url }}\">yes</a></p>",
                                     "message_class": "transactional"})
    hal = str(api.ok("POST", "/v1/contacts", {"email": "hal@example.com"})["id"])
    person(api, "hal@example.com")
    body = {"list_id": 2, "state": "granted", "double_opt_in": True, "mail": True, "template": "yes", "text": text}
    asked = api.ok("POST", f"/v1/contacts/{hal}/consents", body)
    check(asked["mailed"] is True, f"{asked}")
    mail = mails.wait("hal@example.com")
    check(mail["subject"] == "Yes, hal@example.com?" and link_in(mail) == asked["confirm_url"], f"{mail}")
    check(api.ok("POST", f"/v1/contacts/{hal}/consents", body)["mailed"] is False, "within the hour")
    ida = str(api.ok("POST", "/v1/contacts", {"email": "ida@example.com"})["id"])
    person(api, "ida@example.com")
    said = json.loads(world.cli("consent", "grant", ida, "--list", "2", "--double-opt-in", "--mail", "--output", "json")[1])
    check(said["mailed"] is True and link_in(mails.wait("ida@example.com")) == said["confirm_url"], f"{said}")
    check(page(asked["confirm_url"], {"action": "confirm"})[0] == 200, "confirmed")
    wait_for("hal on the list", lambda: api.ok("GET", f"/v1/contacts/{hal}")["lists"], 20)


def scenario(world):
    mails = Mails(world)
    world.start_server()
    api = world.api()
    for name in ("news", "offers"):
        api.ok("POST", "/v1/lists", {"name": name, "public": True})
    url, text = the_form(world, api)
    asked_while_nothing_can_be_sent(world, api, url)
    world.start_server()
    api = world.api()
    wait_for("an attempt that meets no mail server", lambda: api.ok("GET", "/v1/messages")["items"][0]["status"] == "waiting", 30, world.server)
    world.start_sink()
    world.cli("site", "flush", "relay", "--reason", "it is back")  # else the next attempt is five minutes off
    one_mail(world, api, mails)
    once_an_hour(api, mails, url)
    by_the_api(world, api, mails, text)
    before = world.sink_api().ok("GET", "/counts")["mails"]
    shown = lambda: api.ok("GET", "/v1/messages")["items"]  # noqa: E731
    wait_for("all are delivered", lambda: [one["status"] for one in shown()] == ["delivered"] * 4, 30, world.server)
    was = shown()
    world.server.kill()
    shutil.rmtree(os.path.join(world.data, "views"))
    world.start_server()
    api = world.api()
    wait_for("all messages after a rebuild", lambda: shown() == was, 60, world.server)
    check(world.sink_api().ok("GET", "/counts")["mails"] == before == 4, f"a rebuild mails nothing: {before}")


if __name__ == "__main__":
    run_test(scenario, settings={"trusted-proxies": "127.0.0.1/32"})
