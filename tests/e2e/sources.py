#!/usr/bin/env python3
"""Mails leave from sources: addresses of this machine with names of their own. A tenant's mails to a domain come from one of them; a source that
is warmed up sends its day's number and no more, over a kill -9, and the rest leaves from the pool that it overflows to; each is a site of its
own to the operator. Without a pool to overflow to the rest waits.
"""
import collections
import os

from dns_zone import Zone
from mx import Host
from program import check, free_port, run_test, wait_for

EACH, OF_DAY = 40, 12


class Seen(Host):
    """Notes where each mail came from, and what the other side called itself."""

    def __init__(self, address, port):
        self.came = []  # (recipient, address, EHLO name)
        super().__init__(address, port)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        answer = await super().handle_DATA(server, session, envelope)
        if answer.startswith("250"):
            self.came.append((envelope.rcpt_tos[0], session.peer[0], session.host_name))
        return answer


def run(world):
    port = free_port()
    host = Seen("127.0.0.2", port)
    dns = Zone()
    for domain in ("warm", "plain", "alone"):
        dns.publish("MX", f"{domain}.example", f"10 mx.{domain}.example")
        dns.publish("A", f"mx.{domain}.example", "127.0.0.2")
    files = {
        "sources": "sources:\n"
                   "  - {name: new, addresses: [127.0.0.21], ehlo: new.shop.example}\n"
                   "  - {name: old, addresses: [127.0.0.22], ehlo: old.shop.example}\n"
                   "pools:\n"
                   "  - {name: default, sources: [old]}\n"
                   "  - {name: growing, sources: [new], overflow: default}\n",
        "site-policies": f"- site: '*@new'\n  warm_up: [{OF_DAY}, {4 * OF_DAY}]\n  connections: 2\n",
        "routes": "- domain: warm.example\n  via: mx\n  from: growing\n- domain: alone.example\n  via: mx\n  from: new\n",
    }
    for name, text in files.items():
        world.settings[name] = os.path.join(world.base, name + ".yaml")
        with open(world.settings[name], "w", encoding="ascii") as file:
            file.write(text)
    world.settings.update({"routing": "mx", "dns-servers": f"127.0.0.1:{dns.port}", "mx-port": port, "mx-private": "on"})
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    path = os.path.join(world.base, "people.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("email\n" + "".join(f"p{n}@{domain}.example\n" for domain in ("warm", "plain", "alone") for n in range(EACH)))
    world.cli("import", path, "--list", "people")
    campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "list_id": 1, "from": "news@shop.example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    wait_for("some mails", lambda: len(host.came) > EACH, 60, world.server)
    world.server.kill()  # what was leased to it is lost to the day, and no mail is more
    world.start_server()

    def of(domain):
        return [(address, name) for to, address, name in host.came if to.endswith(f"@{domain}.example")]

    def unknown():
        return len(world.api().ok("GET", "/v1/sends/unknown?page_size=100")["items"])
    wait_for("each mail that has a source is delivered, or unknown since the kill", lambda: len(of("plain")) + len(of("warm")) + unknown() >= 2 * EACH,
             90, world.server)
    check(set(of("plain")) == {("127.0.0.22", "old.shop.example")}, f"mails of the default pool: {set(of('plain'))}")
    warm, alone = collections.Counter(of("warm")), collections.Counter(of("alone"))
    new, old = ("127.0.0.21", "new.shop.example"), ("127.0.0.22", "old.shop.example")
    check(set(warm) == {new, old}, f"mails of the pool that overflows came from {warm}")
    check(0 < warm[new] <= OF_DAY, f"{warm[new]} mails of {OF_DAY} from the new source")
    check(set(alone) == {new} and alone[new] <= OF_DAY, f"mails of a source alone came from {alone}")
    check(max(collections.Counter(host.mails).values()) == 1, "somebody got two mails")
    sites = {one["site"] for one in world.api().ok("GET", "/v1/sites")["items"]}  # that this process has met
    check({"mx.warm.example@new", "mx.warm.example@old", "mx.alone.example@new"} <= sites, f"the sites are {sorted(sites)}")
    wait_for("that its number is used up is said", lambda: any(one["kind"] == "limit_reached" for one in world.api().ok(
        "GET", "/v1/sites/mx.warm.example@new/changes")["items"]), 20, world.server)
    check(world.server.stop() == 0, "a clean stop")
    host.controller.stop()
    return f"{warm[new]} of {OF_DAY} mails of the first day from the new source, {warm[old]} overflowed, {alone[new]} and the rest waiting where there is no other one"


if __name__ == "__main__":
    run_test(run)
