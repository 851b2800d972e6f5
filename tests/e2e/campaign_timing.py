#!/usr/bin/env python3
"""When campaigns go, on the real program: scheduled over a kill -9, held when a launch would be refused, throttled and let go, capped, by each
contact's own clock, and not in quiet hours."""
import datetime
import json

from program import check, run_test, wait_for

PEOPLE = 24


def utc(delta_s=0):
    return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=delta_s)


def refused(answer, status, code, *places):
    got, problem, _ = answer
    check(got == status and problem["code"] == code, f"wanted {status} {code}: {got} {problem}")
    details = {(one["path"], one["code"]) for one in problem["details"]}
    for place in places:
        check(place in details, f"{place} is not among {problem['details']}")


def shown(api, campaign):
    return api.ok("GET", f"/v1/campaigns/{campaign}")


def until(api, server, what, campaign, test, seconds=30):
    return wait_for(what, lambda: (lambda found: test(found) and found)(shown(api, campaign)), seconds, server)


def create(api, name, **more):
    return api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "list_id": 1, "from": "Shop <news@shop.example.com>", **more})["id"]


def prepare(api):
    api.ok("POST", "/v1/attributes", {"name": "time_zone", "type": "text", "personal": False})
    refused(api.call("PUT", "/v1/settings", {"time_zone": "Europe/Berlinn"}), 422, "invalid_request", ("/time_zone", "unknown_zone"))
    api.ok("POST", "/v1/lists", {"name": "all"})
    for n in range(PEOPLE):
        zone = {} if n % 3 == 0 else {"time_zone": "Pacific/Kiritimati" if n % 3 == 1 else "Pacific/Honolulu"}
        api.ok("POST", "/v1/contacts", {"email": f"person-{n}@here.example", "attributes": zone, "lists": [1]})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})


def patched(api):
    """Of a draft, when it goes is changed like all else."""
    campaign = create(api, "draft", throttle={"per_minute": 20}, quiet_hours={"from": "21:00", "to": "08:00"})
    wanted = {"throttle": {"over_minutes": 90}, "quiet_hours": {"from": "22:30", "to": "07:00"}, "ttl_minutes": 45, "from_name": "The shop"}
    changed = api.call("PATCH", f"/v1/campaigns/{campaign}", wanted, {"If-Match": '"1"'})
    check(changed[0] == 200 and changed[1]["revision"] == 2, f"{changed}")
    wait_for("the changes show", lambda: all(shown(api, campaign)[name] == value for name, value in wanted.items()), 10)
    changed = api.call("PATCH", f"/v1/campaigns/{campaign}", {"ttl_minutes": None, "throttle": None, "quiet_hours": None, "from_name": None}, {"If-Match": '"2"'})
    check(changed[0] == 200, f"{changed}")
    wait_for("they are gone", lambda: shown(api, campaign)["throttle"] is None and shown(api, campaign)["quiet_hours"] is None, 10)
    found = shown(api, campaign)
    check(found["ttl_minutes"] == 4320 and found["from_name"] == "", f"{found}")
    refused(api.call("PATCH", f"/v1/campaigns/{campaign}", {"ttl_minutes": 0, "throttle": {"per_minute": 1, "over_minutes": 1}}, {"If-Match": '"3"'}),
            422, "invalid_request", ("/ttl_minutes", "out_of_range"), ("/throttle/over_minutes", "twice"))


def scheduled(world, api):
    """The sender is missing at the first start; the second one falls due while nobody runs."""
    campaign = create(api, "morning")
    path = f"/v1/campaigns/{campaign}:schedule"
    refused(api.call("POST", path, {}), 422, "schedule_invalid", ("/at", "missing"))
    refused(api.call("POST", path, {"at": utc(-5).isoformat()}), 422, "schedule_invalid", ("/at", "in_the_past"))
    refused(api.call("POST", path, {"local": "2030-01-01T09:00", "zone": "Mars/Olympus"}), 422, "schedule_invalid", ("/zone", "unknown_zone"))
    refused(api.call("POST", path, {"at": "2030-01-01T09:00"}), 422, "invalid_request", ("/at", "invalid_time"))
    _, out, _ = world.cli("campaign", "schedule", str(campaign), "--local", "2027-07-01T09:00", "--zone", "Europe/Berlin", "--output", "json")
    check(json.loads(out)["starts_at"] == "2027-07-01T07:00:00Z", out)
    check(api.call("POST", f"/v1/campaigns/{campaign}:pause")[0] == 409, "a scheduled campaign was paused")
    api.ok("POST", path, {"at": utc(0.5).isoformat()})
    held = until(api, world.server, "the start is held", campaign, lambda found: found["status"] == "held")
    check(held["held"]["reason"] == "refused" and "from_not_verified" in held["held"]["codes"], f"{held['held']}")
    refused(api.call("POST", f"/v1/campaigns/{campaign}:release"), 422, "from_not_verified")
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street", "time_zone": "UTC"})
    api.ok("POST", path, {"at": utc(1).isoformat()})
    world.server.kill()
    world.start_server()
    api = world.api()
    found = until(api, world.server, "it goes by itself", campaign, lambda found: found["status"] == "completed")
    check(found["counts"]["delivered"] == PEOPLE, f"{found['counts']}")


