#!/usr/bin/env python3
"""Messages of the real program: posted with variables, idempotent, stopped by a suppression and by no opt-out, tests in no statistic; and posted
while a campaign of 20,000 runs against a slow sink, each arrives long before the campaign does. After kill -9 none is sent twice."""
import csv
import io
import json
import os
import time

from program import check, run_test, wait_for

PEOPLE = 20_000
MESSAGES = 40
WITHIN = 5.0  # s: of a machine that does other things at the same time; the rule is 2 s at p99


def received(world):
    """Rows of the sink's list, in the order of their coming."""
    _, data, _ = world.sink_api().call("GET", "/received?format=csv", raw=True)
    return list(csv.DictReader(io.StringIO(data.decode())))


def newest(world):
    mails = received(world)
    number = mails[-1].get("number", len(mails) - 1)
    return world.sink_api().call("GET", f"/messages/{number}?format=raw", raw=True)[1].decode()


def settled(api, message, status):
    status_of = lambda: api.call("GET", f"/v1/messages/{message}")  # noqa: E731
    wait_for(f"message {message} {status}", lambda: (lambda a: a[0] == 200 and a[1]["status"] == status)(status_of()), 30)
    return status_of()[1]


def refused(api):
    status, answer, _ = api.call("POST", "/v1/messages", {"to": "nobody", "template": "receipt", "headers": {"X-SMTPAPI": "{}", "X-Ok": "a\nb"},
                                                          "message_class": "marketing", "variabels": {}})
    check(status == 422, f"{status} {answer}")
    paths = {detail["path"] for detail in answer["details"]}
    check({"/to", "/headers/X-SMTPAPI", "/headers/X-Ok", "/message_class", "/variabels"} <= paths, f"{answer}")
    status, answer, _ = api.call("POST", "/v1/messages", {"to": "a@b.example", "template": "nothing", "from": "a@elsewhere.example"})
    check(status == 422 and {d["path"] for d in answer["details"]} == {"/template_id", "/from"}, f"{status} {answer}")
    check(api.call("GET", "/v1/messages/1")[0] == 404, "an id that is none")
    status, answer, _ = api.call("POST", "/v1/templates", {"name": "x", "subject": "x", "text": "{{ variables.a }}"})
    check(status == 422, f"marketing without an opt-out: {status}")


def one_message(world, api):
    body = {"to": "Ann@shop.example", "template": "receipt", "reply_to": "Help <help@shop.example>", "headers": {"X-Order": "A-7", "References": "<a@b>"},
            "variables": {"order": "A-7", "lines": [{"name": "<tea>", "price": 2.5}]}}
    status, first, headers = api.call("POST", "/v1/messages", body, {"Idempotency-Key": "order-7"})
    check(status == 202 and first["status"] == "queued" and headers["location"] == first["status_url"], f"{status} {first}")
    status, again, _ = api.call("POST", "/v1/messages", body, {"Idempotency-Key": "order-7"})
    check(status == 202 and again["id"] == first["id"], f"{status} {again}")
    status, other, _ = api.call("POST", "/v1/messages", dict(body, to="bob@shop.example"), {"Idempotency-Key": "order-7"})
    check(status == 422, f"{status} {other}")
    shown = settled(api, first["id"], "delivered")
    check([line["kind"] for line in shown["history"]] == ["attempt_opened", "delivered"] and shown["contact_id"] is None, f"{shown}")
    mails = received(world)
    check(len(mails) == 1, f"{mails}")
    mail = newest(world)
    for part in ("Subject: Order A-7", "Reply-To: Help <help@shop.example>", "X-Order: A-7", "References: <a@b>", "&lt;tea&gt; 2.5", "To: <Ann@shop.example>"):
        check(part in mail, f"{part} is not in\n{mail}")
    check("List-Unsubscribe" not in mail and "List-ID" not in mail, mail)
    listed = api.ok("GET", "/v1/messages?to=ann%40shop.example")["items"]
    check([one["id"] for one in listed] == [first["id"]], f"{listed}")


def who_gets_none(world, api):
    api.ok("POST", "/v1/suppressions", {"email": "out@shop.example", "stream": "marketing"})
    api.ok("POST", "/v1/suppressions", {"email": "gone@shop.example"})
    status, answer, _ = api.call("POST", "/v1/messages", {"to": "gone@shop.example", "template": "receipt"})
    check(status == 200 and answer["status"] == "skipped" and answer["reason"] == "manual", f"{status} {answer}")
    answer = api.ok("POST", "/v1/messages", {"to": "out@shop.example", "template": "receipt", "create_contact": True})
    check(settled(api, answer["id"], "delivered")["contact_id"] is not None, "a contact was made")


