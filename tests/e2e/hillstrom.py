#!/usr/bin/env python3
"""The Hillstrom e-mail experiment through the real program: the demo, and the end-to-end test of the whole road.

Imports the customers of the file, sends one campaign with two mailed arms and a holdout to a real SMTP server on loopback, kills the server
twice with SIGKILL on the way, settles what was in doubt, feeds visits, conversions and spend back, and compares the report with the file.
Writes build/demo/report.json; exits 1 if one number is off.
"""
import argparse
import concurrent.futures
import csv
import hashlib
import io
import json
import lzma
import os
import re
import shutil
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import public_topics  # noqa: E402
from program import AT_ONCE, Api, Failed, Kafka, Postgres, ROOT, World, check, quote, wait_for  # noqa: E402

DATA = os.path.join(ROOT, "tests/data/hillstrom_email_2008.csv.xz")
DIGEST = "0e5893329d8b93cefecc571777672028290ab69865718020c78c7284f291aece"
ATTRIBUTES = [("recency", "integer"), ("history_segment", "text"), ("history", "number"), ("mens", "integer"), ("womens", "integer"),
              ("zip_code", "text"), ("newbie", "integer"), ("channel", "text"), ("segment", "text")]
FIRST_NAMES = ["Ada", "Ben", "Clara", "David", "Elif", "Femi", "Grace", "Hugo", "Ines", "Jonas", "Kira", "Liam", "Mona", "Noor", "Olga", "Pavel"]
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
HTML = """<html><body><p>Hello {{ contact.first_name }},</p>
<p>the new collection is here: <a href="https://shop.example.com/new?from=mail&amp;season=spring">have a look</a>.</p>
<p>{{ company }}, {{ postal_address }}<br><a href="{{ unsubscribe_url }}">Unsubscribe</a></p></body></html>"""
TEXT = """Hello {{ contact.first_name }},

the new collection is here: https://shop.example.com/new?from=mail&season=spring

{{ company }}, {{ postal_address }}
Unsubscribe: {{ unsubscribe_url }}
"""


FINISHED = set()


def say(text):
    print(text, flush=True)


def bar(label, done, total, started):
    rate = done / max(time.monotonic() - started, 0.001)
    if sys.stdout.isatty():
        filled = int(30 * done / max(total, 1))
        print(f"\r  {label} [{'#' * filled}{'.' * (30 - filled)}] {done:,}/{total:,} {rate:,.0f}/s ", end="" if done < total else "\n", flush=True)
    elif done >= total and label not in FINISHED:
        FINISHED.add(label)  # once: the caller may poll on
        say(f"  {label} {done:,} in {time.monotonic() - started:.1f} s")


def load(limit):
    with lzma.open(DATA, "rb") as file:
        raw = file.read()
    check(hashlib.sha256(raw).hexdigest() == DIGEST, f"{DATA} is not the published file")
    rows = list(csv.DictReader(io.StringIO(raw.decode("ascii"))))
    for number, row in enumerate(rows, 1):
        row["email"] = f"c{number:06d}@example.com"
        row["first_name"] = FIRST_NAMES[number % len(FIRST_NAMES)]
        row["cents"] = round(float(row["spend"]) * 100)
    return rows[:limit]


def expected_arms(rows):
    names = {"Mens E-Mail": "Mens E-Mail", "Womens E-Mail": "Womens E-Mail", "No E-Mail": "holdout"}
    arms = {name: {"recipients": 0, "visits": 0, "conversions": 0, "spend_cents": 0} for name in names.values()}
    for row in rows:
        arm = arms[names[row["segment"]]]
        arm["recipients"] += 1
        arm["visits"] += int(row["visit"])
        arm["conversions"] += int(row["conversion"])
        arm["spend_cents"] += row["cents"]
    return arms


