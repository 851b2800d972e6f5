#!/usr/bin/env python3
"""Consents of the real program: the ledger with what imports and opt-outs made of it, as of a time; preference page, public form, double
opt-in by their links; after kill -9 and after a rebuild everything is as it was."""
import json
import os
import re
import shutil
import time
import urllib.error
import urllib.parse
import urllib.request

from program import check, run_test, wait_for


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


OPENER = urllib.request.build_opener(NoRedirect)


def page(url, fields=None, headers=None):
    data = None if fields is None else urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with OPENER.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def now():
    at = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1e6) % 1_000_000:06}Z"


def contact(api, email, **more):
    who = str(api.ok("POST", "/v1/contacts", {"email": email, **more})["id"])
    wait_for(email, lambda: api.call("GET", f"/v1/contacts/{who}")[0] == 200, 20)
    return who


def ledger(api, who, as_of=""):
    return api.ok("GET", f"/v1/contacts/{who}/consents" + (f"?as_of={as_of}" if as_of else ""))


def state_of(found, **which):
    for one in found["consents"]:
        if all(one.get(name) == value for name, value in which.items()):
            return one["state"]
    return None


def soon(api, who, what, test):
    wait_for(what, lambda: test(ledger(api, who)), 20)
    return ledger(api, who)


def the_ledger(world, api, before):
    text = api.ok("POST", "/v1/consent-texts", {"name": "news", "language": "en", "text": "Yes, send me news."})["id"]
    check(api.call("POST", "/v1/consent-texts", {"name": "news", "language": "en", "text": "Yes, send me news."})[0] == 200, "again")
    ann = contact(api, "ann@example.com", lists=[1])
    soon(api, ann, "the join", lambda found: state_of(found, list_id=1) == "granted")
    status, answer, _ = api.call("POST", f"/v1/contacts/{ann}/consents", {"state": "yes", "text": "7", "listid": 1})
    check(status == 422 and len(answer["details"]) >= 3, f"{status} {answer}")
    status, answer, _ = api.call("POST", f"/v1/contacts/{ann}/consents", {"list_id": 99, "state": "granted", "text": "0" * 64})
    check(status == 422 and {one["code"] for one in answer["details"]} == {"list_not_found", "consent_text_not_found"}, f"{answer}")
    middle = now()
    api.ok("POST", f"/v1/contacts/{ann}/consents",
           {"list_id": 2, "state": "granted", "text": text, "proof": "call", "ip": "192.0.2.7", "user_agent": "Firefox"})
    found = soon(api, ann, "the consent", lambda f: state_of(f, list_id=2) == "granted")
    last = found["history"][-1]
    check((last["text"], last["proof"], last["ip"], last["user_agent"]) == (text, "call", "192.0.2.7", "Firefox"), f"{last}")
    world.cli("consent", "withdraw", ann, "--list", "2", "--proof", "mail")
    found = soon(api, ann, "the withdrawal", lambda f: state_of(f, list_id=2) == "withdrawn")
    check(state_of(found, list_id=1) == "granted", f"leaving one list leaves the other: {found}")
    check(ledger(api, ann, before)["consents"] == [], "before the first event there is none")
    check([one["list_id"] for one in ledger(api, ann, middle)["consents"]] == [1], f"{ledger(api, ann, middle)}")
    check(api.call("GET", f"/v1/contacts/{ann}/consents?as_of=2999-01-01T00:00:00Z")[0] == 422, "the future")
    check(api.call("GET", "/v1/lists/1/members?as_of=2999-01-01T00:00:00Z")[0] == 422, "the future")
    check(api.ok("GET", f"/v1/lists/1/members?as_of={before}")["items"] == [], "nobody was on it")
    api.ok("POST", f"/v1/contacts/{ann}/consents", {"purpose": "profiling", "state": "granted"})
    listed = json.loads(world.cli("consent", "list", ann, "--output", "json")[1])
    check(listed["contact_id"] == ann, f"{listed}")
    return ann, text