def tests(world, api, template):
    code, out, _ = world.cli("template", "test", str(template), "--to", "me@shop.example", "--to", "gone@shop.example", "--subject-prefix", "[test] ",
                             "--output", "json")
    answer = json.loads(out)
    check([one["status"] for one in answer["messages"]] == ["queued", "skipped"], out)
    settled(api, answer["messages"][0]["id"], "delivered")
    check("Subject: [test] Order" in newest(world), "the prefix")
    counts = api.ok("GET", "/v1/messages:counts?days=2")["items"]
    check({one["status"]: one["messages"] for one in counts} == {"delivered": 2, "skipped": 1}, f"{counts}")


def beside_a_campaign(world, api, template):
    path = os.path.join(world.base, "people.csv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("email\n" + "".join(f"p{n}@crowd.example\n" for n in range(PEOPLE)))
    made = api.ok("POST", "/v1/lists", {"name": "crowd"})
    report = api.call("POST", f"/v1/imports?list={made['id']}", open(path, encoding="utf-8").read(), {"Content-Type": "text/csv"})[1]
    wait_for("the import", lambda: api.ok("GET", report["status_url"])["status"] == "completed", 60, world.server)
    spring = api.ok("POST", "/v1/templates", {"name": "spring", "subject": "Spring", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    campaign = api.ok("POST", "/v1/campaigns", {"name": "spring", "template_id": spring["id"], "list_id": made["id"], "from": "news@shop.example"})
    wait_for("the list", lambda: api.ok("GET", f"/v1/lists/{made['id']}")["members"] == PEOPLE, 60, world.server)
    api.ok("POST", f"/v1/campaigns/{campaign['id']}:launch")
    before = world.sink_api().ok("GET", "/counts")["mails"]
    wait_for("the campaign under way", lambda: world.sink_api().ok("GET", "/counts")["mails"] > before + 50, 60, world.server)
    took = []
    for n in range(MESSAGES):
        begun = time.monotonic()
        answer = api.ok("POST", "/v1/messages", {"to": f"buyer{n}@shop.example", "template_id": template, "variables": {"order": f"B-{n}"}})
        wait_for(f"message {n}", lambda: api.call("GET", answer["status_url"])[1].get("status") == "delivered", 30, world.server, every=0.01)
        took.append(time.monotonic() - begun)
    went = world.sink_api().ok("GET", "/counts")["mails"] - before
    check(went < PEOPLE, "the campaign was over before the messages were")
    check(went > MESSAGES * 2, f"the campaign stood still: {went}")
    took.sort()
    check(took[-1] <= WITHIN, f"the slowest message took {took[-1]:.2f} s")
    api.ok("POST", f"/v1/campaigns/{campaign['id']}:cancel")
    return took


def killed(world, api, template):
    ids = [api.ok("POST", "/v1/messages", {"to": f"late{n}@shop.example", "template_id": template})["id"] for n in range(30)]
    world.server.kill()
    world.start_server()
    api = world.api()
    for one in ids:
        wait_for(f"message {one}", lambda: api.ok("GET", f"/v1/messages/{one}")["status"] in ("delivered", "unknown"), 60, world.server)
    late = [mail["recipient"] for mail in received(world) if mail["recipient"].startswith("late")]
    check(len(late) == len(set(late)), f"some were sent twice: {sorted(late)}")


def run(world):
    world.start_sink("--delay-ms", "20")
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "company": "Shop", "postal_address": "1 Main St"})
    template = api.ok("POST", "/v1/templates", {
        "name": "receipt", "subject": "Order {{ variables.order }}", "message_class": "transactional",
        "html": "{% for line in variables.lines %}<p>{{ line.name }} {{ line.price }}</p>{% endfor %}<p><a href=\"https://shop.example/help\">help</a></p>"})["id"]
    refused(api)
    one_message(world, api)
    who_gets_none(world, api)
    tests(world, api, template)
    took = beside_a_campaign(world, api, template)
    killed(world, api, template)
    return (f"{MESSAGES} messages beside a campaign of {PEOPLE}: posted to delivered {took[len(took) // 2]:.3f} s at the median, {took[-1]:.3f} s at most")


if __name__ == "__main__":
    run_test(run)
