#!/usr/bin/env python3
"""Who gets a campaign, and who may launch it, on the real program: audiences out of lists and segments and their previews, drafts that are changed
under If-Match, a dry run whose numbers are those of the launch, resends whose totals add up, a holdout, approvals; after a rebuild all is as it was."""
import json
import os
import re
import shutil

from program import Api, check, run_test, wait_for

PEOPLE = 240
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
HTML = '<body><a href="https://shop.example/">go</a> {{ unsubscribe_url }} {{ postal_address }}</body>'


def on_a(n):
    return n < 160


def on_b(n):
    return 80 <= n < 200


def is_staff(n):
    return n % 40 == 0


def is_pro(n):
    return n % 3 == 0


def prepare(world, api):
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/attributes", {"name": "plan", "type": "text", "personal": False})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "html": HTML})
    for name in ("a", "b", "staff", "all"):
        api.ok("POST", "/v1/lists", {"name": name})
    parts = {"a": on_a, "b": on_b, "staff": is_staff, "all": lambda n: True}
    for name, member in parts.items():
        path = os.path.join(world.base, "people.csv")
        with open(path, "w", encoding="ascii") as file:
            file.write("email,plan\n" + "".join(f"p{n}@{'full' if n % 10 == 7 else 'here'}.example,{'pro' if is_pro(n) else 'free'}\n"
                                                for n in range(PEOPLE) if member(n)))
        world.cli("import", path, "--list", name)
    segment = json.loads(world.cli("segment", "create", "pros", 'plan = "pro"', "--output", "json")[1])["id"]
    wait_for("the segment", lambda: (lambda s: s["status"] == "active" and s["members"] == 80)(api.ok("GET", f"/v1/segments/{segment}")), 30, world.server)
    sizes = {1: sum(map(on_a, range(PEOPLE))), 2: sum(map(on_b, range(PEOPLE))), 3: sum(map(is_staff, range(PEOPLE)))}
    wait_for("the lists", lambda: all(api.ok("GET", f"/v1/lists/{i}")["members"] == size for i, size in sizes.items()), 30, world.server)
    return segment


def audiences(world, api, segment):
    """Counts are those of sets; what is not there is refused with its place."""
    everyone = range(PEOPLE)
    for flags, fits in ((["--list", "1", "--list", "2"], lambda n: on_a(n) or on_b(n)),
                        (["--list", "2", "--segment", str(segment)], lambda n: on_b(n) or is_pro(n)),
                        (["--list", "1", "--segment", str(segment), "--exclude-list", "3"], lambda n: (on_a(n) or is_pro(n)) and not is_staff(n)),
                        (["--exclude-segment", str(segment)], lambda n: not is_pro(n)),
                        (["--list", "1", "--exclude-segment", str(segment), "--exclude-list", "2"], lambda n: on_a(n) and not is_pro(n) and not on_b(n))):
        shown = json.loads(world.cli("campaign", "audience", *flags, "--output", "json")[1])
        check(shown["contacts"] == sum(map(fits, everyone)) and len(shown["samples"]) == 20 and shown["applying"] == [], f"{flags}: {shown}")
    status, answer, _ = api.call("POST", "/v1/campaigns", {"name": "x", "template_id": 1, "from": "news@shop.example.com", "list_ids": [1, 9],
                                                           "exclude_segment_ids": [77]})
    check(status == 422 and {d["path"] for d in answer["details"]} == {"/list_ids/1", "/exclude_segment_ids/0"}, f"{status} {answer}")
    status, answer, _ = api.call("POST", "/v1/audiences:preview", {"list_ids": [0], "lists": [1]})
    check(status == 422 and {d["path"] for d in answer["details"]} == {"/list_ids/0", "/lists"}, f"{status} {answer}")