class Demo:
    def __init__(self, arguments):
        self.rows = load(arguments.contacts)
        self.postgres = Postgres("demo") if arguments.db == "postgres" else None
        if self.postgres and self.postgres.missing:
            say("skipped: PostgreSQL is not installed (scripts/setup.sh --postgres)")
            sys.exit(77)
        self.world = World(arguments.maily, "demo", keep=True, settings={"db": self.postgres.url_under_roles()} if self.postgres else None)
        self.kafka = None
        if arguments.log == "kafka":
            say("0. a Kafka broker on loopback, and the topics of the log")
            self.kafka = Kafka(self.world.maily, self.world.base)
            if self.kafka.missing:
                say(f"skipped: no Kafka here: {self.kafka.missing}")
                sys.exit(77)
            self.world.settings["log"] = self.kafka.address
        self.by_email = {row["email"]: row for row in self.rows}
        self.kills = 0
        self.resolved = 0
        self.errors = []
        self.report = {}

    def compare(self, what, found, wanted):
        if found != wanted:
            self.errors.append(f"{what}: {found}, expected {wanted}")
            say(f"  !! {what}: {found}, expected {wanted}")

    def counts(self):
        return self.world.sink_api().ok("GET", "/counts")

    def fresh(self, api, path, token):
        joined = "&" if "?" in path else "?"
        status, answer, headers = api.call("GET", f"{path}{joined}min={quote(token)}&wait_ms=60000")
        check(status == 200 and headers.get("maily-applied") == "true", f"GET {path}: {status} {headers} {answer}")
        return answer

    # 1-2
    def start_and_import(self):
        say("1. maily sink and maily serve (sandbox) on loopback")
        self.world.start_sink()
        self.world.start_server()
        self.api = self.world.api()
        say(f"2. import of {len(self.rows):,} contacts over HTTP")
        api = self.api
        api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Example Shop", "postal_address": "1 Main Street, Springfield"})
        for name, kind in ATTRIBUTES:
            api.ok("POST", "/v1/attributes", {"name": name, "type": kind, "personal": False})
        api.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True})
        self.list_id = api.ok("POST", "/v1/lists", {"name": "customers"})["id"]
        path = os.path.join(self.world.base, "contacts.csv")
        with open(path, "w", newline="", encoding="utf-8") as file:
            columns = ["email", "first_name"] + [name for name, _ in ATTRIBUTES]
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
        started = time.monotonic()
        _, out, _ = self.world.cli("import", path, "--list", "customers", "--output", "json")
        done = json.loads(out)
        say(f"  {done['rows']:,} rows in {time.monotonic() - started:.1f} s: {done['created']:,} created, {done['rejected']} rejected")
        self.compare("contacts created", done["created"], len(self.rows))
        listed = self.fresh(api, f"/v1/lists/{self.list_id}", done["token"])
        self.compare("members of the list", listed["members"], len(self.rows))
        self.report["contacts_imported"] = listed["members"]

    # 3-5, 8
    def send(self):
        say("3. template with placeholders, a tracked link, an open pixel, one-click unsubscribe")
        api = self.api
        template = api.ok("POST", "/v1/templates", {"name": "spring", "subject": "{{ contact.first_name }}, the new collection", "html": HTML, "text": TEXT})
        self.template_id = template["id"]
        say("4. campaign with two mailed arms and a holdout, as the file assigns them")
        arms = [{"name": "Mens E-Mail", "where": {"attribute": "segment", "value": "Mens E-Mail"}},
                {"name": "Womens E-Mail", "where": {"attribute": "segment", "value": "Womens E-Mail"}},
                {"name": "holdout", "where": {"attribute": "segment", "value": "No E-Mail"}, "holdout": True}]
        self.campaign = api.ok("POST", "/v1/campaigns", {"name": "spring", "template_id": self.template_id, "list_id": self.list_id,
                                                        "from": "Example Shop <news@shop.example.com>", "arms": arms})["id"]
        api.ok("POST", f"/v1/campaigns/{self.campaign}:launch")
        wanted = sum(1 for row in self.rows if row["segment"] != "No E-Mail")
        say(f"5. {wanted:,} mails to the sink; kill -9 at about 25 % and 60 %")
        started = time.monotonic()
        for part in (0.25, 0.60):
            self.until(lambda: self.counts()["mails"] >= part * wanted, started, wanted)
            self.world.server.kill()
            self.kills += 1
            say(f"  kill -9 at {self.counts()['mails']:,} mails; starting again")
            api.close()
            self.world.start_server()
        self.settle(self.campaign, started, wanted)

    def until(self, test, started, wanted, label="mails", before=0, seconds=300):
        end = time.monotonic() + seconds
        while not test():
            check(time.monotonic() < end, f"not within {seconds} s: {self.counts()} {self.status()}\n{self.world.server.tail()}")
            check(self.world.server.alive(), "the server ended\n" + self.world.server.tail())
            bar(label, min(self.counts()["mails"] - before, wanted - 1), wanted, started)
            time.sleep(0.02)  # between polls of the sink

    def status(self, campaign=None):
        return self.api.ok("GET", f"/v1/campaigns/{campaign or self.campaign}")

    def settle(self, campaign, started, wanted, label="mails", before=0):
        def settled():
            counts = self.status(campaign)["counts"]
            return counts["pending"] == 0 and counts["audience"] > 0
        self.until(settled, started, wanted, label, before)
        self.settle_unknown(campaign)
        self.until(lambda: settled() and self.status(campaign)["counts"]["unknown"] == 0 and self.status(campaign)["status"] == "completed",
                   started, wanted, label, before)
        bar(label, wanted, wanted, started)

    def settle_unknown(self, campaign):
        unknown = self.api.ok("GET", f"/v1/sends/unknown?campaign_id={campaign}&page_size=1000")["items"]
        if not unknown:
            return
        say(f"  {len(unknown)} sends in doubt (their reply was lost): settled from the sink's own list")
        received = os.path.join(self.world.base, "received.csv")
        _, data, _ = self.world.sink_api().call("GET", "/received?format=csv", raw=True)
        with open(received, "wb") as file:
            file.write(data)
        _, out, _ = self.world.cli("sends", "unknown", "resolve", "--received", received, "--why", "compared with the sink's list", "--output", "json", "--yes")
        done = json.loads(out)
        self.resolved += done["delivered"] + done["resent"]
        say(f"  {done['delivered']} had arrived, {done['resent']} sent once more")

    def received(self):
        """Recipient -> numbers of its mails, from the sink's list."""
        _, data, _ = self.world.sink_api().call("GET", "/received?format=csv", raw=True)
        found = {}
        for number, row in enumerate(csv.DictReader(io.StringIO(data.decode())), 1):
            found.setdefault(row["recipient"], []).append(int(row.get("number") or number))
        return found

    def check_delivery(self):
        self.mails = self.received()
        total = sum(len(numbers) for numbers in self.mails.values())
        mailed = {row["email"] for row in self.rows if row["segment"] != "No E-Mail"}
        self.report.update(mails_received=total, recipients_distinct=len(self.mails), holdout_received=len(set(self.mails) - mailed))
        self.compare("mails received", total, len(mailed))
        self.compare("distinct recipients", len(self.mails), len(mailed))
        self.compare("holdout received", self.report["holdout_received"], 0)

    def links(self, email):
        _, data, _ = self.sink.call("GET", f"/messages/{self.mails[email][0]}?format=raw", raw=True)
        text = data.decode(errors="replace")
        import email as mail_parser
        message = mail_parser.message_from_bytes(data)
        body = message.get_payload(0).get_payload(decode=True).decode()
        click = re.search(r"https?://\S+/c/[\w-]+", body)
        unsubscribe = re.search(r"<(https?://[^>]+/u/[^>]+)>", re.sub(r"\r\n[ \t]+", " ", text))
        check(click and unsubscribe, f"a mail without its links:\n{text[:2000]}")
        path = lambda url: "/" + url.split("/", 3)[3]  # noqa: E731
        return path(click.group(0)), path(unsubscribe.group(1))

    # 6
    def feed_back(self):
        say("6. visits by real clicks on the mails' links; holdout visits, conversions and spend as events")
        self.sink = self.world.sink_api()
        visitors = [row for row in self.rows if row["visit"] == "1"]
        clicks = [row for row in visitors if row["segment"] != "No E-Mail"]
        reader = Api(self.world.port)
        started = time.monotonic()
        wait_for("nobody is taken for a scanner", lambda: time.monotonic() > started + AT_ONCE, 10)
        for number, row in enumerate(clicks, 1):
            click, _ = self.links(row["email"])
            status, _, headers = reader.call("GET", click, headers={"User-Agent": BROWSER}, raw=True)
            check(status == 302 and headers["location"] == "https://shop.example.com/new?from=mail&season=spring", f"click: {status} {headers}")
            if number % 200 == 0 or number == len(clicks):
                bar("clicks", number, len(clicks), started)
        events = [{"id": f"visit-{row['email']}", "type": "visit", "contact": {"email": row["email"]}} for row in visitors if row["segment"] == "No E-Mail"]
        events += [{"id": f"conversion-{row['email']}", "type": "conversion", "contact": {"email": row["email"]}, "revenue_cents": row["cents"],
                    "currency": "USD"} for row in self.rows if row["conversion"] == "1"]
        token = None
        for start in range(0, len(events), 500):
            status, answer, headers = self.api.call("POST", "/v1/events:batch", {"events": events[start:start + 500]})
            verdicts = [verdict["verdict"] for verdict in answer["events"]] if status == 202 else []
            check(verdicts and all(verdict == "accepted" for verdict in verdicts), f"events: {status} {str(answer)[:500]}")
            token = headers["maily-consistency-token"]
        say(f"  {len(clicks):,} clicks, {len(events):,} events")
        self.token = token

    # 7
    def check_report(self):
        say("7. the campaign's report")
        wanted = expected_arms(self.rows)

        def arms():
            found = self.api.ok("GET", f"/v1/campaigns/{self.campaign}/report")["arms"]
            return {arm["name"]: {"recipients": arm["recipients"], "visits": arm["visits"], "conversions": arm["conversions"],
                                  "spend_cents": arm["revenue_cents"]} for arm in found}
        end = time.monotonic() + 20
        while arms() != wanted and time.monotonic() < end:
            time.sleep(0.05)  # clicks are durable when answered, and in the view a moment later
        found = arms()
        self.compare("report", found, wanted)
        self.report["arms"] = [{"name": name, **found[name]} for name in ("Womens E-Mail", "Mens E-Mail", "holdout") if name in found]
        say(f"  {'arm':<15}{'recipients':>12}{'visits':>9}{'conversions':>13}{'spend':>13}")
        for arm in self.report["arms"]:
            say(f"  {arm['name']:<15}{arm['recipients']:>12,}{arm['visits']:>9,}{arm['conversions']:>13,}{arm['spend_cents'] / 100:>13,.2f}")

    # 9
    def second_campaign(self):
        say("9. a second campaign to the first 1,000 of the mailed arms: 100 opted out by one click, 100 were suppressed")
        mailed = [row["email"] for row in self.rows if row["segment"] != "No E-Mail"][:1000]
        tenth = len(mailed) // 10
        reader = Api(self.world.port)
        for email in mailed[:tenth]:
            _, unsubscribe = self.links(email)
            status, _, _ = reader.call("POST", unsubscribe, "List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"}, raw=True)
            check(status == 200, f"one-click: {status}")
        for email in mailed[tenth:2 * tenth]:
            self.api.ok("POST", "/v1/suppressions", {"email": email, "reason": "manual"})
        self.api.ok("POST", "/v1/lists", {"name": "second"})
        path = os.path.join(self.world.base, "second.csv")
        with open(path, "w", encoding="ascii") as file:
            file.write("email\n" + "\n".join(mailed) + "\n")
        _, out, _ = self.world.cli("import", path, "--list", "second", "--output", "json")
        token = json.loads(out)["token"]
        lists = self.fresh(self.api, "/v1/lists", token)["items"]
        second = next(item["id"] for item in lists if item["name"] == "second")
        before = self.counts()["mails"]
        campaign = self.api.ok("POST", "/v1/campaigns", {"name": "second", "template_id": self.template_id, "list_id": second,
                                                        "from": "news@shop.example.com"})["id"]
        self.api.ok("POST", f"/v1/campaigns/{campaign}:launch")
        self.settle(campaign, time.monotonic(), len(mailed) - 2 * tenth, "mails of the second campaign", before)
        self.compare("mails of the second campaign", self.counts()["mails"] - before, len(mailed) - 2 * tenth)
        skips = {}
        for which in (self.campaign, campaign):
            for skip in self.api.ok("GET", f"/v1/campaigns/{which}/skips")["items"]:
                skips[skip["reason"]] = skips.get(skip["reason"], 0) + skip["count"]
        wanted = {"holdout": sum(1 for row in self.rows if row["segment"] == "No E-Mail"), "unsubscribed": tenth, "suppressed": tenth}
        self.compare("reasons for not sending", skips, wanted)
        self.report["skips"] = skips
        sample = self.api.ok("GET", f"/v1/campaigns/{campaign}/sends?status=skipped&reason=unsubscribed&page_size=1")["items"][0]
        say(f"  why not: contact {sample['contact_id']} was {sample['status']}: {sample['reason']}; {skips}")

    # 10
    def rebuild(self):
        say("10. read models deleted and rebuilt from the journal")
        digests = {group["name"]: group["digest"] for group in self.digests()}
        mails = self.counts()["mails"]
        code = self.world.server.stop()
        self.compare("exit code after SIGTERM", code, 0)
        self.delete_read_models()
        self.world.start_server()
        self.api.close()
        again = {group["name"]: group["digest"] for group in self.digests()}
        self.report["digests_equal_after_rebuild"] = digests == again and bool(digests)
        self.compare("digests after the rebuild", again, digests)
        self.report["mails_received_after_rebuild"] = self.report["mails_received"] + (self.counts()["mails"] - mails)
        self.compare("mails received during the rebuild", self.counts()["mails"] - mails, 0)
        if self.postgres:
            self.compare_analysts()
        say(f"  {len(digests)} digests, equal: {self.report['digests_equal_after_rebuild']}; the sink's count has not moved")

    def compare_analysts(self):
        """An analyst has the numbers of his tenant in SQL, and no other's."""
        self.postgres.run("INSERT INTO maily.analysts VALUES ('ann', 1), ('ben', 2)")
        asked = f"SELECT count(*) FROM analytics.sends WHERE campaign_id = {self.campaign}"
        self.compare("sends that the tenant's analyst sees", int(self.postgres.run(asked, "ann")[0]), len(self.rows))
        self.compare("sends that another's analyst sees", int(self.postgres.run(asked, "ben")[0]), 0)

    def delete_read_models(self):
        if self.postgres is None:
            shutil.rmtree(os.path.join(self.world.data, "views"))
            return
        check(not os.path.exists(os.path.join(self.world.data, "views")), "read models stand in the data directory too")
        for name in self.postgres.run("SELECT name FROM maily.databases"):
            self.postgres.run(f'DROP SCHEMA "{name}" CASCADE')
        self.postgres.run("DELETE FROM maily.databases; DELETE FROM maily.live")

    def digests(self):
        _, out, _ = self.world.cli("projection", "verify", "--output", "json")
        return json.loads(out)["groups"]

    # 11
    def public_topics(self):
        say("11. the public topics, as kcat reads them")
        records = public_topics.compare(self.world.maily, self.api, self.kafka.address.removeprefix("kafka://"), say)
        if records is None:
            return
        sends, contacts, engagements = records["sends"], records["contacts"], records["engagements"]
        resolved = sum(1 for record in sends if record["headers"]["ce_type"].endswith(".UnknownResolved") and record["data"].get("delivered"))
        mails = sum(len(numbers) for numbers in self.received().values())
        clicks = sum(1 for row in self.rows if row["visit"] == "1" and row["segment"] != "No E-Mail")
        self.compare("delivered, as published", public_topics.count(sends, "AttemptDelivered") + resolved, mails)
        created = [record["data"] for record in contacts if record["headers"]["ce_type"].startswith("maily.contacts.")]  # suppressions stand beside
        self.compare("contacts, as published", sorted(data["address"] for data in created if "address" in data),
                     sorted(row["email"] for row in self.rows))
        self.compare("clicks, as published", public_topics.count(engagements, "Clicked"), clicks)
        self.compare("campaigns completed, as published", public_topics.count(records["campaigns"], "CampaignCompleted"), 2)
        others = [record for topic in ("campaigns", "sends", "engagements") for record in records[topic]]
        for record in others:
            record["data"].pop("event_id", None)  # the demo's own ids hold the address
        self.compare("records with an address outside of contacts", sum(1 for record in others if "@example.com" in json.dumps(record["data"])), 0)
        self.report["published"] = {topic: len(records[topic]) for topic in records}

    def run(self):
        started = time.monotonic()
        self.start_and_import()
        self.send()
        self.check_delivery()
        self.feed_back()
        self.check_report()
        self.second_campaign()
        self.rebuild()
        if self.kafka:
            self.public_topics()
        self.report.update(kills=self.kills, unknown_resolved=self.resolved, seconds=round(time.monotonic() - started, 1), errors=self.errors)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"), help="the program")
    parser.add_argument("--contacts", type=int, default=64000, help="only the first N of the file, for a short run")
    parser.add_argument("--db", choices=["sqlite", "postgres"], default="sqlite", help="where the read models are; postgres: a server of its own")
    parser.add_argument("--once", action="store_true", help="stop the servers at the end")
    parser.add_argument("--log", choices=("rocks", "kafka"), default="rocks", help="where the log is; kafka starts a broker")
    arguments = parser.parse_args()
    try:
        demo = Demo(arguments)
    except Failed as error:
        say(f"FAILED: {error}")
        sys.exit(1)
    try:
        demo.run()
        with open(os.path.join(demo.world.base, "report.json"), "w", encoding="utf-8") as file:
            json.dump(demo.report, file, indent=2)
        say(f"report: build/demo/report.json ({demo.report['seconds']} s)")
        if not arguments.once and not demo.errors:
            say(f"API: http://127.0.0.1:{demo.world.port}/  docs: /api/docs  key: build/demo/data/admin.key\n"
                f"mails: http://127.0.0.1:{demo.world.sink_port}/\nCtrl-C stops both.")
            try:
                while demo.world.server.alive():
                    time.sleep(0.5)
            except KeyboardInterrupt:
                pass
        demo.world.server.stop()
        demo.world.sink.stop()
    except Failed as error:
        say(f"FAILED: {error}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        demo.world.close()
        if demo.postgres:
            demo.postgres.stop()
        if demo.kafka:
            demo.kafka.close()
    if demo.errors:
        say("FAILED: " + "; ".join(demo.errors)[:2000])
        sys.exit(1)
    say("all numbers are exact")


if __name__ == "__main__":
    main()
