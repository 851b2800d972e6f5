#!/usr/bin/env python3
"""What a person has received, of the real program: messages with files of their own, by the name of an asset and in base64, the same bytes on
every attempt; and any mail that was sent, a campaign's or a message, made again from the journal and equal to the sink's by its SHA-256, signed,
put off once, after a kill -9, a rebuild of the read models, a new version of its template and another name of its contact. Whoever is
erased has no mail any more, and nothing that is made again goes out."""
import base64
import email
import email.policy
import hashlib
import json
import os

from program import check, run_test, wait_for

PEOPLE = 24
TERMS = b"%PDF-1.7 terms " + bytes(range(256)) * 40
INVOICE = b"%PDF-1.7 invoice of Ann " + bytes(range(255, -1, -1)) * 300
SECRET = b"invoice of Ann"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def mails(world):
    """What the sink has, by recipient and subject."""
    count = world.sink_api().ok("GET", "/counts")["mails"]
    found = {}
    for number in range(1, count + 1):
        raw = world.sink_api().call("GET", f"/messages/{number}?format=raw", raw=True)[1]
        message = email.message_from_bytes(raw, policy=email.policy.SMTP)
        key = (message["to"].strip("<>"), message["subject"])
        check(key not in found, f"{key} came twice")
        found[key] = raw
    return found


def files_of(raw):
    message = email.message_from_bytes(raw, policy=email.policy.SMTP)
    return [(part.get_filename(), part.get_content_type(), part.get_payload(decode=True)) for part in message.iter_attachments()]


def delivered(api, message):
    wait_for(f"message {message} is delivered", lambda: api.call("GET", f"/v1/messages/{message}")[1].get("status") == "delivered", 60)


def attachments(world, api):
    path = os.path.join(world.base, "Invoice 7.pdf")
    with open(path, "wb") as file:
        file.write(INVOICE)
    with open(os.path.join(world.base, "terms.pdf"), "wb") as file:
        file.write(TERMS)
    world.cli("asset", "add", os.path.join(world.base, "terms.pdf"))
    _, out, _ = world.cli("message", "send", "--to", "ann@late.example", "--template", "receipt", "--attach", "terms.pdf=Terms für alle.pdf", "--enclose",
                          path, "--output", "json")
    ann = json.loads(out)["id"]
    body = {"to": "bob@shop.example", "template": "receipt", "create_contact": True,
            "attachments": [{"content": base64.b64encode(INVOICE).decode(), "content_type": "application/pdf", "file_name": "a.pdf"}]}
    bob = api.ok("POST", "/v1/messages", body, {"Idempotency-Key": "bob-1"})["id"]
    check(api.ok("POST", "/v1/messages", body, {"Idempotency-Key": "bob-1"})["id"] == bob, "the same request again is another message")
    stored = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(world.data, "assets", "attachments")) for name in names]
    check(len(stored) == 3, f"{stored}")
    for blob in stored:
        with open(blob, "rb") as file:
            data = file.read()
        check(SECRET not in data and b"%PDF" not in data, f"{blob} is not sealed")
        check(os.path.basename(blob).endswith(sha(data)), f"{blob} is not named by its hash")
    check(api.call("DELETE", f"/v1/assets/{sha(TERMS)}")[1]["code"] == "asset_in_use", "an asset that a message has was deleted")
    # Ann's is put off, and the program killed while it waits.
    wait_for("Ann's mail waits", lambda: api.ok("GET", f"/v1/messages/{ann}")["status"] == "waiting", 30, world.server)
    world.server.kill()
    world.start_server()
    api = world.api()
    wait_for("what waits is known", lambda: json.loads(world.cli("site", "flush", "relay", "--dry-run", "--output", "json")[1])["waiting"]["mails"] == 1, 30)
    world.cli("site", "flush", "relay", "--reason", "it has room again")
    delivered(api, ann)
    delivered(api, bob)
    got = mails(world)
    check(files_of(got["ann@late.example", "Receipt"]) == [("Terms für alle.pdf", "application/pdf", TERMS), ("Invoice 7.pdf", "application/pdf", INVOICE)],
          "Ann's files")
    check(files_of(got["bob@shop.example", "Receipt"]) == [("a.pdf", "application/pdf", INVOICE)], "Bob's file")
    check(api.ok("GET", f"/v1/messages/{ann}")["attachments"] == 2, "it is not said that she got two")
    return ann, bob


def refused(api):
    def post(attachments, status, code, path):
        answer = api.call("POST", "/v1/messages", {"to": "x@shop.example", "template": "receipt", "attachments": attachments})
        details = [detail["path"] for detail in answer[1]["details"]]
        check(answer[0] == status and (answer[1]["code"] == code or answer[1]["details"][0]["code"] == code) and path in details, f"{answer}")

    def file(data):
        return {"content": base64.b64encode(data).decode(), "content_type": "application/pdf", "file_name": "a.pdf"}

    post([file(b"%PDF-" + bytes(3 << 20))], 413, "body_too_large", "/attachments/0/content")
    post([file(b"%PDF-" + bytes(19 << 16))] * 4, 413, "body_too_large", "/attachments")
    post([file(b"<svg/>")], 422, "asset_type_refused", "/attachments/0/content")
    post([{"asset": "nothing.pdf"}], 422, "asset_missing", "/attachments")


