#!/usr/bin/env python3
"""What an operator and a site itself do to a site. A flush makes what waits there due at once, and nothing elsewhere. A drain lets what is under
way end and begins nothing, also after kill -9. A pause after a 421 outlives kill -9. A site that refuses the sender is slowed or suspended by
its rule, with the numbers. Two tenants share a site 3:1.
"""
import asyncio
import json
import os
import time

from dns_zone import Zone
from mx import Host
from program import Api, check, free_port, run_test, wait_for

EACH = 40
SHARED = 400
PAUSE = 15  # s


class Server(Host):
    """Answers as it is told; counts who connected."""

    def __init__(self, address, port, reply=None, takes=0.01):
        self.reply, self.takes, self.answered, self.connected = reply, takes, 0, 0
        super().__init__(address, port)

    async def handle_EHLO(self, server, session, envelope, hostname):  # noqa: N802 (aiosmtpd's name)
        self.connected += 1
        return await super().handle_EHLO(server, session, envelope, hostname)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        await asyncio.sleep(self.takes)
        self.answered += 1
        if self.reply is not None:
            return self.reply
        self.mails.append(envelope.rcpt_tos[0])
        return "250 2.0.0 taken"


def cli_json(world, *arguments):
    return json.loads(world.cli(*arguments, "--output", "json")[1])


def changes(world, site, kind):
    return [one for one in cli_json(world, "site", "changes", site)["items"] if one["kind"] == kind]


def at(world, site):
    return next((one for one in world.api().ok("GET", "/v1/sites")["items"] if one["site"] == site), None)


def launch(world, key, name, count, *domains):
    """A campaign of the tenant of this key to `count` people of each domain."""
    api = Api(world.port, key)
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    list_id = api.ok("POST", "/v1/lists", {"name": name})["id"]
    template = api.ok("POST", "/v1/templates", {"name": name, "subject": "s", "text": "{{ unsubscribe_url }} {{ postal_address }}"})["id"]
    body = "email\n" + "".join(f"{name}{n}@{domain}.example\n" for domain in domains for n in range(count))
    job = api.ok("POST", f"/v1/imports?list={list_id}", body, {"Content-Type": "text/csv"})
    wait_for("the import", lambda: api.ok("GET", f"/v1/imports/{job['id']}").get("status") == "completed", 60, world.server)
    campaign = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": template, "list_id": list_id, "from": "news@shop.example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    return lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]


def flush(world, full, other):
    waiting = wait_for("all wait there", lambda: (lambda w: w if w["mails"] == EACH else None)(cli_json(world, "site", "show", "full.example")["waiting"]), 60, world.server)
    check(waiting["next_due_at"] and waiting["oldest_attempted_at"], f"{waiting}")
    full.reply = other.reply = None
    dry = cli_json(world, "site", "flush", "full.example", "--dry-run")
    check(dry["dry_run"] and dry["waiting"]["mails"] == EACH and not changes(world, "full.example", "flushed"), f"{dry}")
    begin = time.monotonic()
    world.cli("site", "flush", "full.example", "--reason", "the disk is empty again")
    wait_for("what was flushed is delivered", lambda: len(full.mails) == EACH, 60, world.server)
    took = time.monotonic() - begin
    check(full.most <= 2, f"{full.most} at once where two connections are allowed")
    check(not other.mails, "another site was flushed, too")
    told = changes(world, "full.example", "flushed")
    check(len(told) == 1 and told[0]["cause"] == "the disk is empty again" and told[0]["actor"], f"{told}")
    shown = wait_for("the flush is counted", lambda: (lambda s: s if s["flushes"] and s["waiting"]["mails"] == 0 else None)(cli_json(world, "site", "show", "full.example")), 20, world.server)
    check(shown["flushes"] == [{"number": 1, "mails": EACH}], f"{shown['flushes']}")
    check(world.cli("site", "show", "nowhere.example", check_code=False)[0] != 0, "a site that nobody knows is shown")
    return took


