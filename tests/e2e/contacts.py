#!/usr/bin/env python3
"""Contacts of the real program: merged by PATCH with their types, shown with all that happened to them, exported for the person, and erased.

An address changes: everything stays, one of two who want it wins, the old one is somebody new's, and kill -9 in the middle loses and repeats none.
Erasure is proved from outside: 410 everywhere, a receipt that names its place in the journal, no mail that was planned goes out, an import of the
address is skipped, only consent with proof admits again; after a restart and a rebuild it is so too. Then every byte of the data directory is
searched for what was erased: nothing is left, in plain, unpacked, or in the pages that the read models have freed.
"""
import http.client
import json
import os
import subprocess
import threading
import time

from program import Api, Failed, check, quote, run_test, wait_for

PERSONAL = ["wombatmail", "Quetzalcoatlus"]
HIDDEN = "wombatmail.example"


def write(world, name, text):
    path = os.path.join(world.base, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def patched(api):
    ann = api.ok("POST", "/v1/contacts", {"email": "ann@example.com", "attributes": {"zip": "007", "age": 7, "vip": True}, "tags": ["trial"]})["id"]
    at = f"/v1/contacts/{ann}"
    shown = lambda: api.ok("GET", at)  # noqa: E731
    wait_for("ann", lambda: api.call("GET", at)[0] == 200, 20)
    check(shown()["attributes"] == {"zip": "007", "age": 7, "vip": True}, f"types: {shown()}")

    def patch(body, status=200):
        got, answer, headers = api.call("PATCH", at, body)
        check(got == status, f"PATCH {body}: {got} {answer}")
        return answer, headers.get("maily-consistency-token")

    def fresh(token):
        return api.ok("GET", f"{at}?min={quote(token)}&wait_ms=10000&strict=true")
    big = 2**53 + 1
    _, token = patch({"attributes": {"age": None, "big": big, "price": 2.5, "zip": "0070"}, "add_tags": ["vip"], "remove_tags": ["trial"]})
    now = fresh(token)
    check(now["attributes"] == {"zip": "0070", "vip": True, "big": big, "price": 2.5} and now["tags"] == ["vip"], f"{now}")
    check(isinstance(now["attributes"]["big"], int), "2^53 + 1 is exact")
    answer, _ = patch({"attributes": {"huge": 2**70, "Bad Name": 1}, "email": "other@example.com", "add_tag": []}, 422)
    check({d["path"] for d in answer["details"]} == {"/attributes/huge", "/attributes/Bad Name", "/email", "/add_tag"}, f"{answer}")
    patch({"attributes": {"note": "x" * 70_000}}, 413)
    check(api.call("PATCH", "/v1/contacts/281474976799999", {"attributes": {"a": "b"}})[0] == 404, "nobody")
    check(api.call("PATCH", "/v1/contacts/9223372036854775807", {"attributes": {"a": "b"}})[0] == 404, "no such partition")

    def one(key):
        own = Api(api.port, api.key)
        check(own.call("PATCH", at, {"attributes": {key: key}})[0] == 200, key)
        own.close()
    both = [threading.Thread(target=one, args=(key,)) for key in ("left", "right")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    _, token = patch({"attributes": {"last": 1}})
    check({"left", "right", "last"} <= set(fresh(token)["attributes"]), "concurrent patches both survive")
    return ann


def by_command(world, ann):
    world.cli("contact", "set", ann, "plan=pro", "zip=\"08\"", "age=30", "--tag", "gold", "--untag", "vip")
    world.cli("contact", "unset", ann, "left", "right")
    shown = lambda: json.loads(world.cli("contact", "show", ann, "--output", "json")[1])  # noqa: E731
    wait_for("the patches", lambda: shown()["tags"] == ["gold"] and "left" not in shown()["attributes"], 20, world.server)
    now = shown()["attributes"]
    check((now["plan"], now["zip"], now["age"]) == ("pro", "08", 30), f"{now}")
    check(world.cli("contact", "set", ann, "nonsense", check_code=False)[0] != 0, "a pair without =")
    code, _, err = world.cli("contact", "erase", ann, check_code=False, stdin="")
    check(code == 3 and "--yes" in err, f"unconfirmed: {code} {err}")


def changes_address(world, api):
    """Another address for the same person: everything stays, one of two wins, the old one is free, and kill -9 in the middle loses and repeats none."""
    made = lambda email, **more: api.ok("POST", "/v1/contacts", dict({"email": email}, **more))["id"]  # noqa: E731
    found = lambda email: api.ok("GET", f"/v1/contacts?email={quote(email)}")["items"]  # noqa: E731
    kim = made("kim@old.example.com", attributes={"plan": "pro"}, tags=["gold"])
    lee = made("lee@old.example.com")
    wait_for("both", lambda: found("kim@old.example.com") and found("lee@old.example.com"), 20, world.server)
    at = f"/v1/contacts/{kim}"
    api.ok("POST", f"{at}/consents", {"purpose": "marketing", "state": "granted", "proof": "form"})
    for wrong in ("kim@@new.example.com", "Kim <kim@new.example.com>", "kim@[127.0.0.1]"):
        status, answer, _ = api.call("POST", f"{at}/address", {"email": wrong})
        check(status == 422 and answer["details"][0]["hint"], f"{wrong}: {status} {answer}")
    check(api.call("POST", "/v1/contacts/281474976799999/address", {"email": "x@new.example.com"})[0] == 404, "nobody")

    def settles(contact, email):
        def look():
            status, answer, _ = api.call("POST", f"/v1/contacts/{contact}/address", {"email": email})
            return None if status == 409 and answer["code"] == "address_change_under_way" else (status, answer)
        status, answer = wait_for("the change before is over", look, 20, world.server)
        if status == 202:
            change = wait_for("an answer", lambda: (lambda c: c if c["state"] != "asked" else None)(api.ok("GET", f"/v1/contacts/{contact}/address")["change"]), 20)
            status, answer = (200, {"result": "changed"}) if change["state"] == "changed" else (409, change)
        return status, answer
    status, answer = settles(kim, "lee@old.example.com")
    check(status == 409 and answer["code"] == "address_taken" and lee in json.dumps(answer), f"{status} {answer}")
    api.ok("POST", "/v1/suppressions", {"email": "stop@new.example.com", "reason": "manual"})
    status, answer = settles(kim, "stop@new.example.com")
    check(status == 409 and answer["code"] == "address_suppressed", f"{status} {answer}")
    dry = json.loads(world.cli("contact", "address", kim, "kim@new.example.com", "--dry-run", "--output", "json")[1])
    check(dry["dry_run"] and api.ok("GET", at)["email"] == "kim@old.example.com", f"{dry}")
    said = json.loads(world.cli("contact", "address", kim, "Kim@New.example.com", "--output", "json")[1])
    check(said["id"] == kim, f"{said}")
    shown = wait_for("the new address", lambda: (lambda c: c if c["email"] == "Kim@New.example.com" else None)(api.ok("GET", at)), 20, world.server)
    check(shown["attributes"] == {"plan": "pro"} and shown["tags"] == ["gold"], f"{shown}")
    check("granted" in json.dumps(api.ok("GET", f"{at}/consents")), "the consent stays")
    check(any("kim@old.example.com -> Kim@New.example.com" in one.get("detail", "") for one in api.ok("GET", f"{at}/timeline")["items"]), "both addresses")
    check(settles(kim, "kim@new.example.com")[1]["result"] == "unchanged", "the same address")

    # By its new address it is the same person, wherever that lives; the old one is somebody new's.
    api.ok("POST", "/v1/contacts", {"email": "kim@new.example.com", "attributes": {"plan": "free"}})
    wait_for("the upsert", lambda: api.ok("GET", at)["attributes"]["plan"] == "free", 20, world.server)

    def again():
        status, answer, _ = api.call("POST", "/v1/contacts", {"email": "kim@old.example.com"})
        return answer["id"] if status == 201 else None
    other = wait_for("the old address is free", again, 20, world.server)
    check(other != kim, "a new contact")

    # Two at once, of one address: one wins, the other hears who.
    answers = {}

    def change(contact):
        own = Api(api.port, api.key)
        answers[contact] = own.call("POST", f"/v1/contacts/{contact}/address", {"email": "prize@new.example.com"})[0]
        own.close()
    both = [threading.Thread(target=change, args=(contact,)) for contact in (lee, other)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()
    states = lambda: [api.ok("GET", f"/v1/contacts/{contact}/address").get("change", {}).get("state", "") for contact in (lee, other)]  # noqa: E731
    wait_for("one has it", lambda: sorted(states()) == ["changed", "refused"], 20, world.server)
    check(len(found("prize@new.example.com")) == 1, f"{answers}")
    return kim


def changes_through_kills(world, api):
    """A crowd changes addresses, each of two to the same one, while the server is killed: each change ends, one of each pair, and again is refused."""
    crowd = [api.ok("POST", "/v1/contacts", {"email": f"crowd{i}@old.example.com"})["id"] for i in range(40)]
    wait_for("the crowd", lambda: api.call("GET", f"/v1/contacts/{crowd[-1]}")[0] == 200, 20, world.server)
    taken = []
    for kill in range(4):
        stop = threading.Event()

        def ask(mine, key=api.key, port=api.port):
            own = Api(port, key)
            for i in mine:
                if stop.is_set():
                    break
                try:
                    if own.call("POST", f"/v1/contacts/{crowd[i]}/address", {"email": f"crowd{i // 2}@new.example.com"})[0] in (200, 202, 409):
                        taken.append(i)
                except (OSError, ValueError, http.client.HTTPException):
                    break
            own.close()
        threads = [threading.Thread(target=ask, args=(range(kill * 10 + first, kill * 10 + 10, 2),)) for first in (0, 1)]
        before = len(taken)
        for thread in threads:
            thread.start()
        wait_for("some are asked", lambda: len(taken) > before, 30, world.server)
        world.server.kill()
        stop.set()
        for thread in threads:
            thread.join()
        world.start_server()
        api = world.api()

    def over(contact):
        change = api.ok("GET", f"/v1/contacts/{contact}/address").get("change")
        return change is None or change["state"] != "asked"
    emails = lambda: [api.ok("GET", f"/v1/contacts/{contact}")["email"] for contact in crowd]  # noqa: E731
    wanted = {f"crowd{i // 2}@new.example.com" for i in taken}
    wait_for("no acknowledged change is lost", lambda: wanted <= set(emails()), 60, world.server)
    wait_for("every change ends", lambda: all(over(contact) for contact in crowd), 60, world.server)
    check(len(set(emails())) == len(crowd), f"one owner an address: {sorted(emails())}")
    return api


def a_life(world, api, personal):
    """One person's: lists, a campaign, an opt-out, a suppression; and one who is erased while a mail to them waits for its second try."""
    api.ok("POST", "/v1/attributes", {"name": "nickname", "type": "text", "personal": True})
    api.ok("POST", "/v1/lists", {"name": "people"})
    rows = "".join(f"{name},Quetzalcoatlus {name}\n" for name in personal)
    world.cli("import", write(world, "people.csv", f"email,nickname\n{rows}"), "--list", "people")
    api.ok("POST", "/v1/segments", {"name": "gold", "where": "in_list(\"people\")"})
    template = api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hello {{ contact.nickname }}",
                                               "text": "https://shop.example.com/x {{ unsubscribe_url }} {{ postal_address }}"})["id"]
    campaign = api.ok("POST", "/v1/campaigns", {"name": "spring", "template_id": template, "list_id": 1, "from": "Shop <news@shop.example.com>"})["id"]
    found = lambda name: api.ok("GET", f"/v1/contacts?email={quote(name)}")["items"]  # noqa: E731
    ids = {name: wait_for(name, lambda: found(name), 20, world.server)[0]["id"] for name in personal}
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    counts = lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]  # noqa: E731
    wait_for("mails", lambda: counts()["delivered"] == 2, 60, world.server)
    return campaign, ids, counts


