#!/usr/bin/env python3
"""Arms with a template of their own, languages, and templates out of use, on the real program: a sample gets two templates in the languages of
its people, one of them is edited and archived in the wait, the server dies, and the rest gets the version that the launch has pinned. The report
is split by language and adds up; links lead where the arm's own template says. Besides: what is refused of an archived template, and of one in use."""
import email
import email.policy
import json
import re
import time

from program import Api, check, run_test, wait_for

PEOPLE = 120
LANGUAGES = ["de_AT", "fr", None]  # of every third person: a variant, none that there is, and nothing said
OPT_OUT = "{{ unsubscribe_url }} {{ postal_address }}"
SUBJECTS = {("long", "en"): "Hello", ("long", "de"): "Hallo", ("short", "en"): "In short", ("short", "de"): "Kurz"}
TARGETS = {"long": "https://shop.example/long", "short": "https://shop.example/short"}
FIRST = "https://shop.example/first"  # a link that the long one has besides: numbers of the short one's begin behind it
ARMS = [{"name": "long", "weight": 50}, {"name": "short", "weight": 50, "template_id": 2}]
AT_ONCE = 2.5  # s: faster after the hand-over than this nobody reads
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


def refused(answer, status, code, part=""):
    got, problem, _ = answer
    check(got == status and problem["code"] == code and part in json.dumps(problem), f"wanted {status} {code} {part}: {got} {problem}")


def language_of(number):
    return "de" if LANGUAGES[number % 3] == "de_AT" else "en"


def save(api, name, en, de):
    before = f"{FIRST} " if name == "long" else ""
    text = f"{before}{TARGETS[name]} {OPT_OUT}"
    return api.ok("POST", "/v1/templates", {"name": name, "locale": "en", "subject": en, "text": text,
                                            "variants": [{"locale": "de", "subject": de, "text": text}]})


def prepare(api):
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/attributes", {"name": "language", "type": "text", "personal": False})
    api.ok("POST", "/v1/lists", {"name": "all"})
    for number in range(PEOPLE):
        language = LANGUAGES[number % 3]
        api.ok("POST", "/v1/contacts", {"email": f"person-{number}@here.example", "lists": [1],
                                        "attributes": {"language": language} if language else {}})
    for name in ("long", "short"):
        save(api, name, SUBJECTS[name, "en"], SUBJECTS[name, "de"])


def mails(world):
    """Number of the person, subject and the last tracked link of each mail."""
    sink = world.sink_api()
    for number in range(1, sink.ok("GET", "/counts")["mails"] + 1):
        mail = email.message_from_bytes(sink.call("GET", f"/messages/{number}?format=raw", raw=True)[1], policy=email.policy.default)
        who = int(re.match(r"person-(\d+)@", mail["To"].addresses[0].addr_spec).group(1))
        yield who, str(mail["Subject"]), re.findall(r"https?://[^/\s]+(/c/[\w.-]+)", mail.get_body(("plain",)).get_content())[-1]


def until(world, what, campaign, test, seconds=60):
    api = world.api()
    return wait_for(what, lambda: (lambda found: test(found) and found)(api.ok("GET", f"/v1/campaigns/{campaign}")), seconds, world.server)


def previews(world, api, campaign):
    shown = lambda more: api.ok("GET", f"/v1/campaigns/{campaign}/preview?email=person-0%40here.example{more}")  # noqa: E731
    wait_for("it is there", lambda: api.call("GET", f"/v1/campaigns/{campaign}/preview?email=person-0%40here.example")[0] == 200, 20, world.server)
    check((shown("")["arm"], shown("")["subject"]) == ("long", "Hallo"), f"{shown('')}")
    short = shown("&arm=short")
    check((short["template_id"], short["template_version"], short["subject"], short["locale"]) == (2, 1, "Kurz", "de"), f"{short}")
    check(shown("&arm=short&locale=en")["subject"] == "In short", "another language of an arm")
    refused(api.call("GET", f"/v1/campaigns/{campaign}/preview?email=person-0%40here.example&arm=none"), 422, "invalid", "no arm none")
    text = world.cli("campaign", "preview", str(campaign), "--email", "person-1@here.example", "--arm", "short")[1]
    check("In short" in text, text)


def out_of_use(world, api, campaign):
    """Archived while the campaign waits for its winner: nothing new is made of it."""
    world.cli("template", "archive", "2")
    wait_for("it is listed apart", lambda: [one["id"] for one in api.ok("GET", "/v1/templates?archived=true")["items"]] == [2], 20, world.server)
    check([one["id"] for one in api.ok("GET", "/v1/templates")["items"]] == [1], "it is listed among those in use")
    check(api.ok("GET", "/v1/templates/2")["archived_at"] is not None, "it does not say when it was archived")
    body = {"name": "x", "from": "news@shop.example.com"}
    refused(api.call("POST", "/v1/campaigns", {**body, "template_id": 2}), 422, "campaign_invalid", "maily template restore 2")
    refused(api.call("POST", "/v1/campaigns", {**body, "template_id": 1, "arms": ARMS}), 422, "campaign_invalid", "/arms/1/template_id")
    refused(api.call("POST", "/v1/messages", {"to": "ann@example.com", "template": "short"}), 422, "template_archived", "maily template restore 2")
    refused(api.call("POST", "/v1/templates", {"name": "short", "subject": "s", "text": OPT_OUT}), 409, "template_archived", "another name")
    got, problem, _ = api.call("POST", "/v1/journeys", {"name": "j", "entry": {"event": "x"}, "steps": [{"id": "a", "type": "send", "template": "short"}]})
    check(got == 422 and "archived" in json.dumps(problem), f"a journey of an archived template: {got} {problem}")
    refused(api.call("DELETE", "/v1/templates/2"), 409, "template_in_use", f"campaign {campaign}")


