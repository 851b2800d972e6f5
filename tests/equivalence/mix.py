"""The mix: one stream of external commands, the same for every site: fixed requests, fixed idempotency keys, a seed.

What a step does to whom depends on the seed and on states that are waited for, never on time: so its outcome is the same wherever it is
run and whoever is killed. See docs/equivalence.md.
"""
import csv
import email as mail_parser
import json
import lzma
import os
import random
import re
import subprocess
import threading
import time

from sites import AT_ONCE, GONE, LATER, REFUSED, Api, ROOT, await_true, check, say

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
PICTURES = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
HTML = """<html><body><p>Hello {{ contact.first_name }} of {{ contact.segment }},</p><p><a href="https://shop.example.com/new?season=spring">have a look</a>.</p>
<p>{{ company }}, {{ postal_address }}<br><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>"""
TEXT = "Hello {{ contact.first_name }},\n\nhttps://shop.example.com/new?season=spring\n\n{{ company }}, {{ postal_address }}\n{{ unsubscribe_url }}\n"
ATTRIBUTES = [("segment", "text"), ("recency", "integer"), ("history", "number"), ("newbie", "integer"), ("bio", "text")]
LONG = 16_000      # bytes of a biography with which the template of the second campaign is larger than a mail may be
BIOGRAPHIES = 70   # times that it shows the biography


KILLS = ("import", "paused", "sending", "deferred", "second")


class Person:
    """A row of the Hillstrom file, with an address and fates by the seed."""

    def __init__(self, number, row, chance, deferrals):
        self.number, self.row = number, row
        roll = chance.random()
        domain = GONE if roll < 0.03 else REFUSED if roll < 0.05 else LATER if roll < 0.11 and deferrals else "example.com"
        self.email = f"p{number:05d}@{domain}"
        self.good = domain == "example.com"
        self.later = domain == LATER
        self.first_name = chance.choice(["Ada", "Ben", "Clara", "David", "Elif", "Femi"])
        self.long = chance.random() < 0.01
        fate = chance.random()
        self.opts_out = self.good and fate < 0.06
        self.suppressed = 0.06 <= fate < 0.10
        self.opens, self.clicks, self.buys = chance.random() < 0.2, chance.random() < 0.15, chance.random() < 0.04
        self.mailed = row["segment"] != "No E-Mail"


def people(count, seed, deferrals):
    with lzma.open(os.path.join(ROOT, "tests/data/hillstrom_email_2008.csv.xz"), "rt", encoding="ascii") as file:
        rows = list(csv.DictReader(file))
    chance = random.Random(seed)
    return [Person(number, row, chance, deferrals) for number, row in enumerate(chance.sample(rows, count), 1)]


