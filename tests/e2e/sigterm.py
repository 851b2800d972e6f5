#!/usr/bin/env python3
"""SIGTERM while a relay is slow: exit 0 within 30 s, and each mail on the wire is finished, or listed as unknown and never repeated by itself.

The sink takes a mail at its final dot and answers later. Of an answer that comes in time nothing is in doubt; an answer that does not come
leaves at most one mail a connection unknown, which the sink's own list settles.
"""
import csv
import os
import time

from program import check, run_test, wait_for

PEOPLE = 200
CONNECTIONS = 4


def received(world):
    """(recipient, Message-ID) of every mail that was taken, of all runs of the sink."""
    with open(os.path.join(world.base, "received.log"), encoding="utf-8") as file:
        return [(row[2], row[3]) for row in csv.reader(file)]


def written(world):
    """How many mails were taken, of all runs of the sink."""
    return world.sink_api().ok("GET", "/counts")["mails"]


def restart_sink(world, delay_ms):
    world.sink.stop()
    world.start_sink("--delay-ms", str(delay_ms))


def launch(world, name):
    api = world.api()
    made = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "list_id": 1, "from": "news@shop.example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{made}:launch")
    return made


def stopped_while_sending(world, name, delay_ms):
    """A campaign; SIGTERM while mails wait for their answer; then a start with a quick sink. Gives its counts when nothing is pending."""
    restart_sink(world, delay_ms)
    world.start_server()
    before = written(world)
    campaign = launch(world, name)
    wait_for("mails on the wire", lambda: written(world) >= before + CONNECTIONS, 60, world.server)
    started = time.monotonic()
    code = world.server.stop(35)
    took = time.monotonic() - started
    check(code == 0, f"{name}: exit {code} after {took:.1f} s\n{world.server.tail()}")
    check(took <= 30, f"{name}: stopped after {took:.1f} s")
    restart_sink(world, 0)
    world.start_server()
    api = world.api()

    def settled():
        shown = api.ok("GET", f"/v1/campaigns/{campaign}")
        return shown["counts"] if shown["counts"]["audience"] == PEOPLE and shown["counts"]["pending"] == 0 else None
    return wait_for("the rest is sent", settled, 60, world.server), took


def once_each(world, before, what):
    new = [recipient for recipient, _ in received(world)[before:]]
    check(len(new) == PEOPLE and len(set(new)) == PEOPLE, f"{what}: {len(new)} mails to {len(set(new))} of {PEOPLE}")


def run(world):
    world.start_sink()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    path = os.path.join(world.base, "people.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("email\n" + "".join(f"p{n}@example.com\n" for n in range(PEOPLE)))
    world.cli("import", path, "--list", "people")
    check(world.server.stop() == 0, "SIGTERM when idle")

    counts, took = stopped_while_sending(world, "in time", 1500)
    check(counts["delivered"] == PEOPLE and counts["unknown"] == 0, f"in time: {counts}")
    once_each(world, 0, "in time")
    check(world.server.stop() == 0, "SIGTERM")

    counts, slow = stopped_while_sending(world, "too late", 120_000)
    check(1 <= counts["unknown"] <= CONNECTIONS and counts["delivered"] + counts["unknown"] == PEOPLE, f"too late: {counts}")
    once_each(world, PEOPLE, "too late")
    check(len(world.api().ok("GET", "/v1/sends/unknown")["items"]) == counts["unknown"], "they are not listed")
    path = os.path.join(world.base, "received.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("message_id\n" + "".join(f"{message_id}\n" for _, message_id in received(world)))
    world.cli("sends", "unknown", "resolve", "--received", path, "--why", "the sink's list", "--yes")
    wait_for("all are delivered", lambda: world.api().ok("GET", "/v1/campaigns/2")["counts"]["delivered"] == PEOPLE, 30, world.server)
    once_each(world, PEOPLE, "settled")
    return f"stopped in {took:.1f} s and {slow:.1f} s, {counts['unknown']} in doubt"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": CONNECTIONS})
