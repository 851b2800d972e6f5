"""Rows of the spine that drive the real program over its HTTP API: send, click, import, restart, sizes."""
import csv
import io
import json
import lzma
import os
import random
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
from program import Api, Failed, Process, World, check, free_port, quote, reachable, wait_for  # noqa: E402

sys.path.insert(0, os.path.join(ROOT, "bench"))
from form import Missing, note  # noqa: E402

DATA = os.path.join(ROOT, "tests/data/hillstrom_email_2008.csv.xz")
ATTRIBUTES = [("recency", "integer"), ("history_segment", "text"), ("history", "number"), ("mens", "integer"), ("womens", "integer"),
              ("zip_code", "text"), ("newbie", "integer"), ("channel", "text"), ("segment", "text")]
SENT = 20_000         # recipients of a campaign of the send row
AUDIENCES = (100_000, 400_000)  # recipients of the campaigns of the audience rows
MAIL_BYTES = 10_240   # of a mail on the wire
SESSIONS = 20         # connections, ours and smtp-source's
CLICK_CONNECTIONS = 128  # many people, each on a connection of their own: what is durable at once shares a sync
CLICKERS = 2_000      # contacts whose links are clicked
SMALL = 64_000        # contacts of the smaller world of the size rows
IMPORTS = [("import", 200_000), ("import_64k", SMALL)]  # rows of a file, as in other imports' published figures; the demo's
WRK_SECONDS = 12  # so long that what is folded after its end does not count


def tool(name):
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")
    if not path:
        raise Missing(f"{name} is not installed (scripts/setup.sh --bench)")
    return path


def disk_bytes(directory):
    total = 0
    for folder, _, files in os.walk(directory):
        for name in files:
            try:
                total += os.stat(os.path.join(folder, name)).st_size
            except FileNotFoundError:
                pass  # compacted away meanwhile
    return total


def resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmRSS"))


def peak_resident_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def write_contacts(path, prefix, count):
    """`count` rows with the columns of the Hillstrom file, its rows again and again; addresses in no order, as in a real file."""
    with lzma.open(DATA, "rt", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name, _ in ATTRIBUTES]
    with open(path, "w", newline="", encoding="ascii") as file:
        writer = csv.writer(file)
        writer.writerow(["email", "first_name", *columns])
        for number in range(count):
            row = rows[number % len(rows)]
            writer.writerow([f"{prefix}{number * 2654435761 % 2**32:08x}@example.com", f"Name{number % 997}", *(row[column] for column in columns)])


