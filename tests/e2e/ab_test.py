#!/usr/bin/env python3
"""A/B tests on the real program: a sample gets two subjects, persons click the mails of one, the server dies in the wait, and the rest gets the
winner, each once. Besides: what is refused, a winner chosen by hand, one that is found before the wait is over, and a test that is cancelled."""
import email
import email.policy
import json
import re
import time

from program import Api, check, run_test, wait_for

PEOPLE = 200
BROWSER = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
ROBOT = "Googlebot/2.1"
SUBJECTS = {"plain": "Hello", "loud": "Look here"}
AT_ONCE = 2.5  # s: faster after the hand-over than this nobody reads
ARMS = [{"name": "plain", "weight": 50}, {"name": "loud", "weight": 50, "subject": SUBJECTS["loud"]}]
TEST = {"sample_percent": 40, "wait_minutes": 1, "metric": "clicks"}


def refused(answer, status, code, part=""):
    got, problem, _ = answer
    check(got == status and problem["code"] == code and part in json.dumps(problem), f"wanted {status} {code} {part}: {got} {problem}")


def shown(api, campaign):
    found = api.ok("GET", f"/v1/campaigns/{campaign}")
    counts = found["counts"]
    parts = sum(counts[name] for name in ("pending", "delivered", "skipped", "bounced", "expired", "unknown"))
    check(counts["planned"] == parts, f"the counts do not add up: {counts}")
    return found


def until(world, what, campaign, test, seconds=60):
    api = world.api()
    return wait_for(what, lambda: (lambda found: test(found) and found)(shown(api, campaign)), seconds, world.server)


def create(api, name, **more):
    return api.ok("POST", "/v1/campaigns",
                  {"name": name, "template_id": 1, "list_id": 1, "from": "Shop <news@shop.example.com>", "arms": ARMS, "test": TEST, **more})["id"]


def mails_since(world, before):
    """Recipient, subject and tracked link of each mail that came after the first `before`."""
    sink = world.sink_api()
    found = []
    for number in range(before + 1, sink.ok("GET", "/counts")["mails"] + 1):
        mail = email.message_from_bytes(sink.call("GET", f"/messages/{number}?format=raw", raw=True)[1], policy=email.policy.default)
        text = mail.get_body(("plain",)).get_content()
        found.append((mail["To"].addresses[0].addr_spec, str(mail["Subject"]), re.search(r"https?://[^/\s]+(/c/[\w.-]+)", text).group(1)))
    return found


def prepare(api):
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "all"})
    for n in range(PEOPLE):
        api.ok("POST", "/v1/contacts", {"email": f"person-{n}@here.example", "lists": [1]})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": SUBJECTS["plain"],
                                     "text": "https://shop.example/sale {{ unsubscribe_url }} {{ postal_address }}"})


def what_is_refused(world, api):
    body = {"name": "x", "template_id": 1, "from": "news@shop.example.com"}
    refused(api.call("POST", "/v1/campaigns", {**body, "arms": [{"name": "a", "weight": 60}, {"name": "b", "weight": 50}]}), 422, "campaign_invalid", "sum to 110")
    refused(api.call("POST", "/v1/campaigns", {**body, "arms": [{"name": "a", "weight": 100}], "test": TEST}), 422, "campaign_invalid", "between 2 and 10 arms")
    refused(api.call("POST", "/v1/campaigns", {**body, "arms": ARMS, "test": {**TEST, "metric": "sales"}}), 422, "invalid_request", "clicks, opens or conversions")
    refused(api.call("POST", "/v1/campaigns", {**body, "arms": ARMS, "test": {"sample_percent": 0}}), 422, "invalid_request", "/test/wait_minutes")
    plain = create(api, "no test", test=None)
    refused(api.call("POST", f"/v1/campaigns/{plain}:winner", {"arm": "loud"}), 409, "campaign_not_running")
    api.ok("DELETE", f"/v1/campaigns/{plain}")


