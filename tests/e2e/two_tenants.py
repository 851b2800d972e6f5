#!/usr/bin/env python3
"""A tenant never sees another's data (invariant 11): every route of the OpenAPI table, asked over HTTP with the other tenant's key and ids.

To `blue`, what `amber` has must look exactly like what nobody has: the answers to amber's ids equal those to ids of no one, and lists equal
what they were before amber did anything. Then blue tries every write route on amber's things, and amber's answers must stay what they were.
Routes come from /api/openapi.json; one that this test has no request for fails it.
"""
import csv
import io
import json
import os
import re
import time

from program import ROOT, Api, check, quote, run_test, wait_for

SHARED = "ann@example.com"  # a contact of both
PNG = b"\x89PNG\r\n\x1a\n"
# Answers that are the same for everyone, and why.
SAME_FOR_ALL = {"/v1/limits": "public", "/v1/tenants": "the operator's", "/v1/sites/{site}/changes": "the operator's", "/v1/sites/{site}": "the operator's",
                "/v1/deadletters": "amber has none", "/v1/contacts/{id}/erasure": "amber erased nobody", "/v1/bounces/review": "nothing of amber's was refused",
                "/v1/messages/{id}/mail": "amber's message goes to nobody"}
WANT_PARAMETER = {"/v1/campaigns/{id}/preview", "/v1/suppressions:check"}  # of one contact that a parameter names
WAITING = {"min", "wait_ms", "strict", "page_size", "page_token"}
NOBODY = {"contacts": "281474976799999", "contact_id": "281474976799999", "lists": "990099", "templates": "990099", "campaigns": "990099",
          "keys": "zzzzzzzzzzzz", "commands": "0" * 32, "imports": "0" * 32, "email": "nobody@nowhere.example", "campaign_id": "990099",
          "domains": "nowhere.example", "assets": "0" * 64, "segments": "990099", "segment-previews": "990099", "forms": "990099", "consent-texts": "0" * 64,
          "journeys": "990099", "partials": "nowhere", "launch-previews": "990099"}


class Tenant:
    """One tenant: an admin key, a word that stands in all its texts, and the ids of what it made."""

    def __init__(self, world, operator, word):
        self.word = word
        made = operator.ok("POST", "/v1/tenants", {"name": word})
        check(made["id"] > 1, f"tenant: {made}")
        status = lambda: operator.call("POST", "/v1/keys", {"label": word, "scopes": ["admin"], "tenant": word})  # noqa: E731
        key = wait_for("the tenant's key", lambda: (lambda a: a[1] if a[0] == 201 else None)(status()), 20)
        self.api = Api(world.port, key["key"])
        self.ids = dict(NOBODY, keys=key["id"])
        wait_for("the key is known", lambda: self.api.call("GET", "/v1/settings")[0] == 200, 20)


def path_of(pattern, ids):
    noun = pattern.split("/")[2]
    return pattern.replace("{contact_id}", ids["contact_id"]).replace("{name}", ids["partials" if noun == "partials" else "domains"]).replace("{site}", "mx.example.com").replace("{id}", quote(str(ids.get(noun, "1"))))


AS_OF = ["2026-01-01T00:00:00Z"]  # later: once everything of amber's is there


def requests_of(pattern, operation, ids):
    """The GETs of a route: plain, and with each of its own query parameters."""
    values = {"email": ids["email"], "campaign_id": ids["campaign_id"], "type": "visit", "status": "unknown", "reason": "suppressed", "list": ids["lists"],
              "version": "1", "contact_id": ids["contact_id"], "domain": ids["domains"], "since": "2020-01-01T00:00:00Z", "archived": "true",
              "as_of": AS_OF[0], "format": "csv" if pattern == "/v1/contacts:export" else "json", "columns": "secret",
              "to": ids["email"], "template_id": ids.get("templates", "1"), "days": "3", "locale": "de", "arm": "all"}
    if pattern == "/v1/messages":
        values["status"] = "skipped"
    if pattern == "/v1/suppressions":
        values["reason"] = "manual"
    if pattern not in WANT_PARAMETER:
        yield path_of(pattern, ids)
    for parameter in operation.get("parameters", []):
        if parameter["in"] != "query" or parameter["name"] in WAITING:
            continue
        check(parameter["name"] in values, f"GET {pattern}: teach this test the query parameter {parameter['name']}")
        of_one = f"email={quote(ids['email'])}&" if parameter["name"] in ("locale", "arm") else ""
        yield f"{path_of(pattern, ids)}?{of_one}{parameter['name']}={quote(str(values[parameter['name']]))}"


