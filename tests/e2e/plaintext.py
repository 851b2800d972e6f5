#!/usr/bin/env python3
"""No personal plaintext at rest but in the declared tables (invariant 12): a search of every byte of the data directory after kill -9.

People with recognisable addresses and names come in by import, API, events, suppressions and refusals that echo the address. The server
is killed while it sends. Then every file is searched as it is, and every entry of every RocksDB database and every snapshot unpacked
(`stored_bytes`).
Personal words may stand in tables contacts_pii, suppressions_pii and address_changes_pii alone, and in the files of the database that holds it. The search proves itself: the same
words are found there, and words that are not personal are found inside compressed frames and blocks.
"""
import base64
import json
import os
import sqlite3
import subprocess

from program import check, quote, run_test, wait_for

DECLARED = {("people", "contacts_pii"), ("people", "suppressions_pii"), ("people", "address_changes_pii")}  # read model's database, table
PERSONAL = ["quokkamail", "Xanthippe", "Wolfeschlegel", "numbatproperty", "203.0.113.77", "BandicootAgent"]
# Not personal: the search must find it in log and state.
PLAIN = "zebrafinchsubject"
CONTACTS = 400


def forms(word):
    """The word's bytes, its base64 at each alignment, hex and UTF-16; all compared in lower case."""
    raw = word.encode()
    yield raw.lower()
    yield raw.hex().encode()
    yield word.encode("utf-16-le").lower()
    for spelled in {raw, raw.lower()}:
        for shift in range(3):
            body = base64.b64encode(b"\0" * shift + spelled)
            yield body[(0, 2, 3)[shift]:len(body) // 4 * 4 - 4].lower()  # without what depends on the neighbours


NEEDLES = [(word, form) for word in PERSONAL for form in forms(word)]


def found_in(data):
    low = data.lower()
    return sorted({word for word, form in NEEDLES if form in low})


def files(folder):
    for path, _, names in os.walk(folder):
        for name in sorted(names):
            yield os.path.join(path, name)


def live(world):
    """A whole life with personal data in it, killed in the middle of the second campaign."""
    world.start_sink("--delay-ms", "3", "--reply", "*-7@QuokkaMail.example=550 5.1.1 <person-7@quokkamail.example> unknown",
                     "--reply", "dot:*-8@QuokkaMail.example=451 4.2.0 no room for person-8@quokkamail.example")
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True})
    path = os.path.join(world.base, "contacts.csv")
    with open(path, "w", encoding="utf-8") as file:
        file.write("email,first_name,surname\n")
        file.writelines(f"Person-{n}@QuokkaMail.example,Xanthippe,Wolfeschlegel {n}\n" for n in range(CONTACTS))
        file.write("not an address quokkamail,Xanthippe,\nx@quokkamail.example,Xanthippe,a,b,c\n")
    api.ok("POST", "/v1/lists", {"name": "people"})
    _, out, _ = world.cli("import", path, "--list", "people", "--output", "json", check_code=False)
    check(json.loads(out)["created"] == CONTACTS, out)
    os.unlink(path)
    api.ok("POST", "/v1/contacts", {"email": "api@quokkamail.example", "attributes": {"first_name": "Xanthippe", "note": "Wolfeschlegel"}})
    api.call("POST", "/v1/contacts", {"email": "quokkamail@@wrong", "attributes": {"first_name": 5}})
    api.ok("POST", "/v1/events", {"id": "e-1", "type": "visit", "contact": {"email": "api@quokkamail.example"}, "properties": {"page": "numbatproperty"}})
    moved = api.ok("POST", "/v1/contacts", {"email": "moves@quokkamail.example"})["id"]
    status, answer, _ = api.call("POST", f"/v1/contacts/{moved}/address", {"email": "has-moved@quokkamail.example"})
    check(status in (200, 202), f"{status} {answer}")
    wait_for("the new address", lambda: api.ok("GET", f"/v1/contacts/{moved}/address").get("change", {}).get("state") == "changed", 20, world.server)
    for email in ("api@quokkamail.example", "stranger@quokkamail.example"):
        api.ok("POST", "/v1/suppressions", {"email": email, "note": "Wolfeschlegel rang"})
    template = api.ok("POST", "/v1/templates", {"name": "t", "subject": PLAIN + " {{ contact.first_name }}",
                                               "text": "https://shop.example.com/x {{ contact.first_name }} {{ unsubscribe_url }} {{ postal_address }}"})["id"]
    mails = lambda: world.sink_api().ok("GET", "/counts")["mails"]  # noqa: E731

    def campaign(name):
        made = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": template, "list_id": 1, "from": "Shop <news@shop.example.com>"})["id"]
        api.ok("POST", f"/v1/campaigns/{made}:launch")
        return made
    first = campaign("first")
    wait_for("the first campaign", lambda: api.ok("GET", f"/v1/campaigns/{first}")["counts"]["delivered"] >= CONTACTS - 90, 60, world.server)
    check(api.ok("GET", "/v1/contacts?email=person-7%40quokkamail.example")["items"][0]["suppressed_reason"], "the refusal did not count")
    # Clicks and opens, by someone with an address and an agent.
    status, mail, _ = world.sink_api().call("GET", "/messages/1?format=raw", raw=True)
    check(status == 200 and b"Xanthippe" in mail, f"a mail without its name: {mail[:500]}")
    text = mail.replace(b"=\r\n", b"").decode(errors="replace")
    for kind in ("/c/", "/u/"):
        if kind in text:
            token = text.split(kind, 1)[1].split(">")[0].split()[0]
            api.call("GET", kind + token, headers={"User-Agent": "BandicootAgent/1.0", "X-Forwarded-For": "203.0.113.77", "Referer": "http://quokkamail.example/"}, raw=True)
    api.call("GET", "/v1/contacts?email=person-3%40quokkamail.example")
    wait_for("the last write is visible", lambda: api.ok("GET", f"/v1/suppressions?email={quote('api@quokkamail.example')}")["items"], 20)
    # A clean stop leaves flushed stores; the kill then leaves what was not.
    api.close()
    world.server.stop()
    world.cli("snapshots", "take", "--data", world.data, "--snapshots", os.path.join(world.data, "snapshots"))
    world.start_server()
    before = mails()
    campaign("second")
    wait_for("mails of the second", lambda: mails() > before + 50, 60, world.server)
    world.server.kill()


