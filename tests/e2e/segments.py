#!/usr/bin/env python3
"""Segments of the real program: defined and refused, kept up to date by what happens and by time, previewed, changed, shown as of a time; after
kill -9 and after a rebuild everything is as it was, and deciding everybody anew gives the same."""
import json
import os
import shutil
import time

from program import check, run_test, wait_for

PEOPLE = 3_000
PROS = '(plan = "pro" or plan = "team") and not in_list("vip")'


def members(api, segment, as_of=""):
    found, page = [], ""
    while True:
        query = "?page_size=1000" + (f"&as_of={as_of}" if as_of else "") + (f"&page_token={page}" if page else "")
        answer = api.ok("GET", f"/v1/segments/{segment}/members{query}")
        found += [item["contact_id"] for item in answer["items"]]
        page = answer.get("next_page_token", "")
        if not page:
            return found


def now():
    at = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1e6) % 1_000_000:06}Z"


def refused(api):
    status, answer, _ = api.call("POST", "/v1/segments", {"name": "x", "where": 'plna = "pro"\n  and age = "7"'})
    check(status == 422 and answer["code"] == "segment_invalid", f"{status} {answer}")
    check('1:1: no attribute "plna" is registered; "plan" is' in answer["message"], f"{answer}")
    check('2:7: "age" is a whole number, and a text is no value of it' in answer["message"], f"{answer}")
    check(answer["details"][0]["path"] == "/where", f"{answer}")
    status, answer, _ = api.call("POST", "/v1/segments", {"name": "x", "where": {"attribute": "age", "op": "=", "value": "7"}})
    check(status == 422 and "$: " in answer["message"], f"{status} {answer}")
    status, answer, _ = api.call("POST", "/v1/segments", {"name": "x", "where": "age > 1", "wher": 1})
    check(status == 422, f"{status} {answer}")
    status, answer, _ = api.call("POST", "/v1/segments:preview", {})
    check(status == 422, f"{status} {answer}")
    check(api.call("GET", "/v1/segments/99")[0] == 404 and api.call("GET", "/v1/segment-previews/99")[0] == 404, "unknown ids")
    status, answer, _ = api.call("GET", "/v1/segments/1/members?as_of=yesterday")
    check(status == 422, f"{status} {answer}")


def define(world, api, name, where):
    made = json.loads(world.cli("segment", "create", name, where, "--output", "json")[1])
    wait_for(name, lambda: api.call("GET", f"/v1/segments/{made['id']}")[0] == 200
             and api.ok("GET", f"/v1/segments/{made['id']}")["status"] == "active", 30, world.server)
    return made["id"]


def size_of(api, segment):
    return api.ok("GET", f"/v1/segments/{segment}")["members"]


def consistent(world):
    code, out, err = world.cli("segment", "check", "--output", "json", check_code=False)
    report = json.loads(out)
    check(code == 0 and report["differing"] == 0 and report["segments"] >= 4, f"exit {code}: {out} {err}")
    check(all(one["pending"] == 0 and one["kept_digest"] == one["decided_digest"] for one in report["checked"]), out)


