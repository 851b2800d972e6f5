#!/usr/bin/env python3
"""The mail of a double opt-in: a form is posted, a mail with a link arrives, its page has one button, and who presses it is subscribed; once an
hour and address, never to who is suppressed, exactly once over kill -9; a week later another one is offered; a rebuild mails nothing. The clock is moved
by libfaketime; skips without it."""
import csv
import email
import email.policy
import glob
import io
import json
import os
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request

from program import check, run_test, wait_for

HOUR = 3_600
clients = iter(range(1, 250))


def page(url, fields=None):
    """Each from an address of its own: how often one client may post is looked at elsewhere (consents.py)."""
    data = None if fields is None else urllib.parse.urlencode(fields).encode()
    request = urllib.request.Request(url, data=data, headers={"X-Forwarded-For": f"192.0.2.{next(clients)}"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


class Clock:
    """Of the server, so many seconds from the machine's."""

    def __init__(self, path):
        self.path, self.seconds = path, 0
        self.forward(0)

    def forward(self, seconds):
        self.seconds += seconds
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(f"{self.seconds:+d}s\n")
        os.rename(self.path + ".new", self.path)


class Mails:
    def __init__(self, world):
        self.world = world

    def numbers(self, to):
        _, data, _ = self.world.sink_api().call("GET", "/received?format=csv", raw=True)
        rows = list(csv.DictReader(io.StringIO(data.decode())))
        return [number for number, row in enumerate(rows, 1) if to in row.values()]

    def wait(self, to, count=1):
        wait_for(f"mail {count} to {to}", lambda: len(self.numbers(to)) >= count, 30, self.world.server)
        numbers = self.numbers(to)
        check(len(numbers) == count, f"{len(numbers)} mails to {to}, not {count}")
        raw = self.world.sink_api().call("GET", f"/messages/{numbers[-1]}?format=raw", raw=True)[1]
        return email.message_from_bytes(raw, policy=email.policy.default)


def link_in(mail):
    links = {re.search(r"http\S+/y/[\w-]+", mail.get_body((kind,)).get_content())[0] for kind in ("plain", "html")}
    check(len(links) == 1, f"both parts have one link: {links}")
    return links.pop()


def person(api, address):
    return wait_for(address, lambda: api.ok("GET", "/v1/contacts?email=" + urllib.parse.quote(address))["items"], 20)[0]["id"]


def history(api, who, state):
    return [one for one in api.ok("GET", f"/v1/contacts/{who}/consents")["history"] if one["state"] == state]


def the_form(world, api):
    """Its address; refused without a sender, with one it has the built-in text."""
    text = api.ok("POST", "/v1/consent-texts", {"name": "news", "language": "en", "text": "Yes, send me news."})["id"]
    status, answer, _ = api.call("POST", "/v1/forms", {"name": "x", "list_id": 1, "text": text, "double_opt_in": True})
    check(status == 422 and answer["details"][0]["path"] == "/from", f"{status} {answer}")
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "company": "Shop & Co"})
    api.ok("POST", "/v1/templates", {"name": "no link", "subject": "s", "text": "t", "message_class": "transactional"})
    status, answer, _ = api.call("POST", "/v1/forms", {"name": "x", "list_id": 1, "text": text, "double_opt_in": True, "template": "no link"})
    check(status == 422 and answer["code"] == "confirm_url_missing", f"{status} {answer}")
    code, _, _ = world.cli("form", "create", "x", "--list", "1", "--text", text, "--template", "no link", check_code=False)
    check(code == 1 or code == 3, f"a template without --double-opt-in: exit {code}")
    made = json.loads(world.cli("form", "create", "footer", "--list", "1", "--text", text, "--double-opt-in", "--output", "json")[1])
    wait_for("the form", lambda: api.call("GET", f"/v1/forms/{made['id']}")[0] == 200, 20)
    shown = api.ok("GET", f"/v1/forms/{made['id']}")
    check(shown["mail"] == {"template_id": None}, f"{shown}")
    return shown["url"], text


def asked_while_nothing_can_be_sent(world, api, url):
    """All are answered alike; of what was asked nothing is lost with the process."""
    api.ok("POST", "/v1/contacts", {"email": "ann@example.com", "lists": [1]})
    api.ok("POST", "/v1/suppressions", {"email": "dan@example.com", "stream": "marketing"})
    person(api, "ann@example.com")
    said = {page(url, {"email": address}) for address in ("ann@example.com", "Eve@example.com", "dan@example.com")}
    check(len(said) == 1 and next(iter(said))[0] == 200, f"{said}")
    wait_for("what is asked of eve", lambda: api.ok("GET", "/v1/messages")["items"], 20)
    world.server.kill()


def one_mail(world, api, mails, clock):
    clock.forward(600)  # its first attempt may have met no server; the next one is due
    mail = mails.wait("Eve@example.com")
    check(mail["subject"] == "Please confirm your subscription" and "Shop & Co" in mail.get_body(("plain",)).get_content(), str(mail))
    check(mail["auto-submitted"] == "auto-generated" and mail["list-unsubscribe"] is None and "/o/" not in str(mail), str(mail))
    link, eve = link_in(mail), person(api, "eve@example.com")
    for _ in range(2):
        status, shown = page(link)
        check(status == 200 and shown.count("<button") == 1 and "news" in shown, f"{status} {shown}")
    check(api.ok("GET", f"/v1/contacts/{eve}")["lists"] == [], "looking subscribes nobody")
    for _ in range(3):
        check(page(link, {"action": "confirm"})[0] == 200, "confirmed, and confirmed again")
    wait_for("eve on the list", lambda: api.ok("GET", f"/v1/contacts/{eve}")["lists"], 20)
    granted = history(api, eve, "granted")
    check(len(granted) == 1 and granted[0]["source"] == "double_opt_in" and granted[0]["ip"].startswith("192.0.2."), f"{granted}")
    check(granted[0]["form_id"] == 1 and "text" in granted[0] and "confirmation 1" in granted[0]["proof"], f"{granted}")
    sent = api.ok("GET", "/v1/messages")["items"]
    check(len(sent) == 1 and sent[0]["source"] == "consents" and sent[0]["status"] == "delivered", f"{sent}")
    return link


