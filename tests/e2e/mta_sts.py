#!/usr/bin/env python3
"""MTA-STS (RFC 8461) where mail goes by the DNS, over loopback: under a policy to be enforced only mail servers that it names get mail, and
only over TLS with a certificate of their own name; one that fails is passed by, and if none is left the mail waits and says why. A policy
under test is recorded, one that cannot be fetched is none, and one that is known outlives its page, its record and the process.
"""
import http.server
import json
import logging
import os
import ssl
import subprocess
import threading

from dns_zone import Zone
from program import check, free_port, need, run_test, wait_for

need(["aiosmtpd"], "scripts/setup.sh --mail")
from aiosmtpd.controller import Controller  # noqa: E402

DOMAINS = ("good", "wild", "pass", "name", "plain", "nofit", "test", "tested", "broken", "free")

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd tells at length of clients that do not like its certificate


def certificate(base, name, hosts):
    """Its own authority: (certificate, key)."""
    paths = [os.path.join(base, f"{name}.{end}") for end in ("pem", "key")]
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                           "-addext", "subjectAltName=" + ",".join(f"DNS:{host}" for host in hosts), "-out", paths[0], "-keyout", paths[1]],
                          capture_output=True, text=True, check=False)
    check(made.returncode == 0, made.stderr)
    return paths


def server_side(pair):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    return context


class Host:
    """A mail server on an address of its own, with STARTTLS if it has a certificate."""

    def __init__(self, address, port, pair=None):
        self.mails = []  # (recipient, whether it came over TLS)
        self.controller = Controller(self, hostname=address, port=port, tls_context=server_side(pair) if pair else None)
        self.controller.start()

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        self.mails.append((envelope.rcpt_tos[0], session.ssl is not None))
        return "250 2.0.0 taken"


class Policies:
    """The hosts mta-sts.DOMAIN: what stands in `pages`, else 404."""

    def __init__(self, pair):
        self.pages, self.asked = {}, []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802 (its name there)
                domain = self.headers["Host"].split(":")[0].removeprefix("mta-sts.")
                owner.asked.append(domain)
                page = owner.pages.get(domain) if self.path == "/.well-known/mta-sts.txt" else None
                body = (page or "no").encode()
                self.send_response(200 if page else 404)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = server_side(pair).wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def publish(self, dns, domain, mode, *hosts):
        self.pages[domain] = "\r\n".join(["version: STSv1", f"mode: {mode}", *(f"mx: {host}" for host in hosts), "max_age: 86400", ""])
        dns.publish("TXT", f"_mta-sts.{domain}", "v=STSv1; id=20260301;")


def events(world):
    """What became of each attempt: [(name of the event, its data)]."""
    found = []
    for partition in range(2):
        for line in world.cli("events", "tail", "--partition", str(partition), "--from", "beginning")[1].splitlines():
            event = json.loads(line)
            name = event["type"].rsplit(".", 1)[-1]
            if name in ("AttemptDelivered", "AttemptDeferred"):
                found.append((name, event["data"]))
    return found


