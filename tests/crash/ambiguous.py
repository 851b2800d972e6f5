#!/usr/bin/env python3
"""Ambiguous delivery: two campaigns to an SMTP server that drops, hangs, lies and refuses (evil_sink.py), and kill -9 on top.

The checker knows what the sink did with each mail, when it killed the program, and what the API says. Nobody gets a mail again by itself
once it may have been taken; each such send is unknown; all others end as the sink answered them; then an operator settles what is unknown
from the list of mails that arrived, and each send has one final state that all read models agree on. Writes build/torture/ambiguous.json.
"""
import argparse
import collections
import json
import os
import random
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from dns_zone import Zone  # noqa: E402
from outside import LOST_TEXT, Outside, meaning  # noqa: E402
from program import Failed, Process, ROOT, World, check, quote, reachable, wait_for  # noqa: E402

HTML = "<p>{{ contact.first_name }} <a href=\"https://shop.example.com/\">shop</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></p>"
TEXT = "{{ contact.first_name }} https://shop.example.com/ {{ postal_address }} {{ unsubscribe_url }}"
SINK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "evil_sink.py")
CONNECTIONS = 16
CAMPAIGNS = 2
SHOWN_MAX = 10  # failures printed
TOLD_MAX = 300  # histories looked at, of those refused for now