def winner_by_clicks(world):
    api = world.api()
    campaign = create(api, "spring")
    foreseen = json.loads(world.cli("campaign", "launch", str(campaign), "--dry-run", "--output", "json")[1])
    sample = {arm["name"]: arm["recipients"] for arm in foreseen["arms"]}
    check(foreseen["counts"]["to_send"] == PEOPLE and foreseen["awaits_winner"] + sum(sample.values()) == PEOPLE, f"{foreseen}")
    check(0 < sum(sample.values()) < PEOPLE and all(sample.values()), f"{sample}")
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    found = until(world, "the sample is complete", campaign, lambda found: found["test"]["status"] == "waiting")
    until(world, "it is delivered", campaign, lambda found: found["counts"]["delivered"] == sum(sample.values()))
    delivered_at = time.monotonic()
    first = mails_since(world, 0)
    check(sorted(subject for _, subject, _ in first) == sorted([SUBJECTS["plain"]] * sample["plain"] + [SUBJECTS["loud"]] * sample["loud"]), f"{first}")
    waiting = api.ok("GET", f"/v1/campaigns/{campaign}/sends?status=awaiting_winner&page_size=1000")["items"]
    check(len(waiting) == foreseen["awaits_winner"] and all(one["arm"] is None for one in waiting), f"{len(waiting)} wait")
    # A robot follows every link of one arm; persons those of the other.
    wait_for("nobody is taken for a scanner", lambda: time.monotonic() > delivered_at + AT_ONCE, 10)
    reader = Api(world.port)
    for _, subject, link in first:
        agent = BROWSER if subject == SUBJECTS["loud"] else ROBOT
        check(reader.call("GET", link, headers={"User-Agent": agent}, raw=True)[0] == 302, "a tracked link")
    world.server.kill()
    world.start_server()
    check(shown(world.api(), campaign)["test"]["decides_at"] == found["test"]["decides_at"], "the timer is another one")
    found = until(world, "the winner is decided and sent", campaign, lambda found: found["status"] == "completed", 120)
    decision = found["test"]["decision"]
    check((decision["winner"], decision["reason"], decision["by_hand"], decision["evidence"]) == ("loud", "highest_rate", False, True), f"{decision}")
    by_name = {arm["name"]: arm for arm in decision["arms"]}
    check((by_name["loud"]["did"], by_name["plain"]["did"]) == (sample["loud"], 0), f"{decision}")
    check(by_name["loud"]["best"] > 0.99 and by_name["loud"]["propensity"] == {"sample": 0.5, "rest": 1.0}, f"{decision}")
    mails = mails_since(world, 0)
    check(len(mails) == PEOPLE and len({who for who, _, _ in mails}) == PEOPLE, "not everybody got exactly one mail")
    check({subject for _, subject, _ in mails[len(first):]} == {SUBJECTS["loud"]}, "the rest got another subject")
    api = world.api()
    # What is clicked later changes the report, and not the decision.
    wait_for("nobody is taken for a scanner", (lambda since: lambda: time.monotonic() > since + AT_ONCE)(time.monotonic()), 10)
    reader = Api(world.port)
    for _, subject, link in first:
        if subject == SUBJECTS["plain"]:
            check(reader.call("GET", link, headers={"User-Agent": BROWSER}, raw=True)[0] == 302, "a tracked link")
    report = lambda: {arm["name"]: arm for arm in api.ok("GET", f"/v1/campaigns/{campaign}/report")["arms"]}  # noqa: E731
    wait_for("late clicks show", lambda: report()["plain"]["clicked"] == sample["plain"], 20)
    arms = report()
    check(arms["loud"]["recipients"] == arms["loud"]["delivered"] == PEOPLE - sample["plain"], f"{arms}")
    rate = arms["plain"]["click_rate"]
    check(rate["rate"] == 1 and 0 < rate["low"] < 1 and rate["high"] == 1, f"{rate}")
    check(shown(api, campaign)["test"]["decision"] == decision, "late clicks changed the decision")
    refused(api.call("POST", f"/v1/campaigns/{campaign}:winner", {"arm": "plain"}), 409, "campaign_not_running")
    return sum(sample.values())


