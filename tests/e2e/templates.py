#!/usr/bin/env python3
"""Templates as a marketer makes them, on the real program: lint, partials, a preheader, languages and a name in From of each mail; who meets
a blank value among the contacts; a template that fails for all pauses its campaign. MJML where Node and the module are, 501 where not
(scripts/setup.sh --mjml, or MAILY_MJML_MODULES)."""
import email
import email.policy
import json
import os

from program import ROOT, check, run_test, wait_for

MODULES = os.environ.get("MAILY_MJML_MODULES", os.path.join(ROOT, "build/mjml/npm/node_modules"))
PEOPLE = 400
FOOTER = '<p>{{ company }}, {{ postal_address }} <a href="https://shop.example.com/imprint">Imprint</a> <a href="{{ unsubscribe_url }}">Leave</a></p>'
MJML = """<mjml>
  <mj-body>
    <mj-raw>{% if contact.name %}</mj-raw>
    <mj-section><mj-column>
      <mj-text>Hello {{ contact.name | default: 'there' }}</mj-text>
      <mj-button href="https://shop.example.com/{{ contact.language }}">Go</mj-button>
    </mj-column></mj-section>
    <mj-raw>{% endif %}{% render 'footer' %}</mj-raw>
  </mj-body>
</mjml>"""