def search(world, stored_bytes):
    hits = {}
    for path in files(world.data):
        with open(path, "rb") as file:
            if words := found_in(file.read()):
                hits[os.path.relpath(path, world.data)] = words
    with open(os.path.join(world.base, "server.out"), "rb") as file:
        if words := found_in(file.read()):
            hits["the program's log lines"] = words
    stores = sorted(os.path.dirname(path) for path in files(world.data) if os.path.basename(path) == "CURRENT")
    check({os.path.relpath(path, world.data).split("/")[0] for path in stores} == {"log", "keys", "state"}, f"stores: {stores}")
    reached = set()
    for store in stores:
        done = subprocess.run([stored_bytes, store], capture_output=True, timeout=120)
        check(done.returncode == 0, done.stderr.decode())
        if words := found_in(done.stdout):
            hits[os.path.relpath(store, world.data) + " (unpacked)"] = words
        if PLAIN.encode() in done.stdout:
            reached.add(os.path.relpath(store, world.data).split("/")[0])
        if os.path.basename(store) == "log":
            frames = int(done.stderr.split()[-1])
            check(frames > 100, f"{frames} frames of the journal were unpacked")
    for path in files(os.path.join(world.data, "snapshots")):
        done = subprocess.run([stored_bytes, path], capture_output=True, timeout=120)
        check(done.returncode == 0, done.stderr.decode())
        if words := found_in(done.stdout):
            hits[os.path.relpath(path, world.data) + " (unpacked)"] = words
        if PLAIN.encode() in done.stdout and "/parts/" in path:
            reached.add("snapshots")
    check(reached == {"log", "state", "snapshots"}, f"'{PLAIN}' was found in {reached}")
    return hits


def tables(world):
    """Personal words by (database, table), read as SQL."""
    hits = {}
    for path in files(os.path.join(world.data, "views")):
        if not path.endswith(".db"):
            continue
        group = os.path.basename(path).split("-v")[0]
        with sqlite3.connect(path) as database:
            for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in database.execute(f'SELECT * FROM "{table}"'):
                    cells = b" ".join(cell if isinstance(cell, bytes) else str(cell).encode() for cell in row)
                    if words := found_in(cells):
                        hits.setdefault((group, table), set()).update(words)
    return hits


def run(world):
    stored_bytes = os.path.join(os.path.dirname(world.maily), "../tests/e2e/stored_bytes")
    live(world)
    hits = search(world, stored_bytes)
    allowed = {path for path in hits if any(path.startswith(f"views/{group}-v") for group, _ in DECLARED)}
    check(set(hits) == allowed, f"personal plaintext at rest: { {path: hits[path] for path in set(hits) - allowed} }")
    inside = tables(world)
    check(set(inside) == DECLARED, f"personal plaintext in tables: {inside}")
    check("quokkamail" in inside[("people", "address_changes_pii")], f"a change of address without them: {inside}")
    check({"quokkamail", "Wolfeschlegel"} <= inside[("people", "suppressions_pii")], f"suppressions have no address or note: {inside}")
    check({"quokkamail", "Xanthippe", "Wolfeschlegel"} <= inside[("people", "contacts_pii")], f"the search finds nothing where it must: {inside}")
    check({word for path in allowed for word in hits[path]} >= {"quokkamail", "Xanthippe", "Wolfeschlegel"}, f"not in the files: {hits}")
    return f"{sum(1 for _ in files(world.data))} files searched for {len(NEEDLES)} spellings; found in {sorted(allowed)} alone"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 4})
