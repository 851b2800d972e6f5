#!/usr/bin/env python3
"""The walking skeleton as its users expect it, line by line (A1 to A17), against the real program and a real SMTP server on loopback.

Each line is one method; what does not hold is printed with the line's name, and the rest goes on; then the test fails.
"""
import base64
import collections
import csv
import email
import email.policy
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import threading
import time
import urllib.parse

from program import AT_ONCE, Api, Failed, check, free_port, quote, run_test, wait_for

BASE_URL = "https://t.example.com"
TARGET = "https://shop.example.com/new?from=mail&season=spring#top%20of"
HTML = f"""<html><body><p>Hello {{{{ contact.first_name }}}}, {{{{ contact.score }}}} {{{{ contact.vip }}}} {{{{ contact.age }}}}</p>
<p><a href="{TARGET.replace('&', '&amp;')}">have a look</a> {{{{ company }}}}, {{{{ postal_address }}}}
<a href="{{{{ unsubscribe_url }}}}">Unsubscribe</a></p>{'<!-- long -->' * 200}</body></html>"""
TEXT = f"""Hello {{{{ contact.first_name }}}},
.
{TARGET}
{{{{ company }}}} {{{{ postal_address }}}} {{{{ unsubscribe_url }}}}
{'x' * 3000}
"""
FIVE = ["Ann@example.com,Zoë <& Co>,1.50,true,31", "bob@example.com,Bob,3,false,32", "cid@bücher.example,Cid,,true,", "dan@example.com,,1e3,,",
        "eve@hard.test,\"Eve, \"\"E\"\"\",-0.25,false,35"]
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
TRACE = "0af7651916cd43dd8448eb211c80319c"  # of every launch
SETTLED = ("delivered", "skipped", "bounced", "expired", "unknown")


