#!/usr/bin/env python3
"""Imports and exports of the real program: files in every shape come in, bad rows come back, an import goes on by itself after kill -9 of the
server with exact counts, is cancelled, foreseen and undone; what another system calls unsubscribed is not mailed; what goes out comes in
elsewhere as it was.
"""
import csv
import json
import os
import signal
import subprocess

from program import Api, check, run_test, wait_for

ROWS = 40_000  # of the file that the server is killed under
COUNTS = ("created", "updated", "unchanged", "duplicate", "skipped", "rejected")


def write(world, name, data):
    path = os.path.join(world.base, name)
    with open(path, "wb") as file:
        file.write(data if isinstance(data, bytes) else data.encode())
    return path


def take(world, path, *more, code=0):
    got, out, err = world.cli("import", path, "--list", "people", "--output", "json", *more, check_code=False)
    check(got == code, f"import {path} {more}: exit {got}, {out} {err}")
    report = json.loads(out)
    if "created" in report:
        check(report["rows"] == sum(report[name] for name in COUNTS), f"the counts of {path} do not add up: {report}")
    return report


def contact(api, email):
    return api.ok("GET", f"/v1/contacts?email={email}")["items"][0]


def shapes(world, api):
    """The same two people in every shape; the first makes them, the others change nothing."""
    text = 'E-mail,first_name\r\nann@example.com,"Ann\r\nLee"\r\nbj\u00f6rn@example.com,Bj\u00f6rn\r\n'
    made = take(world, write(world, "utf8.csv", text))
    check(made["created"] == 2, f"{made}")
    other = text.replace(",", ";").replace('"Ann\r\nLee"', '"Ann\nLee"')
    for name, data, more in [("bom.csv", "\ufeff" + text, []), ("le.csv", text.encode("utf-16-le").join([b"\xff\xfe", b""]), []),
                             ("be.csv", text.encode("utf-16-be").join([b"\xfe\xff", b""]), []), ("tab.csv", text.replace(",", "\t"), []),
                             ("pipe.csv", text.replace(",", "|"), []), ("latin1.csv", text.encode("latin-1"), ["--encoding", "latin-1"]),
                             ("1252.csv", text.encode("cp1252"), ["--encoding", "windows-1252"]),
                             ("mapped.csv", text.replace("first_name", "Vorname"), ["--map", "Vorname=first_name"]),
                             ("bare.csv", text.split("\r\n", 1)[1], ["--no-header", "--map", "1=email,2=first_name"]),
                             ("rows.ndjson", '{"email":"ann@example.com","first_name":"Ann\\r\\nLee"}\n{"email":"bj\u00f6rn@example.com","first_name":"Bj\u00f6rn"}\n', [])]:
        same = take(world, write(world, name, data), *more)
        check(same["unchanged"] == 2 and same["rejected"] == 0, f"{name}: {same}")
    check(take(world, write(world, "semicolon.csv", other))["updated"] == 1, "a newline of another kind is another value")
    check(contact(api, "ann@example.com")["attributes"]["first_name"] == "Ann\nLee", "ann")
    check(take(world, write(world, "latin1.csv", text.encode("latin-1")))["rejected"] == 1, "Latin-1 was taken though nobody asked")


def rejects(world):
    path = os.path.join(world.base, "bad.csv")
    rows = "email,n\n" + "".join(f"r{n}@example.com,{n}\n" for n in range(5)) + 'nobody,"1"\na@b.example\nc@d.example,x\x00y\n'
    report = take(world, write(world, "some.csv", rows), "--rejects", path)
    check(report["created"] == 5 and report["rejected"] == 3 and report["rejects_kept"] == 3, f"{report}")
    with open(path, encoding="utf-8", newline="") as file:
        back = list(csv.DictReader(line.replace("\0", "<NUL>") for line in file))
    check([(row["line"], row["code"], row["raw"]) for row in back] ==
          [("7", "invalid_address", 'nobody,"1"'), ("8", "columns", "a@b.example"), ("9", "nul", "c@d.example,x<NUL>y")], f"{back}")
    stopped = take(world, write(world, "worse.csv", "email\nx\ny\nz\nlate@example.com\n"), "--max-errors", "1", code=1)
    check(stopped["status"] == "failed" and "applied" in stopped["message"] and stopped["rejected"] == 2, f"{stopped}")
    code, _, err = world.cli("import", path, "--list", "people", "--consent", check_code=False)
    check(code != 0 and "consent" in err, f"--consent: {code} {err}")


