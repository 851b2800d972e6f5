#!/usr/bin/env python3
"""Mail by the DNS: to the mail servers of each recipient's domain, over loopback. Preferences, a server that is down, a domain without an MX, a
null MX, a name that is not there, a DNS server that fails; a site that asks for less is slowed down and no other one; domains
whose mail a route hands to a relay; each send says where it went, or why not.
"""
import asyncio
import json
import os
import time

from dns_zone import Zone
from program import check, free_port, need, run_test, wait_for

need(["aiosmtpd"], "scripts/setup.sh --mail")
from aiosmtpd.controller import Controller  # noqa: E402

EACH = 30


class Host:
    """A mail server on an address of its own; at most `burst` mails a second, if that is said: then 421."""

    def __init__(self, address, port, burst=None):
        self.mails, self.burst, self.times, self.refused, self.open, self.most = [], burst, [], 0, 0, 0
        self.controller = Controller(self, hostname=address, port=port)
        self.controller.start()

    async def handle_EHLO(self, server, session, envelope, hostname):  # noqa: N802 (aiosmtpd's name)
        session.host_name = hostname
        return "250 here"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.open += 1
        self.most = max(self.most, self.open)
        await asyncio.sleep(0.01)  # a server takes some time
        self.open -= 1
        now = time.monotonic()
        self.times = [at for at in self.times if now - at < 1.0]
        if self.burst is not None and len(self.times) >= self.burst:
            self.refused += 1
            return "421 4.7.28 too many mails from you"
        self.times.append(now)
        self.mails.append(envelope.rcpt_tos[0])
        return "250 2.0.0 taken"


def sends(world, campaign):
    """What is known of each, by address."""
    found = {}
    for partition in range(2):
        for line in world.cli("events", "tail", "--partition", str(partition), "--from", "beginning")[1].splitlines():
            event = json.loads(line)
            name = event["type"].rsplit(".", 1)[-1]
            if name.startswith("Attempt") and name != "AttemptOpened":
                found.setdefault(name, []).append(event["data"])
    return found


def run(world):
    port = free_port()
    shared, second, alone, busy = Host("127.0.0.2", port), Host("127.0.0.4", port), Host("127.0.0.5", port), Host("127.0.0.6", port, burst=10)
    relay = Host("127.0.0.7", port)
    dns = Zone()
    for domain, servers in (("a", ["10 mx.shared.example"]), ("b", ["10 mx.shared.example"]), ("null", ["0 ."]), ("busy", ["10 mx.busy.example"]),
                            ("down", ["20 second.down.example", "10 first.down.example"])):
        dns.publish("MX", f"{domain}.example", *servers)
    for name, address in (("mx.shared", 2), ("first.down", 3), ("second.down", 4), ("alone", 5), ("later", 5), ("mx.busy", 6)):
        dns.publish("A", f"{name}.example", f"127.0.0.{address}")
    dns.broken.add("later.example")
    policies = os.path.join(world.base, "sites.yaml")
    with open(policies, "w", encoding="ascii") as file:
        file.write("- site: mx.shared.example\n  connections: 2\n- site: mx.busy.example\n  connections: 1\n  pause_seconds: 1\n")
    routes = os.path.join(world.base, "routes.yaml")
    with open(routes, "w", encoding="ascii") as file:
        file.write(f"- tenant: 77\n  via: 127.0.0.9:{port}\n- domain: \"*.example\"\n  via: mx\n- domain: routed.test\n  via: 127.0.0.7:{port}\n  tls: off\n")
    world.settings.update({"routes": routes, "routing": "mx", "dns-servers": f"127.0.0.1:{dns.port}", "mx-port": port, "mx-private": "on", "site-policies": policies})
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    path = os.path.join(world.base, "people.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("email\n")
        for domain in ("a", "b", "down", "alone", "null", "busy", "later", "nowhere"):
            file.write("".join(f"p{n}@{domain}.example\n" for n in range(EACH)))
        file.write("".join(f"p{n}@routed.test\n" for n in range(EACH)))
    world.cli("import", path, "--list", "people")
    world.cli("site", "suspend", "alone.example")
    campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "list_id": 1, "from": "news@shop.example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")

    def counts():
        return world.api().ok("GET", f"/v1/campaigns/{campaign}")["counts"]
    wait_for("those of the other sites are delivered", lambda: len(shared.mails) == 2 * EACH and len(second.mails) == EACH, 60, world.server)
    check(not alone.mails, "a suspended site got mail")
    world.cli("site", "resume", "alone.example")
    wait_for("the resumed site takes its mail", lambda: len(alone.mails) == EACH, 60, world.server)
    shown = {site["site"]: site for site in json.loads(world.cli("site", "list", "--output", "json")[1])["items"]}
    check(shown["mx.shared.example"]["delivered"] == 2 * EACH and shown["mx.shared.example"]["connections_max"] == 2, f"{shown}")
    wait_for("what can never arrive is bounced", lambda: counts()["bounced"] == 2 * EACH, 60, world.server)
    for name, host, people in (("shared", shared, 2 * EACH), ("second", second, EACH)):
        check(len(host.mails) == people == len(set(host.mails)), f"{name}: {len(host.mails)} mails")
    check(set(alone.mails) == {f"p{n}@alone.example" for n in range(EACH)}, f"alone: {sorted(alone.mails)}")
    wait_for("the relay takes what is routed there", lambda: len(relay.mails) == EACH, 30, world.server)
    check(set(relay.mails) == {f"p{n}@routed.test" for n in range(EACH)}, f"relay: {sorted(relay.mails)}")
    check(shared.most <= 2, f"{shared.most} connections where 2 are allowed")
    check(busy.refused > 0 and len(busy.mails) < EACH, "the busy site was not slowed down")

    # The DNS is back; the busy site takes the rest bit by bit.
    dns.broken.clear()
    wait_for("the rest is delivered", lambda: counts()["delivered"] == 7 * EACH, 400, world.server)
    check(len(busy.mails) == EACH == len(set(busy.mails)), f"busy: {len(busy.mails)} mails")
    events = sends(world, campaign)
    sites = {}
    for delivered in events["AttemptDelivered"]:
        sites.setdefault(delivered["site"], set()).add(delivered["peer"])
    check(sites == {"mx.shared.example": {f"mx.shared.example:{port}"}, "first.down.example": {f"second.down.example:{port}"},
                    "alone.example": {f"alone.example:{port}"}, "later.example": {f"later.example:{port}"},
                    "mx.busy.example": {f"mx.busy.example:{port}"}, "127.0.0.7": {f"127.0.0.7:{port}"}}, f"{sites}")
    codes = {bounced["enhanced_code"]: bounced for bounced in events["AttemptBounced"]}
    check(set(codes) == {"5.1.10", "5.1.2"}, f"bounced with {set(codes)}")
    check("null MX" in codes["5.1.10"]["reply_text"], codes["5.1.10"])
    slowed = [deferred for deferred in events["AttemptDeferred"] if deferred.get("site") == "mx.busy.example"]
    check(len(slowed) == busy.refused, f"{len(slowed)} deferred, {busy.refused} refused")
    check(world.server.stop() == 0, "SIGTERM")
    for host in (shared, second, alone, busy, relay):
        host.controller.stop()
    return f"{7 * EACH} mails to 6 sites, {2 * EACH} bounced, {busy.refused} refused with 421"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 2})