def write(world, name, text):
    path = os.path.join(world.base, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def cli(world, *arguments, code=0):
    got, out, err = world.cli(*arguments, "--output", "json", check_code=False)
    check(got == code, f"maily {' '.join(arguments)}: exit {got}, not {code}: {out}{err}")
    return json.loads(out) if out.strip() else None


def details(answer):
    return {one["path"]: one["hint"] for one in answer[1].get("details", [])}


def lint(world):
    page = write(world, "bad.html", '<p>Hello {{ contact.nam }}</p>\n<a href="http://shop.example.com/">x</a> <img src="x">{% render "nope" %}')
    found = cli(world, "template", "lint", "--subject", "Hi", "--html", page, code=4)["findings"]
    rules = {(one["level"], one["rule"]): one for one in found}
    check(("error", "syntax") in rules and rules[("error", "syntax")]["place"] == "html:2:55", f"{found}")
    check(("warning", "http_link") in rules and ("warning", "missing_alt") in rules, f"{found}")
    page = write(world, "good.html", "<p>Hello dear reader of this letter, all is well</p>{{ postal_address }}{{ unsubscribe_url }}")
    found = cli(world, "template", "lint", "--subject", "Hi", "--preheader", "Psst", "--html", page)
    check(found["ok"] and found["findings"] == [], f"{found}")


def partials(world, api):
    cli(world, "partial", "put", "footer", "--html", write(world, "footer.html", FOOTER))
    wait_for("the partial", lambda: [row["name"] for row in cli(world, "partial", "list")["items"]] == ["footer"], 20, world.server)
    circle = api.call("PUT", "/v1/partials/footer", {"html": "a\n{% render 'footer' %}"})
    check(circle[0] == 422 and circle[1]["code"] == "partial_invalid" and "html:2:1" in details(circle), f"{circle}")
    missing = api.call("POST", "/v1/templates", {"name": "x", "subject": "s", "html": "{% render 'nope' %}{% render 'footer' %}"})
    check(missing[0] == 422 and "html:1:1" in details(missing), f"{missing}")


def mails_of(world, count):
    wait_for(f"{count} mails", lambda: world.sink_api().ok("GET", "/counts")["mails"] >= count, 60, world.server)
    return [email.message_from_bytes(world.sink_api().call("GET", f"/messages/{number}?format=raw", raw=True)[1], policy=email.policy.SMTP)
            for number in range(1, count + 1)]


def campaign(world, api, template, **more):
    made = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": template, "list_id": 1, "from": "Shop <news@shop.example.com>", **more})["id"]
    wait_for("the campaign is there", lambda: api.call("GET", f"/v1/campaigns/{made}")[0] == 200, 20, world.server)
    return made


def mailed(world, api):
    saved = api.ok("POST", "/v1/templates", {
        "name": "spring", "subject": "Hello {{ contact.name }}", "preheader": "News & more for {{ contact.name | default: 'you' }}", "locale": "en",
        "html": "<html><body><p>Dear {{ contact.name }}, here is the letter.</p>{% render 'footer' %}</body></html>",
        "variants": [{"locale": "de", "subject": "Hallo {{ contact.name }}", "html": "<html><body><p>Liebe {{ contact.name }}</p>{% render 'footer' %}</body></html>"}]})
    shown = wait_for("the template", lambda: (lambda a: a[0] == 200 and a[1])(api.call("GET", f"/v1/templates/{saved['id']}")), 20, world.server)
    check(shown["partials"][0]["name"] == "footer" and shown["variants"][0]["locale"] == "de", f"{shown}")
    report = cli(world, "template", "check", str(saved["id"]), "--sample", "100")
    name = {one["name"]: one for one in report["variables"]}["contact.name"]
    check(report["sampled"] == 100 and report["failed"] == 0 and report["locales"]["de"] > 0, f"{report}")
    check(name["empty"]["contacts"] > 0 and name["empty"]["contacts"] == name["fallback"]["contacts"] and len(name["empty"]["contact_ids"]) == 5, f"{name}")
    wrong = api.call("POST", "/v1/campaigns", {"name": "c", "template_id": saved["id"], "from": "news@shop.example.com", "from_name": "{{ x }}"})
    check(wrong[0] == 422 and "/from_name" in details(wrong), f"{wrong}")
    of = campaign(world, api, saved["id"], from_name="{{ contact.name }} at Shop")
    asked = f"/v1/campaigns/{of}/preview?email=person-1%40example.com"
    preview = wait_for("a preview", lambda: (lambda a: a[0] == 200 and a[1])(api.call("GET", asked)), 20, world.server)
    check(preview["subject"] == "Hallo Ännchen 1" and preview["from_name"] == "Ännchen 1 at Shop" and preview["locale"] == "de", f"{preview}")
    check(api.ok("GET", asked + "&locale=fr")["subject"] == "Hello Ännchen 1", "another language is not the template itself")
    api.ok("POST", f"/v1/campaigns/{of}:launch")
    wait_for("it completes", lambda: api.ok("GET", f"/v1/campaigns/{of}")["status"] == "completed", 60, world.server)
    by_address = {mail["To"].addresses[0].addr_spec: mail for mail in mails_of(world, PEOPLE)}
    german, english, blank = (by_address[f"person-{n}@example.com"] for n in (1, 2, 0))
    check(german["Subject"] == "Hallo Ännchen 1" and german["From"].addresses[0].display_name == "Ännchen 1 at Shop", f"{german['From']}")
    check(blank["From"].addresses[0].display_name == "at Shop", f"{blank['From']}")
    html = english.get_body(preferencelist=("html",)).get_content()
    check('<html lang="en"><body><div style="display:none' in html and "News &amp; more for Ännchen 2&zwnj;" in html, html[:600])
    check("/c/" in html and "https://shop.example.com/imprint" not in html and "Shop Ltd, 1 Main Street" in html, html)
    text = english.get_body(preferencelist=("plain",)).get_content()
    check("Imprint" in text and "/u/" in text and "<p>" not in text, text)
    check('lang="de"' in german.get_body(preferencelist=("html",)).get_content(), "no language")


def failing(world, api):
    saved = api.ok("POST", "/v1/templates", {"name": "bad", "subject": "s", "text": "{{ 1 | divided_by: contact.zero }} {{ unsubscribe_url }} {{ postal_address }}"})
    wait_for("the template", lambda: api.call("GET", f"/v1/templates/{saved['id']}")[0] == 200, 20, world.server)
    report = cli(world, "template", "check", str(saved["id"]), "--sample", "50", code=4)
    check(report["failed"] == 50 and report["errors"][0]["message"].startswith("text:1:"), f"{report}")
    of = campaign(world, api, saved["id"])
    api.ok("POST", f"/v1/campaigns/{of}:launch")
    stopped = wait_for("it is paused", lambda: (lambda a: a["status"] == "paused" and a)(api.ok("GET", f"/v1/campaigns/{of}")), 60, world.server)
    check(stopped["stop"]["reason"] == "render_errors" and stopped["stop"]["of"] >= 200 and stopped["stop"]["count"] == stopped["stop"]["of"], f"{stopped}")
    check(world.sink_api().ok("GET", "/counts")["mails"] == PEOPLE, "a mail with an error went out")


def mjml(world, api, here):
    body = {"name": "mjml", "subject": "s", "mjml": MJML}
    made = api.call("POST", "/v1/templates", body)
    if not here:
        check(made[0] == 501 and "mjml_modules" in made[1]["message"], f"{made}")
        return "; no MJML here"
    check(made[0] == 201, f"{made}")
    shown = wait_for("the template", lambda: (lambda a: a[0] == 200 and a[1])(api.call("GET", f"/v1/templates/{made[1]['id']}")), 20, world.server)
    check("{% if contact.name %}" in shown["html"] and 'href="https://shop.example.com/{{ contact.language }}"' in shown["html"], shown["html"])
    check("{{ contact.name | default: 'there' }}" in shown["html"] and "{% render 'footer' %}" in shown["html"], shown["html"])
    check(shown["mjml"] == MJML and shown["mjml_compiler"].startswith("mjml ") and len(shown["mjml_sha256"]) == 64, f"{shown['mjml_compiler']}")
    check(cli(world, "template", "check", str(made[1]["id"]), "--sample", "20")["failed"] == 0, "it fails")
    wrong = api.call("POST", "/v1/templates", {**body, "mjml": "<mjml><mj-body>\n<mj-nope></mj-nope></mj-body></mjml>"})
    check(wrong[0] == 422 and wrong[1]["code"] == "mjml_invalid" and "mjml:2" in details(wrong), f"{wrong}")
    wrong = api.call("POST", "/v1/templates", {**body, "mjml": "<mjml><mj-body>\n\n<mj-include path='/etc/passwd' /></mj-body></mjml>"})
    check(wrong[0] == 422 and "mjml:3" in details(wrong), f"{wrong}")
    return ""


def run(world):
    here = os.path.exists(os.path.join(MODULES, "mjml/package.json"))
    if here:
        world.settings["mjml-modules"] = MODULES
    world.start_sink()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop Ltd", "postal_address": "1 Main Street"})
    for name, kind in (("name", "text"), ("language", "text"), ("zero", "integer")):
        api.ok("POST", "/v1/attributes", {"name": name, "type": kind, "personal": False})
    people = "email,name,language,zero\n"
    for n in range(PEOPLE):
        people += f"person-{n}@example.com,{'' if n % 10 == 0 else f'Ännchen {n}'},{'de-AT' if n % 2 else 'en'},0\n"
    api.ok("POST", "/v1/lists", {"name": "all"})
    world.cli("import", write(world, "people.csv", people), "--list", "all")
    wait_for("they are members", lambda: api.ok("GET", "/v1/lists/1")["members"] == PEOPLE, 20, world.server)
    lint(world)
    partials(world, api)
    mailed(world, api)
    failing(world, api)
    return f"{PEOPLE} mails" + mjml(world, api, here)


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2})