def campaign(world, api):
    for n in range(PEOPLE):
        api.ok("POST", "/v1/contacts", {"email": f"p{n}@{'late' if n % 8 == 0 else 'shop'}.example", "attributes": {"first_name": f"Pérson {n}"}})
    made = api.ok("POST", "/v1/templates", {
        "name": "news", "subject": "Hello {{ contact.first_name }}", "attachments": [{"asset": "terms.pdf"}],
        "html": "<p>{{ contact.first_name }}: <a href=\"https://shop.example/\">shop</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></p>"})
    number = api.ok("POST", "/v1/campaigns", {"name": "news", "template_id": made["id"], "from": "News <news@shop.example>",
                                              "arms": [{"name": "a", "weight": 50}, {"name": "b", "weight": 50, "subject": "Other {{ contact.first_name }}"}]})["id"]
    api.ok("POST", f"/v1/campaigns/{number}:launch")
    late = len(range(0, PEOPLE, 8))
    wait_for("the others are delivered", lambda: api.ok("GET", f"/v1/campaigns/{number}")["counts"]["delivered"] >= PEOPLE + 1 - late, 60, world.server)
    wait_for("what waits is known", lambda: json.loads(world.cli("site", "flush", "relay", "--dry-run", "--output", "json")[1])["waiting"]["mails"] == late, 30)
    world.cli("site", "flush", "relay", "--reason", "it has room again")
    wait_for("it is done", lambda: api.ok("GET", f"/v1/campaigns/{number}")["status"] == "completed", 60, world.server)
    return number


def same(world, api, number, ids):
    """All that the sink has is made again, byte for byte."""
    got = mails(world)
    made = 0
    contacts = {one["contact_id"] for one in api.ok("GET", f"/v1/campaigns/{number}/sends?page_size=100")["items"]}
    paths = [f"/v1/campaigns/{number}/sends/{contact}/mail" for contact in contacts] + [f"/v1/messages/{one}/mail" for one in ids]
    attempts = set()
    for path in paths:
        answer = api.ok("GET", path)
        raw = answer["mail"].encode()
        message = email.message_from_bytes(raw, policy=email.policy.SMTP)
        sent = got[message["to"].strip("<>"), message["subject"]]
        check(raw == sent, f"{path} is not what was sent:\n{raw[:900]!r}\n{sent[:900]!r}")
        check(answer["same"] is True and answer["sha256"] == answer["sent_sha256"] == sha(sent) and answer["bytes"] == len(sent), f"{path}: {answer['sha256']}")
        check(raw.startswith(b"DKIM-Signature:"), "it is not signed")
        attempts.add(answer["attempt"])
        made += 1
    check(attempts == {1, 2}, f"attempts {attempts}")
    check(mails(world).keys() == got.keys(), "what was made again went out")
    return made


def run(world):
    script = os.path.join(world.base, "script.yaml")
    with open(script, "w", encoding="ascii") as file:
        file.write('- to: "*@late.example"\n  first: 1\n  reply: 451 4.2.2 the mailbox is full, try later\n')
    world.start_sink("--script", script)
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example"], "company": "Shop", "postal_address": "1 Main St"})
    world.cli("domain", "add", "shop.example")
    api.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True})
    api.ok("POST", "/v1/templates", {"name": "receipt", "subject": "Receipt", "message_class": "transactional", "html": "<p>Thanks, {{ contact.first_name }}</p>"})
    refused(api)
    ann, bob = attachments(world, api)
    api = world.api()
    number = campaign(world, api)
    made = same(world, api, number, [ann, bob])
    # What came later is not of its time: not of what was sent.
    of_bob = api.ok("GET", f"/v1/messages/{bob}")["contact_id"]
    one = next(send["contact_id"] for send in api.ok("GET", f"/v1/campaigns/{number}/sends?page_size=2")["items"] if send["contact_id"] != of_bob)
    check(api.call("PATCH", f"/v1/contacts/{one}", {"attributes": {"first_name": "Another"}})[0] == 200, "PATCH")
    api.ok("POST", "/v1/templates", {"name": "news", "subject": "Later", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    world.cli("domain", "rotate", "shop.example")
    world.cli("domain", "activate", "shop.example")
    world.server.kill()
    world.start_server()
    api = world.api()
    api.ok("POST", "/v1/projections/campaigns:rebuild")
    made += same(world, api, number, [ann, bob])
    # The command line says so, too, and what it writes is what the sink has.
    out = os.path.join(world.base, "sent.eml")
    code, _, err = world.cli("sends", "mail", ann, "--out", out)
    with open(out, "rb") as file:
        check(file.read() == mails(world)["ann@late.example", "Receipt"] and "byte for byte" in err, err)
    # Erased: nothing of it can be made again, and its file opens for nobody.
    check(api.call("DELETE", f"/v1/contacts/{of_bob}")[0] == 202, "erasure")
    wait_for("the keys are destroyed", lambda: api.call("GET", f"/v1/messages/{bob}/mail")[0] == 410, 30, world.server)
    check(api.call("GET", f"/v1/messages/{bob}/mail")[1]["code"] == "mail_erased", "the code")
    check(world.cli("sends", "mail", bob, check_code=False)[0] != 0, "an erased mail was printed")
    check(api.call("GET", f"/v1/messages/{ann}/mail")[0] == 200, "Ann is not erased")
    # Other settings make other mails, and that is said.
    world.server.stop()
    world.settings["tracking-base-url"] = "https://other.example"
    world.start_server()
    api = world.api()
    answer = api.ok("GET", f"/v1/campaigns/{number}/sends/{one}/mail")
    check(answer["same"] is False and "tracking_base_url" in answer["why"] and answer["sha256"] != answer["sent_sha256"], f"{answer['why']}")
    check(world.cli("sends", "mail", str(number), one, check_code=False)[0] == 4, "exit code 4")
    check(world.server.stop() == 0, "SIGTERM")
    return f"{made} mails made again, byte for byte"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": 2})
