#!/usr/bin/env python3
"""An SMTP server that behaves badly towards some recipients and on some connections, as its seed says.

It drops connections after the final dot, answers late, half, twice or nonsense, says 250 and forgets the mail, refuses for now or for good
at each step. What it did is the truth of the outside world: a line in its log, written before anything is answered, for each mail that was
begun, and one for the end of each connection (`read_log`). It refuses for good at every attempt; all else happens once a recipient.
"""
import argparse
import asyncio
import bisect
import collections
import hashlib
import itertools
import os
import random
import socket
import struct
import time

# percent: of recipients. step: mail, rcpt, data, body or dot. kept: the mail is in the mailbox.
Kind = collections.namedtuple("Kind", "name percent step act kept", defaults=(False,))
KINDS = (
    # Nobody on the other side can know: 1 %.
    Kind("dropped_kept", 0.30, "dot", "drop", True),
    Kind("dropped_lost", 0.30, "dot", "drop"),
    Kind("hung_kept", 0.02, "dot", "hang", True),
    Kind("hung_lost", 0.02, "dot", "hang"),
    Kind("half_reply_kept", 0.08, "dot", "half", True),
    Kind("half_reply_lost", 0.08, "dot", "half"),
    Kind("nonsense_kept", 0.05, "dot", "nonsense", True),
    Kind("nonsense_lost", 0.05, "dot", "nonsense"),
    Kind("dropped_in_body", 0.10, "body", "drop"),
    # Answered with 250.
    Kind("lied", 0.30, "dot", "taken"),
    Kind("late", 0.20, "dot", "late", True),
    Kind("in_pieces", 0.05, "dot", "pieces", True),
    Kind("in_lines", 0.20, "dot", "lines", True),
    Kind("twice", 0.10, "dot", "twice", True),
    # Not now.
    *(Kind(f"{act}_{step}", percent, step, act) for act, step, percent in (
        ("4xx", "mail", 0.10), ("4xx", "rcpt", 0.30), ("4xx", "data", 0.10), ("4xx", "dot", 0.30),
        ("421", "mail", 0.05), ("421", "rcpt", 0.05), ("421", "data", 0.05), ("421", "dot", 0.10),
        ("drop", "mail", 0.05), ("drop", "rcpt", 0.05), ("drop", "data", 0.05), ("hang", "rcpt", 0.01))),
    # Never.
    *(Kind(f"5xx_{step}", percent, step, "5xx") for step, percent in (("mail", 0.05), ("rcpt", 0.20), ("data", 0.05), ("dot", 0.10))),
)
NORMAL = Kind("normal", 0, "dot", "taken", True)
BY_NAME = {kind.name: kind for kind in (NORMAL, *KINDS)}
# percent: of connections.
GREETINGS = (("banner_421", 1.0), ("banner_554", 0.5), ("banner_drop", 1.0), ("banner_nonsense", 0.5), ("banner_late", 1.0),
             ("ehlo_421", 1.0), ("ehlo_451", 0.5), ("ehlo_drop", 1.0), ("ehlo_502", 1.0), ("no_pipelining", 5.0))
CODES = {"4xx": {"mail": "451 4.3.2", "rcpt": "450 4.2.1", "data": "451 4.3.0", "dot": "452 4.3.1"},
         "5xx": {"mail": "553 5.1.8", "rcpt": "550 5.1.1", "data": "554 5.5.1", "dot": "554 5.7.1"},
         "421": dict.fromkeys(("mail", "rcpt", "data", "dot"), "421 4.3.2")}
HALVES = (b"2", b"250", b"250 2.0.0 ok", b"250-taken\r\n", b"250-taken\r\n250 2.0.0 o")
NONSENSE = (b"hello\r\n", b"354 go on\r\n", b"25\r\n", b"999 2.0.0 ok\r\n", b"\xff\xfe\x00\r\n", b"250-taken\r\n451 busy\r\n", b"x" * 5000 + b"\r\n")

Line = collections.namedtuple("Line", "time connection what recipient message_id")


def read_log(path, offset=0):
    """Whole lines from a place on, and the place behind them. `what`: a kind; cut_<step>: the client left; end_client, end_sink: of the
    connection."""
    lines = []
    with open(path, "rb") as file:
        file.seek(offset)
        for raw in file:
            if not raw.endswith(b"\n"):
                break
            offset += len(raw)
            at, connection, *rest = raw.decode().rstrip("\n").split(",")
            lines.append(Line(float(at), int(connection), *rest))
    return lines, offset