def timeline(world, api, contact):
    at = f"/v1/contacts/{contact}"
    mail = wait_for("a mail", lambda: next((m for m in api.ok("GET", f"{at}/sends")["items"] if m["status"] == "delivered"), None), 20, world.server)
    address = api.ok("GET", at)["email"]
    raw = wait_for("the mail itself", lambda: next((m for m in received(world) if address in m), None), 20, world.server)
    token = raw.split("/c/", 1)[1].split(">")[0].split()[0]
    api.call("GET", "/c/" + token, headers={"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"}, raw=True)
    api.ok("POST", "/v1/lists/1/members", {"email": address, "leave": True})
    api.ok("POST", "/v1/suppressions", {"email": address, "reason": "manual", "note": "Quetzalcoatlus rang"})
    api.ok("PATCH", at, {"attributes": {"plan": "pro"}})
    kinds = {"created", "list_joined", "list_left", "planned", "attempt_opened", "delivered", "click", "suppressed", "changed", "segment_left"}

    def all_pages(size):
        items, token = [], ""
        while True:
            page = api.ok("GET", f"{at}/timeline?page_size={size}" + (f"&page_token={quote(token)}" if token else ""))
            items += page["items"]
            token = page.get("next_page_token")
            if not token:
                return items
    wait_for("all that happened", lambda: kinds <= {one["kind"] for one in all_pages(1000)}, 20, world.server)
    whole = all_pages(1000)
    check(all_pages(2) == whole, "pages of two give the same")
    check([one["at"] for one in whole] == sorted((one["at"] for one in whole), reverse=True), "newest first")
    check(whole[-1]["kind"] == "created", f"{whole[-1]}")
    click = next(one for one in whole if one["kind"] == "click")
    check(click["campaign"] == "spring" and click["read_by"] in ("human", "machine", "unknown"), f"{click}")
    check(api.call("GET", f"{at}/timeline?page_size=0")[0] == 422 and api.call("GET", f"{at}/timeline?page_token=x")[0] == 400, "bounds")
    check(json.loads(world.cli("contact", "timeline", contact, "--output", "json")[1])["items"] == whole, "the command shows the same")
    begun = time.time()
    exported = json.loads(world.cli("contact", "export", contact)[1])
    check(time.time() - begun < 60, "a minute")
    check(exported["contact"]["email"] == address and exported["complete"] and exported["timeline"] == whole, f"{exported}")
    check([m["campaign"] for m in exported["mails"]] == ["spring"] and exported["suppressions"][0]["note"] == "Quetzalcoatlus rang", f"{exported}")
    check(exported["past_lists"][0]["name"] == "people" and exported["engagements"][0]["kind"] == "click", f"{exported}")
    status, page, headers = api.call("GET", f"{at}/export", headers={"Accept": "text/html"}, raw=True)
    check(status == 200 and headers["content-type"].startswith("text/html") and b"Quetzalcoatlus" in page and b"spring" in page, f"{page[:300]}")
    return mail


