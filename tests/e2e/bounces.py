#!/usr/bin/env python3
"""Mail that comes back, by SMTP and by HTTP, to the real program: hard bounces and complaints suppress, in the session's status and beside it;
repeats, forged tokens, late notices and answers of machines suppress nobody; what was answered 250 survives kill -9.
"""
import json
import os
import smtplib
import ssl
import subprocess
import time

from program import check, free_port, need, run_test, wait_for
from returned_mail import arf, dsn, header

need(["aiosmtpd"], "scripts/setup.sh --mail")
from aiosmtpd.controller import Controller  # noqa: E402

PEOPLE = 13
HOST = "bounces.example.com"


class Handler:
    """Takes everything: what comes back comes later."""

    def __init__(self):
        self.mails = {}    # recipient -> (return path, mail), the newest
        self.refused = {}  # recipient -> the reply to RCPT

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 (aiosmtpd's name)
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 taken"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        self.mails[envelope.rcpt_tos[0]] = (envelope.mail_from, envelope.content)
        return "250 2.0.0 taken"


def qmail(who, to):
    return (f"From: MAILER-DAEMON@mx.example.net\r\nTo: {to}\r\nSubject: failure notice\r\n\r\nHi. This is the qmail-send program at mx.example.net.\r\n"
            "I'm afraid I wasn't able to deliver your message to the following addresses.\r\nThis is a permanent error; I've given up. Sorry it "
            f"didn't work out.\r\n\r\n<{who}>:\r\n192.0.2.7 does not like recipient.\r\nRemote host said: 550 5.1.1 User unknown\r\n"
            "Giving up on 192.0.2.7.\r\n\r\n--- Below this line is a copy of the message.\r\n\r\nSubject: news\r\n\r\nhello\r\n").encode()


def vacation(to):
    return (f"From: someone@example.com\r\nTo: {to}\r\nSubject: away\r\nAuto-Submitted: auto-replied\r\n\r\nBack on Monday. 550 5.1.1 user unknown\r\n").encode()


def certificate(world):
    """Of 127.0.0.1, its own authority: (certificate, key)."""
    paths = [os.path.join(world.base, name) for name in ("mail.pem", "mail.key")]
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
                           "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-out", paths[0], "-keyout", paths[1]],
                          capture_output=True, text=True, check=False)
    check(made.returncode == 0, made.stderr)
    return paths


