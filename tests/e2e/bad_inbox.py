#!/usr/bin/env python3
"""Producers who speak Kafka: garbage, a wrong CloudEvents version, a forged tenant, 5 MB, and good events between them, through kill -9.

Each good one is decided once, each bad one is a dead letter once with what was wrong, whatever is killed in between. Then somebody changes the
topics under the running server, and deletes the commands and makes them anew: each is said, shown, and loses nothing.
"""
import hashlib
import json
import os
import random
import re
import sys
import time

from kafka_client import Client
from program import Api, Kafka, check, run_test, wait_for

PARTITIONS = 4
PEOPLE = 300
INBOX, DEAD, SECOND = "maily.inbox", "maily.inbox.dead", "maily.inbox.2"
CONTACT, EVENT = "maily.contacts.v1.UpsertContact", "maily.engagements.v1.RecordContactEvent"
HUGE = b"x" * (5 << 20)


def binary(identity, kind, tenant=None, version=b"1.0", source=b"/shop"):
    headers = [("ce_specversion", version), ("ce_id", identity.encode()), ("ce_source", source), ("ce_type", kind.encode()),
               ("content-type", b"application/json")]
    return headers + ([("ce_tenant", str(tenant).encode())] if tenant else [])


def structured(identity, kind, data, **more):
    return json.dumps({"specversion": "1.0", "id": identity, "source": "/shop", "type": kind, "data": data, **more}).encode()


STRUCTURED = [("content-type", b"application/cloudevents+json")]


def person(i):
    return {"email": f"p{i}@example.com", "attributes": {"first_name": f"P{i}"}}


