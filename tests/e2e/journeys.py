#!/usr/bin/env python3
"""A journey of the real program: an event lets contacts in, a mail goes out, a delay of seconds, a split by an attribute, another mail or the
exit; keyed orders wait for their own payment; steps change a contact and wait for its own clock; what another version would have made of
everybody is shown before; after kill -9 and a rebuild everything is as it was, and nobody gets a mail twice."""
import csv
import json
import os
import shutil

from program import check, run_test, wait_for

WELCOME = {"name": "welcome", "entry": {"event": "signed_up"}, "steps": [
    {"id": "hello", "type": "send", "template": "hello"},
    {"id": "pause", "type": "delay", "for": "2s"},
    {"id": "plan", "type": "split", "branches": [{"if": 'plan = "pro"', "next": "thanks"}], "else": "out"},
    {"id": "thanks", "type": "send", "template": "thanks", "next": "end"},
    {"id": "out", "type": "exit"}]}
ORDER = {"name": "order", "entry": {"event": "ordered", "key": "order_id"}, "steps": [
    {"id": "paid", "type": "wait_for", "event": "paid", "timeout": "300s", "next": "end", "else": "end"}]}

TIDY = {"name": "tidy", "entry": {"event": "tidied"}, "steps": [
    {"id": "mark", "type": "update", "set": {"plan": "team"}, "add_tags": ["tidy"]},
    {"id": "split", "type": "split", "branches": [{"if": 'plan = "team"', "next": "morning"}], "else": "end"},
    {"id": "morning", "type": "delay", "until": {"time": "09:00", "zone": "contact"}}]}


def clocks_and_changes(world, api, ids):
    """A step changes contacts, a wait goes by their own clocks, and a preview says what another version would make of them."""
    tidy = api.ok("POST", "/v1/journeys", TIDY)["id"]
    for who, zone in (("ann", "Asia/Tokyo"), ("bob", "Mars/Olympus")):
        api.ok("PATCH", f"/v1/contacts/{ids[who]}", {"attributes": {"time_zone": zone}})
        event(api, "tidied", who, f"t-{who}")
    of = lambda who: [one for one in api.ok("GET", f"/v1/contacts/{ids[who]}/journeys")["items"] if one["name"] == "tidy"]  # noqa: E731
    wait_for("both wait for the morning", lambda: [one["status"] for who in ("ann", "bob") for one in of(who)] == ["waiting"] * 2, 15, world.server)
    ann, bob = of("ann")[0]["next"], of("bob")[0]["next"]
    check(ann["zone"] == "Asia/Tokyo" and ann["local"].endswith("T09:00") and ann["at"].endswith("T00:00:00Z") and not ann["zone_missing"], f"{ann}")
    check(bob["zone"] == "UTC" and bob["at"].endswith("T09:00:00Z") and bob["zone_missing"], f"{bob}")
    show = api.ok("GET", f"/v1/journeys/{tidy}")
    check(show["steps"]["mark"]["updated"] == 2 and show["steps"]["morning"]["without_zone"] == 1, f"{show}")
    contact = api.ok("GET", f"/v1/contacts/{ids['ann']}")
    check(contact["attributes"]["plan"] == "team" and contact["tags"] == ["tidy"], f"{contact}")

    # The same definition changes nothing; one without the wait would have sent a mail and be over.
    steps = TIDY["steps"]
    same = api.ok("POST", f"/v1/journeys/{tidy}:preview", {"entry": TIDY["entry"], "steps": steps})
    check((same["examined"], same["same"], same["different"], same["complete"]) == (2, 2, 0, True) and same["steps_then"] == {"morning": 2}, f"{same}")
    path = os.path.join(world.base, "tidy.json")
    changed = {"entry": TIDY["entry"], "move": {"morning": "last"}, "steps": [
        steps[0], {"id": "hello", "type": "send", "template": "hello"},
        {"id": "last", "type": "wait_for", "clicked": "hello", "timeout": "3d", "else": "end"}]}
    with open(path, "w", encoding="utf-8") as file:
        json.dump(changed, file)
    before = received(world)
    told = json.loads(world.cli("journey", "preview", str(tidy), "--file", path, "--output", "json")[1])
    check(told["different"] == 2 and told["differences"] == {"step": 2} and told["sends"] == {"hello": {"now": 0, "then": 2}}, f"{told}")
    check(told["on_publishing"] == {"stay": 0, "moved": {"morning": {"to": "last", "instances": 2}}}, f"{told}")
    sample = told["samples"][0]
    check(sample["now"]["step"] == "morning" and sample["then"]["step"] == "last" and sample["then"]["due_at"] > sample["entered_at"], f"{sample}")
    status, answer, _ = api.call("POST", f"/v1/journeys/{tidy}:preview", {"entry": {"segment": "nobody"}, "steps": [{"id": "a", "type": "exit"}]})
    check(status == 422 and answer["details"][0]["code"] == "unknown_segment", f"{status} {answer}")
    check(api.call("POST", "/v1/journeys/99:preview", changed)[0] == 404, "an unknown journey")
    show = api.ok("GET", f"/v1/journeys/{tidy}")
    check(show["version"] == 1 and show["in_it"] == 2 and received(world) == before, "a preview publishes nothing and sends nothing")