def received(world):
    sink = world.sink_api()
    for number in range(1, sink.ok("GET", "/counts")["mails"] + 1):
        yield sink.call("GET", f"/messages/{number}?format=raw", raw=True)[1].decode(errors="replace").replace("\r\n", "\n").replace("=\n", "").replace("=3D", "=")


def erased(world, api, ids, campaign, counts):
    totals = counts()
    for contact in ids.values():
        status, answer, headers = api.call("DELETE", f"/v1/contacts/{contact}")
        check(status == 202 and answer["status"] == "erased" and headers["location"] == f"/v1/contacts/{contact}/erasure", f"{status} {answer}")
        again, same, _ = api.call("POST", f"/v1/contacts/{contact}:erase")
        check(again == 202 and same["receipt"]["event_id"] == answer["receipt"]["event_id"], f"{again} {same}")
        receipt = wait_for("the keys are gone", lambda: (lambda r: r if r["keys_destroyed"] else None)(api.ok("GET", f"/v1/contacts/{contact}/erasure")), 20)
        check(receipt["event_id"].startswith(f"{receipt['partition']}-{receipt['lsn']}.") and len(receipt["hash"]) == 16, f"{receipt}")
    check(api.call("DELETE", "/v1/contacts/281474976799999")[0] == 404, "nobody is erased")
    api.ok("POST", "/v1/sites/relay:flush", {"reason": "the mail that waits is due now"})
    wait_for("what was planned is skipped", lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["status"] == "completed", 120, world.server)
    now = counts()
    check((now["audience"], now["delivered"]) == (totals["audience"], totals["delivered"]) and now["skipped"] == 1, f"{totals} {now}")
    check([(one["reason"], one["count"]) for one in api.ok("GET", f"/v1/campaigns/{campaign}/skips")["items"]] == [("erased", 1)], "why")