def run(world):
    port = free_port()
    good = certificate(world.base, "good", ["mx.good.example", "mx1.wild.example", "mx.pass.example", "mx.tested.example", "mx.elsewhere.example"])
    wrong = certificate(world.base, "wrong", ["mx.other.example"])
    web = certificate(world.base, "web", [f"mta-sts.{domain}.example" for domain in DOMAINS])
    roots = os.path.join(world.base, "roots.pem")
    with open(roots, "wb") as file:
        for pair in (good, wrong):
            with open(pair[0], "rb") as one:
                file.write(one.read())
    secured, misnamed, plain, foreign = (Host("127.0.0.2", port, good), Host("127.0.0.3", port, wrong), Host("127.0.0.4", port), Host("127.0.0.5", port, good))
    hosts = (secured, misnamed, plain, foreign)
    dns, policies = Zone(), Policies(web)
    servers = {"good": [("mx.good", 2)], "wild": [("mx1.wild", 2)], "pass": [("mx.elsewhere", 5), ("plain.pass", 4), ("name.pass", 3), ("mx.pass", 2)],
               "name": [("mx.name", 3)], "plain": [("mx.plain", 4)], "nofit": [("mx.elsewhere", 5)], "test": [("mx.test", 4)],
               "tested": [("mx.tested", 2)], "broken": [("mx.broken", 4)], "free": [("mx.free", 4)]}
    for domain, names in servers.items():
        dns.publish("MX", f"{domain}.example", *(f"{10 * at} {name}.example" for at, (name, _) in enumerate(names)))
        for name, address in names:
            dns.publish("A", f"{name}.example", f"127.0.0.{address}")
    policies.publish(dns, "good.example", "enforce", "mx.good.example")
    policies.publish(dns, "wild.example", "enforce", "*.wild.example")
    policies.publish(dns, "pass.example", "enforce", "plain.pass.example", "name.pass.example", "mx.pass.example")
    policies.publish(dns, "name.example", "enforce", "mx.name.example")
    policies.publish(dns, "plain.example", "enforce", "mx.plain.example")
    policies.publish(dns, "nofit.example", "enforce", "mx.nofit.example")
    policies.publish(dns, "test.example", "testing", "mx.test.example")
    policies.publish(dns, "tested.example", "testing", "mx.tested.example")
    policies.publish(dns, "broken.example", "enforce", "mx.broken.example")
    del policies.pages["broken.example"]

    world.settings.update({"routing": "mx", "dns-servers": f"127.0.0.1:{dns.port}", "mx-port": port, "mx-private": "on", "relay-roots": roots,
                           "fetch-roots": web[0], "fetch-routes": ",".join(f"mta-sts.{domain}.example=127.0.0.1:{policies.port}" for domain in DOMAINS)})
    world.settings["dane"] = "on"
    world.start_server(wait=False)
    check(world.server.process.wait(60) == 2 and "not implemented" in world.server.tail(), "DANE is promised")
    del world.settings["dane"]
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    lists = iter(range(1, 100))

    def launch(name, people):
        at = next(lists)
        api = world.api()
        api.ok("POST", "/v1/lists", {"name": name})
        for person in people:
            api.ok("POST", "/v1/contacts", {"email": person, "lists": [at]})
        made = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "list_id": at, "from": "news@shop.example.com"})["id"]
        api.ok("POST", f"/v1/campaigns/{made}:launch")
        return made

    def heard(campaign, name, count):
        """The events of that name, once there are so many."""
        of = lambda: [data for kind, data in events(world) if kind == name and int(data["campaign_id"]) == campaign]  # noqa: E731
        return wait_for(f"{count} {name}", lambda: (lambda found: len(found) >= count and found)(of()), 60, world.server)

    first = launch("first", [f"a@{domain}.example" for domain in DOMAINS])
    delivered = heard(first, "AttemptDelivered", 7)
    deferred = heard(first, "AttemptDeferred", 3)

    def peers(mode):
        return {data["peer"].split(":")[0]: data for data in delivered if data.get("mta_sts", {}).get("mode", "") == mode}
    check(set(peers("enforce")) == {"mx.good.example", "mx1.wild.example", "mx.pass.example"}, f"{delivered}")
    for data in peers("enforce").values():
        check(data["tls"]["verified"] is True and not data["mta_sts"].get("failure"), data)
    check(set(peers("testing")) == {"mx.test.example", "mx.tested.example"}, f"{delivered}")
    check("TLS" in peers("testing")["mx.test.example"]["mta_sts"]["failure"], f"{peers('testing')}")
    check(not peers("testing")["mx.tested.example"]["mta_sts"].get("failure"), f"{peers('testing')}")
    check(set(peers("")) == {"mx.broken.example", "mx.free.example"}, f"{delivered}")
    check(sorted(to for to, _ in secured.mails) == [f"a@{name}.example" for name in ("good", "pass", "tested", "wild")] and all(tls for _, tls in secured.mails),
          secured.mails)
    check(sorted(plain.mails) == [("a@broken.example", False), ("a@free.example", False), ("a@test.example", False)], plain.mails)
    check(not misnamed.mails and not foreign.mails, "a mail went to a server that the policy does not name, or to a wrong certificate")
    why = sorted((data["mta_sts"]["mode"], data["reply_text"]) for data in deferred)
    check(all(mode == "enforce" and text.startswith("MTA-STS of ") for mode, text in why), why)
    for word in ("nofit.example", "name.example", "plain.example"):
        check(any(word in text for _, text in why), f"{word}: {why}")
    asked = len(policies.asked)

    # The pages are gone, and the process is another: what is known is kept to, until it is too old.
    check(world.server.stop() == 0, "SIGTERM")
    policies.pages.clear()
    for domain in ("name", "plain"):
        dns.publish("TXT", f"_mta-sts.{domain}.example")
    dns.publish("TXT", "_mta-sts.good.example", "v=STSv1; id=20260302;")
    world.start_server()
    second = launch("second", ["b@name.example", "b@plain.example", "b@good.example"])
    later = heard(second, "AttemptDeferred", 2)
    check(all(data["mta_sts"]["mode"] == "enforce" for data in later), later)
    again = heard(second, "AttemptDelivered", 1)
    check(again[0]["mta_sts"]["mode"] == "enforce" and again[0]["tls"]["verified"], again)
    check(not misnamed.mails and len(plain.mails) == 3, "a policy was forgotten")
    check(len(policies.asked) > asked, "a new id was not looked at")
    text = world.api().call("GET", "/metrics")[1].decode()
    check(any(line.startswith("maily_mta_sts_mails_total") and 'mode="enforce"' in line and 'result="failed"' in line and float(line.rsplit(" ", 1)[1]) >= 2
              for line in text.splitlines()), "not counted")
    check(world.server.stop() == 0, "SIGTERM")

    # Where it is off nothing is asked and nothing is kept to.
    asked = len(policies.asked)
    world.settings["mta-sts"] = "off"
    world.start_server()
    third = launch("third", ["c@plain.example", "c@nofit.example"])
    for data in heard(third, "AttemptDelivered", 2):
        check("mta_sts" not in data, data)
    check(len(policies.asked) == asked, "a policy was asked for")
    check(world.server.stop() == 0, "SIGTERM")
    for host in hosts:
        host.controller.stop()
    policies.server.shutdown()
    return f"{len(DOMAINS)} domains, {len(policies.asked)} policies asked for"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1})