def by_hand(world, api):
    """Chosen while it is paused; nothing goes until it is resumed."""
    campaign = create(api, "by hand", test={**TEST, "wait_minutes": 60})
    before = world.sink_api().ok("GET", "/counts")["mails"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    until(world, "the sample is complete", campaign, lambda found: found["test"]["status"] == "waiting" and found["counts"]["delivered"] > 0)
    api.ok("POST", f"/v1/campaigns/{campaign}:pause")
    refused(api.call("POST", f"/v1/campaigns/{campaign}:winner", {"arm": "none"}), 422, "unknown_arm", "plain, loud")
    world.cli("campaign", "winner", str(campaign), "--arm", "plain")
    refused(api.call("POST", f"/v1/campaigns/{campaign}:winner", {"arm": "loud"}), 409, "winner_chosen")
    api.ok("POST", f"/v1/campaigns/{campaign}:resume")
    found = until(world, "the rest gets it", campaign, lambda found: found["status"] == "completed")
    decision = found["test"]["decision"]
    check((decision["winner"], decision["by_hand"], decision["evidence"]) == ("plain", True, False) and decision["by"], f"{decision}")
    check("no evidence" in decision["says"], decision["says"])
    check(len({who for who, _, _ in mails_since(world, before)}) == PEOPLE == world.sink_api().ok("GET", "/counts")["mails"] - before, "each one mail")


def enough(world, api):
    """Decided as soon as so many have clicked."""
    campaign = create(api, "enough", test={**TEST, "wait_minutes": 60, "enough": 3})
    before = world.sink_api().ok("GET", "/counts")["mails"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    until(world, "the sample is complete", campaign, lambda found: found["test"]["status"] == "waiting")
    first = mails_since(world, before)
    since = time.monotonic()
    wait_for("nobody is taken for a scanner", lambda: time.monotonic() > since + AT_ONCE, 10)
    reader = Api(world.port)
    for _, _, link in [one for one in first if one[1] == SUBJECTS["loud"]][:3]:
        check(reader.call("GET", link, headers={"User-Agent": BROWSER}, raw=True)[0] == 302, "a tracked link")
    found = until(world, "three are enough", campaign, lambda found: found["status"] == "completed")
    check(found["test"]["closed_why"] == "enough" and found["test"]["decision"]["winner"] == "loud", f"{found['test']}")


def cancelled(world, api):
    campaign = create(api, "cancelled")
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    found = until(world, "the sample is delivered", campaign, lambda found: found["test"]["status"] == "waiting" and found["counts"]["delivered"] > 0)
    api.ok("POST", f"/v1/campaigns/{campaign}:cancel")
    found = until(world, "whoever waits is skipped", campaign, lambda found: found["counts"]["pending"] == 0)
    counts = found["counts"]
    check(counts["skipped"] > 0 and counts["delivered"] + counts["skipped"] == PEOPLE and found["test"]["decision"] is None, f"{found}")
    skips = {one["reason"]: one["count"] for one in api.ok("GET", f"/v1/campaigns/{campaign}/skips")["items"]}
    check(skips == {"cancelled": counts["skipped"]}, f"{skips}")


def run(world):
    world.start_sink()
    world.start_server()
    prepare(world.api())
    what_is_refused(world, world.api())
    sample = winner_by_clicks(world)
    for step in (by_hand, enough, cancelled):
        step(world, world.api())
    return f"{sample} of {PEOPLE} got the arms, and the rest the winner, over a kill -9; by hand, by enough clicks, cancelled"


if __name__ == "__main__":
    run_test(run)