def report_adds_up(world, api, campaign):
    report = json.loads(world.cli("campaign", "report", str(campaign), "--output", "json")[1])
    by_locale = {one["locale"]: one for one in report["locales"]}
    check(by_locale.keys() == {"de", "en"}, f"{report['locales']}")
    people = {"de": PEOPLE // 3, "en": PEOPLE - PEOPLE // 3}
    check(all(one["sent"] == one["delivered"] == people[locale] for locale, one in by_locale.items()), f"{by_locale}")
    for name in ("delivered", "bounced", "unknown", "expired", "opened", "clicked", "unsubscribes", "complaints"):
        total = sum(one[name] for one in by_locale.values())
        check(total == report["totals"][name], f"{name}: {total} by language, {report['totals'][name]} of the campaign")
    return report, by_locale


def run(world):
    world.start_sink()
    world.start_server()
    api = world.api()
    prepare(api)
    campaign = api.ok("POST", "/v1/campaigns", {"name": "spring", "template_id": 1, "list_id": 1, "from": "Shop <news@shop.example.com>",
                                                "arms": ARMS, "test": {"sample_percent": 40, "wait_minutes": 60}})["id"]
    previews(world, api, campaign)
    foreseen = json.loads(world.cli("campaign", "launch", str(campaign), "--dry-run", "--output", "json")[1])
    sample = {arm["name"]: arm["recipients"] for arm in foreseen["arms"]}
    check(foreseen["may_launch"] and all(sample.values()), f"{foreseen}")
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    found = until(world, "the sample is delivered", campaign,
                  lambda found: found["test"]["status"] == "waiting" and found["counts"]["delivered"] == sum(sample.values()))
    check([(arm["template_id"], arm["template_version"]) for arm in found["arms"]] == [(1, 1), (2, 1)], f"{found['arms']}")
    # Neither an edit nor its archiving reaches the campaign that runs.
    check(save(api, "short", "Edited", "Neu")["version"] == 2, "a second version")
    out_of_use(world, api, campaign)
    world.server.kill()
    world.start_server()
    api = world.api()
    api.ok("POST", f"/v1/campaigns/{campaign}:winner", {"arm": "short"})
    until(world, "the rest gets it", campaign, lambda found: found["status"] == "completed")
    since = time.monotonic()
    got = list(mails(world))
    check(len(got) == PEOPLE == len({who for who, _, _ in got}), f"{len(got)} mails to {len({who for who, _, _ in got})} people")
    arm_of = {subject: arm for (arm, _), subject in SUBJECTS.items()}
    for who, subject, _ in got:
        check(subject in arm_of and subject == SUBJECTS[arm_of[subject], language_of(who)], f"person {who} got {subject}")
    check(sum(arm_of[subject] == "long" for _, subject, _ in got) == sample["long"], "the sample got another share of the long one")
    # A link of an arm leads where its own template says; a person's click counts for the language of the mail.
    wait_for("nobody is taken for a scanner", lambda: time.monotonic() > since + AT_ONCE, 10)
    reader = Api(world.port)
    clicked = set()
    for who, subject, link in got:
        if (arm_of[subject], language_of(who)) in clicked:
            continue
        clicked.add((arm_of[subject], language_of(who)))
        status, _, headers = reader.call("GET", link, headers={"User-Agent": BROWSER}, raw=True)
        check(status == 302 and headers["location"] == TARGETS[arm_of[subject]], f"{subject}: {status} {headers}")
    check(len(clicked) == 4, f"{clicked}")
    wait_for("clicks are counted", lambda: sum(one["clicked"] for one in api.ok("GET", f"/v1/campaigns/{campaign}/report")["locales"]) == 4,
             20, world.server)
    report, by_locale = report_adds_up(world, api, campaign)
    check((by_locale["de"]["clicked"], by_locale["en"]["clicked"]) == (2, 2) and by_locale["de"]["click_rate"]["rate"] == 2 / (PEOPLE // 3), f"{by_locale}")
    sends = api.ok("GET", f"/v1/campaigns/{campaign}/sends?page_size=1000")["items"]
    check(sorted(one["locale"] for one in sends) == ["de"] * (PEOPLE // 3) + ["en"] * (PEOPLE - PEOPLE // 3), "languages of sends")
    # What is used stays; what is not can go.
    spare = api.ok("POST", "/v1/templates", {"name": "spare", "subject": "s", "text": OPT_OUT})
    world.cli("template", "delete", str(spare["id"]))
    wait_for("it is gone", lambda: api.call("GET", f"/v1/templates/{spare['id']}")[0] == 404, 20, world.server)
    world.cli("template", "restore", "2")
    check(api.ok("POST", f"/v1/campaigns/{campaign}:clone")["id"] > campaign, "a copy of a restored template's campaign")
    return f"{sample} of {PEOPLE} got two templates in two languages, the rest the pinned one, over an edit, an archiving and a kill -9; {len(report['locales'])} languages add up"


if __name__ == "__main__":
    run_test(run)
