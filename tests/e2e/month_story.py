"""The shop of the first month: what it does, by API and command line; the days wait, and compare the totals, by this."""
import datetime
import json
import os
import random
import time

from month_model import MARGIN, UTC, Model, Person
from month_sources import LETTERS, ByApi, ByPublicEvents, BySink, BySql, zeros_left_out
from program import Api, Failed, check, wait_for

ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Pacific/Auckland", None]
MINUTE = datetime.timedelta(minutes=1)
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
FROM = "Shop <news@shop.example>"
HTML = ('<body><p>{}</p><a href="https://shop.example/offers">have a look</a> {{{{ company }}}}, {{{{ postal_address }}}} '
        '<a href="{{{{ unsubscribe_url }}}}">no more</a></body>')


def march(day, hour=6, minute=0):
    return datetime.datetime(2027, 3, day, hour, minute, tzinfo=UTC)


class Story:
    def __init__(self, world, clock, seed, postgres=None):
        self.world, self.clock, self.model, self.postgres = world, clock, Model(), postgres
        self.random = random.Random(seed)
        self.ids, self.campaign_ids, self.template_names = {}, {}, {}
        self.lists, self.kills, self.unknown, self.over = {}, 0, 0, set()
        world.start_server()
        self.api = world.api()
        self.sink = BySink(world, self)
        self.sources = [ByApi(world, self), BySql(world, self), ByPublicEvents(world, self), self.sink]

    # ---- time ----
    def to(self, instant, during=None):
        """On to this instant; whatever is due before happens at its time. `during`: called with the first of it that is under way."""
        while (due := self.model.next_due(instant)) is not None:
            while due is not None:  # what is due within a minute happens together
                self.model.pass_to(max(due, self.model.now))
                due = self.model.next_due(self.model.now + MINUTE)
            self.clock.set(self.model.now + MARGIN)
            self.model.pass_to(self.model.now + MARGIN)
            if during:
                during()
                during = None
            self.mails_are_there()
        if instant > self.model.now:
            self.clock.set(instant)
            self.model.pass_to(instant)

    def act(self):
        """The model's time is the server's from here on: something is asked of it."""
        self.model.pass_to(max(self.model.now, datetime.datetime.fromtimestamp(self.clock.now(), UTC)))

    def mails_are_there(self):
        """Exactly those mails have come that the model has sent, each once; and campaigns have come as far as in the model."""
        wanted = self.model.mails
        try:
            wait_for("the mails", lambda: {who: len(mails) for who, mails in self.sink.mails().items()} == dict.fromkeys(wanted, 1)
                     and self.settle_doubts() and self.letters_are_told()
                     and all(self.has_come_as_far(campaign) for campaign in self.model.campaigns.values()), 20, self.world.server)
        except Failed:
            found = self.sink.mails()
            missing, more = sorted(set(wanted) - set(found)), sorted(set(found) - set(wanted))
            twice = sorted(who for who, mails in found.items() if len(mails) > 1)
            raise Failed(f"{self.model.now:%a %d %b %H:%M}: {len(missing)} mails are missing {missing[:5]}, {len(more)} should not be there {more[:5]}, "
                         f"{len(twice)} came twice {twice[:5]}\n"
                         + "".join(f"{one.name} has not come as far\n" for one in self.model.campaigns.values() if not self.has_come_as_far(one)) + f"{self.world.server.tail(1500)}") from None

    def letters_are_told(self):
        told = sum(day["messages"] for day in self.api.ok("GET", "/v1/messages:counts?days=366")["items"] if day["status"] == "delivered")
        return told == sum(self.model.journey[letter, "sent"] for letter in LETTERS)

    def has_come_as_far(self, campaign):
        if campaign.name in self.over:
            return True
        shown = self.api.ok("GET", f"/v1/campaigns/{self.campaign_ids[campaign.name]}")
        counts = shown["counts"]
        same = shown["partitions_planned"] == shown["partitions"] and (counts["audience"], counts["delivered"], counts["bounced"], counts["skipped"]) == (
            len(campaign.audience), len(campaign.delivered), len(campaign.bounced), sum(campaign.skips.values()))
        if same and shown["status"] == "completed":
            self.over.add(campaign.name)
        return same

    def reconcile(self, day):
        """All sources say what the model says of every total that they know."""
        wanted = zeros_left_out(self.expected())
        end = time.monotonic() + 20
        while True:
            tables = {source.name: zeros_left_out(source.totals()) for source in self.sources}
            wrong = self.differences(wanted, tables)
            if not wrong or time.monotonic() > end:
                break
            time.sleep(0.05)  # between polls
        lines = [f"{'total':<44}" + "".join(f"{name:>9}" for name in ("model", *tables))]
        for total in wrong:
            cells = [wanted.get(total, 0)] + [table.get(total, 0) if self.knows(name, total) else "-" for name, table in tables.items()]
            lines.append(f"{total:<44}" + "".join(f"{cell:>9}" for cell in cells))
        check(not wrong, f"{march(day):%A %d %B}: {len(wrong)} totals differ\n" + "\n".join(lines))
        return len(wanted)

    def differences(self, wanted, tables):
        totals = set(wanted).union(*tables.values())
        return sorted(total for total in totals for one in [{table.get(total, 0) for name, table in tables.items() if self.knows(name, total)}
                                                           | ({wanted.get(total, 0)} if ": arm " not in total else set())] if len(one) > 1)

    @staticmethod
    def knows(source, total):
        """What a source can tell of: the others have it."""
        if source == "sink":
            return total.startswith("mails ") or total.endswith(": delivered")
        if source == "events":
            return not total.startswith("journey: ") and not total.endswith((": unknown", ": pending", ": expired"))
        return total not in (("revenue", "contacts erased") if source == "API" else ())

    def expected(self):
        model, found = self.model, {}
        found["contacts"] = len(model.active())
        found["contacts opted out"] = sum(person.opted_out for person in model.active())
        found["contacts erased"] = sum(person.erased for person in model.people.values())
        for reason in ("hard_bounce", "complaint"):
            found[f"suppressed: {reason}"] = sum(person.suppressed == reason for person in model.people.values())
        for name in self.lists:
            found[f"list {name}"] = len(model.members(name))
            found[f"list {name} without consent"] = sum(name not in person.consents for person in model.members(name))
        for name, campaign in model.campaigns.items():
            found[f"{name}: audience"] = len(campaign.audience)
            found[f"{name}: delivered"], found[f"{name}: bounced"] = len(campaign.delivered), len(campaign.bounced)
            found[f"{name}: pending"] = len(campaign.audience) - len(campaign.delivered) - len(campaign.bounced) - sum(campaign.skips.values())
            found.update({f"{name}: skipped, {reason}": count for reason, count in campaign.skips.items()})
            for what in ("bounced_later", "complaints", "opens", "clicks", "unsubscribes"):
                found[f"{name}: {what}"] = getattr(campaign, what)
        for letter in LETTERS:
            found[f"journey: sent {letter}"] = model.journey[letter, "sent"]
            found[f"mails {letter}"] = sum(subject == letter for subject, _ in model.mails)
        found["journey: in it"] = model.in_journey()
        found.update({f"journey: left, {why}": count for why, count in model.left.items()})
        found.update({f"events {name}": count for name, count in model.events.items()})
        found["revenue"] = model.revenue_cents
        return found

    # ---- what a shop does ----
    def people(self, count, prefix, odd=()):
        """So many, in all zones; `odd`: domains of every twentieth, in turn."""
        made = []
        for number in range(count):
            domain = odd[number // 20 % len(odd)] if odd and number % 20 == 7 else "here.example"
            made.append(Person(f"{prefix}{number}@{domain}", ZONES[number % len(ZONES)], "pro" if number % 3 == 0 else "free"))
        return made

    def file_of(self, people, name):
        path = os.path.join(self.world.base, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write("email,time_zone,plan\n" + "".join(f"{one.email},{one.zone or ''},{one.plan}\n" for one in people))
        return path

    def import_file(self, path, list_name):
        return json.loads(self.world.cli("import", path, "--list", list_name, "--output", "json")[1])

    def template(self, name):
        self.template_names[self.api.ok("POST", "/v1/templates", {"name": name, "subject": name, "html": HTML.format(name)})["id"]] = name

    def campaign(self, name, *, list_name=None, segment=None, **more):
        self.template(name)
        template = next(which for which, known in self.template_names.items() if known == name)
        body = {"name": name, "template_id": template, "from": FROM, **more}
        body.update({"list_id": self.lists[list_name]} if list_name else {"segment_ids": [segment]})
        self.campaign_ids[name] = self.api.ok("POST", "/v1/campaigns", body)["id"]
        return self.campaign_ids[name]

    def schedule(self, name, wall, **more):
        """By the command line, like people do: --local, with or without each contact's own clock."""
        return json.loads(self.world.cli("campaign", "schedule", str(self.campaign_ids[name]), "--local", wall.strftime("%Y-%m-%dT%H:%M"),
                                         *[word for flag, value in more.items() for word in ([f"--{flag.replace('_', '-')}"] + ([value] if value is not True else []))],
                                         "--output", "json")[1])

    def newsletter(self, day, **arms):
        """On the day before: it goes at 9 by each one's own clock, first in Auckland."""
        name, wall = f"newsletter {day}", datetime.datetime(2027, 3, day, 9)
        self.campaign(name, list_name="newsletter", **arms)
        self.schedule(name, wall, per_contact_zone=True)
        first = min(person.instant(wall) for person in [Person("x", zone) for zone in ZONES] + [Person("x", "Pacific/Kiritimati")])
        self.model.when(first, lambda: self.model.launch(name, self.model.members("newsletter"), wall, arms=2))

    def launch(self, name, audience):
        self.act()
        self.api.ok("POST", f"/v1/campaigns/{self.campaign_ids[name]}:launch")
        self.model.launch(name, audience)

    def sign_up(self, person, **more):
        self.api.ok("POST", "/v1/contacts", {"email": person.email, "attributes": {"plan": person.plan, **({"time_zone": person.zone} if person.zone else {})}, **more})
        self.model.add(person)
        self.event("signed_up", person)
        self.act()
        self.model.sign_up(person)

    def event(self, name, person, **more):
        self.api.ok("POST", "/v1/events", {"id": f"{name}-{person.email}", "type": name, "contact": {"email": person.email}, **more})

    def contact_id(self, person):
        if person.email not in self.ids:
            self.ids[person.email] = wait_for(person.email, lambda: self.api.ok("GET", f"/v1/contacts?email={person.email}")["items"], 20)[0]["id"]
        return self.ids[person.email]

    def follow(self, subject, person, what):
        """As a person with a browser: `open`, `click` or `opt_out` in that mail."""
        click, pixel, leave, mail = self.sink.links(subject, person.email)
        reader = Api(self.world.port)
        if what == "opt_out":
            status = reader.call("POST", leave, "List-Unsubscribe=One-Click", {"Content-Type": "application/x-www-form-urlencoded"}, raw=True)[0]
            check(status == 200, f"opt-out: {status}")
            return self.model.opt_out(person, subject if subject in self.model.campaigns else None)
        status = reader.call("GET", pixel if what == "open" else click, headers=BROWSER, raw=True)[0]
        check(status == (200 if what == "open" else 302), f"{what}: {status}")
        if subject in self.model.campaigns:
            campaign = self.model.campaigns[subject]
            campaign.opens += what == "open"
            campaign.clicks += what == "click"
        return mail

    def got(self, subject):
        """Those who got that mail and may get others, in an order of their own."""
        people = [self.model.people[email] for name, email in sorted(self.model.mails) if name == subject]
        people = [one for one in people if not (one.erased or one.opted_out or one.suppressed)]
        self.random.shuffle(people)
        return people

    def kill(self):
        """kill -9, and on again."""
        self.world.server.kill()
        self.kills += 1
        self.api.close()
        self.world.start_server()
        self.api = self.world.api()

    def settle_doubts(self):
        """What a kill has left in doubt is settled by the mail server's list. True: nothing is in doubt."""
        found = self.api.ok("GET", "/v1/sends/unknown?page_size=1000")["items"]
        if found:
            path = os.path.join(self.world.base, "received.csv")
            with open(path, "wb") as file:
                file.write(self.world.sink_api().call("GET", "/received?format=csv", raw=True)[1])
            self.world.cli("sends", "unknown", "resolve", "--received", path, "--why", "the mail server's list", "--yes")
            self.unknown += len(found)
        return not found
