"""Rows of segments: a world of contacts, 50 segments of mixed kinds, 5,000 events a second; how soon a membership follows its event, how soon a
new segment is counted, and whether deciding everybody anew gives the same."""
import json
import os
import random
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
from form import note  # noqa: E402
from spine import program_rows  # noqa: E402
from spine.program_rows import Api, check, disk_bytes, peak_resident_bytes, wait_for  # noqa: E402

EVENTS = 5_000      # a second
SECONDS = 60
BATCH = 250         # events of one request
PEOPLE = 100_000    # contacts that events are of; the others keep still
POSTERS = 2         # connections


def expressions():
    """Fifty of mixed kinds: attributes, windows, counts, lists, other segments."""
    made = [f'recency <= {n} and channel = "{channel}"' for n in (1, 3, 6, 9) for channel in ("Web", "Phone", "Multichannel")]
    made += [f'event("visit", last: {window}) >= {n}' for window in ("1m", "1h", "1d", "30d") for n in (1, 2, 5)]
    made += [f'event("visit", since: today - {n}d) >= 1 and not event("buy", last: {n + 1}d)' for n in range(6)]
    made += [f"history > {n} and not in_list(\"nobody\")" for n in (100, 200, 300, 400, 500, 600)]
    made += [f'zip_code in ("Urban", "Rural") and mens = {n % 2} and event("visit") >= {n}' for n in range(1, 7)]
    made += [f'in_segment("s{n}") and newbie = 1' for n in range(1, 5)]
    made += [f'not in_segment("s{n}") and subscribed() and not suppressed()' for n in range(1, 5)]
    check(len(made) == 50, f"{len(made)} expressions")
    return made


class Rows(program_rows.Rows):
    def define(self, world, api, name, where):
        """Seconds from the request until it is in force in every partition and its size is read."""
        started = time.monotonic()
        made = api.ok("POST", "/v1/segments", {"name": name, "where": where})
        while True:
            status, answer, _ = api.call("GET", f"/v1/segments/{made['id']}")
            if status == 200 and answer["status"] == "active":
                return time.monotonic() - started, made["id"], answer["members"]
            check(time.monotonic() - started < 120, f"{name}: {answer}")
            time.sleep(0.01)  # between polls of the server

    def post(self, world, key, number, until, sent):
        """Events at an even rate until that time."""
        api, chance, each = Api(world.port, key), random.Random(number), EVENTS / POSTERS / BATCH
        started, batches = time.monotonic(), 0
        while time.monotonic() < until:
            events = [{"id": f"{number}-{batches}-{n}", "type": chance.choice(["visit", "visit", "visit", "buy"]),
                       "contact": {"email": self.email(chance.randrange(PEOPLE))}} for n in range(BATCH)]
            status, answer, _ = api.call("POST", "/v1/events:batch", {"events": events})
            check(status in (200, 202, 207), f"events: {status} {answer}")
            batches += 1
            sent[number] = batches * BATCH
            time.sleep(max(0.0, started + batches / each - time.monotonic()))

    @staticmethod
    def email(number):
        return f"s{number * 2654435761 % 2**32:08x}@example.com"

    def run(self):
        world = self.world("segments", {})
        world.start_server()
        api = self.prepare(world)
        api.ok("POST", "/v1/lists", {"name": "nobody"})
        took, _ = self.import_contacts(world, api, "s", self.contacts, "all")
        note(f"  {self.contacts:,} contacts in {took:.0f} s")
        times = []
        for number, where in enumerate(expressions()):
            seconds, _, members = self.define(world, api, f"s{number + 1}", where)
            times.append(seconds)
            if number % 10 == 0:
                note(f"  {where}: {members:,} members in {seconds:.2f} s")
        self.samples.add("counted", "s, the slowest of 50", max(times))
        self.samples.add("counted_median", "s", sorted(times)[len(times) // 2])

        seconds, marker, _ = self.define(world, api, "marker", 'event("marked")')
        before, sent, latencies = disk_bytes(world.data), {}, []
        until = time.monotonic() + SECONDS
        threads = [threading.Thread(target=self.post, args=(world, world.api().key, number, until, sent)) for number in range(POSTERS)]
        for thread in threads:
            thread.start()
        while time.monotonic() < until:
            # One contact after the other enters; its event until the size that is read counts it.
            started = time.monotonic()
            api.ok("POST", "/v1/events", {"id": f"m{len(latencies)}", "type": "marked", "contact": {"email": self.email(PEOPLE + len(latencies))}})
            wait_for("the membership", lambda: api.ok("GET", f"/v1/segments/{marker}")["members"] > len(latencies), 30, world.server)
            latencies.append(time.monotonic() - started)
        for thread in threads:
            thread.join()
        events = sum(sent.values())
        latencies.sort()
        self.samples.add("membership_p50", "ms", latencies[len(latencies) // 2] * 1e3)
        self.samples.add("membership_p99", "ms", latencies[len(latencies) * 99 // 100] * 1e3)
        self.samples.add("events", "events/s", events / SECONDS)
        self.samples.add("disk_per_event", "bytes", (disk_bytes(world.data) - before) / events)
        self.samples.add("memory", "MiB, peak", peak_resident_bytes(world.server.process.pid) / (1 << 20))
        note(f"  {events:,} events, {len(latencies)} memberships timed")
        # Everybody anew; what is yet to be decided is waited for.
        report = {}

        def settled():
            report.update(json.loads(world.cli("segment", "check", "--output", "json", check_code=False)[1]))
            return all(one["pending"] == 0 for one in report["checked"])
        wait_for("everything is decided", settled, 300, world.server)
        self.samples.add("differing", "segments", report["differing"])
        check(world.server.stop() == 0, "the server did not stop cleanly")