def drain(world, slow):
    wait_for("mails are under way", lambda: len(slow.mails) >= EACH // 8 and (at(world, "slow.example") or {"connections": 0})["connections"] > 0, 60, world.server)
    world.cli("site", "drain", "slow.example", "--reason", "it moves tonight")
    wait_for("it is quiet", lambda: at(world, "slow.example")["connections"] == 0, 20, world.server)
    still = len(slow.mails)
    check(slow.answered == still and still < EACH, f"{slow.answered} answers, {still} mails: it was too fast for this test")
    shown = cli_json(world, "site", "show", "slow.example")
    check(shown["state"] == "draining" and shown["here"]["state"] == "draining" and shown["suspended_why"] == "it moves tonight", f"{shown}")
    world.server.kill()
    world.start_server()
    check(at(world, "slow.example")["state"] == "draining", f"{at(world, 'slow.example')}")
    time.sleep(1)  # nothing is to happen
    check(len(slow.mails) == still, f"{len(slow.mails) - still} mails at a drained site")
    code, out, error = world.cli("site", "drain", "slow.example")
    check(code == 0, f"{out}{error}")
    world.cli("site", "resume", "slow.example")
    wait_for("all of it is delivered", lambda: len(slow.mails) == EACH, 60, world.server)
    check(len(set(slow.mails)) == EACH, "somebody got two mails")
    return still


def pause(world, busy):
    """421 to all: one burst, then it pauses, and after kill -9 still."""
    wait_for("it asks for less", lambda: changes(world, "busy.example", "slowed"), 60, world.server)
    begin = time.monotonic()
    world.server.kill()
    connected = busy.connected
    world.start_server()
    shown = at(world, "busy.example")
    check(shown is not None and shown["state"] == "paused" and 0 < shown["paused_seconds"] <= PAUSE, f"the pause is forgotten: {shown}")
    busy.reply = None
    while time.monotonic() - begin < PAUSE - 6:
        check(busy.connected == connected, "it was asked again before its pause was over")
        time.sleep(0.2)
    wait_for("all of it is delivered", lambda: len(busy.mails) == EACH, 120, world.server)
    wait_for("it takes mail as before", lambda: changes(world, "busy.example", "recovered"), 30, world.server)


def refusals(world, blocked, banned):
    """550 5.7.1 to all. One site is slowed by the rule, the other one is suspended."""
    slowed = wait_for("it is slowed by the rule", lambda: [one for one in changes(world, "blocked.example", "slowed") if one["refused"]], 60, world.server)[-1]
    check(slowed["refused"] == 11 and slowed["replies"] == 11 and "11 of the last 11 replies refuse the sender, limit 5 % of 200" in slowed["cause"], f"{slowed}")
    check(slowed["reply_code"] == 550 and slowed["enhanced_code"] == "5.7.1", f"{slowed}")
    suspended = wait_for("the other one is suspended", lambda: changes(world, "banned.example", "suspended"), 60, world.server)[-1]
    check(suspended["refused"] == 3 and suspended["actor"] == "effect:smtp" and "3 of its last 3 replies" in suspended["cause"], f"{suspended}")
    wait_for("the suspension is in force", lambda: at(world, "banned.example")["state"] == "suspended", 20, world.server)
    for name, host, most in (("blocked", blocked, 11), ("banned", banned, 3)):
        # Two connections each had one under way.
        check(host.answered <= most + 2, f"{name}: {host.answered} mails were lost, {most} and what was under way could have been")
    status, metrics, _ = world.api().call("GET", "/metrics", raw=True)
    text = metrics.decode()
    refused = next(float(line.split()[-1]) for line in text.splitlines() if line.startswith("maily_smtp_policy_refusals_total"))
    check(status == 200 and refused == blocked.answered + banned.answered, f"{refused} refusals counted, {blocked.answered} + {banned.answered}")
    return blocked.answered + banned.answered


def shares(world, keys, contended):
    """Tenant 2 has the weight 3, tenant 3 has none: of what both have to send, 3:1 within a tenth."""
    contended.takes = 0.02
    for name, key in keys.items():
        launch(world, key, name, SHARED, "contended")
    wait_for("both send", lambda: {m[:5] for m in contended.mails} == {"amber", "green"}, 60, world.server)
    begin = len(contended.mails)
    wait_for("there is enough to compare", lambda: len(contended.mails) >= begin + 300, 120, world.server)
    both = contended.mails[begin:begin + 300]
    amber = sum(one.startswith("amber") for one in both)
    check(205 <= amber <= 245, f"{amber} of 300 mails are of the tenant with weight 3")
    wait_for("all are sent", lambda: len(contended.mails) == 2 * SHARED, 120, world.server)
    return amber


def run(world):
    port = free_port()
    names = ("full", "other", "slow", "busy", "blocked", "banned", "contended")
    replies = {"full": "452 4.3.1 no space left", "other": "452 4.3.1 no space left", "busy": "421 4.7.28 too many mails from you",
               "blocked": "550 5.7.1 your domain is blocked", "banned": "550 5.7.1 your domain is blocked"}
    dns, hosts = Zone(), {}
    for number, name in enumerate(names, 2):
        hosts[name] = Server(f"127.0.0.{number}", port, replies.get(name), 0.5 if name == "slow" else 0.01)
        dns.publish("A", f"{name}.example", f"127.0.0.{number}")
    policies = os.path.join(world.base, "sites.yaml")
    with open(policies, "w", encoding="ascii") as file:
        file.write(f"- site: '*'\n  connections: 2\n- site: busy.example\n  connections: 2\n  pause_seconds: {PAUSE}\n"
                   "- site: banned.example\n  connections: 2\n  refusals_then: suspend\n  refusals_window: 20\n  refusals_percent: 10\n")
    world.settings.update({"routing": "mx", "dns-servers": f"127.0.0.1:{dns.port}", "mx-port": port, "mx-private": "on", "site-policies": policies,
                           "tenant-weights": "2:3"})
    world.start_server()
    operator = world.api()
    with open(os.path.join(world.data, "admin.key"), encoding="ascii") as file:
        launch(world, file.read().strip(), "p", EACH, "full", "other", "slow")
    took = flush(world, hosts["full"], hosts["other"])
    drained = drain(world, hosts["slow"])
    keys = {}
    for word in ("amber", "green"):
        operator = world.api()
        operator.ok("POST", "/v1/tenants", {"name": word})
        made = wait_for("the tenant's key", lambda w=word: (lambda a: a[1] if a[0] == 201 else None)(operator.call("POST", "/v1/keys", {"label": w, "scopes": ["admin"], "tenant": w})), 20)
        keys[word] = made["key"]
        wait_for("the key is known", lambda k=keys[word]: Api(world.port, k).call("GET", "/v1/settings")[0] == 200, 20)
    amber = shares(world, keys, hosts["contended"])
    counts = launch(world, keys["amber"], "amber2", EACH, "blocked", "banned")
    lost = refusals(world, hosts["blocked"], hosts["banned"])
    check(counts()["bounced"] <= lost, f"{counts()}")
    launch(world, keys["green"], "green2", EACH, "busy")
    pause(world, hosts["busy"])
    check(world.server.stop() == 0, "SIGTERM")
    for host in hosts.values():
        host.controller.stop()
    return (f"{EACH} flushed in {took:.1f} s, {drained} of {EACH} before the drain, {amber} of 300 mails for weight 3, {lost} lost to two sites that "
            "refuse the sender")


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 2})