def throttled(world, api):
    campaign = create(api, "drops", throttle={"per_minute": 20})
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    found = until(api, world.server, "it has begun", campaign, lambda found: found["counts"]["delivered"] >= 1)
    check(found["throttle"] == {"per_minute": 20} and found["counts"]["delivered"] <= 5, f"{found['throttle']} {found['counts']}")
    world.cli("campaign", "throttle", str(campaign), "--per-minute", "6000")
    found = until(api, world.server, "the rest goes at once", campaign, lambda found: found["status"] == "completed", 4)
    check(found["throttle"] == {"per_minute": 6000} and found["counts"]["delivered"] == PEOPLE, f"{found}")


def by_clock(world, api):
    campaign = create(api, "clocks")
    local = utc(14 * 3600 - 60).strftime("%Y-%m-%dT%H:%M")  # what clocks show in Kiritimati, a minute ago at most
    world.cli("campaign", "schedule", str(campaign), "--local", local, "--per-contact-zone")
    there = PEOPLE // 3
    found = until(api, world.server, "the first zone", campaign, lambda found: found["counts"]["delivered"] == there)
    check(found["counts"]["pending"] == PEOPLE - there and found["clocks"]["without_zone"] == there, f"{found['counts']} {found['clocks']}")
    check(found["schedule"]["per_contact_zone"] and found["schedule"]["local"] == local, f"{found['schedule']}")
    api.ok("POST", f"/v1/campaigns/{campaign}:cancel")
    until(api, world.server, "whoever waits is skipped", campaign, lambda found: found["counts"]["skipped"] == PEOPLE - there)


def quiet(world, api):
    hours = {"from": utc(-3600).strftime("%H:%M"), "to": utc(3600).strftime("%H:%M")}
    campaign = create(api, "night", quiet_hours=hours)
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    # Who has no zone lives by UTC; Honolulu and Kiritimati are ten hours from it, and it is day there by these hours.
    found = until(api, world.server, "those who are awake get it", campaign, lambda found: found["counts"]["delivered"] == PEOPLE - PEOPLE // 3)
    check(found["counts"]["pending"] == PEOPLE // 3 and found["quiet_hours"] == hours, f"{found}")
    api.ok("POST", f"/v1/campaigns/{campaign}:cancel")
    stale = create(api, "flash", quiet_hours=hours, ttl_minutes=5)
    api.ok("POST", f"/v1/campaigns/{stale}:launch")
    until(api, world.server, "it is stale for the others", stale, lambda found: found["status"] == "completed" and found["counts"]["skipped"] == PEOPLE // 3)
    skips = {one["reason"]: one["count"] for one in api.ok("GET", f"/v1/campaigns/{stale}/skips")["items"]}
    check(skips == {"quiet_hours": PEOPLE // 3}, f"{skips}")


def capped(world, api):
    api.ok("PUT", "/v1/settings", {"frequency_cap": {"per_day": 1}})
    wait_for("the cap shows", lambda: api.ok("GET", "/v1/settings")["frequency_cap"] == {"per_day": 1, "per_week": 0}, 10)
    both = [create(api, name) for name in ("one", "two")]
    for campaign in both:
        api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    counts = [until(api, world.server, "both end", campaign, lambda found: found["status"] == "completed")["counts"] for campaign in both]
    check(sum(one["delivered"] for one in counts) == PEOPLE and sum(one["skipped"] for one in counts) == PEOPLE, f"{counts}")
    skips = [one for campaign in both for one in api.ok("GET", f"/v1/campaigns/{campaign}/skips")["items"]]
    check({one["reason"] for one in skips if one["count"]} == {"frequency_cap"}, f"{skips}")


def run(world):
    world.start_sink()
    world.start_server()
    prepare(world.api())
    patched(world.api())
    scheduled(world, world.api())
    for step in (throttled, by_clock, quiet, capped):
        step(world, world.api())
    return "patched, scheduled, held, throttled, by clocks, quiet, capped"


if __name__ == "__main__":
    run_test(run)