class Torture:
    def __init__(self, arguments):
        self.arguments = arguments
        self.chance = random.Random(arguments.seed)
        self.world = World(arguments.maily, "ambiguous", settings={"partitions": 8, "relay-connections": CONNECTIONS})
        if arguments.mx:
            self.by_dns()
        self.log = os.path.join(self.world.base, "outside.log")
        open(self.log, "wb").close()
        self.outside = Outside(self.log)
        self.campaigns, self.emails, self.failures = [], {}, []
        self.figures = collections.Counter()
        self.next_look = 0

    def fail(self, recipient, wrong, send):
        sessions = ", ".join(line.what for line in self.outside.sessions.get(recipient, []))
        failure = f"{recipient} [{sessions}]: {'; '.join(wrong)} (the API says {send}; seed {self.arguments.seed})"
        if failure not in self.failures[-1000:]:
            self.failures.append(failure)

    def by_dns(self):
        """The sink is the mail server of the recipients' domain, and a site that rests for a second when it asks for less."""
        zone = self.zone = Zone()
        zone.publish("MX", "mail.test", "10 sink.mail.test")
        zone.publish("A", "sink.mail.test", "127.0.0.1")
        policies = os.path.join(self.world.base, "sites.yaml")
        with open(policies, "w", encoding="ascii") as file:
            file.write(f"- site: sink.mail.test\n  connections: {CONNECTIONS}\n  mails_per_connection: 1000\n  pause_seconds: 1\n")
        self.world.settings.update({"routing": "mx", "dns-servers": f"127.0.0.1:{zone.port}", "mx-port": self.world.smtp_port, "mx-private": "on",
                                    "mx-connections": CONNECTIONS, "site-policies": policies})

    # --- the program and its relay ---
    def start(self):
        world, count = self.world, self.arguments.count
        world.sink = Process([sys.executable, SINK, "--port", str(world.smtp_port), "--log", self.log, "--seed", str(self.arguments.seed),
                              "--hang", str(self.arguments.hang)], os.path.join(world.base, "sink.out"))
        wait_for("the sink", lambda: reachable(world.smtp_port), 20, world.sink)
        world.start_server()
        api = self.api = world.api()
        api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
        api.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True})
        template = api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "html": HTML, "text": TEXT})["id"]
        for number in range(CAMPAIGNS):
            api.ok("POST", "/v1/lists", {"name": f"l{number}"})
            path = os.path.join(world.base, "contacts.csv")
            with open(path, "w", encoding="ascii") as file:
                file.write("email,first_name\n" + "".join(f"r{i}@mail.test,R{i}\n" for i in range(number, count, CAMPAIGNS)))
            token = json.loads(world.cli("import", path, "--list", f"l{number}", "--output", "json")[1])["token"]
            lists = api.ok("GET", f"/v1/lists?min={quote(token)}&wait_ms=60000")["items"]
            self.campaigns.append(api.ok("POST", "/v1/campaigns", {
                "name": f"c{number}", "template_id": template, "from": "news@shop.example.com",
                "list_id": next(item["id"] for item in lists if item["name"] == f"l{number}")})["id"])
        wait_for("the contacts", self.all_contacts, 60, world.server, every=1)

    def all_contacts(self):
        self.emails = {item["id"]: item["email"] for item in self.pages("/v1/contacts?")}
        return len(self.emails) == self.arguments.count

    def pages(self, path):
        token = ""
        while token is not None:
            page = self.api.ok("GET", f"{path}page_size=1000" + (f"&page_token={token}" if token else ""))
            yield from page["items"]
            token = page.get("next_page_token") or None

    def kill(self):
        """Kills it and starts it again; now and then once more while it starts."""
        begin = time.monotonic()
        self.world.server.kill()
        self.api.close()
        self.world.start_server(wait=False)
        self.figures["kills"] += 1
        if self.chance.random() < 0.2:
            time.sleep(self.chance.uniform(0.05, 0.8))  # the moment is what is random
            self.world.server.kill()
            self.world.start_server(wait=False)
            self.figures["kills"] += 1
        self.outside.kills.append((begin, time.monotonic()))
        self.world.wait_ready(180)

    # --- mail goes out ---
    def counts(self):
        return [self.api.ok("GET", f"/v1/campaigns/{campaign}") for campaign in self.campaigns]

    def over(self):
        """Nothing is pending or on its way; with --short, what waits for its next attempt may go on waiting."""
        shown = self.counts()
        if sum(one["counts"]["audience"] for one in shown) != self.arguments.count:
            return False
        if not self.arguments.short:
            return all(one["status"] == "completed" and one["counts"]["pending"] == 0 for one in shown)
        return not any(self.api.ok("GET", f"/v1/campaigns/{campaign}/sends?page_size=1&status={status}")["items"]
                       for campaign in self.campaigns for status in ("pending", "open"))

    def send(self):
        """Most kills come when a random number of mails has been begun, the others while retries are waited for."""
        for campaign in self.campaigns:
            self.api.ok("POST", f"/v1/campaigns/{campaign}:launch")
        begin = told = time.monotonic()
        most = self.arguments.kills if self.arguments.short else -(-self.arguments.kills * 4 // 5)
        moments = sorted(self.chance.randrange(self.arguments.count) for _ in range(most))
        while moments:
            self.outside.read()
            now = time.monotonic()
            if len(self.outside.sessions) >= moments[0]:
                moments = [moment for moment in moments[1:] if moment > len(self.outside.sessions)]
                self.kill()
            elif now - begin > self.arguments.patience or self.over_now_and_then():
                break
            if now - told > 10:
                told = now
                print(f"  {len(self.outside.sessions):,} mails, {self.figures['kills']} kills, {now - begin:.0f} s", flush=True)
            time.sleep(0.002)  # between looks at the sink's log
        while not self.arguments.short and self.figures["kills"] < self.arguments.kills and not self.over():
            time.sleep(self.chance.uniform(0.2, 4))
            self.kill()
        wait_for("the campaigns", self.over, self.arguments.patience, self.world.server, every=0.2)
        self.figures["sending_seconds"] = round(time.monotonic() - begin, 1)

    def over_now_and_then(self):
        if time.monotonic() < self.next_look:
            return False
        self.next_look = time.monotonic() + 1
        return self.over()

    def sends(self):
        """Recipient -> (status, attempts, reply code, reply text), at a moment when nothing happens outside."""
        while True:
            self.outside.read()
            time.sleep(0.3)  # read models come after
            found = {self.emails[item["contact_id"]]: (item["status"], item["attempts"], item["reply_code"], item["reply_text"])
                     for campaign in self.campaigns for item in self.pages(f"/v1/campaigns/{campaign}/sends?")}
            if not self.outside.read() and not any(send[0] in ("pending", "open") for send in found.values()):
                return found

    # --- what must hold ---
    def judge(self):
        """Before anybody settles anything. Gives who is unknown."""
        outside, by_kill = self.outside, 0
        self.first = sends = self.sends()
        check(len(sends) == self.arguments.count, f"{len(sends)} sends of {self.arguments.count}")
        for recipient, send in sends.items():
            wrong, killed = outside.judge(outside.sessions.get(recipient, []), send, self.arguments.short)
            by_kill += killed
            if wrong:
                self.fail(recipient, wrong, send)
        kills = self.figures["kills"]
        if by_kill > CONNECTIONS * kills:
            self.failures.append(f"{by_kill} sends are unknown by {kills} kills of {CONNECTIONS} connections")
        unknown = {recipient for recipient, send in sends.items() if send[0] == "unknown"}
        self.figures.update(unknown=len(unknown), unknown_by_kill=by_kill,
                            ambiguous=sum(meaning(line.what) == "ambiguous" for lines in outside.sessions.values() for line in lines))
        listed = {self.emails[item["contact_id"]] for item in self.pages("/v1/sends/unknown?")}
        if listed != unknown:
            self.failures.append(f"the list of unknown sends differs in {len(listed ^ unknown)}")
        self.histories(unknown)
        return unknown

    def histories(self, unknown):
        """Each unknown one ends with an attempt that is unknown; who was refused for now has that in the history."""
        later = [recipient for recipient, lines in self.outside.sessions.items() if meaning(lines[0].what) == "later"
                 and lines[0].what != "421_mail"  # at once on another connection
                 and not self.outside.killed(lines[0])]
        later = self.chance.sample(later, min(len(later), TOLD_MAX))
        ids = {email: contact for contact, email in self.emails.items()}
        for recipient in sorted(unknown) + later:
            campaign = self.campaigns[int(recipient[1:].split("@")[0]) % CAMPAIGNS]
            story = self.api.ok("GET", f"/v1/campaigns/{campaign}/sends/{ids[recipient]}")
            history = [(entry["kind"], entry["attempt"]) for entry in story["history"]]
            if recipient in unknown and history[-1] != ("unknown", story["attempts"]):
                self.fail(recipient, [f"history ends with {history[-1]}"], story["status"])
            refusals = [entry for entry in story["history"] if entry["kind"] == "deferred"
                        and entry["detail"] in (self.outside.sessions[recipient][0].what, LOST_TEXT)]
            if recipient not in unknown and not refusals:
                self.fail(recipient, [f"the refusal is not in its history: {history}"], story["status"])

    def settle(self, unknown):
        """As an operator would: what the receiver has was delivered, the rest goes out once more."""
        path = os.path.join(self.world.base, "received.csv")
        with open(path, "w", encoding="ascii") as file:
            file.write("message_id\n" + "".join(line + "\n" for line in self.outside.taken()))
        before = {recipient: len(self.outside.sessions[recipient]) for recipient in unknown}
        had = {recipient for recipient in unknown if self.outside.copies(recipient)}
        done, more = collections.Counter(), bool(unknown)
        while more:
            answer = json.loads(self.world.cli("sends", "unknown", "resolve", "--received", path, "--why", "the receiver's list", "--output", "json", "--yes")[1])
            done.update({name: answer[name] for name in ("delivered", "resent", "failed")})
            more = answer["more"]
        if (done["delivered"], done["resent"], done["failed"]) != (len(had), len(unknown) - len(had), 0):
            self.failures.append(f"settled {dict(done)}, of {len(unknown)} unknown {len(had)} had arrived")
        self.figures.update(resolved_delivered=done["delivered"], resent=done["resent"])
        wait_for("the settled sends", lambda: self.over() and sum(one["counts"]["unknown"] for one in self.counts()) == 0,
                 self.arguments.patience, self.world.server, every=0.2)
        self.judge_settled(unknown, before, had)

    def judge_settled(self, unknown, before, had):
        for recipient, send in self.sends().items():
            lines = self.outside.sessions.get(recipient, [])
            if recipient in had:
                wrong = [] if (send[0], len(lines)) == ("delivered", before[recipient]) else ["had arrived, and that was said"]
            elif recipient in unknown:
                wrong, _ = self.outside.judge(lines[before[recipient]:], send, self.arguments.short)
            else:
                wrong, _ = self.outside.judge(lines, send, self.arguments.short)
                if send[0] != self.first[recipient][0] and self.first[recipient][0] != "waiting":
                    wrong.append(f"was {self.first[recipient][0]}")
            if self.outside.copies(recipient) > 1:
                wrong.append(f"{self.outside.copies(recipient)} copies")
            if wrong:
                self.fail(recipient, wrong, send)
        self.totals()
        self.dead_letters()

    def totals(self):
        """Counts, reports and the sends themselves say the same; so do read models that are built anew."""
        api = self.api
        for campaign in self.campaigns:
            found = collections.Counter(item["status"] for item in self.pages(f"/v1/campaigns/{campaign}/sends?"))
            shown = api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]
            report = api.ok("GET", f"/v1/campaigns/{campaign}/report")
            sums = {name: sum(arm[name] for arm in report["arms"]) for name in ("delivered", "bounced", "unknown")}
            if report["counts"] != shown or any(shown[name] != found[name] or sums[name] != found[name] for name in sums):
                self.failures.append(f"campaign {campaign}: sends {dict(found)}, counts {shown}, report {report}")
            self.figures.update({"final_" + status: count for status, count in found.items()})
        for group in api.ok("GET", "/v1/projections")["items"]:
            name, before = group["name"], (group.get("rebuild") or {}).get("database")  # the first building of all counts as one
            check(api.call("POST", f"/v1/projections/{name}:rebuild")[0] == 202, f"rebuild of {name}")
            status = wait_for(f"rebuild of {name}", lambda name=name, before=before: self.rebuilt(name, before), 600, self.world.server, every=0.2)
            if status["phase"] != "done" or not status["digests_equal"]:
                self.failures.append(f"read models {name} differ from their journal: {status}")

    def dead_letters(self):
        dead = self.api.ok("GET", "/v1/deadletters")["items"]
        if dead:
            self.failures.append(f"{len(dead)} dead letters, as {dead[:3]}")

    def rebuilt(self, name, before):
        status = next(group for group in self.api.ok("GET", "/v1/projections")["items"] if group["name"] == name).get("rebuild")
        return status if status and status["database"] != before and status["phase"] in ("done", "failed") else None

    def end(self):
        self.api.close()
        if self.world.server.stop() != 0:
            self.failures.append("the program did not end in order")
        done = subprocess.run([self.world.maily, "store", "verify", "--data", self.world.data], env=self.world.env, capture_output=True, text=True, timeout=900)
        if done.returncode != 0:
            self.failures.append(f"store verify: exit {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")

    def run(self):
        self.start()
        self.send()
        self.settle(self.judge())
        self.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    parser.add_argument("--count", type=int, default=5000, help="sends")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--kills", type=int, help="default: one in 3,000 sends, at least 5")
    parser.add_argument("--hang", type=float, help="seconds for which a silent sink keeps a connection; beyond 600 the program gives up first [8; short: 3]")
    parser.add_argument("--patience", type=float, default=1800, help="seconds until the campaigns must be complete")
    parser.add_argument("--mx", action="store_true", help="the program finds the sink by the DNS instead of as its relay")
    parser.add_argument("--short", action="store_true", help="do not wait for the next attempt of what was refused for now")
    arguments = parser.parse_args()
    if arguments.kills is None:
        arguments.kills = max(5, arguments.count // 3000)
    if arguments.hang is None:
        arguments.hang = 3 if arguments.short else 8
    print(f"seed {arguments.seed}", flush=True)
    started = time.monotonic()
    torture = Torture(arguments)
    try:
        torture.run()
    except Failed as error:
        torture.failures.append(str(error))
    finally:
        torture.world.close()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    figures, failures = torture.figures, torture.failures
    result = {"name": "ambiguous", "count": arguments.count, "failures": len(failures), "failed": failures[:100], "seeds": [arguments.seed],
              "seconds": round(time.monotonic() - started, 1), "commit": commit, "machine": os.uname().release, **figures,
              "behaviours": dict(sorted(torture.outside.counts.items()))}
    os.makedirs(os.path.join(ROOT, "build/torture"), exist_ok=True)
    with open(os.path.join(ROOT, "build/torture/ambiguous.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)
    print(", ".join(f"{what} {count:,}" for what, count in result["behaviours"].items()))
    print(f"{arguments.count:,} sends, {figures['kills']} kills, {figures['ambiguous']:,} ambiguous; unknown {figures['unknown']:,}, of them "
          f"{figures['unknown_by_kill']} by kills; {figures['resolved_delivered']:,} had arrived, {figures['resent']:,} sent once more; "
          f"{len(failures)} failures, {result['seconds']} s")
    for failure in failures[:SHOWN_MAX]:
        print("FAILED:", failure)
    if failures:
        print(f"kept: {os.path.relpath(torture.world.base, ROOT)}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
