#!/usr/bin/env python3
"""A sending domain, by the command line: its mails are signed twice, a foreign verifier (dkimpy) accepts both by the records that `domain show`
prints; their envelope sender is a return path of its own; keys are rotated in the middle of a campaign without a mail that does not verify.
"""
import json
import os

from program import check, need, run_test, wait_for

need(["aiosmtpd", "dkim", "nacl"], "scripts/setup.sh --mail")
import dkim  # noqa: E402
from aiosmtpd.controller import Controller  # noqa: E402

PEOPLE = 60


class Handler:
    """Keeps what came; puts off everybody of `later` once."""

    def __init__(self):
        self.mails, self.later, self.seen = [], set(), {}

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 (aiosmtpd's name)
        if address in self.later:
            self.later.remove(address)
            return "451 4.7.1 not now"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        self.mails.append((envelope.mail_from, envelope.rcpt_tos[0], envelope.content))
        return "250 2.0.0 taken"


def records(world, domain):
    shown = json.loads(world.cli("domain", "show", domain, "--output", "json")[1])
    return {record["name"].encode() + b".": record["value"].encode() for record in shown["records"] if record["purpose"] == "dkim"}


def selectors(mail, known):
    """Of its signatures from the top; each must verify by the records."""
    message = dkim.DKIM(mail, logger=None, timeout=1)
    count = sum(line.lower().startswith(b"dkim-signature:") for line in mail.split(b"\r\n\r\n", 1)[0].split(b"\r\n"))
    found = []
    for index in range(count):
        check(message.verify(idx=index, dnsfunc=lambda name, timeout=5: known.get(name)), f"signature {index} does not verify:\n{mail[:1500]!r}")
        found.append(message.selector.decode())
    return found


def launch(api, name):
    made = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "list_id": 1, "from": "Shop <news@shop.example.com>"})["id"]
    api.ok("POST", f"/v1/campaigns/{made}:launch")
    return made


def run(world):
    relay = Handler()
    server = Controller(relay, hostname="127.0.0.1", port=world.smtp_port)
    server.start()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Grüße ✓", "text": "{{ unsubscribe_url }} {{ postal_address }}\n.\n..two  \n\n\n"})
    path = os.path.join(world.base, "people.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("email\n" + "".join(f"p{n}@example.com\n" for n in range(PEOPLE)))
    world.cli("import", path, "--list", "people")

    # Added, with what to publish.
    made = json.loads(world.cli("domain", "add", "Example.COM", "--output", "json")[1])
    check(made["name"] == "example.com" and made["return_path"] == "bounces.example.com", made)
    check(world.cli("domain", "add", "example.com", check_code=False)[0] == 3, "a domain was added twice")
    check(api.call("POST", "/v1/domains", {"name": "no domain"})[0] == 422, "a name with a space is a domain")
    once = {"Idempotency-Key": '"once"'}
    first = api.call("POST", "/v1/domains", {"name": "other.example"}, once)
    check(first[0] == 201 and api.call("POST", "/v1/domains", {"name": "other.example"}, once)[:2] == first[:2], "the same request again")
    check(api.call("POST", "/v1/domains", {"name": "x.example", "algorithms": ["rsa-md5"]})[0] == 422, "an unknown algorithm")
    api.ok("POST", "/v1/domains", {"name": "short.example", "algorithms": ["ed25519-sha256"]})
    wait_for("one key alone", lambda: [key["selector"] for key in api.call("GET", "/v1/domains/short.example")[1].get("keys", [])] == ["m1e"], 20, world.server)
    check("PRIVATE" not in json.dumps(api.ok("GET", "/v1/domains/example.com")), "a private key is shown")

    def delivered(campaign, count):
        wait_for(f"{count} are delivered", lambda: world.api().ok("GET", f"/v1/campaigns/{campaign}")["counts"]["delivered"] >= count, 120, world.server)

    # Signed twice, RSA on top; bounces come back to a host of their own.
    delivered(launch(api, "first"), PEOPLE)
    known = records(world, "example.com")
    for sender, _, mail in relay.mails:
        check(selectors(mail, known) == ["m1r", "m1e"], "not signed with both keys")
        check(sender.startswith("b") and sender.endswith("@bounces.example.com"), f"MAIL FROM is {sender}")
    check(len({sender for sender, *_ in relay.mails}) == PEOPLE, "two mails have one return path")

    # Rotated: new keys are published, then activated; who was put off before gets the mail as it was.
    world.cli("domain", "rotate", "example.com")
    check(world.cli("domain", "rotate", "example.com", check_code=False)[0] == 3, "new keys were made beside new keys")
    relay.mails.clear()
    relay.later = {f"p{n}@example.com" for n in range(5)}
    campaign = launch(api, "second")
    delivered(campaign, PEOPLE - 5)
    check(all(selectors(mail, known) == ["m1r", "m1e"] for *_, mail in relay.mails), "a key signs that was not activated")
    world.cli("domain", "activate", "example.com")
    check(world.cli("domain", "activate", "example.com", check_code=False)[0] == 3, "keys were activated twice")
    known = records(world, "example.com")
    check(len(known) == 4, f"{sorted(known)} are to be published")
    third = launch(world.api(), "third")
    delivered(third, PEOPLE)
    delivered(campaign, PEOPLE)
    signed = {}
    for _, to, mail in relay.mails:
        signed.setdefault(to, []).append(tuple(selectors(mail, known)))
    old, new = ("m1r", "m1e"), ("m2r", "m2e")
    check(all(sorted(of) == [old, new] for of in signed.values()), f"{signed}")

    # Removed: unsigned again, and its records are gone.
    world.cli("domain", "remove", "example.com")
    wait_for("it is shown no more", lambda: world.cli("domain", "show", "example.com", check_code=False)[0] != 0, 20, world.server)
    relay.mails.clear()
    delivered(launch(world.api(), "fourth"), PEOPLE)
    check(all(b"DKIM-Signature" not in mail and sender == "news@shop.example.com" for sender, _, mail in relay.mails), "it is still signed")
    check(world.server.stop() == 0, "SIGTERM")
    server.stop()
    return f"{4 * PEOPLE} mails, {6 * PEOPLE} signatures verified"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": 2})