def counts_of(api, campaign):
    counts = api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]
    settled = sum(counts[name] for name in ("delivered", "skipped", "bounced", "expired", "unknown"))
    check(counts["planned"] == settled + counts["pending"] and counts["audience"] == counts["planned"] + counts["holdout"], f"{counts}")
    return counts


def shows(api, campaign, **members):
    wait_for(f"campaign {campaign} shows {members}", lambda: (lambda a: a[0] == 200 and all(a[1][name] == value for name, value in members.items()))(
        api.call("GET", f"/v1/campaigns/{campaign}")), 20)


def drafts(api, segment):
    """A draft is changed by whoever has seen its newest revision."""
    draft = api.ok("POST", "/v1/campaigns", {"name": "draft", "template_id": 1, "from": "news@shop.example.com", "list_id": 1})["id"]
    shows(api, draft, revision=1, status="draft")
    at = f"/v1/campaigns/{draft}"
    check(api.call("GET", at)[2]["etag"] == '"1"', "no ETag")
    status, answer, _ = api.call("PATCH", at, {"name": "x"})
    check(status == 428 and answer["code"] == "precondition_required", f"{status} {answer}")
    status, answer, headers = api.call("PATCH", at, {"name": "changed", "segment_ids": [segment], "list_id": None}, {"If-Match": '"1"'})
    check(status == 200 and answer["revision"] == 2 and headers["etag"] == '"2"', f"{status} {answer} {headers}")
    status, answer, _ = api.call("PATCH", at, {"name": "late"}, {"If-Match": '"1"'})
    check(status == 412 and answer["code"] == "stale_revision", f"{status} {answer}")
    status, answer, _ = api.call("PATCH", at, {"nam": "x", "segment_ids": ["a"]}, {"If-Match": '"2"'})
    check(status == 422 and len(answer["details"]) == 2, f"{status} {answer}")
    shows(api, draft, name="changed", list_id=0, segment_ids=[segment], revision=2)
    copy = api.ok("POST", f"{at}:clone", {"name": "copy"})["id"]
    shows(api, copy, name="copy", segment_ids=[segment], revision=1)
    check([api.call("DELETE", at)[0], api.call("DELETE", at)[0]] == [204, 204], "delete")
    wait_for("the draft is gone", lambda: api.call("GET", at)[0] == 404, 20)
    check(api.call("POST", f"{at}:launch")[0] == 404, "a deleted one is launched")


def dry_run(world, api, segment):
    """The launch has the numbers that its dry run gave."""
    made = json.loads(world.cli("campaign", "create", "--name", "spring", "--template", "1", "--from", "Shop <news@shop.example.com>", "--list", "1", "--list", "2",
                                "--segment", str(segment), "--exclude-list", "3", "--output", "json")[1])["id"]
    api.ok("POST", "/v1/suppressions", {"email": "p3@here.example"})
    wait_for("the suppression", lambda: api.ok("GET", "/v1/suppressions?email=p3%40here.example")["items"], 20)
    shows(api, made, revision=1)
    foreseen = json.loads(world.cli("campaign", "launch", str(made), "--dry-run", "--output", "json")[1])
    expected = sum((on_a(n) or on_b(n) or is_pro(n)) and not is_staff(n) for n in range(PEOPLE))
    check(foreseen["counts"] == {"audience": expected, "to_send": expected - 1, "skipped": 1, "holdout": 0}, f"{foreseen}")
    check(foreseen["may_launch"] and all(rule["passed"] for rule in foreseen["rules"]) and len(foreseen["rules"]) >= 8, f"{foreseen}")
    check(foreseen["skips"] == [{"reason": "suppressed", "count": 1}], f"{foreseen}")
    check(api.ok("GET", f"/v1/campaigns/{made}")["status"] == "draft" and world.sink_api().ok("GET", "/counts")["mails"] == 0, "the dry run acted")
    api.ok("POST", f"/v1/campaigns/{made}:launch")
    shows(api, made, status="completed")
    counts = counts_of(api, made)
    check((counts["audience"], counts["planned"] - counts["skipped"], counts["skipped"]) == (expected, expected - 1, 1), f"{foreseen} {counts}")
    check(api.ok("GET", f"/v1/campaigns/{made}/skips")["items"] == foreseen["skips"], "skips")
    check([arm["recipients"] for arm in api.ok("GET", f"/v1/campaigns/{made}/report")["arms"]] == [arm["recipients"] for arm in foreseen["arms"]], "arms")
    check(world.sink_api().ok("GET", "/counts")["mails"] == counts["delivered"], "mails")
    full = sum(n % 10 == 7 and (on_a(n) or on_b(n) or is_pro(n)) and not is_staff(n) for n in range(PEOPLE))
    check(counts["bounced"] == full and counts["delivered"] == expected - 1 - full, f"{counts}")
    status, answer, _ = api.call("PATCH", f"/v1/campaigns/{made}", {"from": "x@shop.example.com"}, {"If-Match": '"1"'})
    check(status == 409 and answer["code"] == "campaign_ended", f"{status} {answer}")
    status, answer, _ = api.call("POST", f"/v1/campaigns/{made}:launch?dry_run=true")
    check(status == 409 and answer["code"] == "campaign_not_draft", f"{status} {answer}")
    return made


