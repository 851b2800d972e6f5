"""A DNS server on loopback for tests: UDP and TCP on one port, answers from a dict. Standard library only."""
import ipaddress
import socket
import struct
import threading

TYPES = {"A": 1, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
NUMBERS = {number: name for name, number in TYPES.items()}
UDP_BYTES_MAX = 512  # RFC 1035 section 4.2.1: what is longer is asked for again over TCP


def wire(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split(".") if label) + b"\0"


def data_of(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "TXT":
        raw = value.encode()
        return b"".join(bytes([len(raw[at:at + 255])]) + raw[at:at + 255] for at in range(0, max(len(raw), 1), 255))
    if kind == "MX":
        preference, host = value.split(" ", 1)
        return struct.pack("!H", int(preference)) + wire(host)
    return wire(value)


class Zone:
    """`records`: (type, name) -> values, as `maily domain show` prints them. A name of `silent` gets no answer at all, one of `broken`
    SERVFAIL."""

    def __init__(self):
        self.records, self.silent, self.broken, self.unanswered = {}, set(), set(), 0
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        for serve in (self.serve_udp, self.serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def publish(self, kind, name, *values):
        self.records[kind, name.lower()] = list(values)

    def answer(self, message):
        """The bytes of an answer; None: silence."""
        labels, at = [], 12
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode().lower())
            at += 1 + message[at]
        name, number = ".".join(labels), struct.unpack("!H", message[at + 1:at + 3])[0]
        if name in self.silent:
            self.unanswered += 1
            return None
        kind = NUMBERS.get(number, "")
        if name in self.broken:
            return message[:2] + struct.pack("!HHHHH", 0x8182, 1, 0, 0, 0) + message[12:at + 5]
        values = self.records.get((kind, name), [])
        known = any(name == of or of.endswith("." + name) for _, of in self.records)
        header = message[:2] + struct.pack("!HHHHH", 0x8180 | (0 if known else 3), 1, len(values), 0, 0)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", number, 1, 60, len(data)) + data for data in (data_of(kind, value) for value in values))
        return header + message[12:at + 5] + body

    def serve_udp(self):
        while True:
            message, peer = self.udp.recvfrom(4096)
            answer = self.answer(message)
            if answer is None:
                continue
            if len(answer) > UDP_BYTES_MAX:  # the header and the question, truncated
                end = message.index(b"\0", 12) + 5
                answer = message[:2] + struct.pack("!HHHHH", 0x8380, 1, 0, 0, 0) + message[12:end]
            self.udp.sendto(answer, peer)

    def serve_tcp(self):
        while True:
            connection, _ = self.tcp.accept()
            threading.Thread(target=self.converse, args=(connection,), daemon=True).start()

    def converse(self, connection):
        with connection, connection.makefile("rb") as stream:
            while len(size := stream.read(2)) == 2:
                answer = self.answer(stream.read(struct.unpack("!H", size)[0]))
                if answer is not None:
                    connection.sendall(struct.pack("!H", len(answer)) + answer)