def looks(api, routes, ids):
    """Every answer, with the ids that were asked for and the trace taken out: {(pattern, number): (status, text)}."""
    seen = {}
    for pattern, operations in routes.items():
        if "get" not in operations:
            continue
        for number, path in enumerate(requests_of(pattern, operations["get"], ids)):
            status, answer, _ = api.call("GET", path)
            if isinstance(answer, dict):
                for name in ("traceId", "instance", "exported_at"):
                    answer.pop(name, None)
            text = json.dumps(answer, sort_keys=True) if not isinstance(answer, bytes) else answer.decode(errors="replace")
            seen[(pattern, number)] = (status, re.sub(r"Date: [^\\]+", "Date: now", text))  # of a preview
    return seen


def compare(what, before, after):
    for at, answer in before.items():
        check(after[at] == answer, f"{what}: GET {at[0]} (request {at[1]}) was {answer}, is {after[at]}")


def fill(world, tenant):
    """A tenant's whole life: contacts, a list, a template, a campaign whose mails are taken and not answered, signals, a suppression."""
    api, word = tenant.api, tenant.word
    api.ok("PUT", "/v1/settings", {"senders": [f"news@{word}.example"], "company": f"{word} & Co", "postal_address": f"1 {word} Street"})
    api.ok("POST", "/v1/attributes", {"name": word, "type": "text", "personal": False})
    status, made, headers = api.call("POST", "/v1/lists", {"name": f"{word} list"})
    check(status == 201, f"list: {status} {made}")
    tenant.ids["lists"], tenant.ids["commands"] = str(made["id"]), headers["maily-consistency-token"]
    for email in (SHARED, f"suppressed@{word}.example"):
        contact = api.ok("POST", "/v1/contacts", {"email": email, "attributes": {word: f"{word} value", "secret": f"{word} secret"},
                                                  "lists": [int(tenant.ids["lists"])]})
        if email == SHARED:
            tenant.ids["contacts"] = tenant.ids["contact_id"] = contact["id"]
    job = api.call("POST", f"/v1/imports?source={word}", f"email\n{SHARED}\n{word} is no address\n", {"Content-Type": "text/csv"})[1]
    tenant.ids["imports"] = job["id"]
    wait_for("the import", lambda: api.ok("GET", job["status_url"])["status"] == "completed", 20, world.server)
    tenant.ids["email"] = f"suppressed@{word}.example"
    api.ok("POST", "/v1/suppressions", {"email": tenant.ids["email"], "reason": "manual"})
    tenant.ids["assets"] = api.ok("POST", f"/v1/assets?name={word}.png", PNG + word.encode(), {"Content-Type": "image/png"})["id"]
    tenant.ids["segments"] = str(api.ok("POST", "/v1/segments", {"name": f"{word} segment", "where": f'{word} = "{word} value"'})["id"])
    tenant.ids["segment-previews"] = str(api.ok("POST", "/v1/segments:preview", {"where": f'{word} = "{word} value"'})["id"])
    tenant.ids["consent-texts"] = api.ok("POST", "/v1/consent-texts", {"name": word, "text": f"{word} may write to me"})["id"]
    tenant.ids["forms"] = str(api.ok("POST", "/v1/forms", {"name": word, "list_id": int(tenant.ids["lists"]), "text": tenant.ids["consent-texts"]})["id"])
    wait_for("the form", lambda: api.call("GET", f"/v1/forms/{tenant.ids['forms']}")[0] == 200, 20, world.server)
    api.ok("POST", f"/v1/contacts/{tenant.ids['contacts']}/consents", {"purpose": word, "state": "granted"})
    wait_for("the consent", lambda: word in json.dumps(api.ok("GET", f"/v1/contacts/{tenant.ids['contacts']}/consents")), 20, world.server)
    tenant.ids["journeys"] = str(api.ok("POST", "/v1/journeys", {"name": f"{word} journey", "entry": {"event": "visit"},
                                                                "steps": [{"id": f"{word}-wait", "type": "delay", "for": "1d"}]})["id"])
    for noun, status in (("segments", "active"), ("segment-previews", "done"), ("journeys", "active")):
        at = f"/v1/{noun}/{tenant.ids[noun]}"
        wait_for(at, lambda: api.call("GET", at)[0] == 200 and api.ok("GET", at)["status"] == status, 20, world.server)
    tenant.ids["partials"] = api.ok("PUT", f"/v1/partials/{word}-partial", {"html": f"<p>{word} partial</p>"})["name"]
    wait_for("the partial", lambda: api.call("GET", f"/v1/partials/{word}-partial")[0] == 200, 20, world.server)
    template = api.ok("POST", "/v1/templates", {"name": f"{word} template", "subject": f"{word} {{{{ contact.{word} }}}}",
                                               "text": f"https://{word}.example/page {{{{ unsubscribe_url }}}} {{{{ postal_address }}}}"})
    tenant.ids["templates"] = str(template["id"])
    archived = api.ok("POST", "/v1/templates", {"name": f"{word} old template", "subject": word, "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    api.ok("POST", f"/v1/templates/{archived['id']}:archive")
    wait_for("it is archived", lambda: api.ok("GET", "/v1/templates?archived=true")["items"], 20, world.server)
    tenant.ids["campaigns"] = tenant.ids["campaign_id"] = str(api.ok("POST", "/v1/campaigns", {
        "name": f"{word} campaign", "template_id": template["id"], "list_id": int(tenant.ids["lists"]), "from": f"News <news@{word}.example>"})["id"])
    listed = f"/v1/lists/{tenant.ids['lists']}"
    wait_for("members", lambda: api.ok("GET", listed)["members"] == 2, 20, world.server)
    looked = api.ok("POST", f"/v1/campaigns/{tenant.ids['campaigns']}:launch?dry_run=true")
    tenant.ids["launch-previews"] = str(looked["id"])
    at = f"/v1/launch-previews/{looked['id']}"
    wait_for(at, lambda: api.call("GET", at)[0] == 200 and api.ok("GET", at)["status"] == "done", 20, world.server)
    api.ok("POST", f"/v1/campaigns/{tenant.ids['campaigns']}:launch")
    wait_for("sends in doubt", lambda: api.ok("GET", f"/v1/campaigns/{tenant.ids['campaigns']}")["counts"]["unknown"] == 1, 60, world.server)
    api.ok("POST", "/v1/events", {"id": f"{word}-1", "type": "visit", "contact": {"email": SHARED}})
    wait_for("the visit", lambda: "visit" in json.dumps(api.ok("GET", f"/v1/contacts/{tenant.ids['contacts']}/engagements")), 20, world.server)
    wait_for("completed", lambda: api.ok("GET", f"/v1/campaigns/{tenant.ids['campaigns']}")["status"] == "completed", 30, world.server)
    tenant.ids["messages"] = api.ok("POST", "/v1/messages", {"to": tenant.ids["email"], "template_id": template["id"], "variables": {"secret": word}})["id"]
    wait_for("the message", lambda: api.call("GET", f"/v1/messages/{tenant.ids['messages']}")[0] == 200, 20, world.server)
    tenant.ids["domains"] = api.ok("POST", "/v1/domains", {"name": f"{word}.example"})["name"]
    wait_for("the domain", lambda: api.call("GET", f"/v1/domains/{tenant.ids['domains']}")[0] == 200, 20, world.server)
    wait_for("the suppression", lambda: api.ok("GET", f"/v1/suppressions?email={quote(tenant.ids['email'])}")["items"], 20, world.server)


def attempts(amber, blue, message_ids):
    """What blue tries with amber's ids: {(method, pattern): (body, statuses)}. Own things may come of it, or a refusal."""
    ids, word, own = amber.ids, blue.word, (200, 201, 202, 204)
    list_id, template_id = int(ids["lists"]), int(ids["templates"])
    campaign = {"name": f"{word} stolen", "template_id": template_id, "list_id": list_id, "from": f"News <news@{amber.word}.example>"}
    event = {"id": f"{amber.word}-1", "type": "visit", "contact": {"email": ids["email"]}}
    gone = (404,)
    return {("post", "/v1/tenants"): ({"name": "green"}, (403,)),
            ("put", "/v1/settings"): ({"company": f"{word} only"}, own),
            ("post", "/v1/attributes"): ({"name": amber.word, "type": "integer", "personal": True}, own),
            ("post", "/v1/keys"): ({"label": word, "scopes": ["admin"], "tenant": amber.word}, (403,)),
            ("delete", "/v1/keys/{id}"): (None, gone),
            ("post", "/v1/sites/{site}:suspend"): ({"reason": word}, (403,)),
            ("post", "/v1/sites/{site}:resume"): (None, (403,)),
            ("post", "/v1/sites/{site}:drain"): ({"reason": word}, (403,)),
            ("post", "/v1/sites/{site}:flush"): ({"reason": word}, (403,)),
            ("post", "/v1/domains"): ({"name": f"stolen.{amber.word}.example"}, own),
            ("post", "/v1/domains/{name}:rotate"): (None, gone),
            ("post", "/v1/domains/{name}:activate"): (None, gone),
            ("post", "/v1/domains/{name}:check"): (None, gone),
            ("delete", "/v1/domains/{name}"): (None, gone),
            ("post", "/v1/contacts"): ({"email": SHARED, "attributes": {"secret": word}, "lists": [list_id]}, (422,)),
            ("patch", "/v1/contacts/{id}"): ({"attributes": {"secret": word}}, gone),
            ("post", "/v1/contacts/{id}/address"): ({"email": f"{word}@example.com"}, gone),
            ("post", "/v1/contacts/{id}/merge"): ({"into": blue.ids["contacts"]}, gone),
            ("delete", "/v1/contacts/{id}"): (None, gone),
            ("post", "/v1/contacts/{id}:erase"): (None, gone),
            ("post", "/v1/imports"): (f"email,secret\n{ids['email']},{word}\n", own + (404,)),
            ("post", "/v1/imports/{id}:cancel"): (None, gone),
            ("post", "/v1/imports/{id}:undo"): (None, gone),
            ("post", "/v1/lists"): ({"name": f"{amber.word} list"}, own),
            ("put", "/v1/lists/{id}"): ({"description": word}, gone),
            ("post", "/v1/contacts/{id}/consents"): ({"purpose": word, "state": "granted"}, gone),
            ("post", "/v1/consent-texts"): ({"name": word, "text": f"{amber.word} may write to me"}, own),
            ("post", "/v1/forms"): ({"name": word, "list_id": list_id, "text": ids["consent-texts"]}, (422,)),
            ("post", "/v1/forms/{id}:archive"): (None, gone),
            ("post", "/v1/lists/{id}/members"): ({"email": SHARED, "leave": True}, gone),
            ("post", "/v1/suppressions"): ({"email": SHARED}, own),
            ("post", "/v1/suppressions:batch"): ({"suppressions": [{"email": SHARED}]}, own),
            ("delete", "/v1/suppressions"): (None, own),
            ("post", "/v1/assets"): (PNG + amber.word.encode(), own),
            ("post", "/v1/assets/{id}:archive"): (None, gone),
            ("post", "/v1/assets/{id}:restore"): (None, gone),
            ("delete", "/v1/assets/{id}"): (None, gone),
            ("post", "/v1/segments"): ({"name": f"{word} stolen", "where": f'{amber.word} = "{amber.word} value"'}, (422,)),
            ("put", "/v1/segments/{id}"): ({"where": "subscribed()"}, gone),
            ("post", "/v1/segments/{id}:archive"): (None, gone),
            ("post", "/v1/segments:preview"): ({"where": "subscribed()", "segment_id": int(ids["segments"])}, gone),
            ("post", "/v1/journeys"): ({"name": f"{word} stolen", "entry": {"segment": f"{amber.word} segment"},
                                        "steps": [{"id": "mail", "type": "send", "template": f"{amber.word} template"}]}, (422,)),
            ("put", "/v1/journeys/{id}"): ({"entry": {"event": "visit"}, "steps": [{"id": "out", "type": "exit"}]}, gone),
            ("post", "/v1/journeys/{id}:preview"): ({"entry": {"event": "visit"}, "steps": [{"id": "out", "type": "exit"}]}, gone),
            ("post", "/v1/journeys/{id}:pause"): (None, gone),
            ("post", "/v1/journeys/{id}:resume"): (None, gone),
            ("post", "/v1/journeys/{id}:archive"): (None, gone),
            ("post", "/v1/templates"): ({"name": f"{amber.word} template", "subject": word, "text": "{{ unsubscribe_url }} {{ postal_address }}"}, own),
            ("post", "/v1/templates/{id}:archive"): (None, gone),
            ("post", "/v1/templates/{id}:restore"): (None, gone),
            ("delete", "/v1/templates/{id}"): (None, gone),
            ("post", "/v1/templates/{id}:test"): ({"to": [SHARED], "from": f"news@{amber.word}.example"}, gone),
            ("post", "/v1/messages"): ({"to": SHARED, "template_id": template_id, "from": f"news@{amber.word}.example"}, own + (422,)),
            ("post", "/v1/templates:lint"): ({"subject": "s", "text": "{% render '" + amber.word + "-partial' %}"}, (200,)),
            ("post", "/v1/templates/{id}/preview"): (None, gone),
            ("put", "/v1/partials/{name}"): ({"html": word}, own),
            ("post", "/v1/partials/{name}:archive"): (None, gone),
            ("post", "/v1/campaigns"): (campaign, own + gone + (422,)),
            ("patch", "/v1/campaigns/{id}"): ({"name": word}, gone),
            ("delete", "/v1/campaigns/{id}"): (None, gone),
            ("post", "/v1/campaigns/{id}:clone"): (None, gone),
            ("post", "/v1/campaigns/{id}:resend"): ({"to": "failed"}, gone),
            ("post", "/v1/campaigns/{id}:approve"): ({"revision": 1}, gone),
            ("post", "/v1/audiences:preview"): ({"list_ids": [list_id], "segment_ids": [int(ids["segments"])]}, (200,)),
            ("post", "/v1/campaigns/{id}:launch"): (None, gone),
            ("post", "/v1/campaigns/{id}:schedule"): ({"local": "2027-12-01T09:00"}, gone),
            ("post", "/v1/campaigns/{id}:unschedule"): (None, gone),
            ("post", "/v1/campaigns/{id}:release"): (None, gone),
            ("post", "/v1/campaigns/{id}:throttle"): ({"per_minute": 1}, gone),
            ("post", "/v1/campaigns/{id}:winner"): ({"arm": "a"}, gone),
            ("post", "/v1/campaigns/{id}:pause"): (None, gone),
            ("post", "/v1/campaigns/{id}:resume"): (None, gone),
            ("post", "/v1/campaigns/{id}:finish"): (None, gone),
            ("post", "/v1/campaigns/{id}:cancel"): (None, gone),
            ("post", "/v1/inbound"): (bounce_of(message_ids[0]), (202,)),
            ("post", "/v1/webhooks/{provider}"): (None, gone),  # a provider shows who it is, not a tenant; none is set here
            ("post", "/v1/bounces/review:apply"): ({"why": word}, (200,)),
            ("post", "/v1/sends/unknown:resolve"): ({"received_message_ids": message_ids, "why": word}, (200,)),
            ("post", "/v1/events"): (event, own + gone + (422,)),
            ("post", "/v1/events:batch"): ({"events": [event]}, own)}


def bounce_of(message_id):
    """A bounce of that mail, as its receiver would write it."""
    lines = ["From: mailer-daemon@test", "To: x@test", "Subject: failure", "MIME-Version: 1.0",
             'Content-Type: multipart/report; report-type=delivery-status; boundary="b"', "", "--b", "Content-Type: message/delivery-status", "",
             "Reporting-MTA: dns; test", "", "Final-Recipient: rfc822; x@test", "Action: failed", "Status: 5.1.1",
             "Diagnostic-Code: smtp; 550 5.1.1 no such user", "", "--b", "Content-Type: text/rfc822-headers", "", f"Message-ID: {message_id}", "", "--b--", ""]
    return "\r\n".join(lines)


def write(amber, blue, routes, message_ids):
    known = attempts(amber, blue, message_ids)
    written = [(method, pattern) for pattern, operations in routes.items() for method in operations if method != "get"]
    # Things of one's own come last: until then every id of amber's is nobody's to blue.
    order = {"/v1/assets": 1, "/v1/domains": 1, "/v1/lists": 1, "/v1/templates": 1, "/v1/campaigns": 1, "/v1/partials/{name}": 1}
    for method, pattern in sorted(written, key=lambda at: order.get(at[1], 0)):
        check((method, pattern) in known, f"{method} {pattern}: teach this test what a stranger would try")
        body, statuses = known[(method, pattern)]
        path = path_of(pattern, amber.ids)
        if (method, pattern) == ("delete", "/v1/suppressions"):
            path += f"?email={quote(amber.ids['email'])}&reason=stolen"
        if pattern == "/v1/assets":
            path += f"?name={amber.word}.png"
        if pattern == "/v1/imports":
            path += f"?list={amber.ids['lists']}"
        status, answer, _ = blue.api.call(method.upper(), path, body, {"Content-Type": {"/v1/inbound": "message/rfc822", "/v1/assets": "image/png"}.get(pattern, "text/csv")} if isinstance(body, (str, bytes)) else {"If-Match": "*"} if method == "patch" else None)
        check(status in statuses, f"{method} {path}: {status} {answer}, expected one of {statuses}")
        if pattern == "/v1/inbound":
            check(answer["result"] == "quarantined", f"a bounce of amber's mail was taken from blue: {answer}")
        if pattern.endswith(":resolve"):
            check(answer["foreign_message_ids"] == len(message_ids) and answer["sends"] == [], f"amber's sends were resolved: {answer}")


def operators_routes():
    """Method and path of each route of app/operate.cc, which is in no table."""
    with open(os.path.join(ROOT, "app/operate.cc"), encoding="utf-8") as file:
        found = re.findall(r'add\(Method::k(\w+), "([^"]+)"', file.read())
    check(len(found) >= 6, f"operators' routes: {found}")
    return [(method.upper(), path.replace("{group}", "people")) for method, path in found]


def run(world):
    world.start_sink("--drop-after-dot", "1")
    world.start_server()
    operator = world.api()
    routes = {path: operations for path, operations in operator.ok("GET", "/api/openapi.json")["paths"].items()}
    check(len(routes) > 25, f"the table: {list(routes)}")
    amber, blue = Tenant(world, operator, "amber"), Tenant(world, operator, "blue")

    nothing = looks(blue.api, routes, NOBODY)
    fill(world, amber)
    at = time.time()
    AS_OF[0] = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at * 1e6) % 1_000_000:06}Z"
    ids_to_blue = dict(amber.ids)
    compare("with amber's ids blue sees more than nothing", nothing, looks(blue.api, routes, ids_to_blue))

    # The same requests with amber's own key show something everywhere: the test can fail.
    lives = looks(amber.api, routes, amber.ids)
    for at, answer in lives.items():
        check(at[0] in SAME_FOR_ALL or (answer[0] == 200 and answer != nothing[at]), f"GET {at[0]} (request {at[1]}) shows amber nothing: {answer}")
    lists = [at for at in lives if at[0] not in SAME_FOR_ALL]

    # Cursors and consistency tokens of amber's are nothing to blue.
    status, answer, headers = amber.api.call("POST", "/v1/lists", {"name": "amber second list"})
    check(status == 201, f"list: {answer}")
    token = headers["maily-consistency-token"]
    page = amber.api.ok("GET", f"/v1/lists?page_size=1&min={quote(token)}&wait_ms=20000")
    check("next_page_token" in page, f"one page: {page}")
    for query in (f"page_token={quote(page['next_page_token'])}", f"min={quote(token)}"):
        status, answer, _ = blue.api.call("GET", f"/v1/lists?{query}")
        check(status == 400, f"amber's {query} is taken from blue: {status} {answer}")
    lives = looks(amber.api, routes, amber.ids)

    _, data, _ = world.sink_api().call("GET", "/received?format=csv", raw=True)
    message_ids = [row["message_id"] for row in csv.DictReader(io.StringIO(data.decode())) if amber.word in row["message_id"]]
    check(message_ids, f"the sink has no mail of amber's: {data[:500]}")
    write(amber, blue, routes, message_ids)

    # Blue gets the same things under the same ids, as far as they go; then each sees its own alone.
    fill_blue = Tenant.__new__(Tenant)
    fill_blue.__dict__.update(blue.__dict__, ids=dict(blue.ids))
    blue.api.ok("DELETE", f"/v1/suppressions?email={quote(SHARED)}&reason=asked")
    fill(world, fill_blue)
    compare("amber's things changed by what blue did", {at: lives[at] for at in lists}, looks(amber.api, routes, amber.ids))
    taken = amber.api.call("POST", "/v1/inbound", bounce_of(message_ids[0]), {"Content-Type": "message/rfc822"})[1]
    check(taken["result"] == "recorded", f"the bounce that was not taken from blue is not taken from amber: {taken}")
    crossed = looks(blue.api, routes, dict(fill_blue.ids, contacts=amber.ids["contacts"], contact_id=amber.ids["contact_id"]))
    own = json.dumps(list(looks(blue.api, routes, fill_blue.ids).values()))
    check("blue" in own, "blue does not see its own")
    for at, (_, text) in crossed.items():
        for secret in ("amber value", "amber secret", "amber & Co", "amber campaign", "1 amber Street"):
            check(secret not in text, f"GET {at[0]} shows blue '{secret}': {text[:2000]}")
    theirs = json.dumps(list(looks(amber.api, routes, amber.ids).values()))
    check("amber value" in theirs and "blue" not in theirs, f"amber sees blue's: {re.findall('.{80}blue.{80}', theirs)}")

    # An admin key of a tenant is no operator's: the journal, instance and projections are of all tenants.
    for method, path in operators_routes():
        status, answer, _ = amber.api.call(method, path)
        check(status == 403, f"{method} {path} with a tenant's admin key: {status} {str(answer)[:300]}")
        if method == "GET":
            check(operator.call(method, path)[0] == 200, f"{method} {path} is refused to the operator")
    check(amber.api.call("GET", "/v1/tenants")[0] == 403, "a tenant lists tenants")
    writes = sum(1 for operations in routes.values() for method in operations if method != "get")
    return f"{len(nothing)} reads and {writes} write routes of a stranger"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 4})
