#!/usr/bin/env python3
"""A shop's first month with Maily, by its API and command line alone, under a clock that is moved. At the end of every day all totals of the
API, of SQL and of the public events, and what the mail server really received, are what a model of the month says.

March 2027. The shop is in Berlin; its customers are there, in London, New York (clocks change on the 14th) and Auckland; Berlin and London change
theirs on the 28th. Nobody gets more than one mail a day and three in seven days, on the own calendar.

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
  Sat 20  an offer for all: who had the newsletter, the catalogue and the offer of Friday has had three this week
  Sun 21  the third newsletter
  Mon 22  the late joiner, who has had three mails this week, does not get last; orders come in
  Wed 24  the file of the 1st is imported again: nobody who has left comes back, and nobody who was forgotten
  Sun 28  at 2:30, which Berlin's clocks leave out, a flash for "pro"; at 9 the fourth newsletter: who had the flash has had one today
  Tue 30  the read models are deleted and folded anew; the month's numbers are the same

On all other days nothing is asked of the program, and nothing may happen but what is due.
"""
import datetime
import json
import os
import shutil
import subprocess

from month_model import Person
from month_sources import LETTERS
from month_story import ZONES, Story, march
from program import Api, MovedClock, Postgres, check, run_test, wait_for
from returned_mail import arf, dsn, header

SEED = int(os.environ.get("MAILY_TEST_SEED", "20270301"))
CUSTOMERS, SIGNED_UP, CATALOGUE = 300, 40, 3_000
ARMS = [{"name": "calm", "weight": 50}, {"name": "loud", "weight": 50}]
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


def weekly_arms():
    """What a newsletter's request says of its arms. A test that chooses a winner comes in here, and in Model.launch what waits for it."""
    return {"arms": ARMS}


# ---- the days ----
def mon_1_customers(story):
    api, world = story.api, story.world
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "company": "Shop", "postal_address": "1 Main Street", "time_zone": "Europe/Berlin",
                                   "frequency_cap": {"per_day": 1, "per_week": 3}})
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
    return lambda story: story.newsletter(day, **weekly_arms())


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
    check(story.model.campaigns["offer 20"].skips["frequency_cap"] > 0, "nobody has had three mails this week")
    story.newsletter(21, **weekly_arms())


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
    story.newsletter(28, **weekly_arms())


def tue_30_folded_anew(story):
    digests = lambda: {one["name"]: one["digest"] for one in json.loads(story.world.cli("projection", "verify", "--output", "json")[1])["groups"]}  # noqa: E731
    before = digests()
    check(story.world.server.stop() == 0, "SIGTERM")
    if story.postgres:
        story.postgres.run("DELETE FROM maily.live")
    else:
        shutil.rmtree(os.path.join(story.world.data, "views"))
    story.api.close()
    story.world.start_server()
    story.api = story.world.api()
    check(digests() == before, "the read models are others when they are folded anew")


def at_nine_by_their_clocks(story, name):
    """Nobody got it but in the quarter of an hour after 9 on the own clock, whatever clocks did that night; and both arms got their half of it."""
    for (subject, email), mails in story.sink.mails().items():
        at = story.model.people[email].clock(datetime.datetime.fromtimestamp(mails[0][1], datetime.timezone.utc))
        check(subject != name or (at.weekday(), at.hour, at.minute < 15) == (6, 9, True), f"{name} came to {email} at {at}")
    arms = [arm["delivered"] for arm in story.api.ok("GET", f"/v1/campaigns/{story.campaign_ids[name]}/report")["arms"]]
    check(len(arms) == len(ARMS) and min(arms) > 0.35 * sum(arms), f"{name}: arms of {arms}")


def sunday_of_a_newsletter(day):
    def look(story):
        story.to(march(day, 20))
        at_nine_by_their_clocks(story, f"newsletter {day}")
    return look


DAYS = {1: mon_1_customers, 2: tue_2_sign_ups, 3: wed_3_clicks, 6: sat_before_a_newsletter(7), 7: sunday_of_a_newsletter(7), 8: mon_8_last_and_a_kill,
        10: wed_10_import_and_a_kill, 11: thu_11_consents, 12: fri_12_forgotten, 13: sat_before_a_newsletter(14), 14: sunday_of_a_newsletter(14),
        16: tue_16_mails_come_back, 17: wed_17_catalogue_and_a_kill, 18: thu_18_late_joiner, 19: fri_19_pros, 20: sat_20_all,
        21: sunday_of_a_newsletter(21), 22: mon_22_orders, 24: wed_24_again, 27: sat_27_flash_and_newsletter, 28: sunday_of_a_newsletter(28),
        30: tue_30_folded_anew}


def run(world):
    clock = MovedClock(world)
    if clock.missing:
        return f"skipped: {clock.missing}"
    postgres = Postgres("month") if world.arguments.db == "postgres" else None
    if postgres and postgres.missing:
        return "skipped: PostgreSQL is not installed (scripts/setup.sh --postgres)"
    try:
        return month(world, clock, postgres)
    finally:
        if postgres:
            postgres.stop()


def month(world, clock, postgres):
    print(f"seed {SEED}", flush=True)
    clock.set(march(1, 0))
    world.env = clock.env
    rules = os.path.join(world.base, "rules.yaml")
    with open(rules, "w", encoding="ascii") as file:
        file.write(SINK_RULES)
    world.start_sink("--script", rules)
    if postgres:
        world.settings["db"] = postgres.url_under_roles()
    story = Story(world, clock, SEED, postgres)
    if postgres:
        postgres.run("INSERT INTO maily.analysts (login, tenant) VALUES ('ann', 1)")
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
    run_test(run, flags={"--db": {"choices": ["sqlite", "postgres"], "default": "sqlite"}}, settings={"partitions": 4, "relay-connections": 4})