def run(world):
    world.start_server()
    api = world.api()
    for name, kind in (("plan", "text"), ("age", "integer")):
        api.ok("POST", "/v1/attributes", {"name": name, "type": kind, "personal": False})
    api.ok("POST", "/v1/attributes", {"name": "city", "type": "text", "personal": True})
    api.ok("POST", "/v1/attributes", {"name": "adult", "type": "boolean", "personal": True})
    api.ok("POST", "/v1/lists", {"name": "vip"})
    path = world.base + "/people.csv"
    with open(path, "w", encoding="utf-8") as file:
        file.write("email,plan,age,city,adult\n")
        for n in range(PEOPLE):
            file.write(f"p{n}@a.example,{('pro', 'free', 'team', '')[n % 4]},{n % 50},{'Berlin' if n % 10 == 0 else 'Rome'},{('yes', 'No')[n % 2]}\n")
    report = api.call("POST", "/v1/imports", open(path, encoding="utf-8").read(), {"Content-Type": "text/csv"})[1]
    wait_for("the import", lambda: api.ok("GET", report["status_url"])["status"] == "completed", 60, world.server)
    refused(api)

    # Of those that there are, and a preview before.
    preview = json.loads(world.cli("segment", "preview", PROS, "--output", "json")[1])
    check((preview["matching"], preview["contacts"], preview["undecided"]) == (PEOPLE // 2, PEOPLE, PEOPLE // 4), f"{preview}")
    check(preview["missing"] == {"plan": PEOPLE // 4} and len(preview["samples"]) == 20, f"{preview}")
    pros = define(world, api, "pros", PROS)
    visitors = define(world, api, "visitors", 'event("visit", last: 1m) >= 1')
    berlin = define(world, api, "berliners", 'city = "Berlin" and adult = true and in_segment("pros")')
    rest = define(world, api, "rest", '{"not": {"in_segment": "pros"}}')
    check(size_of(api, pros) == PEOPLE // 2 and size_of(api, visitors) == 0, "sizes")
    # n % 10 == 0 and n % 4 in (0, 2): every tenth, all of which are even.
    check(size_of(api, berlin) == PEOPLE // 10 and size_of(api, rest) == PEOPLE // 2, f"{size_of(api, berlin)} {size_of(api, rest)}")
    consistent(world)
    before = now()
    at_first = set(members(api, pros))
    check(len(at_first) == PEOPLE // 2, "listed")

    # What happens changes it at once, and segments that ask for it.
    started = time.monotonic()
    api.ok("POST", "/v1/contacts", {"email": "p0@a.example", "attributes": {"plan": "free"}})
    wait_for("p0 leaves", lambda: size_of(api, pros) == PEOPLE // 2 - 1, 10, world.server)
    took = time.monotonic() - started
    wait_for("p0 leaves the Berliners", lambda: size_of(api, berlin) == PEOPLE // 10 - 1 and size_of(api, rest) == PEOPLE // 2 + 1, 10, world.server)
    api.ok("POST", "/v1/lists/1/members", {"email": "p2@a.example"})
    api.ok("POST", "/v1/contacts", {"email": "new@a.example", "attributes": {"plan": "pro", "city": "Berlin", "adult": True}})
    wait_for("p2 leaves, and a new one enters", lambda: size_of(api, pros) == PEOPLE // 2 - 1 and size_of(api, berlin) == PEOPLE // 10, 10, world.server)

    # A window ends by itself.
    api.ok("POST", "/v1/events", {"id": "e1", "type": "visit", "contact": {"email": "p5@a.example"},
                                  "occurred_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 52))})
    wait_for("p5 visits", lambda: size_of(api, visitors) == 1, 7, world.server)
    wait_for("the window ends", lambda: size_of(api, visitors) == 0, 30, world.server)

    # A new version, with its preview.
    against = json.loads(world.cli("segment", "preview", 'plan = "team"', "--segment", str(pros), "--output", "json")[1])["against"]
    check(against["enter"] == 1 and against["leave"] == PEOPLE // 4 and against["members"] == PEOPLE // 2 - 1, f"{against}")
    check(against["enter_samples"] and set(against["leave_samples"]) <= at_first | set(members(api, pros)), f"{against}")
    world.cli("segment", "change", str(pros), 'plan = "team"', "--based-on", "1")
    code, _, err = world.cli("segment", "change", str(pros), 'plan = "pro"', "--based-on", "1", check_code=False)
    check(code == 3 or "version 2 by now" in err, f"exit {code}: {err}")
    wait_for("version 2", lambda: (lambda s: s["version"] == 2 and s["status"] == "active" and s["members"] == PEOPLE // 4)(
        api.ok("GET", f"/v1/segments/{pros}")), 30, world.server)
    wait_for("those that ask for it", lambda: size_of(api, rest) == PEOPLE + 1 - PEOPLE // 4, 10, world.server)
    consistent(world)
    check(set(members(api, pros, before)) == at_first, "as of before")
    check(api.ok("GET", f"/v1/segments/{pros}?as_of={before}")["members_as_of"] == PEOPLE // 2, "as of before, counted")
    check(len(members(api, pros)) == PEOPLE // 4, "listed now")

    # After a kill and after a rebuild all is as it was.
    world.server.kill()
    world.start_server()
    api = world.api()
    consistent(world)
    check(set(members(api, pros, before)) == at_first and len(members(api, pros)) == PEOPLE // 4, "after the kill")
    digests = lambda: {group["name"]: group["digest"] for group in  # noqa: E731
                       json.loads(world.cli("projection", "verify", "--output", "json")[1])["groups"]}
    first = digests()
    world.server.stop()
    shutil.rmtree(os.path.join(world.data, "views"))
    world.start_server()
    api = world.api()
    check(digests() == first, "the read models are others after a rebuild")
    check(set(members(api, pros, before)) == at_first and len(members(api, pros)) == PEOPLE // 4, "after the rebuild")

    code, _, err = world.cli("segment", "archive", str(pros), check_code=False)
    check(code != 0 and "asks for it" in err, f"exit {code}: {err}")
    world.cli("segment", "archive", str(visitors))
    wait_for("archived", lambda: api.ok("GET", f"/v1/segments/{visitors}")["status"] == "archived", 10, world.server)
    check(members(api, visitors) == [], "members of an archived one")
    return f"{PEOPLE} contacts, 4 segments, left {took * 1000:.0f} ms after the change"


if __name__ == "__main__":
    run_test(run)
