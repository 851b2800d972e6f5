#!/usr/bin/env python3
"""Sites over kill -9: a suspension holds in every partition and after it; the number of a day and the day of a warm-up plan are never exceeded,
whenever the program dies; a suspended site has no connection within a second; each of these decisions is found with its cause, in SQL too.
"""
import asyncio
import glob
import json
import os
import sqlite3
import time

from dns_zone import Zone
from mx import Host
from program import check, free_port, run_test, wait_for

EACH = 60
OF_DAY, OF_PLAN = 40, 12


class Slow(Host):
    """Takes its time, so that mails are under way whenever the program is killed."""

    takes = 0.1

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        await asyncio.sleep(self.takes)
        return await super().handle_DATA(server, session, envelope)


def changes(world, site):
    return json.loads(world.cli("site", "changes", site, "--output", "json")[1])["items"]


def at(world, site):
    return next((one for one in world.api().ok("GET", "/v1/sites")["items"] if one["site"] == site), None)


def reached(world, site):
    return [one for one in changes(world, site) if one["kind"] == "limit_reached"]


def import_people(world, name, *domains):
    path = os.path.join(world.base, name + ".csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("email\n" + "".join(f"p{n}@{domain}.example\n" for domain in domains for n in range(EACH)))
    world.cli("import", path, "--list", name)


def launch(world, list_id):
    api = world.api()
    campaign = api.ok("POST", "/v1/campaigns", {"name": f"c{list_id}", "template_id": 1, "list_id": list_id, "from": "news@shop.example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")


def run(world):
    port = free_port()
    held, capped, warm, slow = Host("127.0.0.2", port), Slow("127.0.0.3", port), Slow("127.0.0.4", port), Slow("127.0.0.5", port)
    exact = Slow("127.0.0.6", port)
    slow.takes = 0.3
    dns = Zone()
    for number, name in ((2, "held"), (3, "capped"), (4, "warm"), (5, "slow"), (6, "exact")):
        dns.publish("A", f"{name}.example", f"127.0.0.{number}")
    policies = os.path.join(world.base, "sites.yaml")
    with open(policies, "w", encoding="ascii") as file:
        file.write(f"- site: exact.example\n  mails_per_day: {OF_DAY}\n- site: capped.example\n  mails_per_day: {OF_DAY}\n  connections: 2\n- site: warm.example\n  warm_up: [{OF_PLAN}, 1000]\n  connections: 2\n"
                   "- site: slow.example\n  connections: 2\n")
    world.settings.update({"routing": "mx", "dns-servers": f"127.0.0.1:{dns.port}", "mx-port": port, "mx-private": "on", "site-policies": policies})
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    import_people(world, "people", "held", "capped", "warm", "slow")
    world.cli("site", "suspend", "held.example", "--reason", "they asked us to wait")
    launch(world, 1)

    # Killed twice in the middle of everything.
    for mails in (OF_DAY // 4, OF_DAY // 2):
        wait_for(f"{mails} mails at the capped site", lambda most=mails: len(capped.mails) >= most, 60, world.server)
        world.server.kill()
        world.start_server()
    # No connection within a second, and nothing more.
    wait_for("mails are under way to the slow site", lambda: (at(world, "slow.example") or {"connections": 0})["connections"] > 0, 60, world.server)
    api = world.api()
    begin = time.monotonic()
    api.ok("POST", "/v1/sites/slow.example:suspend", {"reason": "a test"})
    wait_for("no connection is left", lambda: at(world, "slow.example")["connections"] == 0, 10, world.server, every=0.01)
    took = time.monotonic() - begin
    check(took <= 1.0, f"{took:.2f} s until the suspended site had no connection")
    still = len(slow.mails)
    check(still < EACH, "the slow site was too fast for this test")

    wait_for("the day's number is leased", lambda: reached(world, "capped.example"), 60, world.server)
    wait_for("the plan's day is leased", lambda: reached(world, "warm.example"), 60, world.server)
    world.server.kill()
    world.start_server()
    shown = at(world, "held.example")
    check(shown is not None and shown["suspended"], f"the suspension did not outlive kill -9: {shown}")
    check(not held.mails, f"{len(held.mails)} mails at a suspended site")
    world.cli("site", "resume", "held.example", "--reason", "it is settled")
    wait_for("the resumed site takes its mail", lambda: len(held.mails) == EACH, 60, world.server)
    check(len(slow.mails) == still, f"{len(slow.mails) - still} mails at a suspended site")
    world.cli("site", "resume", "slow.example")
    wait_for("the other one, too", lambda: len(slow.mails) >= EACH - 8, 60, world.server)

    # A clean stop gives back what it had leased: nothing of the number is lost.
    world.api().ok("POST", "/v1/lists", {"name": "others"})
    import_people(world, "others", "exact")
    launch(world, 2)
    wait_for("some of the number are sent", lambda: len(exact.mails) >= OF_DAY // 4, 60, world.server)
    check(world.server.stop() == 0, "SIGTERM")
    check(len(exact.mails) < OF_DAY, "it was too fast for this test")
    world.start_server()
    wait_for("the whole number is sent", lambda: len(exact.mails) >= OF_DAY, 60, world.server)
    wait_for("and that is said", lambda: reached(world, "exact.example"), 60, world.server)

    # Each kill may have cost what was leased, 1 or 2 mails, and what was on its way over two connections.
    check(OF_DAY - 15 <= len(capped.mails) <= OF_DAY, f"{len(capped.mails)} mails of {OF_DAY} of a day")
    check(OF_PLAN - 6 <= len(warm.mails) <= OF_PLAN, f"{len(warm.mails)} mails of {OF_PLAN} of a warm-up day")
    check(len(exact.mails) == OF_DAY, f"{len(exact.mails)} mails of {OF_DAY}")
    for host in (held, capped, warm, slow, exact):
        check(len(host.mails) == len(set(host.mails)), "somebody got two mails")
    story = [(one["kind"], one["cause"]) for one in changes(world, "held.example")]
    check(story == [("resumed", "it is settled"), ("suspended", "they asked us to wait")], f"{story}")
    check(any(one["kind"] == "day_began" and "first day" in one["cause"] for one in changes(world, "warm.example")), "the plan's day is not told")
    check(world.server.stop() == 0, "SIGTERM")
    rows = []
    for database in glob.glob(os.path.join(world.data, "views", "*.db")):
        with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
            if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'site_changes'").fetchone():
                rows += connection.execute("SELECT kind, cause FROM site_changes WHERE site = 'capped.example' ORDER BY at_us DESC LIMIT 1").fetchall()
    check(("limit_reached", f"mails_per_day: all {OF_DAY} mails are leased") in rows, f"{rows}")
    for host in (held, capped, warm, slow, exact):
        host.controller.stop()
    return f"{len(capped.mails)} of {OF_DAY} mails of a day, {len(warm.mails)} of {OF_PLAN} of a plan, 3 kills; no connection after {took * 1000:.0f} ms"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 2})