class Mix:
    """`deferrals`: some mail is deferred, which takes two minutes: of one campaign it is cancelled, of another one tried again. `kills`:
    where a process gets kill -9."""

    def __init__(self, site, count, seed, deferrals=False, kills=KILLS, poison=None):
        self.site, self.deferrals, self.kills, self.poison = site, deferrals, kills, poison
        self.people = people(count, seed, deferrals)
        self.campaigns = {}
        self.answers = []  # (step, status, code) of what has to be refused

    def run(self):
        self.set_up()
        self.import_people()
        self.refusals()
        self.first_campaign()
        self.engage()
        if self.deferrals:
            self.deferred_campaign()
        self.second_campaign()
        self.await_views()

    def kill(self, where):
        if where in self.kills:
            self.site.kill()

    # Steps.

    def set_up(self):
        site = self.site
        site.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Example Shop", "postal_address": "1 Main Street",
                                        "safety": {"hard_bounces_bp": 10000, "policy_bp": 10000}}, "settings")  # when a stop comes is a matter of time
        for name, kind in ATTRIBUTES:
            site.ok("POST", "/v1/attributes", {"name": name, "type": kind, "personal": False}, f"attribute-{name}")
        site.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True}, "attribute-first_name")
        self.lists = {name: site.ok("POST", "/v1/lists", {"name": name}, f"list-{name}")["id"] for name in ("customers", "later", "newcomers")}
        bios = "".join("<p>{{ contact.bio }}</p>" for _ in range(BIOGRAPHIES))
        self.templates = {name: site.ok("POST", "/v1/templates", {"name": name, "subject": f"{{{{ contact.first_name }}}}, {name}", "html": html,
                                                                  "text": TEXT}, f"template-{name}")["id"]
                          for name, html in (("spring", HTML), ("long", HTML.replace("<p>{{ company", bios + "<p>{{ company")))}

    def import_file(self, name, rows, kill=False):
        """Rows and, between them, ones that are refused. Posted again until it completes; a kill comes while it is on its way."""
        path = os.path.join(self.site.base, f"{name}.csv")
        columns = ["email", "first_name"] + [attribute for attribute, _ in ATTRIBUTES]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for number, person in enumerate(rows):
                row = person.row
                fields = [person.email, person.first_name, row["segment"], row["recency"], row["history"], row["newbie"],
                          "b" * LONG if person.long else "short"]
                writer.writerow(fields)
                if number % 50 == 7:
                    writer.writerow(["not an address", *fields[1:]])
                    writer.writerow([f"bad{number}@example.com", "Bad", "x", "many", "1", "0", ""])
                    writer.writerow([person.email.upper(), *fields[1:]])  # a repetition
        if kill and "import" in self.kills:
            running = threading.Thread(target=self.site.cli, args=("import", path, "--list", name, "--output", "json"), kwargs={"code": None})
            running.start()
            self.wait("rows of the import", lambda: self.contacts() > 0 or not running.is_alive())
            self.kill("import")
            running.join()
        for attempt in range(10):
            code, out = self.site.cli("import", path, "--list", name, "--output", "json", code=None)
            if code == 0:
                return json.loads(out)
            check(attempt < 9, f"{self.site.name}: import {name}: exit {code}: {out[-2000:]}")
            time.sleep(1)  # until another process has taken over
        return None

    def contacts(self):
        try:
            return len(self.site.api().ok("GET", "/v1/contacts?page_size=1")["items"])
        except OSError:
            self.site.api().close()
            return 0

    def import_people(self):
        done = self.import_file("customers", self.people, kill=True)
        check(done["rejected"] > 0 and done["duplicate"] > 0, f"bad rows and repetitions: {done}")
        if self.deferrals:
            self.import_file("later", [person for person in self.people if person.later])

    def refusals(self):
        """Invalid commands; what is answered is part of the outcome."""
        site, one = self.site, self.people[0].email
        draft = site.ok("POST", "/v1/campaigns", {"name": "draft", "template_id": self.templates["spring"], "list_id": self.lists["customers"],
                                                  "from": "news@shop.example.com"}, "campaign-draft")["id"]
        for step, method, path, body, key in (
                ("no address", "POST", "/v1/contacts", {"email": "nobody"}, "bad-1"),
                ("wrong type", "POST", "/v1/contacts", {"email": one, "attributes": {"recency": "x"}}, "bad-2"),
                ("unknown attribute", "POST", "/v1/contacts", {"email": one, "attributes": {"shoe": 5}}, "bad-3"),
                ("unknown list", "POST", "/v1/contacts", {"email": one, "lists": [999]}, "bad-4"),
                ("key reused", "POST", "/v1/lists", {"name": "another"}, "list-later"),
                ("list name taken", "POST", "/v1/lists", {"name": "customers"}, "bad-5"),
                ("unknown placeholder", "POST", "/v1/templates", {"name": "bad", "subject": "s", "html": HTML.replace("segment", "shoe"), "text": TEXT}, "bad-6"),
                ("pause of a draft", "POST", f"/v1/campaigns/{draft}:pause", None, "bad-7"),
                ("launch of nothing", "POST", "/v1/campaigns/99999:launch", None, "bad-8"),
                ("unknown event", "POST", "/v1/events", {"id": "e", "type": "visit", "contact": {"email": "nobody@example.com"}}, None)):
            status, answer, _ = site.ask(method, path, body, key)
            self.answers.append((step, status, answer.get("code", "") if isinstance(answer, dict) else ""))
        if self.poison:
            self.poison()

    def launch(self, name, template, to, arms=None):
        body = {"name": name, "template_id": self.templates[template], "list_id": self.lists[to], "from": "Example Shop <news@shop.example.com>"}
        if arms:
            body["arms"] = arms
        self.campaigns[name] = self.site.ok("POST", "/v1/campaigns", body, f"campaign-{name}")["id"]
        self.site.ok("POST", f"/v1/campaigns/{self.campaigns[name]}:launch", None, f"launch-{name}")

    def status(self, name):
        return self.site.ok("GET", f"/v1/campaigns/{self.campaigns[name]}")

    def wait(self, what, test, seconds=240):
        await_true(f"{self.site.name}: {what}", test, seconds)

    def settle(self, name):
        """Until the campaign is complete; what nobody knows of is settled from the sink's list."""
        path = f"/v1/sends/unknown?campaign_id={self.campaigns[name]}&page_size=1000"

        def complete():
            counts = self.status(name)["counts"]
            if counts["pending"] > 0 or counts["audience"] == 0:
                return False
            if self.site.ok("GET", path)["items"]:
                self.resolve()
                return False
            return self.status(name)["status"] in ("completed", "cancelled")
        self.wait(f"campaign {name} complete", complete)

    def resolve(self):
        received = os.path.join(self.site.base, "received.csv")
        _, data, _ = Api(self.site.sink_port).call("GET", "/received?format=csv", raw=True)
        with open(received, "wb") as file:
            file.write(data)
        code, out = self.site.cli("sends", "unknown", "resolve", "--received", received, "--why", "by the sink's list", "--output", "json", "--yes", code=None)
        if code == 0:
            done = json.loads(out)
            self.site.resolved += done["delivered"] + done["resent"]

    def first_campaign(self):
        """Three arms; paused on the way, a kill while it is paused and one after; newcomers are imported meanwhile."""
        site = self.site
        arms = [{"name": name, "where": {"attribute": "segment", "value": name}} for name in ("Mens E-Mail", "Womens E-Mail")]
        arms.append({"name": "holdout", "where": {"attribute": "segment", "value": "No E-Mail"}, "holdout": True})
        self.launch("spring", "spring", "customers", arms)
        expected = sum(1 for person in self.people if person.mailed and person.good)
        self.wait("a quarter of the mails", lambda: site.mails() >= expected / 4)
        site.ok("POST", f"/v1/campaigns/{self.campaigns['spring']}:pause", None, "pause-spring")
        self.wait("paused everywhere", lambda: self.paused("spring"))
        self.kill("paused")
        newcomers = [Person(len(self.people) + number, self.people[number].row, random.Random(number), False) for number in range(1, 21)]
        self.import_file("newcomers", newcomers)
        self.everyone = self.people + newcomers
        site.ok("POST", f"/v1/campaigns/{self.campaigns['spring']}:resume", None, "resume-spring")
        self.wait("two thirds of the mails", lambda: site.mails() >= expected * 2 / 3)
        self.kill("sending")
        if self.deferrals:
            self.wait("everyone but the deferred settled", lambda: self.only_deferred_are_left("spring"))
            site.ok("POST", f"/v1/campaigns/{self.campaigns['spring']}:cancel", None, "cancel-spring")
        self.settle("spring")
        site.heal()

    def paused(self, name):
        campaign = self.status(name)
        return campaign["status"] == "paused" and campaign["partitions_paused"] == campaign["partitions"]

    def only_deferred_are_left(self, name):
        waiting = sum(1 for person in self.people if person.later and person.mailed)
        campaign = self.status(name)
        if campaign["counts"]["unknown"] > 0:
            self.resolve()
            return False
        return campaign["counts"]["pending"] == waiting and len(self.site.pages(f"/v1/campaigns/{self.campaigns[name]}/sends?status=waiting")) == waiting

    def received(self):
        """Recipient of each mail that the sink took."""
        _, data, _ = Api(self.site.sink_port).call("GET", "/received?format=csv", raw=True)
        return [row["recipient"] for row in csv.DictReader(data.decode().splitlines())]

    def links(self):
        """Address -> paths to click, open, unsubscribe, of its first mail."""
        sink = Api(self.site.sink_port)
        _, data, _ = sink.call("GET", "/received?format=csv", raw=True)
        found = {}
        for row in csv.DictReader(data.decode().splitlines()):
            if row["recipient"] in found:
                continue
            _, mail, _ = sink.call("GET", f"/messages/{row['number']}?format=raw", raw=True)
            message = mail_parser.message_from_bytes(mail)
            parts = [part.get_payload(decode=True).decode() for part in message.walk() if not part.is_multipart()]
            path = [re.search(pattern, part) for pattern, part in ((r"https?://[^/]+(/c/[\w-]+)", parts[0]), (r"https?://[^/]+(/o/[\w-]+\.gif)", parts[1]),
                                                                   (r"<https?://[^/]+(/u/[^>]+)>", re.sub(r"\s", "", message["List-Unsubscribe"])))]
            found[row["recipient"]] = [match.group(1) for match in path]
        return found

    def engage(self):
        """Opens, clicks and one-click unsubscribes of who got mail; purchases, suppressions and one that is lifted."""
        site, links = self.site, self.links()
        got = [person for person in self.people if person.good and person.mailed]
        check(set(links) == {person.email for person in got}, f"{site.name}: the sink has mail for others than those who were to get it")
        reader = Api(site.api().port)
        handed_over = time.monotonic()
        self.wait("nobody is taken for a scanner", lambda: time.monotonic() > handed_over + AT_ONCE)
        self.expected = {"open": 0, "click": 0, "unsubscribe": 0, "conversion": 0}
        for person in got:
            click, opened, unsubscribe = links[person.email]
            if person.opens:
                status, _, _ = reader.call("GET", opened, headers={"User-Agent": PICTURES}, raw=True)
                check(status == 200, f"open: {status}")
                self.expected["open"] += 1
            if person.clicks:
                status, _, headers = reader.call("GET", click, headers={"User-Agent": BROWSER}, raw=True)
                check(status == 302 and headers["location"] == "https://shop.example.com/new?season=spring", f"click: {status} {headers}")
                self.expected["click"] += 1
            if person.opts_out:
                status, _, _ = reader.call("POST", unsubscribe, "List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"}, raw=True)
                check(status == 200, f"one-click: {status}")
                self.expected["unsubscribe"] += 1
        events = [{"id": f"buy-{person.number}", "type": "conversion", "contact": {"email": person.email}, "revenue_cents": 100 + person.number, "currency": "USD"}
                  for person in self.people if person.buys]
        self.expected["conversion"] = len(events)
        for start in range(0, len(events), 500):
            batch = events[start:start + 500]

            def accepted(batch=batch):
                status, answer, _ = site.ask("POST", "/v1/events:batch", {"events": batch})
                return status == 202 and all(event["verdict"] in ("accepted", "duplicate") for event in answer["events"])
            self.wait("events accepted", accepted)
        for person in self.people:
            if person.suppressed:
                site.ok("POST", "/v1/suppressions", {"email": person.email, "reason": "manual"}, f"suppress-{person.number}")
        lifted = next(person for person in self.people if person.suppressed)
        site.ok("DELETE", f"/v1/suppressions?email={lifted.email}&reason=asked")
        self.suppressed = [person for person in self.people if person.suppressed and person is not lifted]

    def deferred_campaign(self):
        """Everyone is deferred; then some are suppressed, and the rest is tried again a minute later."""
        site = self.site
        self.launch("deferred", "spring", "later")
        audience = len(site.pages(f"/v1/lists/{self.lists['later']}/members"))
        path = f"/v1/campaigns/{self.campaigns['deferred']}/sends?status="
        self.wait("all deferred", lambda: audience > 0 and len(site.pages(path + "waiting")) + len(site.pages(path + "skipped")) == audience)
        for person in self.people:
            if person.later and person.number % 3 == 0 and not person.suppressed:
                site.ok("POST", "/v1/suppressions", {"email": person.email, "reason": "manual"}, f"suppress-{person.number}")
                self.suppressed.append(person)
        self.kill("deferred")
        site.start_sink()  # which takes their mail now
        self.settle("deferred")
        site.heal()

    def second_campaign(self):
        """To everyone, with a template that fails for some; who opted out, bounced or was suppressed gets nothing, and the reason is kept."""
        before = self.site.mails()
        self.launch("second", "long", "customers")
        self.wait("mails of the second campaign", lambda: self.site.mails() > before + len(self.people) / 4)
        self.kill("second")
        self.settle("second")
        self.site.heal()

    def await_views(self):
        for kind, wanted in self.expected.items():
            path = f"/v1/engagements/count?type={kind}"
            self.wait(f"{wanted} of {kind} shown", lambda path=path, wanted=wanted: self.site.ok("GET", path)["count"] >= wanted, 30)
        self.wait("contacts shown", lambda: len(self.site.pages("/v1/contacts")) == len(self.everyone), 30)


def garbage(services, prefix):
    """Records that no parser understands, among the commands of a log on Kafka."""
    for partition in (0, 5, 11):
        done = subprocess.run(["kcat", "-b", services.brokers, "-P", "-t", f"{prefix}.commands", "-p", str(partition), "-D", "\n"],
                              input=f"poison {partition}\nMCMD and nothing more\n", capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, f"kcat: {done.stderr}")
    say(f"  6 records of garbage among the commands of {prefix}")