def resends(world, api, first):
    """Those who failed, and those who have not opened: linked, and each adds up with the first."""
    counts = counts_of(api, first)
    reader = Api(world.port)
    openers = 0
    for number in range(1, 31):
        mail = world.sink_api().call("GET", f"/messages/{number}?format=raw", raw=True)[1].replace(b"=\r\n", b"").decode().replace("=3D", "=")
        pixel = re.search(r"https?://[^/\"]+(/o/[\w.-]+)", mail).group(1)
        agent = BROWSER if number <= 20 else "Googlebot/2.1"
        check(reader.call("GET", pixel, headers={"User-Agent": agent}, raw=True)[0] == 200, "the pixel")
        openers += number <= 20
    wait_for("the openings", lambda: sum(arm["opens"] + arm["machine_opens"] + arm["unknown_opens"] for arm in
                                         api.ok("GET", f"/v1/campaigns/{first}/report")["arms"]) == 30, 20)
    sizes = {"failed": counts["bounced"], "non_openers": counts["delivered"] - openers}
    for to, size in sizes.items():
        made = api.ok("POST", f"/v1/campaigns/{first}:resend", {"to": to})["id"]
        shows(api, made, resend_of=first, resend_to=to, status="draft")
        foreseen = json.loads(world.cli("campaign", "launch", str(made), "--dry-run", "--output", "json")[1])
        check(foreseen["counts"]["audience"] == size, f"{to}: {foreseen}, not {size}")
        api.ok("POST", f"/v1/campaigns/{made}:launch")
        shows(api, made, status="completed")
        check(counts_of(api, made)["audience"] == size, f"{to}")
    check(api.call("POST", f"/v1/campaigns/{first}:resend", {"to": "all"})[0] == 422, "resend to all")