def foreseen_and_undone(world, api):
    before = {name: contact(api, f"{name}@example.com") for name in ("r0", "r1", "r2")}
    path = write(world, "change.csv", "email,n,city\nr0@example.com,100,Rome\nr1@example.com,1,\nfresh@example.com,7,Oslo\nr2@example.com,102,Bonn\n")
    foreseen = take(world, path, "--dry-run")
    check((foreseen["created"], foreseen["updated"], foreseen["unchanged"]) == (1, 2, 1), f"{foreseen}")
    check(foreseen["diffs"][0]["fields"] == [{"name": "n", "old": "0", "new": "100"}, {"name": "city", "old": None, "new": "Rome"}], f"{foreseen['diffs']}")
    done = take(world, path)
    check([done[name] for name in COUNTS] == [foreseen[name] for name in COUNTS], f"foreseen {foreseen}, done {done}")
    api.ok("POST", "/v1/contacts", {"email": "r2@example.com", "attributes": {"city": "Paris"}})
    members = api.ok("GET", f"/v1/lists/1?min={done['token']}&wait_ms=20000")["members"]
    code, _, err = world.cli("import", "undo", done["id"], check_code=False)
    check(code == 3, f"undone without being asked: {code} {err}")
    undone = json.loads(world.cli("import", "undo", done["id"], "--yes", "--output", "json")[1])
    check((undone["rows"], undone["updated"], undone["skipped"]) == (3, 2, 1), f"{undone}")
    check(api.ok("GET", "/v1/lists/1")["members"] == members - 1, "fresh is on the list still")
    for name in ("r0", "r1"):
        check(contact(api, f"{name}@example.com")["attributes"] == before[name]["attributes"], f"{name} was not put back")
    check(contact(api, "r2@example.com")["attributes"] == dict(before["r2"]["attributes"], city="Paris"), "r2 was changed since, and n was not")
    check(contact(api, "fresh@example.com")["attributes"] == {}, "fresh keeps what the import said")
    again = json.loads(world.cli("import", "undo", done["id"], "--yes", "--output", "json")[1])
    check(again["updated"] == 0, f"an undo is not harmless to repeat: {again}")
    check(world.cli("import", "undo", undone["id"], "--yes", check_code=False)[0] == 3, "an undo was undone")


def from_elsewhere(world, api):
    """Files with the columns of other systems: who gets no mail there joins nothing and is suppressed."""
    listmonk = ('uuid,email,name,attributes,status,created_at,updated_at\n1,lm1@example.com,One,"{""plan"":""pro""}",enabled,2026-01-01,2026-01-01\n'
                '2,lm2@example.com,Two,{},blocklisted,2026-01-01,2026-01-01\n3,lm3@example.com,Three,{},disabled,2026-01-01,2026-01-01\n')
    cleaned = ('Email Address,First Name,MEMBER_RATING,OPTIN_TIME,CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,LEID\n'
               'mc1@example.com,Mia,2,2020-01-01 10:00:00,2021-01-01 10:00:00,Spring,77\n')
    left = 'Email Address,First Name,UNSUB_TIME,UNSUB_REASON,LEID\nmc2@example.com,Max,2021-01-01 10:00:00,Too many,78\n'
    subscribed = 'Email Address,First Name,MEMBER_RATING,OPTIN_TIME,LEID\nmc3@example.com,Moe,4,2020-01-01 10:00:00,79\n'
    bounces = 'email,reason,status,created\nsg1@example.com,550 no such user,5.1.1,1600000000\n'
    people = 'EMAIL,FIRST_NAME,CREATED_AT,UPDATED_AT,CONTACT_ID\nsg2@example.com,Sue,2020,2021,c-1\n'
    before = api.ok("GET", "/v1/lists/1")["members"]
    suppressed = 0
    for name, text, more in [("lm", listmonk, "listmonk"), ("mc-cleaned", cleaned, "mailchimp"), ("mc-left", left, "mailchimp"),
                             ("mc", subscribed, "mailchimp"), ("sg-bounces", bounces, "sendgrid"), ("sg", people, "sendgrid")]:
        report = take(world, write(world, name + ".csv", text), "--from", more)
        check(report["rejected"] == 0 and report["created"] == text.count("\n") - 1 and not report["ignored_columns"], f"{name}: {report}")
        suppressed += report["suppressed"]
    listed = api.ok("GET", f"/v1/lists/1?min={report['token']}&wait_ms=20000")["members"]
    check((suppressed, listed - before) == (5, 3), f"{suppressed} suppressed, {listed - before} joined")
    for email, reason in [("lm1", None), ("lm2", "blocked"), ("lm3", "manual"), ("mc1", "hard_bounce"), ("mc2", "unsubscribed"), ("mc3", None),
                          ("sg1", "hard_bounce"), ("sg2", None)]:
        found = contact(api, f"{email}@example.com")
        check(found["suppressed_reason"] == reason, f"{email}: {found}")
    check(contact(api, "lm1@example.com")["attributes"] == {"name": "One", "plan": "pro"}, "lm1")