def metric(api, name):
    text = api.call("GET", "/metrics", raw=True)[1].decode()
    return sum(float(value) for value in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? ([0-9.e+]+)$", text, re.M))


def settled(client, records):
    """How many records of the inbox topics are settled."""
    return sum(client.committed("maily.inbox", topic) for topic in (INBOX, SECOND)) >= records


def write_all(client):
    """Good ones and bad ones in turn; gives the codes that the bad ones must get, with their bytes, and how many there are in all."""
    bad = []

    def wrong(code, value, headers, key=None):
        bad.append((code, value, headers))
        client.write(INBOX, value, headers, key)

    written = 0
    for i in range(PEOPLE):
        key = f"p{i}".encode()
        client.write(INBOX, json.dumps(person(i)).encode(), binary(f"contact-{i}", CONTACT, tenant=1 if i % 2 else None), key)
        visit = {"type": "visit", "contact": {"email": f"p{i}@example.com"}, "properties": {"page": i}}
        client.write(INBOX, structured(f"visit-{i}", EVENT, visit, time="2026-01-02T03:04:05Z"), STRUCTURED, key)
        client.write(INBOX, structured(f"visit-{i}", EVENT, visit, time="2026-01-02T03:04:05Z"), STRUCTURED, key)  # a producer that tries again
        written += 3
        if i % 50 == 0:
            wrong("not_a_cloudevent", b"\xff\xfe\x00garbage %d" % i, [("odd", b"\x00\xff")])
            wrong("not_a_cloudevent", bytes([i // 50]), [], key)
            wrong("unsupported_specversion", b"{}", binary(f"old-{i}", CONTACT, version=b"0.3"))
            wrong("forged_tenant", json.dumps(person(1000 + i)).encode(), binary(f"forged-{i}", CONTACT, tenant=2))
            wrong("malformed_json", b"{", STRUCTURED)
            wrong("invalid_attribute", b"{}", binary(f"time-{i}", EVENT) + [("ce_time", b"\xff\x00")])
            wrong("unknown_contact", json.dumps({"type": "visit", "contact": {"email": "nobody@example.com"}}).encode(), binary(f"nobody-{i}", EVENT))
            wrong("invalid_request", b'{"email":7}', binary(f"seven-{i}", CONTACT))
            written += 8
    wrong("too_large", HUGE, binary("huge", CONTACT))
    client.flush()
    return bad, written + 1


def check_dead(client, bad):
    """Each bad record once, whole or as much as is kept, with its headers and what was wrong."""
    letters = [(value, headers) for _, _, _, value, headers in client.read(DEAD)]
    ids = [dict(headers)["maily-id"] for _, headers in letters]
    check(len(set(ids)) == len(ids), f"{len(ids) - len(set(ids))} dead letters stand twice")
    check(len(letters) == len(bad), f"{len(letters)} dead letters of {len(bad)} bad records")
    found = sorted((dict(headers)["maily-error-code"].decode(), hashlib.sha256(value).hexdigest(), [h for h in headers if not h[0].startswith("maily-")])
                   for value, headers in letters)
    wanted = sorted((code, hashlib.sha256(value[:64 * 1024]).hexdigest(), headers) for code, value, headers in bad)
    check(found == wanted, f"dead letters are not what was written: {[f[0] for f in found]}, {[w[0] for w in wanted]}")
    for value, headers in letters:
        said = dict(headers)
        for name in ("source-topic", "source-partition", "source-offset", "source-time", "error-message", "attempts", "first-tried-at", "last-tried-at", "build"):
            check(said.get(f"maily-{name}"), f"a dead letter has no maily-{name}: {said}")
        if said["maily-error-code"] == b"too_large":
            check(said["maily-value-bytes"] == b"%d" % len(HUGE) and said["maily-value-sha256"] == hashlib.sha256(HUGE).hexdigest().encode(), f"{said}")


def check_good(api, what):
    items = api.ok("GET", "/v1/contacts?page_size=1000")["items"]
    people = sorted(item["email"] for item in items)
    check(people == sorted(f"p{i}@example.com" for i in range(PEOPLE)), f"{what}: {len(people)} contacts, not {PEOPLE}: {people[:5]}")
    check(api.ok("GET", "/v1/engagements/count?type=visit")["count"] == PEOPLE, f"{what}: {api.ok('GET', '/v1/engagements/count?type=visit')}")


def kill_when(world, line, after=0.0):
    """Starts the server, and kills it `after` seconds after it has said `line`."""
    path = os.path.join(world.base, "server.out")
    from_here = os.path.getsize(path) if os.path.exists(path) else 0
    world.start_server(wait=False)

    def said():
        with open(path, encoding="utf-8", errors="replace") as file:
            file.seek(from_here)
            return line in file.read()
    wait_for(line, said, 60, world.server, every=0.002)
    time.sleep(after)  # so that the death comes anywhere in what follows
    world.server.kill()


def producers(world, client):
    """Everything at once, with the server killed while it takes it in; then the same again: nothing changes."""
    seed = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
    print(f"seed {seed}", flush=True)
    chance = random.Random(seed)
    bad, written = write_all(client)
    kills = ["inbox partitions assigned", "became a dead letter"]
    for line in kills:
        kill_when(world, line, 0 if "dead" in line else chance.uniform(0, 0.4))
    world.start_server()
    wait_for("all of it taken in", lambda: settled(client, written), 60, world.server)
    api = world.api()
    wait_for("shown", lambda: api.ok("GET", "/v1/engagements/count?type=visit")["count"] >= PEOPLE, 30, world.server)
    check_good(api, "after the kills")
    check_dead(client, bad)
    # Everything once more, by a producer that forgot where it was: another record with the same source and id is the first one again.
    again, more = write_all(client)
    wait_for("all of it again", lambda: settled(client, written + more), 60, world.server)
    check_good(api, "written twice")
    check_dead(client, bad + again)
    check(metric(api, "maily_inbox_refused_total") >= len(again), f"{metric(api, 'maily_inbox_refused_total')} refused")
    check(metric(api, "maily_inbox_lag_records") == 0, "the inbox lags")
    return len(kills), written, len(bad)


def second_tenant(world, client):
    """The topic says whose a record is."""
    api = world.api()
    made = api.ok("POST", "/v1/tenants", {"name": "acme"})
    check(str(made["id"]) == "2", f"tenant {made}")
    before = client.committed("maily.inbox", SECOND)
    client.write(SECOND, json.dumps({"email": "only@acme.example"}).encode(), binary("a-1", CONTACT, tenant=2))
    client.write(SECOND, json.dumps({"email": "stolen@acme.example"}).encode(), binary("a-2", CONTACT, tenant=1))
    client.flush()
    wait_for("the second tenant's", lambda: client.committed("maily.inbox", SECOND) == before + 2, 30, world.server)
    check_good(api, "another tenant's inbox")
    codes = [dict(headers)["maily-error-code"] for _, _, _, value, headers in client.read(DEAD) if b"stolen" in (value or b"")]
    check(codes == [b"forged_tenant"], f"a forged tenant is {codes}")


def wrong(api, topic, setting, level):
    """The metric of that setting: 1 while it is wrong."""
    text = api.call("GET", "/metrics", raw=True)[1].decode()
    found = re.findall(rf'^maily_log_settings_wrong{{([^}}]*)}} (\d+)$', text, re.M)
    return any(int(value) for labels, value in found if f'topic="{topic}"' in labels and f'setting="{setting}"' in labels and f'level="{level}"' in labels)


def said(world, *words):
    """Whether a line of the server's log has them all."""
    with open(os.path.join(world.base, "server.out"), encoding="utf-8", errors="replace") as file:
        return any(all(word in line for word in words) for line in file)


CHANGES = (("maily.commands", "retention.ms", 3_600_000, "fail"), ("maily.journal", "cleanup.policy", "compact", "fail"),
           ("maily.inbox.dead", "retention.ms", 3_600_000, "warn"))


def ask(world, email):
    """A write under a key of its own; the status, or None if no answer came soon."""
    api = Api(world.port, world.api().key, timeout=2)
    try:
        return api.call("POST", "/v1/contacts", {"email": email}, {"Idempotency-Key": email})[0]
    except TimeoutError:
        return None
    finally:
        api.close()


def mischief_with_settings(world, client):
    """Somebody changes topics under the running server: each is said with the command that mends it, shown, and loses nothing."""
    api = world.api()
    right = {(topic, setting): client.settings(topic)[setting] for topic, setting, _, _ in CHANGES}
    for topic, setting, value, _ in CHANGES:
        client.alter(topic, **{setting.replace(".", "_"): value})
    for topic, setting, value, level in CHANGES:
        wait_for(f"{topic} {setting} noticed", lambda: wrong(api, topic, setting, level), 20, world.server)
        mend = f"--add-config {setting}={right[topic, setting]}"
        check(said(world, f'"{topic}"', f'"{setting}"', "kafka-configs.sh", mend), f"no command that mends {topic} {setting}")
        shown = [one for one in api.ok("GET", "/v1/instance")["wrong_settings"] if (one["topic"], one["setting"]) == (topic, setting)]
        check(len(shown) == 1 and shown[0]["found"] == str(value) and shown[0]["level"] == level and mend in shown[0]["run"], f"/v1/instance shows {shown}")
    status = ask(world, "meanwhile@example.com")  # a compacted topic takes no record without a key: nothing can be decided
    check(status in (None, 202, 503), f"a write that cannot be decided is answered {status}")
    for topic, setting, _, _ in CHANGES:
        client.alter(topic, **{setting.replace(".", "_"): right[topic, setting]})
    for topic, setting, _, level in CHANGES:
        wait_for(f"{topic} {setting} mended", lambda: not wrong(api, topic, setting, level), 20, world.server)
    wait_for("the same write again", lambda: ask(world, "meanwhile@example.com") == 201, 30, world.server)


def mischief_with_topics(world, client):
    """Somebody deletes the commands and makes the topic anew: nothing is decided from it as if it were the old one, and all goes on once it
    ends where the old one did."""
    names = ("cleanup.policy", "retention.ms", "retention.bytes", "message.timestamp.type", "max.message.bytes", "min.insync.replicas")
    made = {name.replace(".", "_"): value for name, value in client.settings("maily.commands").items() if name in names}
    client.delete("maily.commands")
    wait_for("noticed to be missing", lambda: said(world, '"maily.commands"', '"missing"', "maily topics create"), 30, world.server)
    client.create("maily.commands", PARTITIONS, **made)
    api = world.api()
    lost = re.compile(r"maily\.commands partition (\d+): .* but (\d+) was durable")

    def ends():
        with open(os.path.join(world.base, "server.out"), encoding="utf-8", errors="replace") as file:
            found = [lost.search(line) for line in file if "has lost records" in line]
        return {int(one[1]): int(one[2]) for one in found if one}
    wait_for("every partition noticed", lambda: len(ends()) == PARTITIONS, 40, world.server)
    check(ask(world, "anew@example.com") == 503, "a write into the new topic is answered as if it were decided")

    def unready():
        status, answer, _ = api.call("GET", "/readyz")
        return status == 503 and "made anew" in answer["reason"]
    wait_for("not ready", unready, 20, world.server)
    wait_for("the metric", lambda: wrong(api, "maily.commands", "records", "fail"), 20, world.server)
    world.server.stop()
    world.start_server(wait=False)
    check(world.server.process.wait(60) != 0, "the server starts on commands that are not those it decided")
    check("the log ends before it" in world.server.tail(), f"the refusal does not say why: {world.server.tail()}")
    there = {}
    for partition, _, _, _, _ in client.read("maily.commands"):
        there[partition] = there.get(partition, 0) + 1
    for partition, end in ends().items():
        for _ in range(end - there.get(partition, 0)):
            client.write("maily.commands", b"-", partition=partition)
    client.flush()
    world.start_server()
    api = world.api()
    wait_for("the write that was refused", lambda: ask(world, "anew@example.com") in (200, 201), 30, world.server)
    emails = {item["email"] for item in api.ok("GET", "/v1/contacts?page_size=1000&min=" + api.call("POST", "/v1/contacts", {"email": "last@example.com"})[2]["maily-consistency-token"])["items"]}
    check(emails == {f"p{i}@example.com" for i in range(PEOPLE)} | {"meanwhile@example.com", "anew@example.com", "last@example.com"}, f"{len(emails)} contacts: {sorted(emails)[:6]}")
    check(api.ok("GET", "/v1/deadletters")["items"] == [], "the filling of the new topic was taken for commands")


def test(world):
    started = time.monotonic()
    kafka = Kafka(world.maily, world.base, PARTITIONS, settings=["--inbox-tenants", "2"])
    if kafka.missing:
        print(f"skipped: {kafka.missing}")
        sys.exit(77)
    try:
        client = Client(kafka.address.removeprefix("kafka://"))
        client.alter(INBOX, max_message_bytes=8 << 20)
        world.settings = {"log": kafka.address, "inbox-tenants": "2", "log-check-seconds": "1"}
        kills, written, bad = producers(world, client)
        second_tenant(world, client)
        mischief_with_settings(world, client)
        mischief_with_topics(world, client)
        return f"{written} records twice, {kills} kills: {bad} bad ones dead letters once each; topics changed and made anew ({time.monotonic() - started:.0f} s)"
    finally:
        if world.server is not None and world.server.alive():
            world.server.kill()
        kafka.close()


run_test(test)
