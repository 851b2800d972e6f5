#!/usr/bin/env python3
"""Two processes share partitions, and the numbers of sites: mails of an hour and of a day are leased to both, and never more begin than there are,
while one is killed and the other one ends in order. Both send. What a process that ended in order had leased is used by the other one.
"""
import asyncio
import collections
import os
import time

from cluster import run_cluster
from dns_zone import Zone
from mx import Host
from program import check, free_port, wait_for

PARTITIONS = 4
EACH = 150
OF_HOUR, OF_DAY = 60, 48
ON_ITS_WAY = 0.2  # s from writing MAIL to reading it: one that was written before the hour's end may come after it


class Slow(Host):
    """Takes its time, and remembers in which hour and day (UTC) each mail began."""

    def __init__(self, address, port):
        self.hours, self.days = collections.Counter(), collections.Counter()
        super().__init__(address, port)

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802 (aiosmtpd's name)
        now = time.time() - ON_ITS_WAY
        self.hours[now // 3600] += 1
        self.days[now // 86400] += 1
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 go on"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        await asyncio.sleep(0.3)
        return await super().handle_DATA(server, session, envelope)


def at(member, site):
    return next((one for one in member.api().ok("GET", "/v1/sites")["items"] if one["site"] == site), {"this_hour": 0, "today": 0})


def reached(api, site):
    return [one for one in api.ok("GET", f"/v1/sites/{site}/changes")["items"] if one["kind"] == "limit_reached"]


def run(cluster):
    port = free_port()
    hourly, daily = Slow("127.0.0.2", port), Slow("127.0.0.3", port)
    dns = Zone()
    dns.publish("A", "hourly.example", "127.0.0.2")
    dns.publish("A", "daily.example", "127.0.0.3")
    policies = os.path.join(cluster.base, "sites.yaml")
    with open(policies, "w", encoding="ascii") as file:
        file.write(f"- site: hourly.example\n  mails_per_hour: {OF_HOUR}\n  connections: 2\n"
                   f"- site: daily.example\n  mails_per_day: {OF_DAY}\n  connections: 2\n")
    cluster.settings.update({"routing": "mx", "dns_servers": f"127.0.0.1:{dns.port}", "mx_port": port, "mx_private": "on", "site_policies": policies})
    a, b = (cluster.member(name, lead="group") for name in "ab")
    for member in (a, b):
        member.start()
    for member in (a, b):
        member.wait_ready()

    def shared_out(*members):
        return lambda: sorted(sum((m.leads() for m in members), [])) == list(range(PARTITIONS)) and all(m.leads() for m in members)

    wait_for("partitions shared out", shared_out(a, b), 90)
    api = a.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    body = "email\n" + "".join(f"p{n}@{site}.example\n" for site in ("hourly", "daily") for n in range(EACH))
    job = api.ok("POST", "/v1/imports?list=1", body, {"Content-Type": "text/csv"})
    wait_for("the import", lambda: api.ok("GET", f"/v1/imports/{job['id']}").get("status") == "completed", 60, a.process)
    campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "list_id": 1, "from": "news@shop.example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")

    wait_for("both processes send to both sites",
             lambda: all(at(m, f"{name}.example")["today"] > 0 for m in (a, b) for name in ("hourly", "daily")), 60, a.process)
    check(len(hourly.mails) < OF_HOUR // 2, f"{len(hourly.mails)} mails already: it was too fast for this test")
    b.process.kill()
    wait_for("the other one leads all", shared_out(a), 90)
    b.start().wait_ready()
    wait_for("partitions shared out again", shared_out(a, b), 90)
    a.signal(15)
    check(a.process.stop() == 0, "a clean stop")
    wait_for("every partition handed over", shared_out(b), 90)
    api = b.api()
    wait_for("the day's number is leased", lambda: reached(api, "daily.example"), 120, b.process)
    wait_for("the hour's number is leased", lambda: reached(api, "hourly.example"), 120, b.process)
    a.start().wait_ready()
    wait_for("partitions shared out at the end", shared_out(a, b), 90)
    before = -1
    while before != len(hourly.mails) + len(daily.mails):  # until nothing more comes
        before = len(hourly.mails) + len(daily.mails)
        time.sleep(2)

    for hour, mails in hourly.hours.items():
        check(mails <= OF_HOUR, f"{mails} mails of {OF_HOUR} in the hour {hour}")
    for day, mails in daily.days.items():
        check(mails <= OF_DAY, f"{mails} mails of {OF_DAY} on the day {day}")
    # One kill costs what was leased then: a sixteenth, at most, for each process; and a mail that was on its way.
    check(max(hourly.hours.values()) >= OF_HOUR * 2 // 3, f"only {hourly.hours} of {OF_HOUR}")
    check(max(daily.days.values()) >= OF_DAY * 2 // 3, f"only {daily.days} of {OF_DAY}")
    for host in (hourly, daily):
        check(len(host.mails) == len(set(host.mails)), "somebody got two mails")
    for member in (a, b):
        check(member.process.stop() == 0, f"{member.name}: a clean stop")
    for host in (hourly, daily):
        host.controller.stop()
    return f"{max(hourly.hours.values())} of {OF_HOUR} mails of an hour, {max(daily.days.values())} of {OF_DAY} of a day, by two processes, one killed and one stopped"


if __name__ == "__main__":
    run_cluster(run, PARTITIONS)
