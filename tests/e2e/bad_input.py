#!/usr/bin/env python3
"""Bad input gets a clear error and loses nothing: CSV, JSON, templates, unknown flags."""
import json
import os

from program import check, run_test


def csv_import(world, text, name):
    path = os.path.join(world.base, name + ".csv")
    with open(path, "wb") as file:
        file.write(text)
    code, out, err = world.cli("import", path, "--list", "people", "--output", "json", check_code=False)
    check(out, f"{name}: no report: {err}")
    return json.loads(out)


def run(world):
    world.start_sink()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/attributes", {"name": "age", "type": "integer", "personal": False})
    api.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True})
    api.ok("POST", "/v1/lists", {"name": "people"})

    # CSV: BOM, CRLF, quoted commas and newlines; bad rows are listed, good ones go in.
    rows = [b"\xef\xbb\xbfEmail,first_name,age\r\n", b"ann@example.com,\"Ann, the\r\nfirst\",30\r\n", b"not an address,Bob,31\r\n", b"cy@example.com,Cy,old\r\n",
            b"dee@example.com,Dee\r\n", b"ANN@example.COM,Ann again,33\r\n", b"eve@stra\xc3\x9fe.example,Eve,34\r\n",
            b"big@example.com," + b"x" * 1_000_000 + b",35\r\n", b"bad@example.com,\xff\xfe,36\r\n", b"last@example.com,Last,37"]
    report = csv_import(world, b"".join(rows), "bad")
    check(report["created"] == 3, f"created: {report}")  # ann, eve, last
    check(report["rejected"] == 5 and report["duplicate"] == 1, f"rejected: {report}")
    check(report["rows"] == report["created"] + report["updated"] + report["unchanged"] + report["duplicate"] + report["rejected"], f"sum: {report}")
    codes = {(reject["line"], reject["column"].lower()): reject["code"] for reject in report["rejects"]}
    check(codes.get((4, "email")) == "invalid_address" and (5, "age") in codes, f"lines and columns: {report['rejects']}")
    check(all(reject.get("reason") for reject in report["rejects"]), "a reject without a reason")
    again = csv_import(world, b"email,first_name,age\nann@example.com,Ann again,33\n", "again")
    check(again["unchanged"] == 1 and again["created"] == 0, f"same row again: {again}")
    missing = csv_import(world, b"name,age\nX,1\n", "missing")
    check("email" in json.dumps(missing), f"missing column: {missing}")
    cut = csv_import(world, b"email,first_name\nfay@example.com,Fay\ngus@example.com,\"Gu", "cut")
    check(cut["created"] == 1 and cut["rejected"] == 1, f"truncated last line: {cut}")

    # JSON: malformed, too deep, too large, wrong type, unknown field, duplicate key.
    for body, statuses, words in (
            ("{\"email\":", (400,), ""), ("[" * 100 + "]" * 100, (400,), ""), ("{\"email\": 5}", (422,), "email"),
            ("{\"email\":\"a@b.example\",\"emial\":1}", (422,), "emial"), ("{\"email\":\"a@b.example\",\"email\":\"c@d.example\"}", (400,), ""),
            ("{\"email\":\"no address\"}", (422,), "email"), ("{\"email\":\"" + "x" * 2_000_000 + "\"}", (413,), "")):
        status, answer, _ = api.call("POST", "/v1/contacts", body, {"Content-Type": "application/json"})
        api.close()
        check(status in statuses, f"{body[:60]}: {status} {answer}")
        check(words in json.dumps(answer), f"{body[:60]}: the path is not named: {answer}")
        check({"type", "title", "status", "code", "message", "traceId"} <= set(answer), f"not a problem: {answer}")
    for path, wanted in (("/v1/nothing", 404), ("/v1/contacts?page_size=0", 422), ("/v1/contacts?page_token=forged", 400), ("/v1/campaigns/999999", 404)):
        status, answer, _ = api.call("GET", path)
        check(status == wanted, f"{path}: {status} {answer}")
    check(api.call("PATCH", "/v1/campaigns")[0] == 405, "405")
    key, api.key = api.key, "mk_wrong_key"
    status, _, headers = api.call("GET", "/v1/contacts")
    check(status == 401 and "www-authenticate" in headers, f"401: {status}")
    api.key = key

    # Templates: an unregistered placeholder is refused with its place; a registered one without a value renders empty.
    html = "<p>{{ contact.first_nam }}</p>{{ postal_address }}<a href=\"{{ unsubscribe_url }}\">x</a>"
    status, answer, _ = api.call("POST", "/v1/templates", {"name": "t", "subject": "s", "html": html, "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    check(status == 422 and "first_nam" in json.dumps(answer), f"template: {status} {answer}")
    status, answer, _ = api.call("POST", "/v1/templates", {"name": "t", "subject": "s", "html": html.replace("first_nam ", "first_name "),
                                                           "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    check(status in (200, 201), f"template: {status} {answer}")
    template = answer["id"]

    # Campaigns: every failed rule at launch.
    status, answer, _ = api.call("POST", "/v1/campaigns", {"name": "c", "template_id": template, "list_id": 1, "from": "other@elsewhere.example"})
    if status in (200, 201):
        status, answer, _ = api.call("POST", f"/v1/campaigns/{answer['id']}:launch")
    check(status == 422 and "from" in json.dumps(answer), f"unverified From: {status} {answer}")
    empty = api.ok("POST", "/v1/lists", {"name": "empty"})["id"]
    campaign = api.ok("POST", "/v1/campaigns", {"name": "e", "template_id": template, "list_id": empty, "from": "news@shop.example.com"})["id"]
    status, answer, _ = api.call("POST", f"/v1/campaigns/{campaign}:launch")
    check(status == 422 and "empty" in json.dumps(answer), f"empty audience: {status} {answer}")
    check(api.ok("GET", f"/v1/campaigns/{campaign}")["status"] in ("draft", "refused"), "an empty campaign is not completed")

    # Tracking: forged tokens.
    check(api.call("GET", "/c/AAAA", raw=True)[0] == 404, "forged click")
    status, data, headers = api.call("GET", "/o/AAAA.gif", raw=True)
    check(status == 200 and headers["content-type"] == "image/gif", f"forged open: {status}")
    check(api.call("POST", "/u/AAAA", "List-Unsubscribe=One-Click", raw=True)[0] == 404, "forged unsubscribe")

    # Events: a verdict for each.
    status, answer, _ = api.call("POST", "/v1/events:batch", {"events": [
        {"id": "1", "type": "conversion", "contact": {"email": "ann@example.com"}, "revenue_cents": 100, "currency": "EUR"},
        {"id": "2", "type": "conversion", "contact": {"email": "nobody@example.com"}}, {"id": "3", "type": 7},
        {"id": "1", "type": "conversion", "contact": {"email": "ann@example.com"}, "revenue_cents": 100, "currency": "EUR"}]})
    check(status == 202, f"events: {status} {answer}")
    verdicts = [event["verdict"] for event in answer["events"]]
    check(verdicts == ["accepted", "rejected", "rejected", "duplicate"], f"verdicts: {answer}")

    check(world.cli("campaign", "lunch", "1", check_code=False)[0] == 2, "unknown verb")
    code, _, err = world.cli("contact", "find", check_code=False)
    check(code == 2, f"missing argument: {code} {err}")
    check(world.server.alive(), "the server died")


if __name__ == "__main__":
    run_test(run, settings={"partitions": 4})