def refused(api):
    broken = {"name": "x", "entry": {"segment": "nobody"}, "steps": [
        {"id": "a", "type": "send", "template": "none"}, {"id": "b", "type": "send", "template": "bare"},
        {"id": "c", "type": "webhook"}, {"id": "d", "type": "delay", "for": "soon", "next": "e"}]}
    status, answer, _ = api.call("POST", "/v1/journeys", broken)
    found = {(detail["path"], detail["code"]) for detail in answer["details"]}
    check(status == 422 and answer["code"] == "journey_invalid", f"{status} {answer}")
    check(found == {("/entry/segment", "unknown_segment"), ("/steps/0/template", "unknown_template"),
                    ("/steps/1/template", "unsubscribe_link_missing"), ("/steps/2/type", "not_implemented"),
                    ("/steps/3/for", "invalid"), ("/steps/3/next", "unknown_step")}, f"{answer['details']}")
    status, answer, _ = api.call("POST", "/v1/journeys", {"name": "x", "entri": {}, "steps": []})
    check(status == 422, f"{status} {answer}")
    check(api.call("GET", "/v1/journeys/99")[0] == 404 and api.call("POST", "/v1/journeys/99:pause")[0] == 404, "unknown ids")


def event(api, name, who, event_id, properties=None):
    body = {"id": event_id, "type": name, "contact": {"email": f"{who}@a.example"}}
    if properties:
        body["properties"] = properties
    api.ok("POST", "/v1/events", body)


def received(world):
    """(subject, recipient) of every mail that the sink has got."""
    with open(os.path.join(world.base, "received.log"), encoding="utf-8", newline="") as file:
        return sorted((row[6], row[2]) for row in csv.reader(file))