def opt_out(api, ann):
    api.ok("POST", f"/v1/contacts/{ann}/consents", {"purpose": "marketing", "state": "withdrawn", "proof": "letter"})
    soon(api, ann, "the opt-out", lambda found: found["opted_out"])
    wait_for("the contact's opt-out", lambda: api.ok("GET", f"/v1/contacts/{ann}")["unsubscribed_at"] is not None, 20)
    status, answer, _ = api.call("POST", f"/v1/contacts/{ann}/consents", {"list_id": 2, "state": "granted"})
    check(status == 409 and answer["code"] == "opted_out", f"{status} {answer}")
    status, answer, _ = api.call("POST", f"/v1/contacts/{ann}/consents", {"purpose": "marketing", "state": "granted"})
    check(status == 422 and answer["code"] == "proof_missing", f"{status} {answer}")
    api.ok("POST", f"/v1/contacts/{ann}/consents", {"purpose": "marketing", "state": "granted", "proof": "call"})
    soon(api, ann, "the way back", lambda found: not found["opted_out"])


def double_opt_in(api):
    bob = contact(api, "bob@example.com", attributes={"language": "de-AT"})
    asked = api.ok("POST", f"/v1/contacts/{bob}/consents", {"list_id": 2, "state": "granted", "double_opt_in": True})
    check(asked["state"] == "pending", f"{asked}")
    soon(api, bob, "the question", lambda found: state_of(found, list_id=2) == "pending")
    status, shown, headers = page(asked["confirm_url"])
    check(status == 200 and shown.count("<button") == 1 and 'lang="de"' in shown and "offers" in shown, f"{status} {shown}")
    check("script" not in shown and "default-src 'none'" in headers["content-security-policy"], f"{headers}")
    check(state_of(ledger(api, bob), list_id=2) == "pending", "looking confirms nothing")
    for _ in range(2):
        check(page(asked["confirm_url"], {"action": "confirm"})[0] == 200, "confirmed, and confirmed again")
    found = soon(api, bob, "the confirmation", lambda f: state_of(f, list_id=2) == "granted")
    granted = [one for one in found["history"] if one["source"] == "double_opt_in"]
    check(len(granted) == 1 and granted[0]["ip"] == "127.0.0.1" and "confirmation 1" in granted[0]["proof"], f"{found}")
    check(page(asked["confirm_url"][:-3] + "AAA")[0] == 404, "forged")
    return bob


def a_form(world, api, text):
    status, answer, _ = api.call("POST", "/v1/forms", {"name": "x", "list_id": 2, "text": text, "double_opt_in": True})
    check(status == 422 and answer["code"] == "from_not_verified", f"nobody could mail its confirmation: {status} {answer}")
    check(api.call("POST", "/v1/forms", {"name": "x", "list_id": 99, "text": text})[0] == 422, "a list that is not there")
    made = json.loads(world.cli("form", "create", "footer", "--list", "2", "--text", text, "--output", "json")[1])
    wait_for("the form", lambda: api.call("GET", f"/v1/forms/{made['id']}")[0] == 200, 20)
    url = api.ok("GET", f"/v1/forms/{made['id']}")["url"]
    status, shown, _ = page(url)
    check(status == 200 and "Yes, send me news." in shown and 'type="email"' in shown and "<script" not in shown, f"{status} {shown}")
    api.ok("POST", "/v1/suppressions", {"email": "dan@example.com"})
    said = {page(url, {"email": email})[:2] for email in ("bob@example.com", "cleo@example.com", "dan@example.com")}
    said.add(page(url, {"email": "robot@example.com", "website": "https://spam.example"})[:2])
    check(len(said) == 1 and next(iter(said))[0] == 200, f"all are answered alike: {said}")
    check(page(url, {"email": "no address"})[0] == 422, "no address")
    find = lambda email: api.ok("GET", "/v1/contacts?email=" + urllib.parse.quote(email))["items"]
    wait_for("cleo", lambda: find("cleo@example.com"), 20)
    found = soon(api, find("cleo@example.com")[0]["id"], "her consent", lambda f: state_of(f, list_id=2) == "granted")
    check(found["history"][-1]["text"] == text and found["history"][-1]["form_id"] == made["id"], f"{found}")
    check(find("robot@example.com") == [], "a program's address is not kept")
    dan = find("dan@example.com")
    check(not dan or state_of(ledger(api, dan[0]["id"]), list_id=2) is None, "nothing comes of it for who is suppressed")
    statuses = [page(url, {"email": "cleo@example.com"})[0] for _ in range(10)]
    check(statuses[-1] == 429, f"{statuses}")
    world.cli("form", "archive", str(made["id"]))
    wait_for("the end of the form", lambda: page(url)[0] == 404, 20)