def once_an_hour(world, api, mails, clock, url):
    for _ in range(12):
        check(page(url, {"email": "fay@example.com"})[0] == 200, "taken")
    mails.wait("fay@example.com")
    clock.forward(HOUR - 60)
    for _ in range(3):
        check(page(url, {"email": "FAY@example.com"})[0] == 200, "taken")
    fay = person(api, "fay@example.com")
    check(len(history(api, fay, "pending")) == 1, "asked once")
    clock.forward(120)
    check(page(url, {"email": "fay@example.com"})[0] == 200, "taken")
    check(link_in(mails.wait("fay@example.com", 2)) is not None, "a mail an hour")
    check(mails.numbers("dan@example.com") == [] and mails.numbers("ann@example.com") == [], "none to who is suppressed, or subscribed")


def a_week_later(world, api, mails, clock, url):
    page(url, {"email": "gil@example.com"})
    link, gil = link_in(mails.wait("gil@example.com")), person(api, "gil@example.com")
    check(page(link, {"action": "again"})[0] == 409, "one was sent within the hour")
    clock.forward(8 * 24 * HOUR)
    status, shown = page(link)
    check(status == 200 and shown.count("<button") == 1 and 'value="again"' in shown, f"{status} {shown}")
    status, shown = page(link, {"action": "confirm"})
    check(status == 410 and 'value="again"' in shown, f"{status} {shown}")
    check(page(link, {"action": "again"})[0] == 200, "another mail")
    newer = link_in(mails.wait("gil@example.com", 2))
    check(newer != link and page(newer, {"action": "confirm"})[0] == 200, "the new link confirms")
    wait_for("gil on the list", lambda: api.ok("GET", f"/v1/contacts/{gil}")["lists"], 20)
    check(len(history(api, gil, "granted")) == 1, "once")


def by_the_api(world, api, mails, clock, text):
    """With a template of one's own; and by the command line."""
    api.ok("POST", "/v1/templates", {"name": "yes", "subject": "Yes, {{ contact.email }}?", "html": "<p><a href=\"{{ confirm_url }}\">yes</a></p>",
                                     "message_class": "transactional"})
    hal = str(api.ok("POST", "/v1/contacts", {"email": "hal@example.com"})["id"])
    person(api, "hal@example.com")
    body = {"list_id": 2, "state": "granted", "double_opt_in": True, "mail": True, "template": "yes", "text": text}
    asked = api.ok("POST", f"/v1/contacts/{hal}/consents", body)
    check(asked["mailed"] is True, f"{asked}")
    mail = mails.wait("hal@example.com")
    check(mail["subject"] == "Yes, hal@example.com?" and link_in(mail) == asked["confirm_url"], f"{mail}")
    clock.forward(HOUR)
    said = json.loads(world.cli("consent", "grant", hal, "--list", "2", "--double-opt-in", "--mail", "--output", "json")[1])
    check(said["mailed"] is True and link_in(mails.wait("hal@example.com", 2)) == said["confirm_url"], f"{said}")
    check(page(asked["confirm_url"], {"action": "confirm"})[0] == 200, "confirmed")
    wait_for("hal on the list", lambda: api.ok("GET", f"/v1/contacts/{hal}")["lists"], 20)


def scenario(world):
    library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not library:
        return "skipped: libfaketime is not there (scripts/setup.sh --mail)"
    path = os.path.join(world.base, "clock")
    clock, mails = Clock(path), Mails(world)
    world.env = dict(world.env, LD_PRELOAD=library[0], FAKETIME_TIMESTAMP_FILE=path, FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")
    world.start_server()
    api = world.api()
    for name in ("news", "offers"):
        api.ok("POST", "/v1/lists", {"name": name, "public": True})
    url, text = the_form(world, api)
    asked_while_nothing_can_be_sent(world, api, url)
    world.start_sink()
    world.start_server()
    api = world.api()
    one_mail(world, api, mails, clock)
    once_an_hour(world, api, mails, clock, url)
    a_week_later(world, api, mails, clock, url)
    by_the_api(world, api, mails, clock, text)
    before = world.sink_api().ok("GET", "/counts")["mails"]
    was = api.ok("GET", "/v1/messages")["items"]
    world.server.kill()
    shutil.rmtree(os.path.join(world.data, "views"))
    world.start_server()
    api = world.api()
    wait_for("all messages after a rebuild", lambda: api.ok("GET", "/v1/messages")["items"] == was, 30)
    check(world.sink_api().ok("GET", "/counts")["mails"] == before == len(was) == 7, f"a rebuild mails nothing: {before} {len(was)}")


if __name__ == "__main__":
    run_test(scenario, settings={"trusted-proxies": "127.0.0.1/32"})
