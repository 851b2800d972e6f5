"""Rows of delivery: mails of 10 KB with ten tracked links and a full record, unsigned and signed, against smtp-source into the same sink."""
import os
import random
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
from form import note  # noqa: E402
from spine import program_rows  # noqa: E402
from spine.program_rows import check, disk_bytes, peak_resident_bytes, tool  # noqa: E402

MAIL_BYTES = 10_240
LINKS = 10
# Row -> what the domain in From signs with.
AUDIENCES = (100_000, 1_000_000)  # of the row send_memory_flat
STATE_CACHE_MB = 64               # there: full with the smaller audience, too
ROWS = {"send": [], "send_dkim_rsa": ["rsa-sha256"], "send_dkim_ed25519": ["ed25519-sha256"]}


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def forget_peak(pid):
    """From now on the peak is of what comes (proc(5), clear_refs)."""
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


class Rows(program_rows.Rows):
    """One world a row, all at once, so that rounds alternate: unsigned, smtp-source, RSA, smtp-source, …"""

    def __init__(self, maily, build, samples, rounds, sends):
        super().__init__(maily, build, samples, rounds, 0)
        self.sends = sends

    @staticmethod
    def template(api, filler):
        """An HTML part of about `filler` bytes of words, the recipient's name and two attributes, ten links of its own."""
        chance = random.Random(9)
        words = []
        while sum(len(word) + 1 for word in words) < filler:
            words.append("".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(chance.randint(2, 9))))
        lines = [" ".join(words[start:start + 12]) for start in range(0, len(words), 12)]
        for number in range(LINKS):
            at = (number + 1) * len(lines) // (LINKS + 1)
            lines[at] += f" <a href=\"https://shop.example.com/new/{number}\">look</a>"
        html = ("<html><body><p>Hello {{ contact.first_name }} of {{ contact.zip_code }}, {{ contact.channel }},</p>\n<p>" + "</p>\n<p>".join(lines) +
                "</p>\n{{ company }} {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></body></html>")
        return api.ok("POST", "/v1/templates", {"name": "bench", "subject": "{{ contact.first_name }}, the new collection", "html": html})["id"]

    def one(self, row):
        """A server of this row with its contacts and template: (world, api, template, list)."""
        world = program_rows.World(self.maily, "bench/" + row, settings={"relay-connections": program_rows.SESSIONS})
        self.open.append(world)
        world.smtp_port = self.sink_port
        world.start_server()
        api = self.prepare(world)
        if ROWS[row]:
            world.cli("domain", "add", "shop.example.com", *(word for algorithm in ROWS[row] for word in ("--algorithm", algorithm)))
        _, probe = self.import_contacts(world, api, "probe", 1, "probe")
        size, filler, template = 0, 5000, 0
        for attempt in range(3):
            template = self.template(api, filler)
            before = set(os.listdir(self.dumps))
            self.campaign(api, f"probe {attempt}", template, probe, 1)
            mails = [name for name in os.listdir(self.dumps) if name not in before]
            check(len(mails) == 1, f"smtp-sink kept {len(mails)} mails of the probe")
            with open(os.path.join(self.dumps, mails[0]), "rb") as file:
                mail = file.read()
            size = len(mail)
            filler += int((MAIL_BYTES - size) * filler / size)
        check(mail.count(b"DKIM-Signature:") == len(ROWS[row]), f"{row}: the mail has {mail.count(b'DKIM-Signature:')} signatures")
        note(f"  {row}: a mail has {size:,} bytes")
        _, list_id = self.import_contacts(world, api, "s", self.sends, "send")
        return {"world": world, "api": api, "template": template, "list": list_id, "size": size}

    def send(self, wanted):
        self.close()
        self.dumps = os.path.join(ROOT, "build/bench/dumps")
        subprocess.run(["rm", "-rf", self.dumps], check=True)
        os.makedirs(self.dumps)
        os.chmod(self.dumps, 0o777)  # smtp-sink is somebody else
        self.sink_port = program_rows.free_port()
        probe = self.smtp_sink(self.sink_port, "-d", os.path.join(self.dumps, "%M."))
        sides = {row: self.one(row) for row in ROWS if row in wanted}
        probe.kill()
        self.smtp_sink(self.sink_port)
        for number in range(self.rounds):
            for row, side in sides.items():
                world, pid = side["world"], side["world"].server.process.pid
                disk, cpu = disk_bytes(world.data), cpu_seconds(pid)
                ours = self.sends / self.campaign(side["api"], f"send {number}", side["template"], side["list"], self.sends, 600)
                cpu = (cpu_seconds(pid) - cpu) / self.sends * 1e6
                disk = (disk_bytes(world.data) - disk) / self.sends
                command = [tool("smtp-source"), "-d", "-s", str(program_rows.SESSIONS), "-l", str(side["size"]), "-m", str(self.sends),
                           "-f", "news@shop.example.com", "-t", "c@example.com", f"127.0.0.1:{self.sink_port}"]
                started = time.monotonic()
                subprocess.run(command, check=True, timeout=600, stdout=subprocess.DEVNULL)
                theirs = self.sends / (time.monotonic() - started)
                self.samples.add(row, "mails/s", ours, theirs, f"smtp-source into the same smtp-sink, {side['size']:,} bytes a mail")
                self.samples.add(row + "_cpu", "us a mail", cpu)
                self.samples.add(row + "_disk", "bytes a mail", disk)
                self.samples.add(row + "_memory", "MiB, peak", peak_resident_bytes(pid) / (1 << 20))
        for side in sides.values():
            check(side["world"].server.stop() == 0, "a server did not stop cleanly")

    def memory(self):
        """Peaks of the process while it imports, and while it sends, with a state cache that both audiences fill."""
        imports, peaks = [], []
        for recipients in AUDIENCES:
            self.close()
            self.sink_port = program_rows.free_port()
            self.smtp_sink(self.sink_port)
            world = program_rows.World(self.maily, "bench/send_memory",
                                       settings={"relay-connections": program_rows.SESSIONS, "state-cache-mb": STATE_CACHE_MB})
            self.open.append(world)
            world.smtp_port = self.sink_port
            world.start_server()
            api = self.prepare(world)
            template = self.template(api, 5000)
            _, list_id = self.import_contacts(world, api, "m", recipients, "memory")
            pid = world.server.process.pid
            imports.append(peak_resident_bytes(pid) / (1 << 20))
            forget_peak(pid)
            seconds = self.campaign(api, "memory", template, list_id, recipients, 1800)
            peaks.append(peak_resident_bytes(pid) / (1 << 20))
            note(f"  {recipients:,} recipients: {imports[-1]:.0f} MiB at most in the import, {peaks[-1]:.0f} in the campaign, "
                 f"{recipients / seconds:,.0f} mails/s")
            check(world.server.stop() == 0, "a server did not stop cleanly")
        self.samples.add("send_memory_flat", f"MiB, peak, {AUDIENCES[1]:,} recipients", peaks[1], peaks[0],
                         f"{AUDIENCES[0]:,} recipients; state_cache_mb {STATE_CACHE_MB}; 1 = flat")
        self.samples.add("send_memory_import", f"MiB, peak, {AUDIENCES[1]:,} rows", imports[1], imports[0], f"the import before it, {AUDIENCES[0]:,} rows")