def start(world, path, *more):
    env = dict(world.env, MAILY_SERVER=f"http://127.0.0.1:{world.port}", MAILY_KEY_FILE=os.path.join(world.data, "admin.key"))
    return subprocess.Popen([world.maily, "import", path, "--list", "big", "--output", "json", *more], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def killed_at_half(world, api):
    world.cli("list", "create", "big")
    rows = "".join(f"k{n}@example.com,{n}\n" for n in range(ROWS)) + "nobody,1\nK7@example.com,7\n"
    path = write(world, "big.csv", "email,n\n" + rows)
    importing = start(world, path)
    members = lambda: api.ok("GET", "/v1/lists/2")["members"]  # noqa: E731
    wait_for("a part of it", lambda: members() > 2_000, 60, world.server)
    world.server.kill()
    check(importing.poll() is None, "the import had ended before the kill")
    world.start_server()
    api = world.api()
    at = members()
    out, err = importing.communicate(timeout=300)
    check(importing.returncode == 0, f"after kill -9 at {at} of {ROWS}: exit {importing.returncode}, {out} {err}")
    done = json.loads(out)
    check([done[name] for name in COUNTS] == [ROWS, 0, 0, 1, 0, 1], f"after kill -9 at {at}: {done}")
    check(api.ok("GET", f"/v1/lists/2?min={done['token']}&wait_ms=60000")["members"] == ROWS, "members")
    again = json.loads(world.cli("import", path, "--list", "big", "--output", "json")[1])
    check([again[name] for name in COUNTS] == [0, 0, ROWS, 1, 0, 1], f"the same file again: {again}")
    return at


def stopped(world, api):
    """Ctrl-C, and cancel from elsewhere: what was applied is said, and stays."""
    said = []
    for number, stop in enumerate(("interrupt", "cancel")):
        rows = "".join(f"s{number}-{n}@example.com,{n}\n" for n in range(3 * ROWS))
        importing = start(world, write(world, "more.csv", "email,n\n" + rows), "--source", stop)
        running = lambda: [job for job in api.ok("GET", "/v1/imports?page_size=1000")["items"] if job["source"] == stop]  # noqa: B023,E731
        wait_for("it begins", running, 60, world.server)
        job = running()[0]["id"]
        wait_for("some rows", lambda: api.ok("GET", f"/v1/imports/{job}")["created"] > 100, 60, world.server)  # noqa: B023
        if stop == "interrupt":
            importing.send_signal(signal.SIGINT)
        else:
            world.cli("import", "cancel", job)
        out, err = importing.communicate(timeout=120)
        report = json.loads(out)
        check(importing.returncode == (130 if stop == "interrupt" else 1), f"{stop}: exit {importing.returncode}, {out} {err}")
        check(report["status"] == "interrupted" and "cancelled" in report["message"] and 0 < report["created"] < 3 * ROWS, f"{stop}: {report}")
        check(report["rows"] == sum(report[name] for name in COUNTS), f"{stop}: {report}")
        said.append(report["created"])
    return said


def export_elsewhere(world, api):
    """Guarded cells, statuses and all: a file that another tenant imports and exports is the same file."""
    api.ok("POST", "/v1/contacts", {"email": "guard@example.com", "attributes": {"first_name": "=1+1", "city": "'quoted"}, "lists": [1]})
    first = os.path.join(world.base, "first.csv")
    out = json.loads(world.cli("export", "contacts", first, "--list", "people", "--output", "json")[1])
    with open(first, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    check(out["rows"] == len(lines) == api.ok("GET", "/v1/lists/1")["members"], f"{out}, {len(lines)} lines")
    guard = next(line for line in lines if line["email"] == "guard@example.com")
    check(guard["first_name"] == "'=1+1" and guard["city"] == "''quoted", f"{guard}")
    api.ok("POST", "/v1/tenants", {"name": "elsewhere"})
    asked = lambda: api.call("POST", "/v1/keys", {"label": "elsewhere", "scopes": ["admin"], "tenant": "elsewhere"})  # noqa: E731
    text = wait_for("the tenant's key", lambda: (lambda answer: answer[1] if answer[0] == 201 else None)(asked()), 20)["key"]
    key, other = write(world, "elsewhere.key", text), Api(world.port, text)
    wait_for("the key is known", lambda: other.call("GET", "/v1/settings")[0] == 200, 20)
    other.ok("POST", "/v1/lists", {"name": "people"})
    there = take(world, first, "--key-file", key)
    check(there["created"] == len(lines) and there["rejected"] == 0, f"{there}")
    second = os.path.join(world.base, "second.csv")
    world.cli("export", "contacts", second, "--key-file", key)
    sort = lambda path: sorted(open(path, encoding="utf-8", newline="").read().splitlines(keepends=True))  # noqa: E731
    check(sort(first) == sort(second), "what was exported, imported and exported again is another file")
    rows = [json.loads(line) for line in world.cli("export", "contacts", "--format", "ndjson", "--list", "people")[1].splitlines()]
    check(len(rows) == len(lines) and {"email": "guard@example.com", "attributes": {"city": "'quoted", "first_name": "=1+1"}, "maily:status": "active"} in rows,
          f"{len(rows)} lines of NDJSON")
    return len(lines)


def run(world):
    world.start_server()
    api = world.api()
    world.cli("list", "create", "people")
    shapes(world, api)
    rejects(world)
    foreseen_and_undone(world, api)
    from_elsewhere(world, api)
    exported = export_elsewhere(world, api)
    at = killed_at_half(world, world.api())
    said = stopped(world, world.api())
    return f"{exported} contacts out and in again, killed at {at} of {ROWS} rows, stopped after {said}"


run_test(run)
