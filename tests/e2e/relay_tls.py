#!/usr/bin/env python3
"""A relay that wants STARTTLS and a login (aiosmtpd of Debian): mail goes there secured, each delivery says how; a wrong password, a
certificate that is not trusted and a relay without TLS keep the mail, and say why.
"""
import json
import os
import ssl
import subprocess

from program import check, need, run_test, wait_for

need(["aiosmtpd"], "scripts/setup.sh --mail")
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

PEOPLE = 40
USER, PASSWORD = b"maily", b"s3cret: with=signs"


class Handler:
    """Keeps what came, and how."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        secured = session.ssl is not None and server.transport.get_extra_info("ssl_object") is not None
        self.mails.append((envelope.rcpt_tos, secured, session.authenticated, envelope.content))
        return "250 2.0.0 taken"


def authenticate(_server, _session, _envelope, mechanism, data):
    return AuthResult(success=mechanism in ("PLAIN", "LOGIN") and (data.login, data.password) == (USER, PASSWORD), handled=False)


def certificate(world, name):
    """A certificate for 127.0.0.1 that is its own authority: (certificate, key)."""
    paths = [os.path.join(world.base, f"{name}.{kind}") for kind in ("pem", "key")]
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                           "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]],
                          capture_output=True, text=True, check=False)
    check(made.returncode == 0, made.stderr)
    return paths


def launch(api, name):
    made = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "list_id": 1, "from": "news@shop.example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{made}:launch")
    return made


def all_delivered(world, campaign):
    wait_for("all are delivered", lambda: world.api().ok("GET", f"/v1/campaigns/{campaign}")["counts"]["delivered"] == PEOPLE, 60, world.server)


def why_not(world, words):
    """Nothing is delivered, and `doctor` says why."""
    def said():
        _, out, _ = world.cli("doctor", "--output", "json", "--data", world.data, "--listen", f"127.0.0.1:{world.port}", "--relay",
                              f"127.0.0.1:{world.smtp_port}", check_code=False)
        return all(word in out for word in words)
    wait_for(f"doctor says {words}", said, 60, world.server)


def deliveries(world):
    for partition in range(2):
        for line in world.cli("events", "tail", "--partition", str(partition), "--from", "beginning")[1].splitlines():
            event = json.loads(line)
            if event["type"].endswith("AttemptDelivered"):
                yield event


def run(world):
    own, key = certificate(world, "own")
    other, _ = certificate(world, "other")
    secret = os.path.join(world.base, "password")
    with open(secret, "wb") as file:
        file.write(PASSWORD + b"\n")
    wrong = os.path.join(world.base, "wrong")
    with open(wrong, "wb") as file:
        file.write(b"not it\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    relay = Handler()
    secured = Controller(relay, hostname="127.0.0.1", port=world.smtp_port, tls_context=context, require_starttls=True, authenticator=authenticate,
                         auth_required=True, auth_require_tls=True)
    secured.start()

    # A wrong password, then a certificate of nobody known, then all is well.
    world.settings.update({"relay-tls": "verified", "relay-roots": own, "relay-user": USER.decode(), "relay-password": "file:" + wrong})
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    path = os.path.join(world.base, "people.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("email\n" + "".join(f"p{n}@example.com\n" for n in range(PEOPLE)))
    world.cli("import", path, "--list", "people")
    campaign = launch(api, "secured")
    why_not(world, ["Authentication credentials invalid"])
    check(world.server.stop() == 0, "SIGTERM")
    world.settings.update({"relay-roots": other, "relay-password": "file:" + secret})
    world.start_server()
    why_not(world, ["the certificate is not accepted"])
    check(not relay.mails, "a mail went to a relay that is not trusted")
    check(world.server.stop() == 0, "SIGTERM")
    world.settings.update({"relay-roots": own})
    world.start_server()
    all_delivered(world, campaign)
    check(len(relay.mails) == PEOPLE and len({to[0] for to, *_ in relay.mails}) == PEOPLE, f"{len(relay.mails)} mails")
    check(all(tls and login for _, tls, login, _ in relay.mails), "a mail came without TLS or login")
    told = list(deliveries(world))
    check(len(told) == PEOPLE, f"{len(told)} deliveries")
    for event in told:
        how = event["data"]["tls"]
        check(how["version"] == "TLSv1.3" and how["cipher"] and how["verified"] is True, f"a delivery says {how}")
    check(world.server.stop() == 0, "SIGTERM")

    # Without TLS: no login is sent, and nothing where TLS is required; where it is only welcome, the mail goes.
    secured.stop()
    open_relay = Handler()
    plain = Controller(open_relay, hostname="127.0.0.1", port=world.smtp_port)
    plain.start()
    world.start_server()
    campaign = launch(world.api(), "open")
    why_not(world, ["offers no STARTTLS"])
    check(not open_relay.mails, "a mail went out unsecured")
    check(world.server.stop() == 0, "SIGTERM")
    for name in ("relay-tls", "relay-roots", "relay-user", "relay-password"):
        del world.settings[name]
    world.start_server()
    all_delivered(world, campaign)
    check(not any(tls for _, tls, _, _ in open_relay.mails), "it was secured all the same")
    check(sum("tls" in json.dumps(event) for event in deliveries(world)) == PEOPLE, "an unsecured delivery says that it was secured")
    plain.stop()
    return f"{PEOPLE} mails over {told[0]['data']['tls']['version']}, {PEOPLE} without"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": 2})
