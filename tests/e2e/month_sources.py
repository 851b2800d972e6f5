"""Where the totals of a shop's month can be read: the API, the tables of the read models by SQL, the public events, and what the mail server
really received. Each source gives {name of a total: value} for the totals that it knows; no source asks another.
"""
import collections
import csv
import json
import os
import re
import sqlite3
import subprocess

from program import check

SKIPS = {1: "unsubscribed", 2: "suppressed", 8: "erased", 16: "frequency_cap"}  # verdicts of AudiencePlanned (docs/reference/read-models.md)
LETTERS = ("hello", "thanks", "nudge", "last")
OF_REPORT = ("unsubscribes", "bounced_later", "complaints", "opens", "clicks")


def zeros_left_out(totals):
    return {name: value for name, value in totals.items() if value}


class ByApi:
    name = "API"

    def __init__(self, world, story):
        self.world, self.story = world, story

    def pages(self, path):
        api, token = self.story.api, ""
        joint = "&" if "?" in path else "?"
        while token is not None:
            answer = api.ok("GET", f"{path}{joint}page_size=1000" + (f"&page_token={token}" if token else ""))
            yield from answer["items"]
            token = answer.get("next_page_token") or None

    def totals(self):
        api, story = self.story.api, self.story
        found = collections.Counter()
        for contact in self.pages("/v1/contacts"):
            found["contacts"] += 1
            found["contacts opted out"] += contact["unsubscribed_at"] is not None
            story.ids[contact["email"]] = contact["id"]
        for one in self.pages("/v1/suppressions"):
            found[f"suppressed: {one['reason']}"] += 1
        for one in self.pages("/v1/lists"):
            found[f"list {one['name']}"] = one["members"]
            found[f"list {one['name']} without consent"] = one["members_without_consent"]
        for name, which in story.campaign_ids.items():
            report = api.ok("GET", f"/v1/campaigns/{which}/report")
            counts = report["counts"]
            for member in ("audience", "delivered", "bounced", "unknown", "expired", "pending"):
                found[f"{name}: {member}"] = counts[member]
            for skip in api.ok("GET", f"/v1/campaigns/{which}/skips")["items"]:
                found[f"{name}: skipped, {skip['reason']}"] = skip["count"]
            for member in OF_REPORT:
                found[f"{name}: {member}"] = report["totals"][member]
            for arm in report["arms"]:
                found[f"{name}: arm {arm['name']} delivered"] = arm["delivered"]
        for day in api.ok("GET", "/v1/messages:counts?days=366")["items"]:
            if day["status"] == "delivered":
                found[f"mails {story.template_names[day['template_id']]}"] += day["messages"]
        journey = api.ok("GET", f"/v1/journeys/{story.journey}")
        found["journey: in it"] = journey["in_it"]
        for why, count in journey["left"].items():
            found[f"journey: left, {why}"] = count
        for letter in LETTERS:
            found[f"journey: sent {letter}"] = journey["steps"].get(letter, {}).get("sent", 0)
        for name in ("signed_up", "conversion"):
            found[f"events {name}"] = api.ok("GET", f"/v1/engagements/count?type={name}")["count"]
        return found