def run(world):
    world.start_sink()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "postal_address": "1 Main St"})
    api.ok("POST", "/v1/attributes", {"name": "plan", "type": "text", "personal": False})
    api.ok("POST", "/v1/attributes", {"name": "time_zone", "type": "text", "personal": False})
    foot = " https://shop.example/ {{ unsubscribe_url }} {{ postal_address }}"
    for name in ("hello", "thanks"):
        api.ok("POST", "/v1/templates", {"name": name, "subject": name, "text": name + foot})
    api.ok("POST", "/v1/templates", {"name": "bare", "subject": "bare", "text": "bare", "message_class": "transactional"})
    refused(api)
    path = os.path.join(world.base, "welcome.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(WELCOME, file)
    welcome = json.loads(world.cli("journey", "create", "--file", path, "--output", "json")[1])["id"]
    order = api.ok("POST", "/v1/journeys", ORDER)["id"]
    ids = {}
    for who, plan in (("ann", "pro"), ("bob", "free"), ("eve", "pro")):
        api.ok("POST", "/v1/contacts", {"email": f"{who}@a.example", "attributes": {"plan": plan}})
    for who in ("ann", "bob", "eve"):
        ids[who] = wait_for(who, lambda: api.ok("GET", f"/v1/contacts?email={who}@a.example")["items"], 10, world.server)[0]["id"]
        event(api, "signed_up", who, f"s-{who}")
    show = lambda journey: api.ok("GET", f"/v1/journeys/{journey}")  # noqa: E731
    of = lambda who: api.ok("GET", f"/v1/contacts/{ids[who]}/journeys")["items"]  # noqa: E731

    wait_for("three mails", lambda: show(welcome)["steps"].get("hello", {}).get("sent") == 3, 15, world.server)
    check(of("ann")[0]["name"] == "welcome" and of("ann")[0]["entered_why"] == "event signed_up", f"{of('ann')}")
    wait_for("everybody is through", lambda: show(welcome)["over"] == 3, 20, world.server)
    steps = show(welcome)["steps"]
    check(steps["thanks"]["sent"] == 2 and steps["out"]["left"] == {"exit": 1} and show(welcome)["left"] == {"completed": 2, "exit": 1}, f"{show(welcome)}")
    kinds = [move["kind"] for move in of("ann")[0]["history"]]
    check(kinds == ["entered", "sent", "waits", "passed", "passed", "sent", "left"], f"{kinds}")
    mails = lambda: received(world)  # noqa: E731
    expected = [("hello", f"{who}@a.example") for who in ("ann", "bob", "eve")] + [("thanks", "ann@a.example"), ("thanks", "eve@a.example")]
    wait_for("the mails", lambda: mails() == expected, 15, world.server)
    head = world.sink_api().call("GET", "/messages/1?format=raw", raw=True)[1].decode().split("\r\n\r\n")[0]
    for field in ("List-Unsubscribe: <", "List-Unsubscribe-Post: ", "List-ID: <"):
        check(field in head, f"{field} is not in\n{head}")

    # Each order waits for its own payment; a new sign-up of the same contact changes nothing.
    for number in ("1", "2"):
        event(api, "ordered", "ann", f"o{number}", {"order_id": number})
    event(api, "ordered", "ann", "o1-again", {"order_id": "1"})
    event(api, "signed_up", "ann", "s-ann-2")
    orders = lambda: [one for one in of("ann") if one["name"] == "order"]  # noqa: E731
    wait_for("two orders wait", lambda: [one["status"] for one in orders()] == ["waiting", "waiting"], 10, world.server)
    check(orders()[0]["next"]["step"] == "paid" and orders()[0]["next"]["at"] > orders()[0]["since"], f"{orders()}")

    world.server.kill()
    world.start_server()
    api = world.api()
    event(api, "paid", "ann", "p2", {"order_id": "2"})
    wait_for("one is paid", lambda: sorted(one["status"] for one in orders()) == ["over", "waiting"], 10, world.server)
    check([one["event_id"] for one in orders() if one["status"] == "over"] == ["o2"], f"{orders()}")

    changed = dict(ORDER, steps=[{"id": "soon", "type": "wait_for", "event": "paid", "timeout": "1s", "else": "end"}], based_on=1, move={"paid": "soon"})
    del changed["name"]
    check(api.ok("PUT", f"/v1/journeys/{order}", changed)["version"] == 2, "version 2")
    wait_for("the map moved it on", lambda: show(order)["in_it"] == 0 and show(order)["version"] == 2, 15, world.server)
    check(api.call("PUT", f"/v1/journeys/{order}", changed)[0] == 409, "based on what it was")
    world.cli("journey", "pause", str(welcome))
    wait_for("paused", lambda: show(welcome)["status"] == "paused", 10, world.server)
    world.cli("journey", "resume", str(welcome))
    world.cli("journey", "archive", str(order))
    wait_for("archived", lambda: show(order)["status"] == "archived", 10, world.server)

    clocks_and_changes(world, api, ids)
    digests = lambda: {group["name"]: group["digest"] for group in  # noqa: E731
                       json.loads(world.cli("projection", "verify", "--output", "json")[1])["groups"]}
    first, history = digests(), of("ann")
    world.server.stop()
    shutil.rmtree(os.path.join(world.data, "views"))
    world.start_server()
    api = world.api()
    check(digests() == first, "the read models are others after a rebuild")
    check(of("ann") == history and mails() == expected, "after the rebuild")


if __name__ == "__main__":
    run_test(run)
