#!/usr/bin/env python3
"""A shop's first month with Maily, by its API and command line alone, under a clock that is moved. At the end of every day all totals of the
API, of SQL and of the public events, and what the mail server really received, are what a model of the month says.

March 2027. The shop is in Berlin; its customers are there, in London, New York (clocks change on the 14th) and Auckland; Berlin and London change
theirs on the 28th. Nobody gets more than one campaign mail a day and two in seven days, on the own calendar.

  Mon  1  the customers of the shop are imported; some of them have signed a consent at the till
  Tue  2  people sign up on the website: each gets hello at once
  Wed  3  some click in hello, and get thanks
  Thu  4  two days are over for the others: they get nudge
  Sun  7  the first newsletter, at 9 by each one's own clock, half with one arm and half with the other
  Mon  8  at 9 all who signed up get last, and the server is killed while these mails go out; people read the newsletter, click, and opt out
  Wed 10  a file of the catalogue's customers is imported, and the server is killed in the midst of it
  Thu 11  two withdraw their consent to the newsletter; one is phoned, and opted out
  Fri 12  one wants to be forgotten; another, too, who is in the journey
  Sun 14  the second newsletter; clocks change in New York
  Tue 16  mails come back: three addresses are dead, one is full, one person complains
  Wed 17  the catalogue goes out, and the server is killed while it does
  Thu 18  a late joiner by the form on the website
  Fri 19  an offer for those with plan "pro"
  Sat 20  an offer for all: who had that of Friday and the newsletter of Sunday has had two this week
  Sun 21  the third newsletter
  Mon 22  the late joiner gets last; orders come in
  Wed 24  the file of the 1st is imported again: nobody who has left comes back, and nobody who was forgotten
  Sun 28  at 2:30, which Berlin's clocks leave out, a flash for "pro"; at 9 the fourth newsletter: who had the flash has had one today
  Tue 30  the read models are deleted and folded anew; the month's numbers are the same

On all other days nothing is asked of the program, and nothing may happen but what is due.
"""
import datetime
import json
import os
import random
import shutil
import subprocess
import sys
import time

from month_model import MARGIN, UTC, Model, Person
from month_sources import LETTERS, ByApi, ByPublicEvents, BySink, BySql, zeros_left_out
from program import Api, Failed, MovedClock, check, run_test, wait_for
from returned_mail import arf, dsn, header

SEED = int(os.environ.get("MAILY_TEST_SEED", "20270301"))
ZONES = ["Europe/Berlin", "Europe/London", "America/New_York", "Pacific/Auckland", None]
CUSTOMERS, SIGNED_UP, CATALOGUE = 300, 40, 3_000
BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"}
FROM = "Shop <news@shop.example>"
MINUTE = datetime.timedelta(minutes=1)
ARMS = [{"name": "calm", "weight": 50}, {"name": "loud", "weight": 50}]
HTML = ('<body><p>{}</p><a href="https://shop.example/offers">have a look</a> {{{{ company }}}}, {{{{ postal_address }}}} '
        '<a href="{{{{ unsubscribe_url }}}}">no more</a></body>')
WELCOME = {"name": "welcome", "entry": {"event": "signed_up"}, "steps": [
    {"id": "hello", "type": "send", "template": "hello"},
    {"id": "clicks", "type": "wait_for", "clicked": "hello", "timeout": "2d", "next": "thanks", "else": "nudge"},
    {"id": "thanks", "type": "send", "template": "thanks", "next": "monday"},
    {"id": "nudge", "type": "send", "template": "nudge", "next": "monday"},
    {"id": "monday", "type": "delay", "until": {"weekday": "monday", "time": "09:00"}},
    {"id": "last", "type": "send", "template": "last", "next": "end"}]}
SINK_RULES = """- to: "*@gone.example"
  reply: 550 5.1.1 no such user
- to: "*@grey.example"
  first: 1
  reply: 451 4.7.1 greylisted, try again
- to: "*@slow.example"
  at: dot
  delay: 0.1
- to: "*@steady.example"
  at: dot
  delay: 0.003
"""


def march(day, hour=6, minute=0):
    return datetime.datetime(2027, 3, day, hour, minute, tzinfo=UTC)


