#!/usr/bin/env python3
"""Evergreen campaigns on the real program: who joins a list, enters a segment by a tag or an attribute, or is created into the audience gets the
mail later, once, over a kill -9 in the middle of an import of entrants, over pauses and re-entries; it ends when it is finished."""
import json
import random

from ab_test import refused, shown
from program import check, run_test, wait_for

FIRST = 40
LATER = 400


def until(world, what, campaign, test, seconds=90):
    api = world.api()
    return wait_for(what, lambda: (lambda found: test(found) and found)(shown(api, campaign)), seconds, world.server)


def idle(delivered):
    return lambda found: found["counts"]["delivered"] == delivered and found["counts"]["pending"] == 0


def there(api, campaign):
    wait_for("it shows", lambda: api.call("GET", f"/v1/campaigns/{campaign}")[0] == 200, 20)
    return campaign


def create(api, name, **more):
    return there(api, api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "from": "Shop <news@shop.example.com>",
                                                       "evergreen": True, **more})["id"])


def prepare(api):
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/attributes", {"name": "plan", "type": "text"})
    for name in ("news", "staff"):
        api.ok("POST", "/v1/lists", {"name": name})
    api.ok("POST", "/v1/segments", {"name": "vips", "where": 'tag("vip") or plan = "pro"'})
    for n in range(FIRST):
        api.ok("POST", "/v1/contacts", {"email": f"first-{n}@here.example", "lists": [1]})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Welcome", "text": "Hello {{ unsubscribe_url }} {{ postal_address }}"})


def later_entrants(world):
    """The campaign of a list: joins, re-entries, a pause, and a kill -9 while entrants come."""
    api = world.api()
    campaign = create(api, "welcome", list_id=1, exclude_list_ids=[2])
    check(shown(api, campaign)["evergreen"] and shown(api, campaign)["entry"] is None, "a draft takes somebody in")
    refused(api.call("POST", f"/v1/campaigns/{campaign}:finish"), 409, "campaign_not_running")
    foreseen = json.loads(world.cli("campaign", "launch", str(campaign), "--dry-run", "--output", "json")[1])
    check(foreseen["counts"]["to_send"] == FIRST and foreseen["may_launch"], f"{foreseen}")
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    found = until(world, "the first have it", campaign, idle(FIRST))
    check((found["status"], found["entry"], found["entrants"]) == ("running", "open", 0), f"{found}")
    random.seed(7)
    people = [f"later-{n}@here.example" for n in range(LATER)]
    kill_at = LATER // 2
    for n, who in enumerate(people):
        world.api().ok("POST", "/v1/contacts", {"email": who, "lists": [1]})
        if n == kill_at:
            world.server.kill()
            world.start_server()
        if random.random() < 0.1:  # gone and there again: nothing for that
            for leave in (True, False):
                world.api().ok("POST", "/v1/lists/1/members", {"email": who, "leave": leave})
    api = world.api()
    found = until(world, "everybody has it or a reason", campaign,
                  lambda found: found["counts"]["audience"] == FIRST + LATER and found["counts"]["pending"] == 0)
    until(world, "all partitions have told", campaign, lambda found: found["entrants"] == LATER)
    skipped = found["counts"]["skipped"]
    reasons = {one["reason"]: one["count"] for one in api.ok("GET", f"/v1/campaigns/{campaign}/skips")["items"]}
    check(sum(reasons.values()) == skipped and set(reasons) <= {"unsubscribed"}, f"{reasons}")  # gone when it was his turn
    return campaign, FIRST + LATER, found["counts"]["delivered"]


def pause_and_exclusion(world, campaign, audience):
    api = world.api()
    api.ok("POST", f"/v1/campaigns/{campaign}:pause")
    until(world, "the pause is in force", campaign, lambda found: found["partitions_paused"] == found["partitions"])
    for n in range(10):
        api.ok("POST", "/v1/contacts", {"email": f"paused-{n}@here.example", "lists": [1]})
    api.ok("POST", "/v1/contacts", {"email": "staff@here.example", "lists": [1, 2]})
    world.server.kill()
    world.start_server()
    api = world.api()
    check(shown(api, campaign)["counts"]["audience"] == audience, "somebody was taken in during the pause")
    api.ok("POST", f"/v1/campaigns/{campaign}:resume")
    until(world, "who came during the pause is in", campaign, lambda found: found["counts"]["audience"] == audience + 10 and found["counts"]["pending"] == 0)
    api.ok("POST", "/v1/lists/2/members", {"email": "staff@here.example", "leave": True})
    until(world, "whom nothing keeps out any more is in", campaign,
          lambda found: found["counts"]["audience"] == audience + 11 and found["counts"]["pending"] == 0)
    return audience + 11