class BySql:
    """As an analyst asks: in the files of the read models, or in PostgreSQL in the views of schema analytics, with a login of its own."""
    name = "SQL"

    def __init__(self, world, story):
        self.world, self.story = world, story

    def ask(self, group, sql):
        if self.story.postgres:
            lines = self.story.postgres.run("SET search_path TO analytics; " + sql, user="ann")
            return [tuple(int(cell) if re.fullmatch(r"-?\d+", cell) else cell for cell in line.split("|")) for line in lines]
        views = os.path.join(self.world.data, "views")
        with open(os.path.join(views, f"{group}.live"), encoding="ascii") as pointer:
            path = os.path.join(views, pointer.readline().strip() + ".db")
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    def totals(self):
        found = collections.Counter()
        people, campaigns = (lambda sql: self.ask("people", sql)), (lambda sql: self.ask("campaigns", sql))
        found["contacts"] = people("SELECT count(*) FROM contacts")[0][0]
        found["contacts opted out"] = people("SELECT count(*) FROM unsubscribed JOIN contacts USING (tenant, contact_id)")[0][0]
        found["contacts erased"] = people("SELECT count(*) FROM erased_contacts WHERE keys_destroyed_at_us IS NOT NULL")[0][0]
        for reason, count in people("SELECT reason, count(*) FROM suppressions GROUP BY reason"):
            found[f"suppressed: {reason}"] = count
        for name, count in people("SELECT name, count(contact_id) FROM lists LEFT JOIN list_members USING (tenant, list_id) GROUP BY name"):
            found[f"list {name}"] = count
        for name, count in people("SELECT l.name, t.members_without_consent FROM lists l JOIN list_totals t ON t.tenant = l.tenant AND t.list_id = l.list_id"):
            found[f"list {name} without consent"] = count
        for name, status, count in campaigns("SELECT c.name, t.name, count(*) FROM sends s JOIN campaigns c USING (tenant, campaign_id) "
                                             "JOIN send_statuses t ON t.status = s.status GROUP BY 1, 2"):
            found[f"{name}: audience"] += count
            found[f"{name}: {status if status in ('delivered', 'bounced', 'unknown', 'expired') else 'pending'}"] += count * (status != "skipped")
        for name, reason, count in campaigns("SELECT c.name, r.name, sum(contacts) FROM campaign_skips s JOIN campaigns c USING (tenant, campaign_id) "
                                             "JOIN skip_reasons r ON r.reason = s.reason GROUP BY 1, 2"):
            found[f"{name}: skipped, {reason}"] = count
        for name, *values in campaigns("SELECT c.name, sum(t.unsubscribes), sum(t.bounced_later), sum(t.complaints) FROM campaign_totals t "
                                       "JOIN campaigns c USING (tenant, campaign_id) GROUP BY 1"):
            found.update({f"{name}: {member}": value for member, value in zip(OF_REPORT, values)})
        for name, *values in campaigns("SELECT c.name, sum(s.opens), sum(s.clicks) FROM campaign_signals s JOIN campaigns c USING (tenant, campaign_id) GROUP BY 1"):
            found.update({f"{name}: {member}": value for member, value in zip(OF_REPORT[3:], values)})
        for name, arm, count in campaigns("SELECT c.name, a.name, t.delivered FROM campaign_totals t JOIN campaigns c USING (tenant, campaign_id) "
                                          "JOIN campaign_arms a USING (tenant, campaign_id, arm)"):
            found[f"{name}: arm {arm} delivered"] = count
        for name, count in campaigns("SELECT v.name, count(*) FROM messages m JOIN sends s ON s.tenant = m.tenant AND s.campaign_id = m.message_id "
                                     "AND s.contact_id = m.contact_id JOIN template_versions v ON v.tenant = m.tenant AND v.template_id = m.template_id "
                                     "AND v.version = m.template_version WHERE s.status = 4 GROUP BY 1"):
            found[f"mails {name}"] = count
        found["journey: in it"] = people("SELECT count(*) FROM journey_instances WHERE status <> 'over'")[0][0]
        for reason, count in people("SELECT reason, sum(instances) FROM journey_ends GROUP BY 1"):
            found[f"journey: left, {reason}"] = count
        for step, count in people("SELECT step, sent FROM journey_steps WHERE sent > 0"):
            found[f"journey: sent {step}"] = count
        for name, count, cents in campaigns("SELECT name, count(*), sum(coalesce(revenue_cents, 0)) FROM engagements WHERE kind = 4 GROUP BY 1"):
            found[f"events {name}"] = count
            found["revenue"] += cents
        return found