def approvals(world, api):
    """Over ten contacts a second person approves, and an approval is void after an edit."""
    keys = [Api(world.port, api.ok("POST", "/v1/keys", {"label": who, "scopes": ["admin"]})["key"]) for who in ("ann", "ben")]
    wait_for("the keys", lambda: all(key.call("GET", "/v1/settings")[0] == 200 for key in keys), 20)
    ann, ben = keys
    api.ok("PUT", "/v1/settings", {"approval_over": 10})
    wait_for("the setting", lambda: api.ok("GET", "/v1/settings")["approval_over"] == 10, 20)
    made = ann.ok("POST", "/v1/campaigns", {"name": "big", "template_id": 1, "from": "news@shop.example.com", "list_ids": [1, 2]})["id"]
    shows(api, made, revision=1, approved=False)
    at = f"/v1/campaigns/{made}"
    status, answer, _ = ann.call("POST", f"{at}:launch")
    check(status == 409 and answer["code"] == "approval_missing", f"{status} {answer}")
    status, answer, _ = ann.call("POST", f"{at}:approve", {"revision": 1})
    check(status == 409 and answer["code"] == "approval_by_author", f"{status} {answer}")
    ben.ok("POST", f"{at}:approve", {"revision": 1})
    shows(api, made, approved=True)
    ann.call("PATCH", at, {"list_ids": [1]}, {"If-Match": '"1"'})
    shows(api, made, revision=2, approved=False)
    status, answer, _ = ann.call("POST", f"{at}:launch")
    check(status == 409 and answer["code"] == "approval_void", f"{status} {answer}")
    status, answer, _ = ben.call("POST", f"{at}:approve", {"revision": 1})
    check(status == 412, f"{status} {answer}")
    ben.ok("POST", f"{at}:approve", {"revision": 2})
    ann.ok("POST", f"{at}:launch")
    shows(api, made, status="completed")
    small = ann.ok("POST", "/v1/campaigns", {"name": "small", "template_id": 1, "from": "news@shop.example.com", "list_ids": [3]})["id"]
    ann.ok("POST", f"/v1/campaigns/{small}:launch")
    shows(api, small, status="completed")
    api.ok("PUT", "/v1/settings", {"approval_over": 0})


def holdout(api):
    """The same people in every campaign, and what they did beside what the others did."""
    api.ok("PUT", "/v1/settings", {"holdout_bp": 2000})
    held = []
    for name in ("one", "two"):
        made = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "from": "news@shop.example.com"})["id"]
        api.ok("POST", f"/v1/campaigns/{made}:launch")
        shows(api, made, status="completed")
        items = api.ok("GET", f"/v1/campaigns/{made}/sends?status=skipped&reason=holdout&page_size=1000")["items"]
        held.append({item["contact_id"] for item in items})
        check(counts_of(api, made)["audience"] == PEOPLE, "audience")
    check(held[0] == held[1] and 20 <= len(held[0]) <= 80, f"{len(held[0])} and {len(held[1])} held out")
    everyone = api.ok("GET", f"/v1/contacts?page_size={PEOPLE}")["items"]
    mailed = [contact for contact in everyone if contact["id"] not in held[0]][:60]
    for contact in mailed:
        api.ok("POST", "/v1/events", {"id": f"c{contact['id']}", "type": "conversion", "contact": {"email": contact["email"]}, "revenue_cents": 100})

    def seen():
        uplift = api.ok("GET", f"/v1/campaigns/{made}/report")["uplift"] or {}
        return uplift.get("recipients_converted", 0) >= 59 and uplift  # one of them is suppressed
    uplift = wait_for("the conversions", seen, 20)
    check(uplift["held_out"] == len(held[0]) and uplift["held_out_converted"] == 0 and uplift["evidence"] and 0 < uplift["low"] < uplift["difference"] < uplift["high"],
          f"{uplift}")
    return len(held[0])


def run(world):
    world.start_sink("--reply", "*@full.example=552 5.2.2 mailbox full")
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"safety": {"hard_bounces_bp": 10000, "policy_bp": 10000}})
    segment = prepare(world, api)
    audiences(world, api, segment)
    drafts(api, segment)
    first = dry_run(world, api, segment)
    resends(world, api, first)
    approvals(world, api)
    held = holdout(api)
    digests = lambda: {group["name"]: group["digest"] for group in  # noqa: E731
                       json.loads(world.cli("projection", "verify", "--output", "json")[1])["groups"]}
    before = digests()
    world.server.stop()
    shutil.rmtree(os.path.join(world.data, "views"))
    world.start_server()
    check(digests() == before, "the read models are others after a rebuild")
    return f"{PEOPLE} contacts, {held} of them held out"


if __name__ == "__main__":
    run_test(run)