def preferences(world, api, bob):
    api.ok("PUT", "/v1/settings", {"senders": ["news@example.com"], "postal_address": "1 Main St"})
    template = api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi",
                                                "text": "PREFS {{ preferences_url }} {{ unsubscribe_url }} {{ postal_address }}"})["id"]
    campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": template, "list_id": 2, "from": "news@example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch", {})
    wait_for("the campaign", lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["status"] == "completed", 30, world.server)
    with open(os.path.join(world.base, "mails"), encoding="utf-8") as file:
        mails = [file.read()]
    check(mails[0].count("To: <bob@example.com>") == 1, mails[0])
    mails = [mails[0][mails[0].index("To: <bob@example.com>"):]]
    url = re.search(r"PREFS (\S+)", mails[0].replace("=\r\n", "").replace("=\n", "").replace("=3D", "="))[1]
    status, shown, headers = page(url)
    check(status == 200 and 'lang="de"' in shown and "news" in shown and "offers" in shown and "staff" not in shown, f"{status} {shown}")
    check("<script" not in shown and "frame-ancestors 'none'" in headers["content-security-policy"], f"{headers}")
    check(f'value="2" checked' in shown and 'value="1" checked' not in shown, shown)
    status, shown, _ = page(url, [("list", "1"), ("list", "3"), ("action", "save")])
    check(status == 200 and 'value="1" checked' in shown, f"{status} {shown}")
    found = soon(api, bob, "his choice", lambda f: state_of(f, list_id=1) == "granted" and state_of(f, list_id=2) == "withdrawn")
    check(state_of(found, list_id=3) is None, "a list that is not public cannot be joined there")
    check(found["history"][-1]["source"] == "preference_page" and found["history"][-1]["campaign_id"] == campaign, f"{found}")
    check(page(url, {"action": "leave_all"})[0] == 200, "leaving")
    soon(api, bob, "his leaving", lambda f: f["opted_out"])
    check(page(url, [("list", "2"), ("action", "save")])[0] == 200, "coming back")
    soon(api, bob, "his coming back", lambda f: not f["opted_out"] and state_of(f, list_id=2) == "granted"
         and state_of(f, list_id=1) == "withdrawn")
    check(page(url[:-2] + "AA")[0] == 404 and page(url[:-2] + "AA", {"action": "leave_all"})[0] == 404, "forged")
    return url


def scenario(world):
    world.start_sink()
    world.start_server()
    api = world.api()
    before = now()
    for name, public in (("news", True), ("offers", True), ("staff", False)):
        api.ok("POST", "/v1/lists", {"name": name, "public": public, "description": f"about {name}"})
    world.cli("list", "change", "2", "--description", "a bargain a week")
    ann, text = the_ledger(world, api, before)
    opt_out(api, ann)
    bob = double_opt_in(api)
    a_form(world, api, text)
    url = preferences(world, api, bob)
    at = now()
    was = [ledger(api, who, at) for who in (ann, bob)]
    world.server.kill()
    shutil.rmtree(os.path.join(world.data, "views"))
    world.start_server()
    api = world.api()
    wait_for("the ledger after kill -9 and a rebuild", lambda: [ledger(api, who, at) for who in (ann, bob)] == was, 30)
    check(page(url)[0] == 200, "links outlive it")


if __name__ == "__main__":
    run_test(scenario)