class Table:
    """Which of the things with shares in percent a name falls on; None: on none."""

    def __init__(self, seed, things):
        self.seed, self.things = str(seed), things
        self.ends = list(itertools.accumulate(thing[1] / 100 for thing in things))

    def share(self, name):
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8, key=self.seed.encode()).digest(), "big") / 2**64

    def find(self, name):
        at = bisect.bisect_right(self.ends, self.share(name))
        return self.things[at] if at < len(self.things) else None


class Sink:
    def __init__(self, arguments):
        self.log = os.open(arguments.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self.hang = arguments.hang
        self.kinds, self.greetings = Table(arguments.seed, KINDS), Table(arguments.seed, GREETINGS)
        self.numbers = itertools.count(1)
        self.done = set()  # recipients that had theirs

    def kind(self, recipient):
        kind = self.kinds.find(recipient)
        return NORMAL if kind is None or recipient in self.done else kind

    def note(self, connection, what, recipient="", message_id=""):
        os.write(self.log, f"{time.monotonic():.4f},{connection},{what},{recipient},{message_id}\n".encode())
        kind = BY_NAME.get(what)
        if kind and kind is not NORMAL and kind.act != "5xx":
            self.done.add(recipient)


class Conversation(asyncio.Protocol):
    def __init__(self, sink):
        self.sink = sink
        self.number = next(sink.numbers)
        found = sink.greetings.find(f"connection {self.number}")
        self.greeting = found[0] if found else "plain"
        self.chance = random.Random(f"{sink.kinds.seed} {self.number}")
        self.buffer, self.out = bytearray(), bytearray()
        self.transport = self.timer = None
        self.busy = self.ended = self.in_body = self.pipelining = False
        self.scanned = 0  # of the body
        self.held = b""   # the reply to MAIL, while RCPT is on its way
        self.recipient, self.kind, self.refused = "", NORMAL, False

    # --- the connection ---
    def connection_made(self, transport):
        self.transport = transport
        if self.greeting == "banner_drop":
            return self.end()
        if self.greeting == "banner_late":
            return self.later(1.0, lambda: self.say("220 evil.localhost ESMTP"))
        self.say({"banner_421": "421 4.3.2 not now", "banner_554": "554 5.3.2 no service", "banner_nonsense": "HTTP/1.1 400 Bad Request"}.get(
            self.greeting, "220 evil.localhost ESMTP"))
        self.flush()
        if self.greeting in ("banner_421", "banner_554"):
            self.end()

    def data_received(self, data):
        self.buffer += data
        self.parse()

    def connection_lost(self, error):
        if self.timer:
            self.timer.cancel()
        if self.recipient:
            self.sink.note(self.number, "cut_body" if self.in_body else "cut_rcpt", self.recipient)
        self.sink.note(self.number, "end_sink" if self.ended else "end_client")
        self.ended = True

    def say(self, line):
        self.out += line.encode() + b"\r\n"

    def flush(self):
        if self.out and not self.transport.is_closing():
            self.transport.write(bytes(self.out))
        self.out.clear()

    def end(self, reset=False):
        self.flush()
        self.ended = True
        if reset:
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        else:
            self.transport.close()

    def later(self, seconds, do):
        """Says and hears nothing until then."""
        def wake():
            self.busy = False
            do()
            if not self.ended:
                self.parse()
        self.flush()
        self.busy = True
        self.timer = asyncio.get_running_loop().call_later(seconds, wake)

    # --- what the client says ---
    def parse(self):
        while not self.busy and not self.ended:
            if self.in_body and self.kind.step == "body":
                if not self.buffer:
                    break  # 354 may not have arrived: only a client that has begun the body has handed over the mail
                self.misbehave()
            elif self.in_body:
                end = self.buffer.find(b"\r\n.\r\n", max(0, self.scanned - 4))
                if end < 0:
                    self.scanned = len(self.buffer)
                    break
                message_id = self.message_id(end)
                del self.buffer[:end + 5]
                self.in_body = False
                self.dot(message_id)
            else:
                end = self.buffer.find(b"\r\n")
                if end < 0:
                    break
                line = self.buffer[:end].decode(errors="replace")
                del self.buffer[:end + 2]
                self.command(line)
        if not self.ended:
            self.flush()

    def message_id(self, end):
        at = self.buffer.find(b"\r\nMessage-ID: <", 0, end)
        return self.buffer[at + 15:self.buffer.find(b">", at, end)].decode() if at >= 0 else ""

    def command(self, line):
        verb = line[:4].upper()
        if self.held and verb != "RCPT":
            self.out += self.held
            self.held = b""
        if verb in ("EHLO", "HELO"):
            self.hello(verb)
        elif verb == "MAIL":
            self.refused = False
            if self.pipelining:
                self.held = b"250 2.1.0 sender ok\r\n"  # RCPT comes in the same breath, and says whom it is about
            else:
                self.say("250 2.1.0 sender ok")
        elif verb == "RCPT":
            self.recipient = line[line.find("<") + 1:line.find(">")]
            self.kind = self.sink.kind(self.recipient)
            held, self.held = self.held, b""
            if self.kind.step == "mail" and held:
                self.misbehave()
                if not self.ended:
                    self.say("503 5.5.1 MAIL first")
            else:
                self.out += held
                if self.kind.step in ("mail", "rcpt"):
                    self.misbehave()
                else:
                    self.say("250 2.1.5 recipient ok")
        elif verb == "DATA":
            if self.refused or not self.recipient:
                self.say("503 5.5.1 RCPT first")
            elif self.kind.step == "data":
                self.misbehave()
            else:
                self.in_body, self.scanned = True, 0
                self.say("354 end with .")
        elif verb == "QUIT":
            self.say("221 2.0.0 bye")
            self.end()
        else:  # RSET, NOOP
            self.say("250 2.0.0 ok")

    def hello(self, verb):
        if self.greeting == "ehlo_drop":
            return self.end()
        if self.greeting == "ehlo_421":
            self.say("421 4.3.2 not now")
            return self.end()
        if self.greeting == "ehlo_451":
            return self.say("451 4.3.0 not now")
        if verb == "HELO":
            return self.say("250 evil.localhost")
        if self.greeting == "ehlo_502":
            return self.say("502 5.5.1 no such command")
        self.pipelining = self.greeting != "no_pipelining"
        for extension in ["evil.localhost"] + ["PIPELINING"] * self.pipelining + ["8BITMIME"]:
            self.say("250-" + extension)
        self.say("250 ENHANCEDSTATUSCODES")

    def settle(self, message_id=""):
        """The fate of the mail under way, in the log before anyone hears of it."""
        self.sink.note(self.number, self.kind.name, self.recipient, message_id)
        self.recipient, self.in_body = "", False

    def misbehave(self):
        """Up to the final dot, without having got the mail."""
        kind = self.kind
        self.settle()
        self.refuse(kind)

    def refuse(self, kind):
        if kind.act == "drop":
            self.end(reset=self.chance.random() < 0.5)
        elif kind.act == "hang":
            self.later(self.sink.hang, self.end)
        else:
            self.say(f"{CODES[kind.act][kind.step]} {kind.name}")
            self.refused = True
            if kind.act == "421":
                self.end()

    def dot(self, message_id):
        kind = self.kind
        self.settle(message_id)
        if kind.act == "taken":
            self.say("250 2.0.0 taken")
        elif kind.act == "late":
            self.later(self.chance.uniform(0.1, 1.5), lambda: self.say("250 2.0.0 taken"))
        elif kind.act == "lines":
            self.out += b"250-2.0.0 taken\r\n250-2.0.0 and\r\n250 2.0.0 kept\r\n"
        elif kind.act == "twice":
            self.say("250 2.0.0 taken")
            if self.chance.random() < 0.5:
                self.say("250 2.0.0 taken")
            else:
                self.flush()
                self.timer = asyncio.get_running_loop().call_later(0.005, self.once_more)
        elif kind.act == "pieces":
            self.pieces(b"250 2.0.0 taken\r\n")
        elif kind.act == "half":
            self.out += self.chance.choice(HALVES)
            self.end()
        elif kind.act == "nonsense":
            self.out += self.chance.choice(NONSENSE)
        else:
            self.refuse(kind)

    def once_more(self):
        """When the next mail may be under way; but behind 354 nobody can tell it from the answer to that mail."""
        if not (self.in_body or self.busy or self.ended):
            self.transport.write(b"250 2.0.0 taken\r\n")

    def pieces(self, rest):
        self.out += rest[:1]
        if len(rest) > 1:
            self.later(0.02, lambda: self.pieces(rest[1:]))


async def serve(arguments):
    sink = Sink(arguments)
    server = await asyncio.get_running_loop().create_server(lambda: Conversation(sink), "127.0.0.1", arguments.port, backlog=512)
    async with server:
        await server.serve_forever()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--hang", type=float, default=8, help="seconds of silence, then the connection is closed")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