def weekly_arms(story):
    """What a newsletter's request says of its arms. The place where a test with a winner comes in: `arms` and a `test` that chooses among them."""
    return {"arms": ARMS}


class Story:
    def __init__(self, world, clock):
        self.world, self.clock, self.model = world, clock, Model()
        self.random = random.Random(SEED)
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

    def campaign(self, name, *, list_name=None, segment=None, arms=()):
        self.template(name)
        template = next(which for which, known in self.template_names.items() if known == name)
        body = {"name": name, "template_id": template, "from": FROM, **dict(arms)}
        body.update({"list_id": self.lists[list_name]} if list_name else {"segment_ids": [segment]})
        self.campaign_ids[name] = self.api.ok("POST", "/v1/campaigns", body)["id"]
        return self.campaign_ids[name]

    def schedule(self, name, wall, **more):
        """By the command line, like people do: --local, with or without each contact's own clock."""
        return json.loads(self.world.cli("campaign", "schedule", str(self.campaign_ids[name]), "--local", wall.strftime("%Y-%m-%dT%H:%M"),
                                         *[word for flag, value in more.items() for word in ([f"--{flag.replace('_', '-')}"] + ([value] if value is not True else []))],
                                         "--output", "json")[1])

    def newsletter(self, day):
        """On the day before: it goes at 9 by each one's own clock, first in Auckland."""
        name, wall = f"newsletter {day}", datetime.datetime(2027, 3, day, 9)
        self.campaign(name, list_name="newsletter", arms=weekly_arms(self))
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