class Rows:
    """Each row makes its own world; `close` ends what is left of them."""

    def __init__(self, maily, build, samples, rounds, contacts):
        self.maily, self.build, self.samples, self.rounds, self.contacts = maily, build, samples, rounds, contacts
        self.open = []

    def close(self):
        for thing in self.open:
            thing.close()
        self.open = []

    def world(self, name, settings=None):
        if not os.path.exists(self.maily):
            raise Missing(f"{self.maily} is not built")
        self.close()
        world = World(self.maily, "bench/" + name, settings=settings)
        self.open.append(world)
        return world

    @staticmethod
    def prepare(world):
        api = world.api()
        api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
        for name, kind in ATTRIBUTES:
            api.ok("POST", "/v1/attributes", {"name": name, "type": kind, "personal": False})
        api.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True})
        return api

    @staticmethod
    def fresh(api, path, token):
        status, answer, headers = api.call("GET", f"{path}{'&' if '?' in path else '?'}min={quote(token)}&wait_ms=60000")
        check(status == 200 and headers.get("maily-applied") == "true", f"GET {path}: {status} {answer}")
        return answer

    def import_contacts(self, world, api, prefix, count, name):
        """Imports until queryable; gives (seconds, id of the list)."""
        path = os.path.join(world.base, prefix + ".csv")
        write_contacts(path, prefix, count)
        list_id = api.ok("POST", "/v1/lists", {"name": name})["id"]
        started = time.monotonic()
        done = json.loads(world.cli("import", path, "--list", name, "--output", "json")[1])
        listed = self.fresh(api, f"/v1/lists/{list_id}", done["token"])
        seconds = time.monotonic() - started
        check(done["created"] == count and listed["members"] == count, f"imported: {done}, {listed}")
        return seconds, list_id

    # ---- send

    def smtp_sink(self, port, *options):
        user = ["-u", "nobody"] if os.getuid() == 0 else []  # it refuses to be root
        sink = Process([tool("smtp-sink"), *user, *options, f"127.0.0.1:{port}", "1000"], os.path.join(ROOT, "build/bench/smtp-sink.out"))
        self.open.append(Closing(sink))
        wait_for("smtp-sink", lambda: reachable(port), 10, sink)
        return sink

    @staticmethod
    def template(api, filler):
        """Text that looks like text: words, about `filler` bytes of them in the HTML part."""
        chance = random.Random(9)
        words = []
        while sum(len(word) + 1 for word in words) < filler:
            words.append("".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(chance.randint(2, 9))))
        lines = [" ".join(words[start:start + 12]) for start in range(0, len(words), 12)]
        html = ("<html><body><p>Hello {{ contact.first_name }},</p>\n<p>" + "</p>\n<p>".join(lines) +
                "</p>\n<a href=\"https://shop.example.com/new\">look</a> {{ company }} {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></body></html>")
        text = "Hello {{ contact.first_name }}, https://shop.example.com/new\n{{ postal_address }} {{ unsubscribe_url }}\n"
        return api.ok("POST", "/v1/templates", {"name": "bench", "subject": "{{ contact.first_name }}, the new collection", "html": html, "text": text})["id"]

    @staticmethod
    def campaign(api, name, template, list_id, count, seconds=240):
        """Launches and waits until everyone has it; seconds from the launch."""
        campaign = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": template, "list_id": list_id, "from": "Shop <news@shop.example.com>"})["id"]
        started = time.monotonic()
        api.ok("POST", f"/v1/campaigns/{campaign}:launch")
        while True:
            counts = api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]
            if counts["audience"] >= count and counts["pending"] == 0:
                break
            check(time.monotonic() - started < seconds, f"campaign {name}: {counts} after {seconds} s")
            time.sleep(0.02)  # between polls of the server
        taken = time.monotonic() - started
        check(counts["delivered"] == count, f"campaign {name}: {counts}")
        return taken

    def send(self):
        world = self.world("send", {"relay-connections": SESSIONS})
        dumps = os.path.join(world.base, "dumps")
        os.makedirs(dumps)
        os.chmod(dumps, 0o777)  # smtp-sink is somebody else
        # smtp-sink writes each mail into a file of its working directory; only for finding the size of ours.
        probe = self.smtp_sink(world.smtp_port, "-d", os.path.join(dumps, "%M."))
        world.start_server()
        api = self.prepare(world)
        self.import_contacts(world, api, "probe", 1, "probe")
        size, filler = 0, 7000
        for attempt in ("first", "second"):
            template = self.template(api, filler)
            before = set(os.listdir(dumps))
            self.campaign(api, "probe " + attempt, template, api.ok("GET", "/v1/lists")["items"][0]["id"], 1)
            mails = [name for name in os.listdir(dumps) if name not in before]
            check(len(mails) == 1, f"smtp-sink kept {len(mails)} mails of the probe")
            size = os.stat(os.path.join(dumps, mails[0])).st_size
            filler += int((MAIL_BYTES - size) * filler / size)
        note(f"  a mail of ours has {size:,} bytes")
        probe.kill()
        self.smtp_sink(world.smtp_port)
        _, list_id = self.import_contacts(world, api, "s", SENT, "send")
        growth = []
        for number in range(self.rounds):
            before = disk_bytes(world.data)
            ours = SENT / self.campaign(api, f"send {number}", template, list_id, SENT)
            growth.append((disk_bytes(world.data) - before) / SENT)
            command = [tool("smtp-source"), "-d", "-s", str(SESSIONS), "-l", str(size), "-m", str(SENT), "-f", "news@shop.example.com",
                       "-t", "c@example.com", f"127.0.0.1:{world.smtp_port}"]
            started = time.monotonic()
            subprocess.run(command, check=True, timeout=240, stdout=subprocess.DEVNULL)
            self.samples.add("send", "mails/s", ours, SENT / (time.monotonic() - started), f"smtp-source into the same smtp-sink, {size:,} bytes a mail")
        # Linear: the later campaigns cost what the first did.
        if len(growth) < 2:
            self.samples.miss("disk_per_send", "needs two rounds: it compares the later ones with the first")
        for bytes_each in growth[1:]:
            self.samples.add("disk_per_send", "bytes", bytes_each, growth[0], "the first campaign; 1 = linear")
        check(world.server.stop() == 0, "the server did not stop cleanly")

    def journal(self):
        """A data directory with contacts, sends and clicks, its server stopped."""
        path = os.path.join(ROOT, "build/bench/send/data")
        if not os.path.exists(os.path.join(path, "log")):
            self.send()
        self.close()
        return path

    # ---- click

    def wrk(self, script, connections, port, seconds=WRK_SECONDS):
        done = subprocess.run([tool("wrk"), "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script, f"http://127.0.0.1:{port}"],
                              capture_output=True, text=True, timeout=seconds + 60, check=False)
        check(done.returncode == 0, f"wrk: {done.stderr}")
        check("Non-2xx" not in done.stdout and "Socket errors" not in done.stdout, f"wrk: {done.stdout}")
        latency = {}
        for part, number, unit in re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)\s*$", done.stdout, re.M):
            latency[int(part)] = float(number) * {"us": 1, "ms": 1000, "s": 1_000_000}[unit]
        return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout).group(1)), latency, int(re.search(r"(\d+) requests in", done.stdout).group(1))

    def clickers(self, world, api):
        """Paths of the tracked links that the sink received."""
        _, list_id = self.import_contacts(world, api, "k", CLICKERS, "click")
        self.campaign(api, "click", self.template(api, 300), list_id, CLICKERS)
        sink = world.sink_api()
        _, data, _ = sink.call("GET", "/received?format=csv", raw=True)
        paths = []
        import email as mail_parser
        for number, row in enumerate(csv.DictReader(io.StringIO(data.decode())), 1):
            _, raw, _ = sink.call("GET", f"/messages/{int(row.get('number') or number)}?format=raw", raw=True)
            body = mail_parser.message_from_bytes(raw).get_payload(0).get_payload(decode=True).decode()
            found = re.search(r"https?://[^/\s]+(/c/[\w-]+)", body)
            check(found, f"a mail without a tracked link: {body[:300]}")
            paths.append(found.group(1))
        return paths

    def click(self):
        world = self.world("click")
        world.start_sink()
        world.start_server()
        api = self.prepare(world)
        paths = self.clickers(world, api)
        script = os.path.join(world.base, "click.lua")
        with open(script, "w", encoding="ascii") as file:
            file.write("local paths = {" + ",".join(f'"{path}"' for path in paths) + "}\nmath.randomseed(4)\n"
                       "request = function() return wrk.format('GET', paths[math.random(#paths)], {['User-Agent'] = 'Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0'}) end\n")
        bare = os.path.join(self.build, "bench/spine_bare_beast")
        if not os.path.exists(bare):
            raise Missing(f"{bare} is not built")
        port = free_port()
        process = Process([bare, "--port", str(port)], os.path.join(world.base, "bare.out"))
        self.open.append(Closing(process))
        wait_for("the bare server", lambda: reachable(port), 10, process)
        clicked = 0
        for _ in range(self.rounds):
            ours, latency, count = self.wrk(script, CLICK_CONNECTIONS, world.port)
            clicked += count
            reference, bare_latency, _ = self.wrk(script, CLICK_CONNECTIONS, port)
            self.samples.add("click_p99", "us, p99", latency[99], bare_latency[99], "the bare handler")
            self.samples.add("click", "clicks/s", ours, reference, f"a bare Beast handler on one thread, wrk with {CLICK_CONNECTIONS} connections on the same two cores")
        # Each was recorded: what wrk counted, and at most what was under way when it stopped.
        def recorded():
            return api.ok("GET", "/v1/engagements/count?type=click")["count"]
        wait_for("the clicks in the view", lambda: recorded() >= clicked, 60, world.server)
        check(recorded() <= clicked + CLICK_CONNECTIONS * self.rounds, f"{recorded()} clicks recorded, {clicked} counted")

    def http_latency(self):
        """One contact made over HTTP and decided, at 1, 16 and 256 connections. Stands beside the command port's rows, hence no reference."""
        world = self.world("http")
        world.start_server()
        api = self.prepare(world)
        script = os.path.join(world.base, "post.lua")
        for number in range(self.rounds):
            for connections in (1, 16, 256):
                with open(script, "w", encoding="ascii") as file:
                    file.write(f"local n = 0\nlocal headers = {{['Authorization'] = 'Bearer {api.key}', ['Content-Type'] = 'application/json'}}\n"
                               f"request = function() n = n + 1; return wrk.format('POST', '/v1/contacts', headers, "
                               f"'{{\"email\":\"w{number}-{connections}-' .. n .. '@example.com\",\"attributes\":{{\"first_name\":\"Ann\"}}}}') end\n")
                _, latency, _ = self.wrk(script, connections, world.port, 2)
                self.samples.add(f"latency_http_{connections}", "us, p50", latency[50])
                self.samples.add(f"latency_http_{connections}_p99", "us, p99", latency[99])

    # ---- import

    def imports(self):
        for number in range(self.rounds):
            for row, count in IMPORTS:
                self.one_import(row, count, number)

    def one_import(self, row, count, number):
        world = self.world("import")  # both begin empty
        world.start_server()
        api = self.prepare(world)
        seconds, _ = self.import_contacts(world, api, f"i{number}-", count, f"import {number}")
        database = os.path.join(world.base, "bare.db")
        if os.path.exists(database):
            os.remove(database)
        columns = ", ".join(f"{name} {'TEXT' if kind == 'text' else 'NUMERIC'}" for name, kind in ATTRIBUTES)
        commands = (f"CREATE TABLE contacts (email TEXT PRIMARY KEY, first_name TEXT, {columns});\n"
                    f"CREATE INDEX by_segment ON contacts (segment);\n.import --csv --skip 1 {world.base}/i{number}-.csv contacts\n"
                    "SELECT count(*) FROM contacts;\n")
        started = time.monotonic()
        done = subprocess.run([tool("sqlite3"), database], input=commands, capture_output=True, text=True, timeout=120, check=True)
        reference = time.monotonic() - started
        check(done.stdout.strip() == str(count), f"sqlite3: {done.stdout} {done.stderr}")
        self.samples.add(row, "rows/s", count / seconds, count / reference, f"sqlite3 .import of the same {count:,} rows into a table with two indexes")

    # ---- restart, memory, disk

    def quiet(self, world):
        """Waits until memory stands still for a second."""
        last, same = 0, 0
        end = time.monotonic() + 60
        while same < 4 and time.monotonic() < end:
            now = resident_bytes(world.server.process.pid)
            same = same + 1 if abs(now - last) < 1 << 20 else 0
            last = now
            time.sleep(0.25)  # it may still compact
        return last

    def size(self):
        if self.contacts <= SMALL:
            raise Missing(f"needs more than {SMALL:,} contacts")
        # Caches that are full at 64,000 contacts: what grows after that is what a contact costs.
        world = self.world("size", {"state-cache-mb": 8})
        world.start_server()
        api = self.prepare(world)
        empty = disk_bytes(world.data)
        self.import_contacts(world, api, "a", SMALL, "small")
        small_memory, small_disk = self.quiet(world), disk_bytes(world.data)
        more = self.contacts - SMALL
        seconds, _ = self.import_contacts(world, api, "b", more, "large")
        large_memory, large_disk = self.quiet(world), disk_bytes(world.data)
        note(f"  {more:,} more contacts in {seconds:.0f} s; RSS {small_memory >> 20} -> {large_memory >> 20} MiB")
        self.samples.add("memory_per_contact", "bytes", (large_memory - small_memory) / more, 100, "the limit")
        self.samples.add("disk_per_contact", "bytes", (large_disk - small_disk) / more, (small_disk - empty) / SMALL, f"the first {SMALL:,}; 1 = linear")
        for number in range(max(1, min(3, self.rounds))):
            # Something is under way when it dies.
            for which in range(200):
                api.ok("POST", "/v1/contacts", {"email": f"before-{number}-{which}@example.com", "attributes": {"first_name": "B"}})
            key = api.key
            api.close()
            world.server.kill()
            started = time.monotonic()
            world.start_server(wait=False)
            self.samples.add("restart", "s", self.first_decision(world, key, number, started), 2.0, f"the limit, with {self.contacts:,} contacts")
            world.wait_ready()

    def audience(self):
        """Campaigns to ever larger audiences: how soon the first mail comes, and what a recipient adds to the peak of memory."""
        peaks = []
        for count in AUDIENCES:
            world = self.world("audience", {"state-cache-mb": 8, "relay-connections": SESSIONS})
            self.smtp_sink(world.smtp_port)
            world.start_server()
            api = self.prepare(world)
            _, list_id = self.import_contacts(world, api, "a", count, "audience")
            template = self.template(api, 500)
            campaign = api.ok("POST", "/v1/campaigns", {"name": "audience", "template_id": template, "list_id": list_id, "from": "Shop <news@shop.example.com>"})["id"]
            started, first = time.monotonic(), None
            api.ok("POST", f"/v1/campaigns/{campaign}:launch")
            while True:
                counts = api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]
                if first is None and counts["delivered"] > 0:
                    first = time.monotonic() - started  # shown by the read model, so the mail was there before
                if counts["audience"] >= count and counts["pending"] == 0:
                    break
                check(time.monotonic() - started < 600, f"audience {count}: {counts}")
                time.sleep(0.01)  # between polls of the server
            check(counts["delivered"] == count, f"audience {count}: {counts}")
            peaks.append(peak_resident_bytes(world.server.process.pid))
            note(f"  {count:,} recipients: first mail after {first:.2f} s, all after {time.monotonic() - started:.0f} s, peak RSS {peaks[-1] >> 20} MiB")
            if count == AUDIENCES[0]:
                self.samples.add("first_mail", "s", first, 2.0, f"the limit, with {count:,} recipients")
        each = (peaks[1] - peaks[0]) / (AUDIENCES[1] - AUDIENCES[0])
        self.samples.add("memory_per_recipient", "bytes", each, 100, f"the limit of a contact; peak RSS at {AUDIENCES[0]:,} and {AUDIENCES[1]:,} recipients")

    @staticmethod
    def first_decision(world, key, number, started):
        while time.monotonic() - started < 120:
            try:
                status, _, _ = Api(world.port, key, timeout=10).call("POST", "/v1/contacts", {"email": f"after-{number}@example.com"})
                if status in (200, 201):
                    return time.monotonic() - started
            except OSError:
                pass  # it does not listen yet
            check(world.server.alive(), "the server ended\n" + world.server.tail())
            time.sleep(0.005)  # between tries
        raise Failed("no decision within two minutes")


class Closing:
    """Ends a process when the rows are done with it."""

    def __init__(self, process):
        self.process = process

    def close(self):
        if self.process.alive():
            self.process.kill()
