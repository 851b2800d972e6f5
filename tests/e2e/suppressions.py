#!/usr/bin/env python3
"""Suppressions of the real program: a domain that is suppressed while a campaign runs gets nothing from a second later on; files of other
programs come in, bad rows cost themselves, a file that was cut off is given again; what goes out comes in elsewhere as it was; check says why.
"""
import csv
import io
import json
import os
import signal
import subprocess
import time

from program import Api, check, run_test, wait_for

EACH = 400  # contacts at each of two domains
ROWS = 6_000  # of the file that is cut off


def write(world, name, text):
    path = os.path.join(world.base, name)
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    return path


def received(world):
    """Who got mail, and when: [(seconds, address)]."""
    _, data, _ = world.sink_api().call("GET", "/received?format=csv", raw=True)
    return [(int(row["received_at_us"]) / 1e6, row["recipient"]) for row in csv.DictReader(io.StringIO(data.decode()))]


def in_the_middle(world, api):
    rows = "".join(f"p{n}@{domain}\n" for n in range(EACH) for domain in ("good.example", "bad.example"))
    rows += "".join(f"p{n}@worse.example\n" for n in range(20))
    world.cli("import", write(world, "people.csv", "email\nreceipts@good.example\n" + rows), "--list", "people")
    world.cli("suppression", "add", "@Worse.example", "--reason", "blocked", "--note", "they asked")
    world.cli("suppression", "add", "p0@good.example", "--reason", "complaint")
    world.cli("suppression", "add", "receipts@good.example", "--stream", "transactional")
    campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "list_id": 1, "from": "news@shop.example.com"})["id"]
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    counts = lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]  # noqa: E731
    wait_for("some mails", lambda: counts()["delivered"] >= 60, 60, world.server)
    world.cli("suppression", "add", "@bad.example")
    at = time.time()
    wait_for("the end", lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["status"] == "completed", 120, world.server)
    mails = received(world)
    good = {who for _, who in mails if who.endswith("@good.example")}
    bad = [when for when, who in mails if who.endswith("@bad.example")]
    check(good == {f"p{n}@good.example" for n in range(1, EACH)} | {"receipts@good.example"}, f"{len(good)} of the others got their mail")
    check(not any(who.endswith("@worse.example") for _, who in mails), "a suppressed domain got mail")
    check(0 < len(bad) < EACH, f"{len(bad)} of {EACH} had got theirs: the domain was not suppressed in the middle")
    check(max(bad) < at + 1, f"the last mail to the domain came {max(bad) - at:.2f} s after it was suppressed")
    skipped = api.ok("GET", f"/v1/campaigns/{campaign}/skips")["items"]
    wanted = EACH - len(bad) + 20 + 1
    check([(item["reason"], item["count"]) for item in skipped] == [("suppressed", wanted)], f"{skipped}, expected {wanted}")
    return len(bad)


def who_and_why(world):
    def asked(address, code):
        got, out, _ = world.cli("suppression", "check", address, "--output", "json", check_code=False)
        check(got == code, f"check {address}: exit {got}, expected {code}: {out}")
        return json.loads(out)
    by_domain = asked("anyone@worse.example", 4)
    check([(one["domain"], one["reason"], one["note"]) for one in by_domain["entries"]] == [("worse.example", "blocked", "they asked")], f"{by_domain}")
    check(asked("receipts@good.example", 4)["streams"] == {"marketing": False, "transactional": True}, "streams")
    check(asked("P0@good.example", 4)["entries"][0]["reason"] == "complaint", "by address")
    check(asked("p1@good.example", 0)["entries"] == [], "somebody who gets mail")
    listed = json.loads(world.cli("suppression", "list", "--domain", "good.example", "--output", "json")[1])["items"]
    check([item["email"] for item in listed] == ["p0@good.example", "receipts@good.example"], f"{listed}")
    check(all(item["source"] == "operator" and item["added_by"].startswith("key:") for item in listed), f"{listed}")
    code, _, err = world.cli("suppression", "remove", "@worse.example", check_code=False)
    check(code == 2 and "--reason" in err, f"lifted without a reason: {code} {err}")
    world.cli("suppression", "remove", "@worse.example", "--reason", "they want it again")
    wait_for("the domain is lifted", lambda: asked_now(world, "anyone@worse.example") is False, 20, world.server)


def asked_now(world, address):
    return world.api().ok("GET", f"/v1/suppressions:check?email={address}")["suppressed"]


def files_of_others(world):
    def give(name, text, *more):
        return json.loads(world.cli("suppression", "import", write(world, name, text), "--output", "json", *more)[1])
    bounces = "email,reason,status,created\r\nb1@x.example,550 no such user,5.1.1,1700000000\r\nnonsense,550,5.1.1,1\r\nb2@x.example,=cmd(),4.2.2,1700000000\r\n"
    rejects = os.path.join(world.base, "bad.ndjson")
    tried = give("bounces.csv", bounces, "--dry-run")
    check((tried["valid"], tried["rejected"]) == (2, 1) and not asked_now(world, "b1@x.example"), f"dry run: {tried}")
    first = give("bounces.csv", bounces, "--rejects", rejects)
    check((first["format"], first["added"], first["rejected"]) == ("sendgrid", 2, 1), f"{first}")
    with open(rejects, encoding="utf-8") as file:
        bad = [json.loads(line) for line in file]
    check([(one["line"], one["code"], one["raw"]) for one in bad] == [(3, "invalid_address", "nonsense,550,5.1.1,1")], f"{bad}")
    again = give("bounces.csv", bounces)
    check((again["added"], again["unchanged"], again["rejected"]) == (0, 2, 1), f"again: {again}")
    mailchimp = give("mailchimp.csv", "Email Address,UNSUB_TIME,UNSUB_REASON\nm1@x.example,2026-01-01 00:00:00,too many\n")
    listmonk = give("listmonk.csv", 'uuid,email,name,attributes,status\nu1,l1@x.example,"Bo, n",{},blocklisted\nu2,l2@x.example,x,{},enabled\n')
    check((mailchimp["added"], listmonk["added"], listmonk["passed_over"]) == (1, 1, 1), f"{mailchimp} {listmonk}")
    lines = give("own.ndjson", '{"email":"n1@x.example","stream":"marketing"}\n{"domain":"all.example","reason":"other"}\n{broken\n')
    check((lines["added"], lines["rejected"], lines["rejects"][0]["code"]) == (2, 1, "malformed_json"), f"{lines}")
    code, out, _ = world.cli("suppression", "import", write(world, "none.csv", "name\nAnn\n"), check_code=False)
    check(code == 2, f"a file without addresses: {code} {out}")


