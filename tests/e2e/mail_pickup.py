#!/usr/bin/env python3
"""Bounces that wait in a mailbox elsewhere, by POP3 and by IMAP over TLS, to the real program: what is durable is taken out, and once; a login that
is refused, a session that breaks and a process that is killed at the moment of taking out lose nothing and count nothing twice.
"""
import email
import email.policy
import os
import socketserver
import ssl
import subprocess
import threading

from program import check, need, run_test, wait_for

need(["aiosmtpd"], "scripts/setup.sh --mail")
from aiosmtpd.controller import Controller  # noqa: E402

USER, PASSWORD = "bounces", "a password with spaces"


class Relay:
    def __init__(self):
        self.mails = {}  # recipient -> (return path, Message-ID)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails[envelope.rcpt_tos[0]] = (envelope.mail_from, mail["Message-ID"])
        return "250 2.0.0 taken"


def dsn(who, to, status="5.1.1", said="550 5.1.1 no such user"):
    return (f"From: MAILER-DAEMON@mx.example.net\r\nTo: {to}\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; "
            'report-type=delivery-status; boundary="x"\r\n\r\n--x\r\nContent-Type: text/plain\r\n\r\nsorry\r\n.a line with a dot\r\n--x\r\nContent-Type: '
            f"message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\n\r\nFinal-Recipient: rfc822; {who}\r\nAction: failed\r\nStatus: {status}\r\n"
            f"Diagnostic-Code: smtp; {said}\r\n\r\n--x--\r\n").encode()


class Box:
    """What both servers serve: mails by their UID, and what is to go wrong."""

    def __init__(self, pair):
        self.mails, self.next, self.lock = {}, 1, threading.Lock()
        self.sessions = self.most = self.logins_refused = 0
        self.at_removal = None  # called once: True = the connection breaks
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)

    def put(self, *mails):
        with self.lock:
            for mail in mails:
                self.mails[self.next] = mail
                self.next += 1

    def serve(self, speak):
        box = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with box.lock:
                    box.sessions += 1
                    box.most = max(box.most, box.sessions)
                try:
                    with box.context.wrap_socket(self.request, server_side=True) as line, line.makefile("rwb") as file:
                        speak(box, file)
                except (OSError, ValueError):
                    pass  # the client went
                finally:
                    with box.lock:
                        box.sessions -= 1

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True
        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]

    def breaks(self):
        hook, self.at_removal = self.at_removal, None
        return hook is not None and hook()


def pop3(box, file):
    """RFC 1939: numbers of this session; what is marked goes with QUIT."""
    def say(*lines):
        file.write("".join(line + "\r\n" for line in lines).encode())
        file.flush()
    with box.lock:
        uids = sorted(box.mails)
    marked, user = set(), None
    say("+OK here")
    for raw in file:
        words = raw.decode().strip().split(" ", 1)
        verb, argument = words[0].upper(), words[1] if len(words) > 1 else ""
        if verb == "CAPA":
            say("+OK", "USER", "UIDL", ".")
        elif verb == "USER":
            user = argument
            say("+OK")
        elif verb == "PASS":
            if (user, argument) != (USER, PASSWORD):
                box.logins_refused += 1
                return say("-ERR [AUTH] no")
            say("+OK")
        elif verb == "LIST":
            say("+OK", *(f"{at + 1} {len(box.mails[uid])}" for at, uid in enumerate(uids)), ".")
        elif verb == "RETR":
            say("+OK")
            for line in box.mails[uids[int(argument) - 1]].split(b"\r\n")[:-1]:
                file.write((b"." if line.startswith(b".") else b"") + line + b"\r\n")
            say(".")
        elif verb == "DELE":
            if box.breaks():
                return None
            marked.add(uids[int(argument) - 1])
            say("+OK")
        elif verb == "RSET":
            marked.clear()
            say("+OK")
        elif verb == "QUIT":
            with box.lock:
                for uid in marked:
                    del box.mails[uid]
            return say("+OK")
        else:
            say("-ERR what?")
    return None


def imap(box, file):
    """RFC 3501, as much as is asked for here."""
    def say(*lines):
        file.write("".join(line + "\r\n" for line in lines).encode())
        file.flush()
    deleted = set()
    say("* OK here")
    for raw in file:
        tag, command = raw.decode().strip().split(" ", 1)
        verb = command.upper()
        if verb == "CAPABILITY":
            say("* CAPABILITY IMAP4rev1", f"{tag} OK")
        elif verb.startswith("LOGIN"):
            good = command[len("LOGIN "):] == f'{USER} "{PASSWORD}"'
            box.logins_refused += 0 if good else 1
            say(f"{tag} OK" if good else f"{tag} NO refused")
        elif verb.startswith("SELECT"):
            check(command.split(" ", 1)[1].strip('"') == "Bounces", command)
            say(f"* {len(box.mails)} EXISTS", "* OK [UIDVALIDITY 7] here", f"{tag} OK [READ-WRITE]")
        elif verb.startswith("UID SEARCH UNDELETED SMALLER"):
            limit = int(command.rsplit(" ", 1)[1])
            say("* SEARCH" + "".join(f" {uid}" for uid in sorted(box.mails) if uid not in deleted and len(box.mails[uid]) < limit), f"{tag} OK")
        elif verb.startswith("UID FETCH"):
            uid = int(command.split(" ")[2])
            mail = box.mails[uid]
            file.write(f"* {uid} FETCH (UID {uid} BODY[] {{{len(mail)}}}\r\n".encode() + mail + b")\r\n")
            say(f"{tag} OK")
        elif verb.startswith("UID STORE"):
            if box.breaks():
                return
            deleted.add(int(command.split(" ")[2]))
            check("\\Deleted" in command, command)
            say(f"{tag} OK")
        elif verb == "EXPUNGE":
            with box.lock:
                for uid in deleted:
                    del box.mails[uid]
            deleted.clear()
            say(f"{tag} OK")
        elif verb == "LOGOUT":
            return say("* BYE", f"{tag} OK")
        else:
            say(f"{tag} BAD what?")
    return None