class ByPublicEvents:
    """The events that have a public topic, folded as a consumer of the topics would; read where the journal shows them."""
    name = "events"

    def __init__(self, world, story):
        self.story = story
        types = json.loads(subprocess.run([world.maily, "schema", "list", "--output", "json"], capture_output=True, text=True, check=True, env=world.env).stdout)
        self.public = {one["name"] for one in types["items"] if one.get("public_topic")}
        self.places = {}
        self.contacts, self.erased, self.opted = set(), set(), set()
        self.suppressed, self.lists = {}, {}
        self.members, self.consents = collections.defaultdict(set), collections.defaultdict(set)
        self.campaigns, self.messages, self.arm_of = {}, {}, {}
        self.sums = collections.Counter()

    def read(self):
        for partition in range(len(self.story.api.ok("GET", "/v1/instance")["partitions"])):
            while True:
                place = self.places.get(partition, "beginning")
                status, data, headers = self.story.api.call("GET", f"/v1/journal?partition={partition}&from={place}", raw=True)
                check(status == 200, f"journal: {status} {data[:500]}")
                if not data:
                    break
                for line in data.decode().splitlines():
                    event = json.loads(line)
                    if event["type"] in self.public:
                        self.take(event["type"].split(".")[-1], event.get("data") or {}, partition)
                self.places[partition] = headers["maily-next"]

    def add(self, campaign, what, count=1):
        self.sums[int(campaign), what] += count

    def take(self, kind, data, partition):
        who = (partition, int(data.get("ordinal", 0)))
        campaign = int(data.get("campaign_id", 0))
        if kind == "ContactCreated":
            self.contacts.add(who)
        elif kind == "ContactErased":
            self.erased.add(who)
            self.contacts.discard(who)
            self.opted.discard(who)
            for members in [*self.members.values(), *self.consents.values()]:
                members.discard(who)
        elif kind == "ListCreated":
            self.lists[int(data["list_id"])] = data["name"]
        elif kind == "MemberJoined":
            self.members[int(data["list_id"])].add(who)
        elif kind == "MemberLeft":
            self.members[int(data["list_id"])].discard(who)
        elif kind == "ConsentGranted" and "list_id" in data:
            self.consents[int(data["list_id"])].add(who)
        elif kind == "ConsentWithdrawn" and "list_id" in data:
            self.consents[int(data["list_id"])].discard(who)
        elif kind == "Unsubscribed":
            self.opted.add(who)
            self.add(campaign, "unsubscribes")
        elif kind == "ConsentWithdrawn" and data.get("purpose") == "marketing":
            self.opted.add(who)
        elif kind == "Resubscribed":
            self.opted.discard(who)
        elif kind == "SuppressionAdded":
            self.suppressed[data["contact_key"]] = data["reason"]
        elif kind == "SuppressionRemoved":
            self.suppressed.pop(data["contact_key"], None)
        elif kind == "CampaignCreated":
            self.campaigns[campaign] = data["spec"]
        elif kind == "AudiencePlanned":
            for verdict in bytes.fromhex(data["verdicts"]):
                self.add(campaign, "audience", verdict > 0)
                if 0 < verdict < 64:
                    self.add(campaign, "skipped, " + SKIPS.get(verdict, str(verdict)))
        elif kind == "SendSkipped":
            self.add(campaign, "skipped, " + data["reason"])
        elif kind == "MessageAccepted":
            self.messages[int(data["message_id"])] = int(data["template_id"])
        elif kind == "AttemptOpened":
            self.arm_of[partition, campaign, who] = int(data.get("arm", 0))
        elif kind == "AttemptDelivered" or (kind == "UnknownResolved" and data.get("delivered")):
            self.add(campaign, "delivered")
            self.add(campaign, ("arm", self.arm_of[partition, campaign, who]))
        elif kind in ("AttemptBounced", "BounceReceived", "ComplaintReceived"):
            self.add(campaign, {"AttemptBounced": "bounced", "BounceReceived": "bounced_later", "ComplaintReceived": "complaints"}[kind])
            if data.get("recipient_invalid") or kind == "ComplaintReceived":
                self.suppressed.setdefault(data["contact_key"], "complaint" if kind == "ComplaintReceived" else "hard_bounce")
        elif kind in ("Opened", "Clicked"):
            self.add(campaign, "opens" if kind == "Opened" else "clicks")
        elif kind == "ContactEventRecorded":
            self.sums["events " + data["name"]] += 1
            self.sums["revenue"] += int(data.get("revenue_cents", 0))

    def totals(self):
        self.read()
        found = collections.Counter({"contacts": len(self.contacts), "contacts opted out": len(self.opted), "contacts erased": len(self.erased)})
        for reason in self.suppressed.values():
            found[f"suppressed: {reason}"] += 1
        for which, name in self.lists.items():
            found[f"list {name}"] = len(self.members[which])
            found[f"list {name} without consent"] = len(self.members[which] - self.consents[which])
        for key, count in self.sums.items():
            if isinstance(key, str):
                found[key] = count
                continue
            campaign, what = key
            if campaign in self.messages:
                if what == "delivered":
                    found[f"mails {self.story.template_names[self.messages[campaign]]}"] += count
            elif campaign and isinstance(what, tuple):
                arms = self.campaigns[campaign].get("arms") or [{"name": "all"}]
                found[f"{self.campaigns[campaign]['name']}: arm {arms[what[1]].get('name')} delivered"] += count
            elif campaign:
                found[f"{self.campaigns[campaign]['name']}: {what}"] += count
        return found


class BySink:
    """The list of the SMTP server that all mails went to, which it writes before it answers."""
    name = "sink"

    def __init__(self, world, story):
        self.world, self.story = world, story

    def mails(self):
        """(subject, recipient) -> [(number, seconds since 1970)], one for each mail that came."""
        found = collections.defaultdict(list)
        path = os.path.join(self.world.base, "received.log")
        if os.path.exists(path):
            with open(path, encoding="utf-8", newline="") as file:
                for row in csv.reader(file):
                    found[row[6], row[2]].append((int(row[0]), int(row[1]) / 1e6))
        return found

    def totals(self):
        found = collections.Counter()
        for (subject, _), mails in self.mails().items():
            found[f"mails {subject}" if subject in LETTERS else f"{subject}: delivered"] += len(mails)
        return found

    def links(self, subject, recipient):
        """Paths of the first tracked link, of the pixel and of the opt-out in a mail, and the mail."""
        number = self.mails()[subject, recipient][0][0]
        mail = self.world.sink_api().call("GET", f"/messages/{number}?format=raw", raw=True)[1]
        text = mail.replace(b"=\r\n", b"").decode().replace("=3D", "=")
        paths = [re.search(rf"https?://[^/\s\"]+(/{kind}/[\w.-]+)", text) for kind in "cou"]
        check(all(paths), f"a mail without its links:\n{text[:3000]}")
        return [path.group(1) for path in paths] + [mail]