def gone(api, ids):
    for address, contact in ids.items():
        for path in ("", "/timeline", "/export", "/sends", "/engagements"):
            status, answer, _ = api.call("GET", f"/v1/contacts/{contact}{path}")
            check(status == 410 and answer["code"] == "erased", f"{path}: {status} {answer}")
        check(api.call("PATCH", f"/v1/contacts/{contact}", {"attributes": {"a": "b"}})[0] == 410, "PATCH")
        check(api.ok("GET", f"/v1/contacts?email={quote(address)}")["items"] == [], "found by its address")
    check(api.ok("GET", "/v1/lists/1")["members"] == 0, "members")


def search(world, stored_bytes=None):
    """Where a personal word stands, in any file; with the program that unpacks stores, which wants them closed, in these too."""
    hits = {}
    words = [word.lower().encode() for word in PERSONAL]

    def look(where, data):
        low = data.lower()
        if found := [word.decode() for word in words if word in low]:
            hits[where] = found
    for path, _, names in os.walk(world.data):
        for name in names:
            with open(os.path.join(path, name), "rb") as file:
                look(os.path.join(path, name), file.read())
            if name == "CURRENT" and stored_bytes:
                done = subprocess.run([stored_bytes, path], capture_output=True, timeout=120)
                check(done.returncode == 0, done.stderr.decode())
                look(path + " (unpacked)", done.stdout)
    return hits