class Skeleton:
    def __init__(self, world):
        self.world = world
        self.many = 6000  # recipients of the larger campaign
        self.misses = []

    def run(self):
        for line in ("A2", "A1", "A3", "A12", "A13", "A4", "A17", "A5", "A9", "A6", "A7", "A8", "A15", "A14", "A16", "A11", "A10"):
            started = time.monotonic()
            try:
                getattr(self, line)()
                print(f"{line} holds ({time.monotonic() - started:.1f} s)", flush=True)
            except (Failed, KeyError, IndexError, AttributeError, TypeError, OSError) as error:
                self.misses.append(line)
                print(f"{line} DOES NOT HOLD: {type(error).__name__} {str(error)[:1500]}", flush=True)
        return self.misses

    # --- what the lines share
    def restart(self, remove=()):
        for folder in remove:
            shutil.rmtree(os.path.join(self.world.data, folder))
        self.world.start_server()
        self.api.close()

    def write(self, path, body=None, headers=None):
        """POSTs, and waits until reads show it."""
        status, answer, headers = self.api.call("POST", path, body, headers)
        check(status in (200, 201), f"POST {path}: {status} {answer}")
        self.api.ok("GET", f"/v1/campaigns?min={quote(headers['maily-consistency-token'])}&wait_ms=20000&strict=true")
        return answer

    def campaign(self, name, list_id, **more):
        return self.write("/v1/campaigns", {"name": name, "template_id": self.template, "list_id": list_id,
                                            "from": "Müller & Söhne <news@shop.example.com>", **more})["id"]

    def launch(self, campaign):
        answer = self.write(f"/v1/campaigns/{campaign}:launch", headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"})
        check(answer["status"] == "running", f"launch: {answer}")

    def counts(self, campaign, api=None):
        """Read once; planned must be the sum of what became of it."""
        shown = (api or self.api).ok("GET", f"/v1/campaigns/{campaign}")
        counts = shown["counts"]
        check(counts["planned"] == counts["pending"] + sum(counts[one] for one in SETTLED) and min(counts.values()) >= 0
              and counts["audience"] == counts["planned"] + counts["holdout"], f"counts do not add up: {counts}")
        return shown["status"], counts

    def finish(self, campaign, seconds=60):
        wait_for(f"campaign {campaign} completes", lambda: self.counts(campaign)[0] == "completed", seconds, self.world.server)
        self.handed_over = time.monotonic()
        return self.counts(campaign)[1]

    def mails(self):
        return self.world.sink_api().ok("GET", "/counts")["mails"]

    def received(self):
        _, data, _ = self.world.sink_api().call("GET", "/received?format=csv", raw=True)
        return list(csv.DictReader(io.StringIO(data.decode())))

    def message(self, number):
        return self.world.sink_api().call("GET", f"/messages/{number}?format=raw", raw=True)[1]

    def mail_of(self, recipient, which=0):
        numbers = [row["number"] for row in self.received() if row["recipient"].lower() == recipient]
        check(len(numbers) > which, f"no mail to {recipient}")
        return self.message(numbers[which])

    def url_in(self, mail, path):
        html = email.message_from_bytes(mail).get_payload(1).get_payload(decode=True).decode()
        found = re.search(re.escape(BASE_URL) + f"(/{path}/[\\w.-]+)", html)
        check(found, f"no /{path}/ in {html[:500]}")
        return found.group(1)

    def contact(self, address):
        return self.api.ok("GET", f"/v1/contacts?email={quote(address)}")["items"][0]

    # --- the lines
    def A2(self):
        """A fresh instance cannot mail the world; the page and doctor say so."""
        self.world.start_server()
        self.api = self.world.api()
        page = Api(self.world.port).call("GET", "/", raw=True)[1].decode()
        check("Sandbox: mail reaches loopback addresses only" in page, f"no banner: {page}")
        found = self.doctor(0)
        check(found["sending"]["detail"].startswith("sandbox") and "maily arm" in found["sending"]["fix"], f"doctor: {found}")
        # Live, it wants links that the world can follow.
        check(self.world.server.stop() == 0, "SIGTERM")
        self.world.cli("arm", "--data", self.world.data, "--yes")
        live = subprocess.run([self.world.maily, "serve", "--data", self.world.data, "--listen", f"127.0.0.1:{free_port()}"],
                              capture_output=True, text=True, timeout=60, env=self.world.env)
        self.world.cli("arm", "--sandbox", "--data", self.world.data)
        self.restart()
        check(live.returncode == 3 and "tracking_base_url" in live.stderr, f"live with links to loopback: {live.returncode} {live.stderr}")

    def doctor(self, code):
        found, out, err = self.world.cli("doctor", "--output", "json", "--data", self.world.data, "--listen", f"127.0.0.1:{self.world.port}",
                                         check_code=False)
        check(found in ((0,) if code == 0 else (code,)), f"doctor: exit {found} {out} {err}")
        return {item["check"]: item for item in json.loads(out)["items"]}

    def A1(self):
        """The status page and the API's own page are there at once."""
        for path, text in (("/", "/api/docs"), ("/api/docs", "/v1/campaigns"), ("/api/openapi.json", "/v1/campaigns/{id}/preview")):
            status, body, _ = Api(self.world.port).call("GET", path, raw=True)
            check(status == 200 and text in body.decode(), f"{path}: {status}")
        # Campaigns in a browser, to who has a key: the policy lets this one script run, and nothing of it makes HTML of data.
        _, page, headers = Api(self.world.port).call("GET", "/", raw=True)
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        script = re.search(rb"<script>(.*?)</script>", page, re.S).group(1)
        for tag, inside in (("script", script), ("style", re.search(rb"<style>(.*?)</style>", page, re.S).group(1))):
            digest = base64.b64encode(hashlib.sha256(inside).digest()).decode()
            check(policy[f"{tag}-src"] == f"'sha256-{digest}'", f"{tag}: {policy}")
        check(policy["default-src"] == "'none'" and policy["connect-src"] == "'self'" and b"/v1/campaigns" in script, f"{policy}")
        check(not re.search(rb"innerHTML|outerHTML|insertAdjacent|document\.write|eval|localStorage|cookie", script), "the script makes HTML")
        check(not re.search(rb"<[^>]*\son\w+=", page) and page.count(b"<script") == 1, "an inline handler")

    def A3(self):
        """Five rows go in, are counted, and are read with the token."""
        api = self.api
        api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Ex & Co", "postal_address": "1 Main Street"})
        for name, kind, personal in (("first_name", "text", True), ("score", "number", False), ("vip", "boolean", False), ("age", "integer", True)):
            api.ok("POST", "/v1/attributes", {"name": name, "type": kind, "personal": personal})
        self.five = api.ok("POST", "/v1/lists", {"name": "five"})["id"]
        rows = "email,first_name,score,vip,age\n" + "\n".join(FIVE) + "\n"
        for expected in ("created", "unchanged"):
            status, job, headers = api.call("POST", "/v1/imports?list=five", rows, {"Content-Type": "text/csv"})
            check(status == 202 and headers["location"] == f"/v1/imports/{job['id']}", f"import: {status} {job} {headers}")
            done = wait_for("the import ends", lambda: self.import_job(headers["location"]), 20, self.world.server)
            check(done["status"] == "completed" and done["rows"] == 5 == done[expected], f"import: {done}")
        listed = api.ok("GET", f"/v1/lists/{self.five}?min={quote(done['token'])}&wait_ms=5000&strict=true")
        check(listed["members"] == 5, f"list: {listed}")
        self.world.server.kill()
        self.restart()
        again = self.api.ok("GET", f"{headers['location']}?min={quote(done['token'])}&wait_ms=20000&strict=true")
        check({one: again[one] for one in done if one in again} == {one: done[one] for one in done if one in again} and again["status"] == "completed",
              f"the job after a restart: {again}, was {done}")

    def import_job(self, url):
        """What it came to, or None while it runs; at every look each row has one outcome or none yet."""
        job = self.api.ok("GET", url)
        ends = sum(job[one] for one in ("created", "updated", "unchanged", "duplicate", "skipped", "rejected"))
        check(job["rows"] == ends + job["pending"], f"import: {job}")
        return None if job["status"] == "running" else job

    def A12(self):
        """What is wrong with a launch is said at once, all of it, and nothing is planned."""
        api = self.api
        status, answer, _ = api.call("POST", "/v1/templates", {"name": "no way out", "subject": "s", "html": "<p>{{ postal_address }}</p>"})
        check(status == 422 and "unsubscribe_url" in answer["message"], f"template: {status} {answer}")
        self.template = api.ok("POST", "/v1/templates", {"name": "t", "subject": "Grüße an {{ contact.first_name }}" + " und alle" * 12,
                                                         "html": HTML, "text": TEXT})["id"]
        empty = api.ok("POST", "/v1/lists", {"name": "empty"})["id"]
        wrong = api.ok("POST", "/v1/campaigns", {"name": "wrong", "template_id": 99, "list_id": empty, "from": "eve@other.example"})["id"]
        for _ in range(2):
            status, answer, _ = api.call("POST", f"/v1/campaigns/{wrong}:launch")
            codes = {detail["code"] for detail in answer["details"]}
            check(status == 422 and codes == {"empty_audience", "from_not_verified", "template_not_found"}, f"launch: {status} {answer}")
        status, counts = self.counts(wrong)
        check(status == "draft" and counts["audience"] == 0, f"a refused launch: {status} {counts}")

    def A13(self):
        """The relay is down at launch: running, deferred with the last error; when it is back, all is delivered untouched."""
        self.previews = {}
        self.small = self.campaign("small", self.five)
        for row in FIVE:
            address = row.split(",")[0]
            self.previews[address.lower()] = self.api.ok("GET", f"/v1/campaigns/{self.small}/preview?email={quote(address)}")
        self.launch(self.small)
        trouble = wait_for("the campaign says why", lambda: self.api.ok("GET", f"/v1/campaigns/{self.small}")["trouble"], 5)
        check("refused" in trouble, f"trouble: {trouble}")
        check("refused" in self.doctor(4)["relay"]["detail"], "doctor does not know")
        rows = "email,first_name\n" + "".join(f"r{i}@{'hard.test' if i % 50 == 0 else 'ok.test'},Näme {i}\n" for i in range(self.many))
        path = os.path.join(self.world.base, "many.csv")
        with open(path, "w", encoding="utf-8") as file:
            file.write(rows)
        self.list = self.api.ok("POST", "/v1/lists", {"name": "many"})["id"]
        self.token = json.loads(self.world.cli("import", path, "--list", "many", "--output", "json")[1])["token"]
        waiting = wait_for("five deferred", lambda: (lambda items: items if len(items) == 5 else None)(
            self.api.ok("GET", f"/v1/campaigns/{self.small}/sends?status=waiting")["items"]), 20)
        check(all("refused" in send["reply_text"] and send["retry_at"] for send in waiting), f"deferred: {waiting}")
        check(self.counts(self.small)[0] == "running", "it does not run")
        self.world.start_sink("--reply", "*@hard.test=550 5.1.1 no such user")
        counts = self.finish(self.small)
        check(counts["delivered"] == 4 and counts["bounced"] == 1, f"{counts}")
        wait_for("no trouble", lambda: self.doctor(0)["relay"]["level"] == "ok", 5)

    def A4(self):
        """The mail is the preview, byte for byte, but for Date, ids and tokens."""
        def bare(mail):
            mail = re.sub(rb"^Date: [^\r]*", b"Date:", mail)
            for token in re.findall(rb"Message-ID: <([^@]+)@", mail):
                mail = mail.replace(token, b"x" * len(token))
            return mail
        check(len(self.previews) == 5, "previews are missing")
        for address, preview in self.previews.items():
            if address.endswith("@hard.test"):
                continue
            sent = self.mail_of(address.replace("bücher", "xn--bcher-kva"))
            made = preview["message"].encode()
            check(len(sent) == len(made), f"{address}: {len(sent)} bytes sent, {len(made)} in the preview")
            sent, made = bare(sent), bare(made)
            differ = [i for i, (a, b) in enumerate(zip(sent, made)) if a != b]
            check(all(made[i] == ord("x") for i in differ), f"{address}: differs at {differ[:5]}: {sent[differ[0] - 20:differ[0] + 40]}" if differ else "")
            parts = email.message_from_bytes(preview["message"].encode(), policy=email.policy.default)
            shown = parts.get_payload(1).get_payload(decode=True).decode().replace("\r\n", "\n").rstrip("\n")
            check(shown == preview["html"].rstrip("\n"), f"{address}: the preview's html is not its message's")
            for path in ("c", "u"):
                token = re.search(f"{re.escape(BASE_URL)}(/{path}/x+)", preview["html"]).group(1)
                check(Api(self.world.port).call("POST" if path == "u" else "GET", token, raw=True)[0] == 404, "a preview's link works")

    def A17(self):
        """The first mail leaves within 2 s of the launch; memory stays within its bounds. Polls for A5 begin here."""
        self.api.ok("GET", f"/v1/lists?min={quote(self.token)}&wait_ms=30000&strict=true")
        for i in range(1, 40):
            if i % 50:
                self.api.ok("POST", "/v1/suppressions", {"email": f"r{i}@ok.test", "reason": "manual"})
        self.big = self.campaign("big", self.list, arms=[{"name": "a", "weight": 90}, {"name": "none", "weight": 10, "holdout": True}])
        before = self.mails()
        started = time.monotonic()
        self.launch(self.big)
        self.poll = Poll(self, self.big)
        self.poll.start()
        wait_for("the first mail", lambda: self.mails() > before, 10, every=0.005)
        check(time.monotonic() - started <= 2, f"the first mail came {time.monotonic() - started:.2f} s after the launch")

    def A5(self):
        """At every poll the counts add up (checked in every read of this test, and by a thread that does nothing else)."""
        self.before = self.mails()
        wait_for("a third", lambda: self.mails() > self.many * 0.3, 60, every=0.005)
        self.poll.stopping = True
        self.poll.join(20)
        check(not self.poll.failures and self.poll.polls > 20, f"{self.poll.polls} polls: {self.poll.failures[:2]}")

    def A9(self):
        """SIGTERM and kill -9 on the way: nothing lost, nothing twice, the doubtful ones listed, and it goes on by itself."""
        check(self.world.server.stop() == 0, "SIGTERM")
        self.restart()
        check(self.api.ok("GET", "/v1/sends/unknown")["items"] == [], "SIGTERM left sends in doubt")
        wait_for("two thirds", lambda: self.mails() > self.many * 0.6, 60, every=0.005)
        self.world.server.kill()
        self.restart()
        counts = self.finish(self.big)
        unknown = self.api.ok("GET", "/v1/sends/unknown?page_size=1000")["items"]
        check(len(unknown) == counts["unknown"] <= 16, f"{len(unknown)} listed, {counts}")
        recipients = [row["recipient"] for row in self.received()]
        check(len(recipients) == len(set(recipients)), f"{len(recipients) - len(set(recipients))} got it twice")
        received = len([one for one in recipients if one.endswith("@ok.test")])
        check(counts["delivered"] <= received <= counts["delivered"] + counts["unknown"], f"{received} received, {counts}")
        path = os.path.join(self.world.base, "received.csv")
        with open(path, "wb") as file:
            file.write(self.world.sink_api().call("GET", "/received?format=csv", raw=True)[1])
        self.world.cli("sends", "unknown", "resolve", "--received", path, "--why", "the sink's list", "--yes")
        wait_for("all settled", lambda: self.counts(self.big)[1]["unknown"] == 0 and self.counts(self.big)[0] == "completed", 30)
        wait_for("all received", lambda: self.mails() == 4 + self.counts(self.big)[1]["delivered"], 20)
        check(self.counts(self.big)[1]["audience"] == self.many, f"{self.counts(self.big)}")

    def A6(self):
        """Every mail: its headers once each, text then HTML, short lines, CRLF only, no internal host."""
        with open(os.path.join(self.world.base, "mails"), "rb") as file:
            kept = file.read()
        bare = kept.replace(b"\r\n", b"")
        check(b"\r" not in bare and b"\n" not in bare, "there is a line end that is not CRLF")
        check(max(map(len, kept.split(b"\r\n"))) <= 998 and b"127.0.0.1" not in kept and b"localhost" not in kept, "a long line, or an internal host")
        ids = set()
        rows = self.received()
        for row in rows[::len(rows) // 300 + 1]:
            raw = self.message(row["number"])
            head = raw.split(b"\r\n\r\n")[0]
            check(head.isascii(), f"{row}: {head}")
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            for name in ("From", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post", "List-ID", "Feedback-ID"):
                check(len(mail.get_all(name) or []) == 1, f"{row}: {name} {mail.get_all(name)}")
            check(not mail["Bcc"] and not mail.defects, f"{row}: {mail.defects}")
            check(mail["From"] == "Müller & Söhne <news@shop.example.com>" and mail["To"].addresses[0].addr_spec == row["recipient"], f"{row}: {head}")
            check(mail["Message-ID"].endswith("@shop.example.com>") and mail["Message-ID"].strip("<>") == row["message_id"].strip("<>"), f"{row}: {head}")
            check(mail["Subject"].startswith("Grüße an ") and mail["Date"].datetime is not None, f"{row}: {mail['Subject']} {mail['Date']}")
            check(mail.get_all("X-Maily-Trace") == [TRACE], f"{row}: the trace of the launch: {mail['X-Maily-Trace']}")
            check(re.fullmatch(r"<https://[^>, ]+>", mail["List-Unsubscribe"]), f"{row}: {mail['List-Unsubscribe']}")
            check(mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click", f"{row}: {mail['List-Unsubscribe-Post']}")
            check([part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"], f"{row}: {mail.get_content_type()}")
            ids.add(mail["Message-ID"])
        check(len(ids) > 100 and len({row["message_id"] for row in rows}) == len(rows), "Message-IDs are not unique")

    def A7(self):
        """Pixel and link answer exactly and are in the read model within a second, total and unique."""
        mail = self.mail_of("ann@example.com")
        pixel, link = self.url_in(mail, "o"), self.url_in(mail, "c")
        reader = Api(self.world.port)
        wait_for("nobody is taken for a scanner", lambda: time.monotonic() > self.handed_over + AT_ONCE, 10)
        status, body, headers = reader.call("GET", pixel, headers={"User-Agent": BROWSER}, raw=True)
        check(status == 200 and headers["content-type"] == "image/gif" and "no-store" in headers["cache-control"] and body[:6] == b"GIF89a", f"pixel: {status} {headers}")
        waits = []
        for clicks in range(1, 31):
            status, _, headers = reader.call("GET", link, headers={"User-Agent": BROWSER}, raw=True)
            check(status == 302 and headers["location"] == TARGET, f"link: {status} {headers}")
            started = time.monotonic()
            totals = lambda: self.api.ok("GET", f"/v1/campaigns/{self.small}/report")["totals"]  # noqa: E731
            wait_for("the click shows", lambda n=clicks: totals()["clicks"] == n, 5, every=0.002)
            waits.append(time.monotonic() - started)
        check(max(waits) <= 1 and totals()["clicked"] == 1 and totals()["opens"] == 1 and totals()["opened"] == 1, f"{max(waits):.2f} s, {totals()}")

    def A8(self):
        """One click opts out; the next campaign says so."""
        mail = email.message_from_bytes(self.mail_of("bob@example.com"))
        path = urllib.parse.urlparse(mail["List-Unsubscribe"].strip("<>")).path
        status, _, _ = Api(self.world.port).call("POST", path, "List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"}, raw=True)
        check(status == 200, f"one-click: {status}")
        self.next = self.campaign("next", self.five)
        self.launch(self.next)
        self.finish(self.next)
        skipped = self.api.ok("GET", f"/v1/campaigns/{self.next}/sends?status=skipped&reason=unsubscribed")["items"]
        check([send["contact_id"] for send in skipped] == [self.contact("bob@example.com")["id"]] and skipped[0]["settled_at"], f"{skipped}")

    def A15(self):
        """The story of one recipient, and who got nothing and why."""
        send = self.api.ok("GET", f"/v1/campaigns/{self.small}/sends/{self.contact('ann@example.com')['id']}")
        kinds = [event["kind"] for event in send["history"]]
        check(kinds[:5] == ["attempt_opened", "deferred", "retry_due", "attempt_opened", "delivered"] and "open" in kinds and kinds.count("click") == 30,
              f"history: {kinds[:10]}")
        check(all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", event["at"]) for event in send["history"]), f"times: {send['history'][0]}")
        check(send["history"][-1]["agent"] == "desktop" and "refused" in send["history"][1]["detail"], f"{send['history'][-1]}")
        nothing = {send["contact_id"]: (send["status"], send["reason"] or send["reply_text"]) for status in ("skipped", "bounced")
                   for send in self.api.ok("GET", f"/v1/campaigns/{self.next}/sends?status={status}")["items"]}
        # Eve bounced before, so her address is suppressed now.
        wanted = {self.contact("bob@example.com")["id"]: ("skipped", "unsubscribed"), self.contact("eve@hard.test")["id"]: ("skipped", "suppressed")}
        check(nothing == wanted, f"who got nothing: {nothing}")
        bounced = self.api.ok("GET", f"/v1/campaigns/{self.small}/sends?status=bounced")["items"]
        check(len(bounced) == 1 and "no such user" in bounced[0]["reply_text"] and bounced[0]["reply_code"] == 550, f"{bounced}")

    def A14(self):
        """One truth: counts, report, skips, command line, rows of SQL and the sum of all recipients' records."""
        counts = self.counts(self.big)[1]
        records, cursor = collections.Counter(), ""
        while True:
            page = self.api.ok("GET", f"/v1/campaigns/{self.big}/sends?page_size=1000{'&page_token=' + cursor if cursor else ''}")
            records.update(send["status"] for send in page["items"])
            cursor = page.get("next_page_token")
            if not cursor:
                break
        wanted = {name: counts[name] for name in ("delivered", "skipped", "bounced", "holdout") if counts[name]}
        check(dict(records) == wanted and sum(records.values()) == counts["audience"], f"records {dict(records)}, counts {counts}")
        report = self.api.ok("GET", f"/v1/campaigns/{self.big}/report")
        check(report["counts"] == counts and sum(arm["delivered"] for arm in report["arms"]) == counts["delivered"], f"{report}")
        skips = {skip["reason"]: skip["count"] for skip in self.api.ok("GET", f"/v1/campaigns/{self.big}/skips")["items"]}
        check(skips == {"holdout": counts["holdout"], "suppressed": counts["skipped"]}, f"{skips}")
        shown = json.loads(self.world.cli("campaign", "show", str(self.big), "--output", "json")[1])
        check(shown["counts"] == counts, f"command line: {shown['counts']}")

    def A16(self):
        """Every accepted event is readable, with key and causation."""
        types = collections.Counter()
        for partition in range(4):
            ids = set()
            for line in self.world.cli("events", "tail", "--partition", str(partition), "--from", "beginning")[1].splitlines():
                event = json.loads(line)
                types[event["type"].rsplit(".", 1)[-1]] += 1
                check(event["specversion"] == "1.0" and event["source"] and event["time"] and event["key"], f"{line[:500]}")
                check(event["causationid"].strip("0"), f"no causation: {line[:500]}")
                check(event["id"] not in ids, f"twice: {event['id']}")
                ids.add(event["id"])
                if event["type"].endswith("sends.v1.AttemptDelivered"):
                    check(event["key"] == str((partition << 48) + event["data"]["ordinal"]), f"key: {line[:500]}")
        counts = [self.counts(campaign)[1] for campaign in (self.small, self.big, self.next)]
        check(types["ContactCreated"] == 5 + self.many, f"{types}")
        check(types["AttemptBounced"] == sum(one["bounced"] for one in counts) and types["Clicked"] == 30 and types["CampaignLaunched"] >= 3, f"{types}")

    def A11(self):
        """A second process is refused; a second launch too; the same key gets the same answer."""
        command = [self.world.maily, "serve", "--data", self.world.data, "--listen", f"127.0.0.1:{free_port()}"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60, env=self.world.env)
        check(second.returncode == 3 and f"pid {self.world.server.process.pid}" in second.stderr, f"{second.returncode} {second.stderr}")
        campaign = self.campaign("once", self.five)
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.world.api().call("POST", f"/v1/campaigns/{campaign}:launch")[0])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(sorted(answers) == [200] + [409] * 7, f"eight launches at once: {sorted(answers)}")
        self.finish(campaign)
        keyed, before = self.campaign("keyed", self.five), self.mails()
        same = [self.api.call("POST", f"/v1/campaigns/{keyed}:launch", headers={"Idempotency-Key": "launch"})[:2] for _ in range(3)]
        check(same[0][0] == 200 and same.count(same[0]) == 3, f"{same}")
        status, answer, _ = self.api.call("POST", f"/v1/campaigns/{keyed}:launch", {"when": "now"}, {"Idempotency-Key": "launch"})
        check(status == 422, f"the same key with another body: {status} {answer}")
        counts = self.finish(keyed)
        check(self.mails() - before == counts["delivered"] == 3, f"{self.mails() - before} mails, {counts}")

    def A10(self):
        """Read models or state stores deleted: the same digests, no connection to the relay."""
        digests = lambda: json.loads(self.world.cli("projection", "verify", "--output", "json")[1])["groups"]  # noqa: E731
        before, seen = digests(), self.world.sink_api().ok("GET", "/counts")
        for remove in (["views"], ["state"], ["views", "state"]):
            check(self.world.server.stop() == 0, "SIGTERM")
            self.restart(remove)
            check(digests() == before, f"without {remove}: other digests")
            check(self.world.sink_api().ok("GET", "/counts") == seen, f"without {remove}: the relay was spoken to")
        check(self.world.server.stop() == 0, "SIGTERM")


class Poll(threading.Thread):
    """Reads a campaign's counts as fast as it can."""

    def __init__(self, skeleton, campaign):
        super().__init__(daemon=True)
        self.skeleton, self.campaign_id, self.api = skeleton, campaign, skeleton.world.api()
        self.stopping, self.polls, self.failures = False, 0, []

    def run(self):
        while not self.stopping:
            try:
                self.skeleton.counts(self.campaign_id, self.api)
                self.polls += 1
            except Failed as error:
                self.failures.append(str(error))


def run(world):
    misses = Skeleton(world).run()
    check(not misses, f"lines that do not hold: {' '.join(misses)}")


if __name__ == "__main__":
    run_test(run, settings={"partitions": 4, "tracking-base-url": BASE_URL})