def cut_off(world):
    """The program that gives the file dies in the middle; the same file again makes it whole."""
    path = write(world, "many.csv", "email,reason\n" + "".join(f"many{n}@many.example,unsubscribed\n" for n in range(ROWS)))
    env = dict(world.env, MAILY_SERVER=f"http://127.0.0.1:{world.port}", MAILY_KEY_FILE=os.path.join(world.data, "admin.key"))
    giving = subprocess.Popen([world.maily, "suppression", "import", "-"], env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(path, "rb") as file:
        giving.stdin.writelines(file.readlines()[:ROWS // 2])
    giving.stdin.flush()  # and the file goes on
    wait_for("the first rows", lambda: asked_now(world, "many0@many.example"), 60, world.server)
    giving.send_signal(signal.SIGKILL)
    giving.wait()
    giving.stdin.close()
    whole = json.loads(world.cli("suppression", "import", path, "--output", "json")[1])
    check(whole["added"] + whole["unchanged"] == ROWS and 0 < whole["unchanged"] <= ROWS // 2, f"{whole}")
    return whole["unchanged"]


def bounded(world):
    """A file of a hundred times as many rows takes no more memory: KiB at the most, of each."""
    env = dict(world.env, MAILY_SERVER=f"http://127.0.0.1:{world.port}", MAILY_KEY_FILE=os.path.join(world.data, "admin.key"))

    def peak(rows):
        path = write(world, "big.csv", "email,note\n")
        with open(path, "a", encoding="ascii") as file:  # line by line: a child's peak counts what this process held when it began
            file.writelines(f"big{n}@big.example,row {n}\nbad row {n}\n" for n in range(rows // 2))
        reading = subprocess.Popen([world.maily, "suppression", "import", path, "--dry-run"], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(reading.pid, 0)
        reading.returncode = os.waitstatus_to_exitcode(status)
        check(reading.returncode == 0, f"{rows} rows: exit {reading.returncode}")
        return used.ru_maxrss
    few, many = peak(4_000), peak(400_000)
    check(many < few + 8 * 1024, f"4,000 rows take {few} KiB, 400,000 take {many} KiB")


def elsewhere(world):
    """Another tenant has other keys, hence other hashes."""
    operator = world.api()
    operator.ok("POST", "/v1/tenants", {"name": "elsewhere"})
    made = wait_for("the tenant's key", lambda: (lambda a: a[1] if a[0] == 201 else None)(
        operator.call("POST", "/v1/keys", {"label": "e", "scopes": ["admin"], "tenant": "elsewhere"})), 20)
    key = write(world, "elsewhere.key", made["key"])
    wait_for("the key is known", lambda: Api(world.port, made["key"]).call("GET", "/v1/settings")[0] == 200, 20)

    def export(name, *more):
        path = os.path.join(world.base, name)
        _, out, _ = world.cli("suppression", "export", path, "--output", "json", *more)
        check(not os.path.exists(path + ".part"), "a part is left")
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file)) if name.endswith(".csv") else [json.loads(line) for line in file]
        check(json.loads(out)["rows"] == len(rows), f"{out}, but {len(rows)} rows")
        return path, rows

    def meaning(rows):
        return sorted((row["email"] or "", row["domain"] or "", row["stream"], row["reason"], row["note"] or "") for row in rows)
    path, ours = export("ours.csv")
    check(len(ours) > ROWS and any(row["note"] == "'=cmd()" for row in ours), "no formula is guarded")
    given = json.loads(world.cli("suppression", "import", path, "--key-file", key, "--output", "json")[1])
    check((given["format"], given["added"], given["rejected"]) == ("maily", len(ours), 0), f"{given}")
    listed = lambda: Api(world.port, made["key"]).ok("GET", "/v1/suppressions?reason=other")["items"]  # noqa: E731
    wait_for("the last page", listed, 20, world.server)
    wait_for("all of them", lambda: len(export("theirs.ndjson", "--format", "ndjson", "--key-file", key)[1]) == len(ours), 20, world.server)
    _, theirs = export("theirs.csv", "--key-file", key)
    check(meaning(theirs) == meaning(ours), "what was exported means something else elsewhere")
    check({row["contact_key"] for row in theirs if row["email"]}.isdisjoint({row["contact_key"] for row in ours}), "two tenants share hashes")
    return len(ours)


def run(world):
    world.settings["relay-connections"] = 2
    world.start_sink("--delay-ms", "10")
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    before = in_the_middle(world, api)
    who_and_why(world)
    files_of_others(world)
    known = cut_off(world)
    bounded(world)
    moved = elsewhere(world)
    return f"{before} of {EACH} mails before the domain was suppressed, {known} of {ROWS} rows before the cut, {moved} suppressions moved"


if __name__ == "__main__":
    run_test(run)