def comes_again(world, api, ids):
    """An import and an upsert of the address are left out; consent with proof is taken."""
    address = sorted(ids)[0]
    again = json.loads(world.cli("import", write(world, "again.csv", f"email,nickname\n{address.upper()},Quetzalcoatlus\nnew@example.com,Bo\n"),
                                 "--list", "people", "--output", "json")[1])
    check((again["created"], again["skipped"], again["rejected"]) == (1, 1, 0), f"{again}")
    answer = api.ok("POST", "/v1/contacts", {"email": address})
    check((answer["result"], answer["reason"]) == ("skipped", "erased") and "id" not in answer, f"{answer}")
    check(api.call("POST", "/v1/lists/1/members", {"email": address})[0] == 404, "a list")
    body = {"email": address, "attributes": {"nickname": "Bo"}, "consent_proof": "form 2026-11-22, ticked and confirmed"}

    def admitted():
        status, answer, _ = api.call("POST", "/v1/contacts", body)
        check(status in (201, 409), f"{status} {answer}")
        return answer["id"] if status == 201 else None
    made = wait_for("the keys of the import are destroyed", admitted, 30)
    check(made != ids[address], "a new contact")
    wait_for("it is there", lambda: api.call("GET", f"/v1/contacts/{made}")[0] == 200, 20)
    check(api.ok("GET", f"/v1/contacts/{made}")["attributes"] == {"nickname": "Bo"}, "its attributes can be read")
    check(api.call("GET", f"/v1/contacts/{ids[address]}")[0] == 410, "the old one stays gone")


def test(world):
    stored_bytes = os.path.join(os.path.dirname(world.maily), "..", "tests", "e2e", "stored_bytes")
    personal = [f"one@{HIDDEN}", f"two@{HIDDEN}", f"late@{HIDDEN}"]
    world.start_sink("--reply", f"rcpt:late@{HIDDEN}=451 4.2.0 later")
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    by_command(world, patched(api))
    changes_address(world, api)
    api = changes_through_kills(world, api)
    campaign, ids, counts = a_life(world, api, personal)
    timeline(world, api, ids[personal[0]])
    suppressed = f"/v1/suppressions?email={quote(personal[0])}"
    os.unlink(os.path.join(world.base, "people.csv"))
    check(search(world), "the search finds who is there")
    mails = len(list(received(world)))
    erased(world, api, ids, campaign, counts)
    gone(api, ids)
    entry = api.ok("GET", suppressed)["items"][0]
    check((entry["reason"], entry["note"], entry["email"]) == ("manual", None, None), f"{entry}")
    wait_for("nothing is left", lambda: not search(world), 30, world.server)
    for group in ("people", "campaigns"):
        world.cli("projection", "rebuild", group)
    groups = lambda: api.ok("GET", "/v1/projections")["items"]  # noqa: E731
    try:
        wait_for("rebuilt", lambda: all(p.get("rebuild", {}).get("phase") == "done" for p in groups()), 60, world.server)
    except Failed as error:
        raise Failed(f"{error}: {groups()}") from error
    gone(api, ids)
    api.close()
    world.server.stop()
    left = search(world, stored_bytes)
    check(not left, f"plaintext of the erased: {left}")
    world.start_server()
    api = world.api()
    gone(api, ids)
    comes_again(world, api, ids)
    check(len(list(received(world))) == mails, "a mail went to somebody erased")
    return f"{len(ids)} erased, 0 words left in {sum(len(names) for _, _, names in os.walk(world.data))} files"


if __name__ == "__main__":
    run_test(test)