def run(world):
    relay = Relay()
    server = Controller(relay, hostname="127.0.0.1", port=world.smtp_port)
    server.start()
    pair = [os.path.join(world.base, name) for name in ("box.pem", "box.key")]
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=box",
                           "-addext", "subjectAltName=IP:127.0.0.1", "-out", pair[0], "-keyout", pair[1]], capture_output=True, text=True, check=False)
    check(made.returncode == 0, made.stderr)
    box = Box(pair)
    secret = os.path.join(world.base, "password")

    def password(text):
        with open(secret, "w", encoding="ascii") as file:
            file.write(text + "\n")

    world.settings["mail-pickup"] = f"pop3s://127.0.0.1:{box.serve(pop3)}"
    world.start_server(wait=False)
    check(world.server.process.wait(60) == 2, "a mailbox without a login is taken")
    password("not it")
    world.settings.update({"mail-pickup-user": USER, "mail-pickup-password": "file:" + secret, "mail-pickup-seconds": 1, "fetch-roots": pair[0]})
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/domains", {"name": "example.com"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    people = [f"person{n}@example.org" for n in range(12)]
    ids = {who: api.ok("POST", "/v1/contacts", {"email": who, "lists": [1]})["id"] for who in people}
    campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "list_id": 1, "from": "Shop <news@example.com>"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    wait_for("all are delivered", lambda: world.api().ok("GET", f"/v1/campaigns/{campaign}")["counts"]["delivered"] == len(people), 60, world.server)
    path = {who: relay.mails[who][0] for who in people}

    def counted(name, result):
        text = world.api().call("GET", "/metrics")[1].decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(name + "{") and f'result="{result}"' in line)

    def bounces(who):
        history = world.api().ok("GET", f"/v1/campaigns/{campaign}/sends/{ids[who]}")["history"]
        return [line for line in history if line["kind"] == "bounced_later"]

    def taken_in(*whom):
        for who in whom:
            wait_for(f"the bounce of {who}", lambda who=who: len(bounces(who)) == 1, 30, world.server)
            check(bounces(who)[0]["source"] == "mailbox", bounces(who))

    def emptied(left=0):
        wait_for("the mailbox is emptied", lambda: len(box.mails) == left, 30, world.server)

    # A login that is refused: nothing is lost, and it goes on once the password is right.
    box.put(dsn(people[0], path[people[0]]), dsn(people[1], path[people[1]]))
    wait_for("the login is refused", lambda: counted("maily_pickup_rounds_total", "failed") >= 2, 30, world.server)
    check(len(box.mails) == 2 and box.logins_refused >= 2, "mails are gone")
    check(world.server.stop() == 0, "SIGTERM")
    password(PASSWORD)
    world.start_server()
    taken_in(*people[:2])
    emptied()

    # Repeats, mails of nobody, one that is too large.
    box.put(dsn(people[0], path[people[0]]), b"From: ann@a.example\r\nTo: bounces@example.net\r\nSubject: hi\r\n\r\nhi\r\n",
            b"Subject: large\r\n\r\n" + b"x" * 70 + b"\r\n" * 2_000_000, dsn(people[2], path[people[2]]))
    taken_in(people[2])
    emptied(left=1)
    check(counted("maily_inbound_results_total", "duplicate") == 1 and counted("maily_inbound_results_total", "quarantined") == 1, "counts")
    box.mails.clear()

    # The session breaks where a mail is to be taken out: all of them come again, and are one event each.
    box.at_removal = lambda: True
    box.put(*(dsn(who, path[who]) for who in people[3:6]))
    taken_in(*people[3:6])
    emptied()
    check(box.at_removal is None, "the session did not break")

    # So does a process that is killed there.
    box.at_removal = lambda: world.server.kill() or True
    box.put(*(dsn(who, path[who]) for who in people[6:8]))
    wait_for("the process is killed", lambda: not world.server.alive(), 30)
    check(len(box.mails) == 2, "a mail was taken out though its session had no end")
    world.start_server()
    taken_in(*people[6:8])
    emptied()
    check(world.server.stop() == 0, "SIGTERM")

    # IMAP, the same.
    world.settings["mail-pickup"] = f"imaps://127.0.0.1:{box.serve(imap)}/Bounces"
    box.at_removal = lambda: True
    box.put(*(dsn(who, path[who]) for who in people[8:11]), b"Subject: large\r\n\r\n" + b"\r\n" * 2_000_000)
    world.start_server()
    taken_in(*people[8:11])
    emptied(left=1)
    check(box.at_removal is None, "the session did not break")
    check(box.most == 1, f"{box.most} sessions at once")
    for who in people[:11]:
        check(world.api().ok("GET", f"/v1/suppressions?email={who}")["items"][0]["reason"] == "hard_bounce" and len(bounces(who)) == 1, who)
    check(world.server.stop() == 0, "SIGTERM")
    server.stop()
    return "11 bounces by POP3 and IMAP"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": 2})
