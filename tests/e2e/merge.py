#!/usr/bin/env python3
"""Two contacts become one in the real program: what the one lacks comes over, the most restrictive consent of both wins, both histories are shown.

By either address it is the one that stays; an old mail's unsubscribe link opts that one out. A crowd is merged, pair by pair and both ways at once, while
the server is killed: every merge ends, none is made twice. Read models that are rebuilt show the same. The erasure of the one takes the other along, and
then no byte of either is left in the data directory.
"""
import http.client
import json
import os
import threading

from contacts import HIDDEN, received, search
from program import Api, check, quote, run_test, wait_for

OLD, NEW = f"old@{HIDDEN}", f"new@{HIDDEN}"


def made(api, email, **more):
    return api.ok("POST", "/v1/contacts", dict({"email": email}, **more))["id"]


def found(api, email):
    return api.ok("GET", f"/v1/contacts?email={quote(email)}")["items"]


def life(world, api):
    """Two contacts of one person: lists, consents, a mail to the first."""
    api.ok("POST", "/v1/attributes", {"name": "nickname", "type": "text", "personal": True})
    for name in ("news", "offers", "tips"):
        api.ok("POST", "/v1/lists", {"name": name, "public": True})
    wait_for("the lists", lambda: len(api.ok("GET", "/v1/lists")["items"]) == 3, 20, world.server)
    template = api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hello {{ contact.nickname }}", "text": "{{ unsubscribe_url }} {{ preferences_url }} {{ postal_address }}"})["id"]
    old = made(api, OLD, attributes={"nickname": "Quetzalcoatlus", "city": "Ulm", "plan": "pro"}, tags=["vip"], lists=[1])
    new = made(api, NEW, attributes={"plan": "free"}, tags=["web"], lists=[2, 3])
    wait_for("both", lambda: found(api, OLD) and found(api, NEW), 20, world.server)
    wait_for("on their lists", lambda: api.ok("GET", "/v1/lists/1")["members"] == 1 and api.ok("GET", "/v1/lists/3")["members"] == 1, 20, world.server)
    for state in ("granted", "withdrawn"):
        api.ok("POST", f"/v1/contacts/{old}/consents", {"list_id": 3, "state": state, "proof": "call"})
    campaign = api.ok("POST", "/v1/campaigns", {"name": "spring", "template_id": template, "list_id": 1, "from": "Shop <news@shop.example.com>"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    wait_for("the mail", lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]["delivered"] == 1, 60, world.server)
    return old, new


def refused(api, old, new):
    for into, status in ((old, 422), ("281474976799999", 404), ("nobody@example.com", 422), ("x" * 400, 422), ("12x", 422)):
        got, answer, _ = api.call("POST", f"/v1/contacts/{old}/merge", {"into": into})
        check(got == status, f"into {into[:40]}: {got} {answer}")
    check(api.call("POST", f"/v1/contacts/{old}/merge", {})[0] == 422, "into nobody")
    check(api.call("POST", "/v1/contacts/281474976799999/merge", {"into": new})[0] == 404, "nobody")


def merged(world, api, old, new):
    dry = json.loads(world.cli("contact", "merge", old, NEW, "--dry-run", "--output", "json")[1])
    would = dry["would"]
    check(dry["dry_run"] and dry["into"] == new and would["attributes"] == {"city": "comes", "nickname": "comes", "plan": "stays"}, f"{dry}")
    check(would["tags"] == ["vip"] and would["lists"] == {"come": [1], "left": [3]} and would["not_granted"] == ["list/3"] and would["opted_out"] is False, f"{dry}")
    check(api.ok("GET", f"/v1/contacts/{old}")["merged_into"] is None, "a dry run changes nothing")
    world.cli("contact", "merge", old, new)
    merge = wait_for("merged", lambda: (lambda m: m["merge"] if m.get("merge", {}).get("state") == "merged" else None)(api.ok("GET", f"/v1/contacts/{old}/merge")), 20, world.server)
    check(merge["into"] == new and merge["left_out"] == [], f"{merge}")
    shown = lambda: api.ok("GET", f"/v1/contacts/{new}")  # noqa: E731
    wait_for("the lists of both", lambda: [one["name"] for one in shown()["lists"]] == ["news", "offers"], 20, world.server)
    now = shown()
    check(now["attributes"] == {"plan": "free", "city": "Ulm", "nickname": "Quetzalcoatlus"} and now["tags"] == ["vip", "web"], f"{now}")
    check(now["email"] == NEW and [(one["id"], one["email"]) for one in now["merged"]] == [(old, OLD)] and now["merged_into"] is None, f"{now}")
    history = api.ok("GET", f"/v1/contacts/{old}")
    check(history["merged_into"] == new and history["email"] == OLD and history["lists"] == [], f"{history}")
    check([one["id"] for one in found(api, OLD)] == [new] and [one["id"] for one in found(api, NEW)] == [new], "by either address")
    check(old not in [one["id"] for one in api.ok("GET", "/v1/contacts?page_size=1000")["items"]], "the list of contacts has one of them")
    status, answer, _ = api.call("POST", f"/v1/contacts/{old}/merge", {"into": new})
    check(status == 200 and answer["result"] == "unchanged", f"{status} {answer}")
    status, answer, _ = api.call("POST", f"/v1/contacts/{new}/merge", {"into": old})
    check(status in (202, 409) and (status == 202 or answer["code"] == "contact_merged"), f"{status} {answer}")
    for method, path, body in (("PATCH", "", {"attributes": {"plan": "x"}}), ("DELETE", "", None), ("POST", "/address", {"email": "x@example.com"})):
        status, answer, _ = api.call(method, f"/v1/contacts/{old}{path}", body)
        check(status == 409 and answer["code"] == "contact_merged" and new in json.dumps(answer), f"{method} {path}: {status} {answer}")
    api.ok("POST", "/v1/contacts", {"email": OLD, "attributes": {"plan": "gold"}})
    wait_for("an upsert of the old address", lambda: shown()["attributes"]["plan"] == "gold", 20, world.server)


def histories(world, api, old, new):
    whole = api.ok("GET", f"/v1/contacts/{new}/timeline?page_size=1000")["items"]
    check({one["contact_id"] for one in whole} == {old, new}, f"{whole}")
    kinds = lambda contact: {one["kind"] for one in whole if one["contact_id"] == contact}  # noqa: E731
    check({"created", "delivered", "list_joined", "list_left", "merged"} <= kinds(old) and {"created", "took_over", "list_left"} <= kinds(new), f"{whole}")
    paged, token = [], ""
    while True:
        page = api.ok("GET", f"/v1/contacts/{new}/timeline?page_size=2" + (f"&page_token={quote(token)}" if token else ""))
        paged += page["items"]
        token = page.get("next_page_token")
        if not token:
            break
    check(paged == whole, "pages of two give the same")
    exported = json.loads(world.cli("contact", "export", new)[1])
    check([one["id"] for one in exported["merged"]] == [old] and exported["timeline"] == whole and exported["complete"], f"{exported}")
    check([(one["contact_id"], one["campaign"]) for one in exported["mails"]] == [(old, "spring")], f"{exported['mails']}")
    check(b"old@" in api.call("GET", f"/v1/contacts/{new}/export?format=html", raw=True)[1], "the page")
    check("withdrawn" in json.dumps(api.ok("GET", f"/v1/contacts/{new}/consents")), "the withdrawal is the one's, too")
    return whole


def by_old_mail(world, api, old, new):
    """What is done by links of a mail to the contact that is history is done for the other one."""
    raw = next(mail for mail in received(world) if OLD in mail)
    unsubscribe, preferences = (raw.split(f"/{kind}/", 1)[1].split(">")[0].split()[0] for kind in ("u", "p"))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    page = api.call("GET", f"/p/{preferences}", raw=True)[1].decode()
    check(page.count(" checked") == 2, f"the lists of the one: {page}")
    check(api.call("POST", f"/p/{preferences}", b"action=save&list=1", form, raw=True)[0] == 200, "preferences")
    wait_for("one list is left", lambda: [one["name"] for one in api.ok("GET", f"/v1/contacts/{new}")["lists"]] == ["news"], 20, world.server)
    check(api.call("POST", f"/u/{unsubscribe}", b"List-Unsubscribe=One-Click", form, raw=True)[0] in (200, 202), "one click")
    wait_for("opted out", lambda: api.ok("GET", f"/v1/contacts/{new}")["unsubscribed_at"], 20, world.server)


def crowd(world, api):
    """Pairs are merged both ways at once while the server is killed."""
    ids = [made(api, f"crowd{i}@pairs.example.com", attributes={f"a{i}": i}, tags=[f"t{i}"]) for i in range(40)]
    wait_for("the crowd", lambda: api.call("GET", f"/v1/contacts/{ids[-1]}")[0] == 200, 20, world.server)
    asked, acknowledged = [], []
    for kill in range(4):
        stop = threading.Event()

        def ask(mine, step, key=api.key, port=api.port):
            own = Api(port, key)
            for i in mine:
                if stop.is_set():
                    break
                try:
                    status = own.call("POST", f"/v1/contacts/{ids[i]}/merge", {"into": ids[i + step]})[0]
                    if status in (200, 202, 409):
                        asked.append(i)
                    if status in (200, 202):  # else it may have been refused at once: the other way is under way
                        acknowledged.append(i)
                except (OSError, ValueError, http.client.HTTPException):
                    break
            own.close()
        threads = [threading.Thread(target=ask, args=(range(kill * 10 + first, kill * 10 + 10, 2), step)) for first, step in ((0, 1), (1, -1))]
        before = len(asked)
        for thread in threads:
            thread.start()
        wait_for("some are asked", lambda: len(asked) > before, 30, world.server)
        world.server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        world.start_server()
        api = world.api()
    state = lambda i: api.ok("GET", f"/v1/contacts/{ids[i]}/merge").get("merge", {"state": "none"})["state"]  # noqa: E731
    wait_for("no acknowledged merge is lost", lambda: all(state(i) != "none" for i in acknowledged), 60, world.server)
    wait_for("every merge ends", lambda: all(state(i) in ("none", "merged", "refused") for i in range(40)), 60, world.server)
    for i in range(0, 40, 2):  # what was refused both ways is asked again
        if "merged" not in (state(i), state(i + 1)):
            wait_for("one way", lambda i=i: api.call("POST", f"/v1/contacts/{ids[i]}/merge", {"into": ids[i + 1]})[0] in (200, 202), 20, world.server)
    wait_for("each pair is one", lambda: all(sorted((state(i), state(i + 1))) != ["merged", "merged"] and "merged" in (state(i), state(i + 1)) for i in range(0, 40, 2)), 60, world.server)
    for i in range(0, 40, 2):
        winner = i if state(i) != "merged" else i + 1
        has = lambda winner=winner: api.ok("GET", f"/v1/contacts/{ids[winner]}")  # noqa: E731
        both = {f"a{i}": i, f"a{i + 1}": i + 1}
        wait_for("all of both", lambda has=has, both=both: has()["attributes"] == both, 20, world.server)
        check(sorted(has()["tags"]) == sorted([f"t{i}", f"t{i + 1}"]) and len(has()["merged"]) == 1, f"{has()}")
        for one in (i, i + 1):
            check([item["id"] for item in found(api, f"crowd{one}@pairs.example.com")] == [ids[winner]], f"pair {i}")
    return api, ids


def rebuilt(world, api, new, ids):
    def look():
        return [api.ok("GET", f"/v1/contacts/{one}{path}") for one in [new] + ids for path in ("", "/timeline?page_size=1000", "/merge")] + \
               [api.ok("GET", "/v1/contacts?page_size=1000"), api.ok("GET", "/v1/lists")]
    live = look()
    for group in ("people", "campaigns"):
        world.cli("projection", "rebuild", group)
    wait_for("rebuilt", lambda: all(p.get("rebuild", {}).get("phase") == "done" for p in api.ok("GET", "/v1/projections")["items"]), 60, world.server)
    again = look()
    check(again == live, f"live and rebuilt differ: {[(a, b) for a, b in zip(live, again) if a != b][:1]}")


def forgotten(world, api, old, new):
    stored_bytes = os.path.join(os.path.dirname(world.maily), "..", "tests", "e2e", "stored_bytes")
    check(search(world), "the search finds who is there")
    status, answer, _ = api.call("DELETE", f"/v1/contacts/{new}")
    check(status == 202, f"{status} {answer}")
    for contact in (new, old):
        wait_for("erased", lambda contact=contact: api.call("GET", f"/v1/contacts/{contact}")[0] == 410, 20, world.server)
        wait_for("its keys are gone", lambda contact=contact: api.ok("GET", f"/v1/contacts/{contact}/erasure")["keys_destroyed"], 20, world.server)
    for email in (OLD, NEW):
        answer = api.ok("POST", "/v1/contacts", {"email": email})
        check((answer.get("reason") == "erased" or answer["result"] == "forwarded") and found(api, email) == [], f"{answer}")
    wait_for("nothing is left", lambda: not search(world), 30, world.server)
    api.close()
    world.server.stop()
    left = search(world, stored_bytes)
    check(not left, f"plaintext of the erased: {left}")


def test(world):
    world.start_sink()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    old, new = life(world, api)
    refused(api, old, new)
    merged(world, api, old, new)
    whole = histories(world, api, old, new)
    by_old_mail(world, api, old, new)
    api, ids = crowd(world, api)
    rebuilt(world, api, new, ids)
    forgotten(world, api, old, new)
    return f"one of two with {len(whole)} entries of both, {len(ids) // 2} pairs through 4 kills, 0 words left"


if __name__ == "__main__":
    run_test(test)