# ---- the days ----
def mon_1_customers(story):
    api, world = story.api, story.world
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "company": "Shop", "postal_address": "1 Main Street", "time_zone": "Europe/Berlin",
                                   "frequency_cap": {"per_day": 1, "per_week": 2}})
    for name in ("time_zone", "plan"):
        api.ok("POST", "/v1/attributes", {"name": name, "type": "text", "personal": False})
    for name in ("newsletter", "catalogue"):
        story.lists[name] = json.loads(world.cli("list", "create", name, "--output", "json")[1])["id"]
    story.pros = json.loads(world.cli("segment", "create", "pros", 'plan = "pro" and in_list("newsletter")', "--output", "json")[1])["id"]
    for letter in LETTERS:
        story.template(letter)
    path = os.path.join(world.base, "welcome.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(WELCOME, file)
    story.journey = json.loads(world.cli("journey", "create", "--file", path, "--output", "json")[1])["id"]
    story.text = api.ok("POST", "/v1/consent-texts", {"name": "newsletter", "language": "en", "text": "Yes, send me the newsletter."})["id"]
    story.customers = story.people(CUSTOMERS, "customer", odd=("gone.example", "grey.example"))
    done = story.import_file(story.file_of(story.customers, "customers.csv"), "newsletter")
    check(done["created"] == CUSTOMERS and done["rejected"] == 0, f"{done}")
    for person in story.customers:
        story.model.add(person, "newsletter")
    for person in story.customers[:30]:
        api.ok("POST", f"/v1/contacts/{story.contact_id(person)}/consents",
               {"list_id": story.lists["newsletter"], "state": "granted", "text": story.text, "proof": "signed at the till"})
        person.consents.add("newsletter")


def tue_2_sign_ups(story):
    story.to(march(2, 10))
    story.new = [Person(f"new{number}@slow.example", ZONES[number % len(ZONES)], "pro" if number % 2 else "free") for number in range(SIGNED_UP)]
    for person in story.new:
        story.sign_up(person)


def wed_3_clicks(story):
    for person in story.got("hello")[:SIGNED_UP // 3]:
        story.follow("hello", person, "click")
        story.act()
        story.model.click_hello(person)


def sat_before_a_newsletter(day):
    return lambda story: story.newsletter(day)


def mon_8_last_and_a_kill(story):
    def kill():
        wait_for("the first last", lambda: any(subject == "last" for subject, _ in story.sink.mails()), 20, story.world.server)
        story.kill()
    story.to(march(8, 9, 30), during=kill)
    readers = story.got("newsletter 7")
    for person in readers[:40]:
        story.follow("newsletter 7", person, "open")
    for person in readers[:15]:
        story.follow("newsletter 7", person, "click")
    for person in readers[40:46]:
        story.follow("newsletter 7", person, "opt_out")


def wed_10_import_and_a_kill(story):
    story.readers = [Person(f"reader{number}@steady.example", ZONES[number % len(ZONES)]) for number in range(CATALOGUE)]
    path = story.file_of(story.readers + story.customers[:20], "catalogue.csv")
    env = dict(story.world.env, MAILY_SERVER=f"http://127.0.0.1:{story.world.port}", MAILY_KEY_FILE=os.path.join(story.world.data, "admin.key"))
    with subprocess.Popen([story.world.maily, "import", path, "--list", "catalogue", "--output", "json"], env=env, stdout=subprocess.PIPE, text=True) as importing:
        wait_for("a part of it", lambda: story.api.ok("GET", f"/v1/lists/{story.lists['catalogue']}")["members"] > 50, 60, story.world.server, every=0.002)
        check(importing.poll() is None, "the import had ended before the kill")
        story.kill()
        done = json.loads(importing.communicate(timeout=120)[0])
    check((done["created"], done["rows"]) == (CATALOGUE, CATALOGUE + 20), f"{done}")
    for person in story.readers + story.customers[:20]:
        story.model.add(person, "catalogue")


def thu_11_consents(story):
    leaving = story.got("newsletter 7")[:3]
    for person in leaving[:2]:
        story.world.cli("consent", "withdraw", story.contact_id(person), "--list", str(story.lists["newsletter"]), "--proof", "mail")
        story.model.withdraw(person, "newsletter")
    story.world.cli("consent", "withdraw", story.contact_id(leaving[2]), "--purpose", "marketing", "--proof", "phone")
    story.model.opt_out(leaving[2])


def fri_12_forgotten(story):
    story.to(march(12, 10))
    late = Person("brief@here.example", "Europe/London")
    story.sign_up(late)
    story.mails_are_there()
    story.forgotten = [story.got("newsletter 7")[0], late]
    for person in story.forgotten:
        which = story.contact_id(person)
        story.api.ok("DELETE", f"/v1/contacts/{which}")
        story.model.erase(person)
        wait_for("the keys are gone", lambda: story.api.ok("GET", f"/v1/contacts/{which}/erasure")["keys_destroyed_at"], 20, story.world.server)  # noqa: B023
        check(story.api.ok("GET", f"/v1/contacts?email={person.email}")["items"] == [], f"{person.email} is found")


def tue_16_mails_come_back(story):
    people = [one for one in story.got("newsletter 14") if one.domain == "here.example"][:5]
    name = "newsletter 14"
    campaign = story.model.campaigns[name]
    for number, person in enumerate(people):
        mail = story.sink.links(name, person.email)[3]
        message_id = header(mail, "Message-ID")
        full = number == 3
        if number == 4:
            back = arf("abuse", message_id, "fbl@shop.example")
        else:
            back = dsn(person.email, "bounces@shop.example", returned=[("Message-ID", message_id)],
                       **({"status": "5.2.2", "said": "552 5.2.2 mailbox full"} if full else {}))
        answer = story.api.ok("POST", "/v1/inbound", back, {"Content-Type": "message/rfc822"})
        check(answer["result"] == "recorded", f"{answer}")
        if number == 4:
            campaign.complaints += 1
            story.model.suppress(person, "complaint")
        else:
            campaign.bounced_later += 1
            if not full:
                story.model.suppress(person, "hard_bounce")


def wed_17_catalogue_and_a_kill(story):
    name = "catalogue 17"
    story.campaign(name, list_name="catalogue")
    before = len(story.model.mails)
    story.launch(name, story.model.members("catalogue"))
    wanted = len(story.model.mails) - before
    count = lambda: story.world.sink_api().ok("GET", "/counts")["mails"] - before  # noqa: E731
    wait_for("a part of it", lambda: count() > wanted // 10, 60, story.world.server, every=0.002)
    story.kill()
    check(count() < wanted, "all of it had gone before the kill")
    story.mails_are_there()


def thu_18_late_joiner(story):
    story.to(march(18, 10))
    made = json.loads(story.world.cli("form", "create", "footer", "--list", str(story.lists["newsletter"]), "--text", story.text, "--output", "json")[1])
    wait_for("the form", lambda: story.api.call("GET", f"/v1/forms/{made['id']}")[0] == 200, 20)
    path = "/" + story.api.ok("GET", f"/v1/forms/{made['id']}")["url"].split("/", 3)[3]
    late = story.late = Person("late@here.example")
    check(Api(story.world.port).call("POST", path, "email=late%40here.example", {"Content-Type": "application/x-www-form-urlencoded"}, raw=True)[0] == 200, "form")
    story.contact_id(late)
    story.model.add(late, "newsletter").consents.add("newsletter")
    story.sign_up(late)


def fri_19_pros(story):
    pros = [person for person in story.model.members("newsletter") if person.plan == "pro"]
    wait_for("the segment", lambda: story.api.ok("GET", f"/v1/segments/{story.pros}")["members"] == len(pros), 20, story.world.server)
    story.campaign("offer 19", segment=story.pros)
    story.launch("offer 19", pros)


def sat_20_all(story):
    story.campaign("offer 20", list_name="newsletter")
    story.launch("offer 20", story.model.members("newsletter"))
    story.newsletter(21)


def mon_22_orders(story):
    for number, person in enumerate(story.got("newsletter 21")[:25]):
        story.event("conversion", person, revenue_cents=1000 + number, currency="EUR")
        story.model.events["conversion"] += 1
        story.model.revenue_cents += 1000 + number


def wed_24_again(story):
    done = story.import_file(story.file_of(story.customers, "again.csv"), "newsletter")
    check(done["created"] == 0 and done["rejected"] == 0, f"{done}")


def sat_27_flash_and_newsletter(story):
    story.campaign("flash 28", segment=story.pros)
    wall = datetime.datetime(2027, 3, 28, 2, 30)
    answer = story.schedule("flash 28", wall, zone="Europe/Berlin")
    check(answer["starts_at"] == "2027-03-28T01:30:00Z", f"{answer}")
    story.model.when(march(28, 1, 30), lambda: story.model.launch("flash 28", [one for one in story.model.members("newsletter") if one.plan == "pro"]))
    story.newsletter(28)


def tue_30_folded_anew(story):
    digests = lambda: {one["name"]: one["digest"] for one in json.loads(story.world.cli("projection", "verify", "--output", "json")[1])["groups"]}  # noqa: E731
    before = digests()
    check(story.world.server.stop() == 0, "SIGTERM")
    shutil.rmtree(os.path.join(story.world.data, "views"))
    story.api.close()
    story.world.start_server()
    story.api = story.world.api()
    check(digests() == before, "the read models are others when they are folded anew")


DAYS = {1: mon_1_customers, 2: tue_2_sign_ups, 3: wed_3_clicks, 6: sat_before_a_newsletter(7), 8: mon_8_last_and_a_kill, 10: wed_10_import_and_a_kill,
        11: thu_11_consents, 12: fri_12_forgotten, 13: sat_before_a_newsletter(14), 16: tue_16_mails_come_back, 17: wed_17_catalogue_and_a_kill,
        18: thu_18_late_joiner, 19: fri_19_pros, 20: sat_20_all, 22: mon_22_orders, 24: wed_24_again, 27: sat_27_flash_and_newsletter,
        30: tue_30_folded_anew}


def run(world):
    clock = MovedClock(world)
    if clock.missing:
        return f"skipped: {clock.missing}"
    print(f"seed {SEED}", flush=True)
    clock.set(march(1, 0))
    world.env = clock.env
    rules = os.path.join(world.base, "rules.yaml")
    with open(rules, "w", encoding="ascii") as file:
        file.write(SINK_RULES)
    world.start_sink("--script", rules)
    story = Story(world, clock)
    totals = 0
    for day in range(1, 31):
        story.to(march(day, 6))
        if day in DAYS:
            DAYS[day](story)
        story.act()
        story.mails_are_there()
        story.to(march(day, 23))
        story.mails_are_there()
        totals += story.reconcile(day)
        print(f"{march(day):%a %d}: {len(story.model.mails)} mails, all totals agree", flush=True)
    check(world.server.stop() == 0, "SIGTERM")
    return f"30 days, {len(story.model.people)} people, {len(story.model.mails)} mails, {story.kills} kills, {story.unknown} sends in doubt, {totals} totals"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 4, "relay-connections": 4})
