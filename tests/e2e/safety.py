#!/usr/bin/env python3
"""Safety stops, on the real program: one recipient in ten of 2,000 is refused for good, so the campaign pauses by itself with its numbers; it
goes on only with an override and a reason; in the end every sum agrees with what the receiving server took."""
import json
import os

from program import check, run_test, wait_for

PEOPLE = 2000
BAD = PEOPLE // 10


def mails(world):
    return world.sink_api().ok("GET", "/counts")["mails"]


def shown(api, campaign):
    found = api.ok("GET", f"/v1/campaigns/{campaign}")
    counts = found["counts"]
    settled = sum(counts[name] for name in ("delivered", "skipped", "bounced", "expired", "unknown"))
    check(counts["planned"] == settled + counts["pending"] and counts["audience"] == counts["planned"] + counts["holdout"], f"counts do not add up: {counts}")
    return found


def prepare(world, api):
    safety = api.ok("GET", "/v1/settings")["safety"]
    check(safety == {"hard_bounces_bp": 500, "complaints_bp": 30, "policy_bp": 500, "after_sends": 500, "after_replies": 200}, f"defaults: {safety}")
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street",
                                   "safety": {"complaints_bp": 25}})
    wait_for("the settings show", lambda: api.ok("GET", "/v1/settings")["safety"]["complaints_bp"] == 25, 10)
    check(api.call("PUT", "/v1/settings", {"safety": {"policy_bp": 10001}})[0] == 422, "a rate above a hundred per cent was taken")
    path = os.path.join(world.base, "people.csv")
    with open(path, "w", encoding="ascii") as file:
        file.write("email\n" + "".join(f"person-{n}@{'gone' if n % 10 == 7 else 'here'}.example\n" for n in range(PEOPLE)))
    api.ok("POST", "/v1/lists", {"name": "old"})
    world.cli("import", path, "--list", "old")
    template = api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})["id"]
    campaign = api.ok("POST", "/v1/campaigns", {"name": "old list", "template_id": template, "list_id": 1, "from": "Shop <news@shop.example.com>"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    return campaign


def stopped(world, api, campaign):
    """It has paused by itself, everywhere, and nothing goes out any more."""
    def quiet():
        found = shown(api, campaign)
        check(found["status"] != "completed", f"it was completed, and not paused: {found}")
        return found["status"] == "paused" and found["partitions_paused"] == found["partitions"] and found["trouble"] is None and found
    found = wait_for("the campaign pauses", quiet, 60, world.server)
    stop = found["stop"]
    check(stop["reason"] == "hard_bounces" and stop["of"] >= 500 and stop["count"] * 10_000 > 500 * stop["of"] and stop["limit_bp"] == 500
          and stop["rate_bp"] == stop["count"] * 10_000 // stop["of"], f"{stop}")
    check(stop["count"] <= found["counts"]["bounced"] and stop["of"] <= found["counts"]["bounced"] + found["counts"]["delivered"], f"{found}")
    still = {"counts": None}

    def rests():
        before, still["counts"] = still["counts"], shown(api, campaign)["counts"]
        return before == still["counts"]
    wait_for("what was under way is settled", rests, 30, world.server, every=1)
    check(still["counts"]["pending"] > 0 and mails(world) < PEOPLE - BAD, f"nothing was held: {still}")
    return stop


def run(world):
    # Slow enough that a pause comes before the end.
    world.start_sink("--delay-ms", "20", "--reply", "*@gone.example=550 5.1.1 no such user")
    world.start_server()
    api = world.api()
    campaign = prepare(world, api)
    stop = stopped(world, api, campaign)
    status, problem, _ = api.call("POST", f"/v1/campaigns/{campaign}:resume")
    check(status == 409 and problem["code"] == "campaign_stopped" and f"{stop['count']} of {stop['of']} sends" in problem["message"], f"{status} {problem}")
    status, problem, _ = api.call("POST", f"/v1/campaigns/{campaign}:resume", {"override": True})
    check(status == 422 and problem["code"] == "override_without_why", f"{status} {problem}")
    code, out, error = world.cli("campaign", "resume", str(campaign), check_code=False)
    check(code != 0 and "campaign_stopped" in out + error, f"{code} {out} {error}")
    # The stop outlives a kill.
    world.server.kill()
    world.start_server()
    check(shown(api, campaign)["stop"] == stop, f"{shown(api, campaign)}")
    world.cli("campaign", "resume", str(campaign), "--override", "--why", "the rest was asked again")
    wait_for("the campaign completes", lambda: shown(api, campaign)["status"] == "completed", 120, world.server)
    found = shown(api, campaign)
    check(found["stop"] is None and found["overridden"] == "hard_bounces" and found["override_why"] == "the rest was asked again", f"{found}")
    counts = found["counts"]
    check((counts["delivered"], counts["bounced"], counts["pending"], counts["unknown"]) == (PEOPLE - BAD, BAD, 0, 0), f"{counts}")
    check(mails(world) == PEOPLE - BAD, f"{mails(world)} mails")
    totals = api.ok("GET", f"/v1/campaigns/{campaign}/report")["totals"]
    check((totals["recipients"], totals["delivered"], totals["bounced"]) == (PEOPLE, PEOPLE - BAD, BAD), f"{totals}")
    suppressed, page = 0, ""
    while True:
        answer = api.ok("GET", f"/v1/suppressions?page_size=1000{page}")
        suppressed += len(answer["items"])
        if not answer.get("next_page_token"):
            break
        page = f"&page_token={answer['next_page_token']}"
    check(suppressed == BAD, f"{suppressed} are suppressed")
    _, out, _ = world.cli("campaign", "show", str(campaign), "--output", "json")
    check(json.loads(out)["overridden"] == "hard_bounces", out)
    return f"paused at {stop['count']} of {stop['of']} sends; {PEOPLE - BAD} delivered and {BAD} bounced in the end"


if __name__ == "__main__":
    run_test(run, settings={"relay-connections": 4})
