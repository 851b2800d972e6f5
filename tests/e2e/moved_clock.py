#!/usr/bin/env python3
"""A clock that somebody moves (libfaketime): what is due in days is done when they are over, in the journal's time; and time that goes back
stands still. Skips without libfaketime.
"""
import datetime
import json
import os

from program import MovedClock, check, quote, run_test, wait_for

DAY = 86_400
CONTACTS = 4
ROUNDS = 1_500  # each lets timers be set that are due already


def run(world):
    clock = MovedClock(world)
    if clock.missing:
        return f"skipped: {clock.missing}"
    base = os.path.dirname(world.data)
    script = os.path.join(base, "script.yaml")
    with open(script, "w", encoding="ascii") as file:
        file.write('- to: "*@late.example"\n  first: 1\n  reply: 451 4.2.2 the mailbox is full, try later\n')
    world.start_sink("--script", script)
    world.env = clock.env
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "company": "Shop", "postal_address": "1 Main Street"})
    for number in range(CONTACTS):
        api.ok("POST", "/v1/contacts", {"email": f"c{number}@late.example"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "from": "news@shop.example"})
    api.ok("POST", "/v1/campaigns/1:launch")
    sink = world.sink_api()

    def waiting():
        return json.loads(world.cli("site", "flush", "relay", "--dry-run", "--output", "json")[1])["waiting"]["mails"]

    wait_for("all are put off", lambda: waiting() == CONTACTS, 30, world.server)
    check(sink.ok("GET", "/counts")["mails"] == 0, "nothing is taken yet")
    clock.move(DAY)
    wait_for("a day later they are tried again", lambda: api.ok("GET", "/v1/campaigns/1")["status"] == "completed", 30, world.server)
    check(api.ok("GET", "/v1/campaigns/1")["counts"]["delivered"] == CONTACTS and sink.ok("GET", "/counts")["mails"] == CONTACTS, "each once")

    def made(email):
        made_id = api.ok("POST", "/v1/contacts", {"email": email})["id"]
        shown = wait_for("it is shown", lambda: api.ok("GET", f"/v1/contacts?email={email}")["items"], 20, world.server)[0]
        check(shown["id"] == made_id, shown)
        return datetime.datetime.fromisoformat(shown["created_at"])

    for number in range(ROUNDS):
        status, made_one, headers = api.call("POST", "/v1/contacts", {"email": f"round{number}@example.org"})
        path = f"/v1/contacts/{made_one['id']}?min={quote(headers['maily-consistency-token'])}&wait_ms=5000"
        status, _, headers = api.call("GET", path)
        check(status == 200 and headers["maily-applied"] == "true", f"round {number}: not shown in 5 s")

    clock.move(20 * DAY)
    later = made("later@example.org")
    distance = (later - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    check(abs(distance - 20 * DAY) < 60, f"made {distance} s from the machine's clock")
    clock.move(0)
    check(made("later2@example.org") >= later, "time went back")
    check(world.server.stop() == 0, "SIGTERM")
    return f"{CONTACTS} mails a day later, and 20 days there and back"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 1, "workers": 1, "relay-connections": 2})
