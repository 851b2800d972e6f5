#!/usr/bin/env python3
"""A sending domain before a live launch: `maily domain check` says what to publish, against a DNS server of this test's own; what `domain show`
prints is published, and the check passes; a live instance launches only then. A DNS server that does not answer costs 15 s at most.
"""
import json
import os
import threading
import time

from dns_zone import Zone
from program import check, run_test, wait_for

DOMAIN = "shop.example.com"
SOURCE = "192.0.2.1"
PEOPLE = 5


def lines(world, expected):
    """The lines of a check by rule; its exit code is 0 or 4."""
    code, out, err = world.cli("domain", "check", DOMAIN, "--output", "json", check_code=False)
    check(code == expected, f"domain check: exit {code}, not {expected}\n{out}{err}")
    return {line["rule"]: line for line in json.loads(out)["lines"]}


def wrong(found):
    return sorted(rule for rule, line in found.items() if not line["ok"])


def publish(zone, world):
    """What `domain show` prints, and what only the operator knows."""
    def shown():
        code, out, _ = world.cli("domain", "show", DOMAIN, "--output", "json", check_code=False)
        return json.loads(out) if code == 0 else None
    for record in wait_for("it is shown", shown, 20, world.server)["records"]:
        zone.publish(record["type"], record["name"], "10 in.example.com" if record["type"] == "MX" else record["value"])
    zone.publish("A", "in.example.com", "192.0.2.7")
    zone.publish("A", "links.example.com", "192.0.2.8")
    zone.publish("PTR", "1.2.0.192.in-addr.arpa", "out.example.com")
    zone.publish("A", "out.example.com", SOURCE)


def launch(api, sender="Shop <news@shop.example.com>"):
    made = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "list_id": 1, "from": sender})["id"]
    return made, api.call("POST", f"/v1/campaigns/{made}:launch")


def restart(world, *arm):
    check(world.server.stop() == 0, "SIGTERM")
    world.cli("arm", *arm, "--data", world.data)
    world.start_server()
    return world.api()


def run(world):
    zone = Zone()
    world.settings["dns-servers"] = f"127.0.0.1:{zone.port}"
    world.start_sink()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com", "news@other.example.net"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    path = os.path.join(world.base, "people.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("email\n" + "".join(f"p{n}@example.com\n" for n in range(PEOPLE)))
    world.cli("import", path, "--list", "people")

    # Nothing is published: each line says what to do.
    check(world.cli("domain", "check", DOMAIN, check_code=False)[0] == 1, "there is no such domain yet")
    world.cli("domain", "add", DOMAIN)
    found = lines(world, 4)
    check(wrong(found) == ["dkim:m1e", "dkim:m1r", "dmarc", "one_click", "ptr:" + SOURCE, "return_path_mx", "spf"], f"{found}")
    check(found["dkim:m1r"]["fix"].startswith(f'publish one TXT at m1r._domainkey.{DOMAIN}: "v=DKIM1; k=rsa; p='), f"{found}")
    code, out, _ = world.cli("domain", "check", DOMAIN, check_code=False)
    check(code == 4 and f'FAIL dmarc: ' in out and f'publish one TXT at _dmarc.{DOMAIN}: "v=DMARC1; p=none"' in out, out)
    check(len(out.strip().split("\n")) == len(found), f"not a line a rule:\n{out}")
    check(world.cli("domain", "check", DOMAIN, "--dry-run", check_code=False)[0] == 0, "a dry run")

    # A live instance does not launch, and says why.
    api = restart(world, "--yes")
    for sender, wanted in (("news@shop.example.com", "domain_unchecked"), ("news@other.example.net", "domain_missing")):
        status, answer, _ = launch(api, sender)[1]
        check(status == 422 and answer["code"] == wanted, f"{sender}: {status} {answer}")

    # Published as it is shown, it passes and launches.
    publish(zone, world)
    check(not wrong(lines(world, 0)), "what is shown does not pass")
    shown = wait_for("the check is shown", lambda: (d := api.ok("GET", f"/v1/domains/{DOMAIN}"))["passed"] and d, 20, world.server)
    check(len(shown["check"]) == len(found) and all(line["ok"] for line in shown["check"]), f"{shown}")
    campaign, (status, answer, _) = launch(api)
    check(status == 200, f"{status} {answer}")
    wait_for("all get it", lambda: world.api().ok("GET", f"/v1/campaigns/{campaign}")["counts"]["delivered"] == PEOPLE, 60, world.server)

    # Another key in the DNS, and a server that is silent for one name.
    zone.publish("TXT", f"m1e._domainkey.{DOMAIN}", "v=DKIM1; k=ed25519; p=AAAA")
    zone.silent.add(f"_dmarc.{DOMAIN}")
    begin = time.monotonic()
    found = lines(world, 4)
    took = time.monotonic() - begin
    check(wrong(found) == ["dkim:m1e", "dmarc"] and "try again" in found["dmarc"]["fix"], f"{found}")
    check(took < 15, f"the check took {took:.1f} s")
    status, answer, _ = launch(api)[1]
    check(status == 422 and answer["code"] == "domain_unchecked", f"{status} {answer}")

    # A sandbox launches whatever the DNS says. A stop in the middle of a check is clean.
    check(launch(restart(world, "--sandbox"))[1][0] == 200, "a sandbox refuses a launch")
    zone.unanswered = 0
    under_way = threading.Thread(target=world.cli, args=("domain", "check", DOMAIN), kwargs={"check_code": False})
    under_way.start()
    wait_for("the silent question", lambda: zone.unanswered > 0, 20, world.server)
    check(world.server.stop() == 0, "SIGTERM")
    under_way.join()
    return f"{len(found)} rules"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "tracking-base-url": "https://links.example.com", "source-addresses": SOURCE})
