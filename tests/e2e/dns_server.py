"""A small DNS server on loopback for end-to-end tests (RFC 1035), UDP and TCP; what it answers is a dictionary that a test changes. Standard
library only."""
import socket
import socketserver
import struct
import threading

TYPES = {"A": 1, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}


def name_bytes(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.strip(".").split(".") if label) + b"\0"


def data_bytes(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "MX":
        preference, host = value
        return struct.pack(">H", preference) + name_bytes(host)
    if kind == "TXT":
        raw = value.encode()
        return b"".join(bytes([len(raw[at:at + 255])]) + raw[at:at + 255] for at in range(0, max(1, len(raw)), 255))
    return name_bytes(value)


class DnsServer:
    """`zone`: {(name, type): [value, …]}; a name without any entry is NXDOMAIN; a name in `broken` is SERVFAIL."""

    def __init__(self, zone=None):
        self.zone, self.broken, self.asked = dict(zone or {}), set(), []
        outer = self

        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                question, wire = self.request
                reply = outer.answer(question)
                if len(reply) > 512:
                    reply = reply[:2] + struct.pack(">H", 0x8380) + reply[4:6] + b"\0\0\0\0\0\0" + reply[12:outer.question_end(reply)]
                wire.sendto(reply, self.client_address)

        class Tcp(socketserver.BaseRequestHandler):
            def handle(self):
                head = self.request.recv(2, socket.MSG_WAITALL)
                if len(head) == 2:
                    reply = outer.answer(self.request.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL))
                    self.request.sendall(struct.pack(">H", len(reply)) + reply)

        self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tcp)
        self.port = self.tcp.server_address[1]
        self.udp = socketserver.ThreadingUDPServer(("127.0.0.1", self.port), Udp)
        for server in (self.tcp, self.udp):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.port}"

    def close(self):
        for server in (self.tcp, self.udp):
            server.shutdown()
            server.server_close()

    @staticmethod
    def question_end(message):
        at = 12
        while message[at]:
            at += message[at] + 1
        return at + 5

    def answer(self, question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += question[at] + 1
        name, number = ".".join(labels).lower(), struct.unpack(">H", question[at + 1:at + 3])[0]
        kind = next((kind for kind, of in TYPES.items() if of == number), "")
        self.asked.append((name, kind))
        known = [value for (owner, _), value in self.zone.items() if owner == name]
        values = self.zone.get((name, kind), [])
        code = 2 if name in self.broken else 0 if known else 3
        records = b""
        if code == 0:
            for value in values:
                data = data_bytes(kind, value)
                records += b"\xc0\x0c" + struct.pack(">HHIH", number, 1, 60, len(data)) + data
        head = question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(values) if code == 0 else 0, 0, 0)
        return head + question[12:at + 5] + records