def run(world):
    relay = Handler()
    server = Controller(relay, hostname="127.0.0.1", port=world.smtp_port)
    server.start()
    mail_port = free_port()
    world.settings.update({"mail-listen": f"127.0.0.1:{mail_port}", "mail-host": "mx.maily.example", "mail-certificate": os.path.join(world.base, "none")})
    world.start_server(wait=False)
    check(world.server.process.wait(60) == 2, "a certificate without a key is taken")
    world.settings["mail-certificate"], world.settings["mail-key"] = certificate(world)
    trusted = ssl.create_default_context(cafile=world.settings["mail-certificate"])
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/domains", {"name": "example.com"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    people = [f"person{n}@example.org" for n in range(PEOPLE)]
    ids = {who: api.ok("POST", "/v1/contacts", {"email": who, "lists": [1]})["id"] for who in people}
    shown = api.ok("GET", "/v1/domains/example.com")
    check(any(record["purpose"] == "return_path" and record["value"] == "10 mx.maily.example" for record in shown["records"]), shown)

    def launch(name, count):
        made = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "list_id": 1, "from": "Shop <news@example.com>"})["id"]
        api.ok("POST", f"/v1/campaigns/{made}:launch")
        wait_for(f"{count} are delivered", lambda: world.api().ok("GET", f"/v1/campaigns/{made}")["counts"]["delivered"] == count, 60, world.server)
        return made

    def back(mail, to, secured=False):
        """Brings a mail back with the null sender; gives the answer to it."""
        with smtplib.SMTP("127.0.0.1", mail_port, local_hostname="mx.example.net", timeout=60) as line:
            if secured:
                line.starttls(context=trusted)
            return line.sendmail("", [to], mail)

    def refused(to):
        try:
            back(b"Subject: x\r\n\r\nx\r\n", to)
        except smtplib.SMTPRecipientsRefused as error:
            return error.recipients[to][0]
        return 250

    def counted(name, label, value):
        text = world.api().call("GET", "/metrics")[1].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{") and f'{label}="{value}"' in line)

    def story(campaign, who):
        return world.api().ok("GET", f"/v1/campaigns/{campaign}/sends/{ids[who]}")

    def suppressed(who):
        status, answer, _ = world.api().call("GET", f"/v1/suppressions?email={who}")
        return answer["items"][0]["reason"] if status == 200 and answer.get("items") else None

    first = launch("first", PEOPLE)
    path = {who: relay.mails[who][0] for who in people}
    check(all(one.endswith("@" + HOST) for one in path.values()), path)
    gone, prose, complains, late, full, away, by_http, left, stays = people[:9]

    # Hard: RFC 3464, and prose.
    back(dsn(gone, path[gone]), path[gone])
    back(qmail(prose, path[prose]), path[prose], secured=True)
    wait_for("both are suppressed", lambda: suppressed(gone) == suppressed(prose) == "hard_bounce", 20, world.server)
    told = wait_for("the story tells", lambda: (lambda s: s["bounce_reason"] and s)(story(first, gone)), 20, world.server)
    check(told["status"] == "delivered" and told["bounce_reason"] == "invalid_address" and told["bounced_at"], told)
    kinds = [line["kind"] for line in told["history"]]
    check(kinds == ["attempt_opened", "delivered", "bounced_later"], kinds)
    check(told["history"][-1]["detail"] == "550 5.1.1 no such user <recipient>" and told["history"][-1]["source"] == "smtp", told["history"][-1])

    # The second copy changes nothing; nor does one whose words are others.
    back(dsn(gone, path[gone]), path[gone])
    back(dsn(gone, path[gone], said="550 5.1.1 there is no such user"), path[gone])
    check(counted("maily_inbound_results_total", "result", "duplicate") == 2, "the copies are not duplicates")

    # Forged tokens, and none: accepted, or refused as recipients, and nothing is recorded.
    forged = path[stays][:8] + ("a" if path[stays][8] != "a" else "b") + path[stays][9:]
    back(dsn(stays, forged), forged)
    back(dsn(stays, "postmaster@" + HOST), "postmaster@" + HOST)
    check(counted("maily_inbound_mails_total", "what", "forged") == 1 and counted("maily_inbound_mails_total", "what", "nobody") == 1, "not counted")
    check(refused("ann@" + HOST) == 550, "mail to anybody is taken")

    # Complaints, though redacted; other feedback, late notices, full mailboxes and answers of machines suppress nobody.
    fbl = "fbl@" + HOST
    back(arf("abuse", header(relay.mails[complains][1], "Message-ID"), fbl), fbl)
    back(arf("not-spam", header(relay.mails[stays][1], "Message-ID"), fbl), fbl)
    back(arf("opt-out", header(relay.mails[left][1], "Message-ID"), fbl), fbl)
    back(dsn(late, path[late], "delayed", "4.4.1", "421 4.4.1 no answer from host"), path[late])
    back(dsn(full, path[full], status="5.2.2", said="552 5.2.2 mailbox full"), path[full])
    back(vacation(path[away]), path[away])
    wait_for("the complaint suppresses", lambda: suppressed(complains) == "complaint", 20, world.server)
    told = wait_for("the machine's answer is told", lambda: (lambda s: len(s["history"]) == 3 and s)(story(first, away)), 20, world.server)
    check(told["history"][-1]["kind"] == "auto_replied", told)
    check(story(first, full)["bounce_reason"] == "mailbox_full", story(first, full))
    check(not any(suppressed(who) for who in (late, full, away, stays, left)), "somebody is suppressed for nothing")

    # By HTTP: the same; only of the caller's tenant, only as a mail.
    as_mail = {"Content-Type": "message/rfc822"}
    answer = api.ok("POST", "/v1/inbound", dsn(by_http, path[by_http]), as_mail)
    check(answer == {"what": "bounce", "result": "recorded"}, answer)
    answer = api.ok("POST", "/v1/inbound", dsn(by_http, path[by_http]), as_mail)
    check(answer == {"what": "bounce", "result": "duplicate"}, answer)
    check(api.call("POST", "/v1/inbound", b"{}", {"Content-Type": "application/json"})[0] == 415, "JSON is a mail")
    answer = api.ok("POST", "/v1/inbound", dsn(stays, forged), as_mail)
    check(answer == {"what": "forged", "result": "quarantined"}, answer)
    wait_for("it is suppressed", lambda: suppressed(by_http) == "hard_bounce", 20, world.server)

    def sums():
        arms = world.api().ok("GET", f"/v1/campaigns/{first}/report")["arms"]
        return tuple(sum(arm[name] for arm in arms) for name in ("delivered", "bounced", "bounced_later", "complaints"))
    wait_for("the report counts", lambda: sums() == (PEOPLE, 0, 4, 1), 20, world.server)

    # A mail to the address that List-Unsubscribe offers opts out, whatever it says.
    by_mail = people[12]
    offered = header(relay.mails[by_mail][1].replace(b"\r\n ", b" "), "List-Unsubscribe")
    link, address = offered.split(", ")
    check(link.startswith("<http://") and address.startswith("<mailto:u") and address.endswith("@mx.maily.example?subject=unsubscribe>"), offered)
    to = address[len("<mailto:"):].split("?")[0]
    with smtplib.SMTP("127.0.0.1", mail_port, local_hostname="mx.example.net", timeout=60) as line:
        line.sendmail(by_mail, [to], f"From: {by_mail}\r\nTo: {to}\r\nSubject: unsubscribe\r\n\r\n")
    wait_for("the mail opts out", lambda: world.api().ok("GET", f"/v1/contacts/{ids[by_mail]}")["unsubscribed_at"], 20, world.server)

    # Answered 250, and the process dies at once: nothing is lost.
    survivors = people[9:12]
    for who in survivors:
        back(dsn(who, path[who]), path[who])
    world.server.kill()
    world.start_server()
    api.close()
    api = world.api()
    wait_for("all are suppressed", lambda: all(suppressed(who) == "hard_bounce" for who in survivors), 30, world.server)

    # The next campaign goes to whom it may; two are refused, one of them for good.
    relay.mails.clear()
    relay.refused = {full: "552 5.2.2 mailbox full", stays: "550 5.1.1 no such user"}
    second = launch("second", 2)
    check(set(relay.mails) == {late, away}, sorted(relay.mails))
    wait_for("the refusal suppresses", lambda: suppressed(stays) == "hard_bounce", 20, world.server)

    # The rules that judged them say the same today: a review finds nothing, and applying it changes nothing.
    def review(*flags):
        return json.loads(world.cli("bounces", "review", "--output", "json", *flags)[1])
    shown = wait_for("both are reviewed", lambda: (lambda r: r["reviewed"] == 2 and r)(review()), 20, world.server)
    check(shown["changed"] == 0 and shown["diff"] == [] and shown["dry_run"], shown)
    check(review("--campaign", str(second), "--page-size", "1")["reviewed"] == 2, "pages are lost")
    check(review("--campaign", str(first))["reviewed"] == 0, "notices are reviewed")
    applied = review("--apply", "--why", "today's rules", "--yes")
    check(applied["corrected"] == 0 and applied["suppressions_lifted"] == 0, applied)
    for flags, code in ((("--apply", "--yes"), 2), (("--apply", "--why", "x"), 3), (("--since", "yesterday"), 1), (("--apply", "--dry-run"), 2)):
        done = world.cli("bounces", "review", *flags, check_code=False)
        check(done[0] == code, (flags, done))
    check(suppressed(stays) == "hard_bounce", "a review that changes nothing has lifted a suppression")
    before = time.monotonic()
    check(world.server.stop() == 0, "SIGTERM")
    server.stop()
    return f"{PEOPLE} mails, 18 came back; stopped in {time.monotonic() - before:.1f} s"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": 2})
