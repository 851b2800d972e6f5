#!/usr/bin/env python3
"""Where a relay takes all mail: what it put off waits for minutes, and goes out at once when an operator flushes `relay`, once each."""
import json
import os
import time

from program import check, run_test, wait_for

CONTACTS = 12


def run(world):
    script = os.path.join(os.path.dirname(world.data), "script.yaml")
    with open(script, "w", encoding="ascii") as file:
        file.write('- to: "*@late.example"\n  first: 1\n  reply: 451 4.2.2 the mailbox is full, try later\n')
    world.start_sink("--script", script)
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "company": "Shop", "postal_address": "1 Main Street"})
    for number in range(CONTACTS):
        api.ok("POST", "/v1/contacts", {"email": f"c{number}@{'late' if number % 2 else 'prompt'}.example"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "from": "news@shop.example"})
    api.ok("POST", "/v1/campaigns/1:launch")
    sink = world.sink_api()
    late = CONTACTS // 2

    def delivered():
        return sink.ok("GET", "/counts")["mails"]

    def waiting():
        shown = json.loads(world.cli("site", "flush", "relay", "--dry-run", "--output", "json")[1])
        check(shown["dry_run"], shown)
        return shown["waiting"]["mails"]

    wait_for("the others are delivered", lambda: delivered() == CONTACTS - late, 30, world.server)
    wait_for("what was put off is known to wait", lambda: waiting() == late, 30, world.server)
    check(delivered() == CONTACTS - late, "a dry run sent something")
    began = time.monotonic()
    world.cli("site", "flush", "relay", "--reason", "it has room again")
    wait_for("what waited is delivered", lambda: delivered() == CONTACTS, 60, world.server)
    took = time.monotonic() - began
    wait_for("the campaign is done", lambda: api.ok("GET", "/v1/campaigns/1")["status"] == "completed", 30, world.server)
    counts = api.ok("GET", "/v1/campaigns/1")["counts"]
    check(counts["delivered"] == CONTACTS and delivered() == CONTACTS, counts)
    check(waiting() == 0, "something waits still")
    check(world.server.stop() == 0, "SIGTERM")
    return f"{late} of {CONTACTS} flushed in {took:.1f} s"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": 2})