def by_segment(world):
    """A segment by tag and attribute; empty at the launch, which is no reason against it."""
    api = world.api()
    campaign = create(api, "vips", segment_ids=[1])
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    found = until(world, "it is open", campaign, lambda found: found["partitions_planned"] == found["partitions"])
    check((found["status"], found["entry"]) == ("running", "open"), f"{found}")
    tagged = api.ok("POST", "/v1/contacts", {"email": "first-0@here.example", "tags": ["vip"]})["id"]
    api.ok("POST", "/v1/contacts", {"email": "first-1@here.example", "attributes": {"plan": "pro"}})
    api.ok("POST", "/v1/contacts", {"email": "new-vip@here.example", "tags": ["vip", "other"]})
    until(world, "three have entered", campaign, idle(3))
    # Out and in again: no second mail.
    api.ok("PATCH", f"/v1/contacts/{tagged}", {"remove_tags": ["vip"]})
    wait_for("he is out", lambda: world.api().ok("GET", "/v1/segments/1")["members"] == 2, 30, world.server)
    api.ok("PATCH", f"/v1/contacts/{tagged}", {"add_tags": ["vip"]})
    api.ok("POST", "/v1/contacts", {"email": "first-2@here.example", "tags": ["vip"]})
    found = until(world, "only the new one gets it", campaign, idle(4))
    check(found["counts"]["audience"] == 4, f"{found['counts']}")
    world.cli("segment", "check")
    return campaign


def ends(world, campaign, audience):
    api = world.api()
    listed = {one["id"]: one for one in api.ok("GET", "/v1/campaigns")["items"]}
    check(listed[campaign]["entry"] == "open", f"{listed[campaign]}")
    refused(api.call("POST", f"/v1/campaigns/{campaign}:resend", {"to": "non_openers"}), 409, "campaign_not_ended")
    world.cli("campaign", "finish", str(campaign))
    found = until(world, "it is over", campaign, lambda found: found["status"] == "completed")
    check(found["entry"] == "closed" and found["counts"]["audience"] == audience, f"{found}")
    api.ok("POST", "/v1/contacts", {"email": "too-late@here.example", "lists": [1]})
    refused(api.call("POST", f"/v1/campaigns/{campaign}:finish"), 409, "campaign_not_running")
    clone = there(api, api.ok("POST", f"/v1/campaigns/{campaign}:clone")["id"])
    check(shown(api, clone)["evergreen"], "the copy is not evergreen")
    again = there(api, api.ok("POST", f"/v1/campaigns/{campaign}:resend", {"to": "non_openers"})["id"])
    check(not shown(api, again)["evergreen"], "a resend is evergreen")
    check(shown(api, campaign)["counts"]["audience"] == audience, "somebody came in after the end")


def what_is_refused(api):
    once = create(api, "once", list_id=1, evergreen=False)
    api.ok("POST", f"/v1/campaigns/{once}:launch")
    answer = api.call("POST", f"/v1/campaigns/{once}:finish")
    check(answer[0] == 409 and answer[1]["code"] in ("campaign_not_evergreen", "campaign_not_running"), f"{answer}")
    refused(api.call("POST", "/v1/campaigns", {"name": "x", "template_id": 1, "from": "news@shop.example.com", "evergreen": "yes"}), 422, "invalid_request", "/evergreen")


def run(world):
    world.start_sink()
    world.start_server()
    prepare(world.api())
    campaign, audience, before = later_entrants(world)
    audience = pause_and_exclusion(world, campaign, audience)
    vips = by_segment(world)
    ends(world, campaign, audience)
    api = world.api()
    # Each contact has one send of each campaign, and nobody got a mail twice: what was under way at a kill may be unknown.
    counts = [shown(api, which)["counts"] for which in (campaign, vips)]
    delivered, unknown = (sum(one[name] for one in counts) for name in ("delivered", "unknown"))
    mails = world.sink_api().ok("GET", "/counts")["mails"]
    check(delivered <= mails <= delivered + unknown, f"{mails} mails for {counts}")
    what_is_refused(api)
    api.ok("POST", f"/v1/campaigns/{vips}:cancel")
    until(world, "a cancelled one is closed", vips, lambda found: (found["status"], found["entry"]) == ("cancelled", "closed"))
    return f"{FIRST} of the launch and {audience - FIRST} who came later, {before} delivered before the pause, over two kills -9; by a list, a tag and an attribute"


if __name__ == "__main__":
    run_test(run)
