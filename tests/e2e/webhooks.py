#!/usr/bin/env python3
"""Notices of SES (by SNS and raw), SendGrid, Postmark and Mailgun to the real program, signed as each of them signs: bounces and complaints
suppress, opt-outs opt out; repeats are one event, forged and late ones are refused and leave nothing; what was answered 200 survives kill -9.
"""
import base64
import email
import email.policy
import hashlib
import hmac
import http.server
import json
import os
import ssl
import subprocess
import threading
import time

from program import check, need, run_test, wait_for

need(["aiosmtpd"], "scripts/setup.sh --mail")
from aiosmtpd.controller import Controller  # noqa: E402

SNS = "sns.eu-west-1.amazonaws.com"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:ses-events"
MAILGUN_KEY, POSTMARK_SECRET, RAW_SECRET = "key-5b3c2f9d8e7a6b5c4d3e2f1a0b9c8d7e", "postmark:a-password-of-some-length", "raw-secret-0123456789"
HTML = {"Content-Type": "application/json", "Authorization": ""}  # no API key


class Relay:
    def __init__(self):
        self.mails = {}  # recipient -> (return path, Message-ID, what SendGrid is told)

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 (aiosmtpd's name)
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails[envelope.rcpt_tos[0]] = (envelope.mail_from, mail["Message-ID"], json.loads(mail["X-SMTPAPI"])["unique_args"])
        return "250 2.0.0 taken"


def openssl(*arguments, data=None):
    made = subprocess.run(["openssl", *arguments], input=data, capture_output=True, check=False)
    check(made.returncode == 0, made.stderr.decode())
    return made.stdout


def certificate(base, name, host):
    paths = [os.path.join(base, f"{name}.{end}") for end in ("pem", "key")]
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}", "-addext", f"subjectAltName=DNS:{host}",
            "-out", paths[0], "-keyout", paths[1])
    return paths


class Sns:
    """The host of SNS: gives its certificate, takes confirmations; signs envelopes."""

    def __init__(self, base):
        self.base = base
        self.served = certificate(base, "https", SNS)
        self.signing = certificate(base, "signing", "sns.amazonaws.com")
        self.asked = []
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # noqa: N802 (its name there)
                owner.asked.append(self.path)
                with open(owner.signing[0], "rb") as file:
                    body = file.read() if self.path.endswith(".pem") else b"<ConfirmSubscriptionResponse/>"
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.served)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def envelope(self, message, kind="Notification", topic=TOPIC, age_s=0, pem="/SimpleNotificationService.pem", **more):
        fields = {"Type": kind, "MessageId": os.urandom(8).hex(), "TopicArn": topic, "Message": message,
                  "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() - age_s)), "SignatureVersion": "2",
                  "SigningCertURL": f"https://{SNS}{pem}", **more}
        names = ("Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type")
        text = "".join(f"{name}\n{fields[name]}\n" for name in names if name in fields)
        fields["Signature"] = base64.b64encode(openssl("dgst", "-sha256", "-sign", self.signing[1], data=text.encode())).decode()
        return fields


def ses_event(kind, who, message_id, source, **own):
    """As a configuration set publishes it."""
    name = kind[0].lower() + kind[1:]
    return json.dumps({"eventType": kind, name: {"feedbackId": f"{kind}-{who}", "timestamp": "2026-03-01T10:00:02.669Z", **own},
                       "mail": {"timestamp": "2026-03-01T10:00:00.000Z", "source": source, "messageId": "0102018f3c5a7b1e-000000", "destination": [who],
                                "headers": [{"name": "Message-ID", "value": message_id}]}})


def bounced(who):
    return {"bounceType": "Permanent", "bounceSubType": "General",
            "bouncedRecipients": [{"emailAddress": who, "status": "5.1.1", "diagnosticCode": f"smtp; 550 5.1.1 <{who}>: no such user"}]}


def run(world):
    relay = Relay()
    server = Controller(relay, hostname="127.0.0.1", port=world.smtp_port)
    server.start()
    sns = Sns(world.base)
    sendgrid_key = os.path.join(world.base, "sendgrid.key")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", sendgrid_key)
    public = base64.b64encode(openssl("ec", "-in", sendgrid_key, "-pubout", "-outform", "DER")).decode()

    def held(name, text):
        path = os.path.join(world.base, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        return "file:" + path

    world.settings["webhook-ses-secret"] = held("raw", RAW_SECRET)
    world.start_server(wait=False)
    check(world.server.process.wait(60) == 2, "a secret of SES without topics is taken")
    world.settings.update({"webhook-ses-topics": TOPIC, "webhook-sendgrid-key": public, "webhook-postmark-secret": held("postmark", "short")})
    world.start_server(wait=False)
    check(world.server.process.wait(60) == 2, "a secret that can be guessed is taken")
    world.settings.update({"webhook-postmark-secret": held("postmark", POSTMARK_SECRET), "webhook-mailgun-key": held("mailgun", MAILGUN_KEY),
                           "relay-provider": "sendgrid", "fetch-roots": sns.served[0], "fetch-routes": f"{SNS}=127.0.0.1:{sns.port}"})
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/domains", {"name": "example.com"})
    api.ok("POST", "/v1/lists", {"name": "people"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "{{ unsubscribe_url }} {{ postal_address }}"})
    people = [f"person{n}@example.org" for n in range(16)]
    ids = {who: api.ok("POST", "/v1/contacts", {"email": who, "lists": [1]})["id"] for who in people}
    made = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": 1, "list_id": 1, "from": "Shop <news@example.com>"})["id"]
    api.ok("POST", f"/v1/campaigns/{made}:launch")
    wait_for("all are delivered", lambda: world.api().ok("GET", f"/v1/campaigns/{made}")["counts"]["delivered"] == len(people), 60, world.server)
    path, message_id, told_sendgrid = ({who: relay.mails[who][at] for who in people} for at in (0, 1, 2))

    def post(provider, body, headers=None, query=""):
        body = body if isinstance(body, (str, bytes)) else json.dumps(body)
        status, answer, _ = world.api().call("POST", f"/v1/webhooks/{provider}{query}", body, {**HTML, **(headers or {})})
        return status, answer

    def became(result, **counts):
        status, answer = result
        check(status == 200 and all(answer[name] == count for name, count in counts.items()), f"{status} {answer}, expected {counts}")

    def refused(result, status=401):
        check(result[0] == status, f"{result}, expected {status}")

    def suppressed(who):
        answer = world.api().ok("GET", f"/v1/suppressions?email={who}")
        return answer["items"][0]["reason"] if answer["items"] else None

    def kinds(who):
        return [line["kind"] for line in world.api().ok("GET", f"/v1/campaigns/{made}/sends/{ids[who]}")["history"]]

    def shows(who, kind, count=1):
        wait_for(f"{kind} of {who}", lambda: kinds(who).count(kind) == count, 20, world.server)

    def sent_to_sns(envelope, headers=None):
        return post("ses", envelope, {"x-amz-sns-message-type": envelope["Type"], **(headers or {})})

    def by_sendgrid(events, at=None, key=sendgrid_key):
        body = json.dumps(events).encode()
        at = str(int(time.time()) if at is None else at)
        signature = base64.b64encode(openssl("dgst", "-sha256", "-sign", key, data=at.encode() + body)).decode()
        return post("sendgrid", body, {"X-Twilio-Email-Event-Webhook-Signature": signature, "X-Twilio-Email-Event-Webhook-Timestamp": at})

    def by_mailgun(event, token=None, at=None):
        token, at = token or os.urandom(25).hex(), str(int(time.time()) if at is None else at)
        signature = hmac.new(MAILGUN_KEY.encode(), (at + token).encode(), hashlib.sha256).hexdigest()
        return post("mailgun", {"signature": {"timestamp": at, "token": token, "signature": signature}, "event-data": event})

    def by_postmark(record, secret=POSTMARK_SECRET):
        return post("postmark", record, {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()})

    def started():
        return {who: kinds(who) for who in people}
    before = started()

    # Forged, foreign and late: refused, and nothing of it is stored.
    gone, complains, left, raw, by_path, sg_gone, sg_spam, sg_left, pm_gone, pm_spam, mg_gone, mg_spam, mg_left, later, stays = people[:15]
    event = ses_event("Bounce", gone, message_id[gone], path[gone], **bounced(gone))
    forged = sns.envelope(event)
    forged["Message"] = ses_event("Bounce", stays, message_id[stays], path[stays], **bounced(stays))
    refused(sent_to_sns(forged))
    refused(sent_to_sns(sns.envelope(event, topic=TOPIC + "x")))
    refused(sent_to_sns(sns.envelope(event, age_s=66 * 60)))
    check(sns.asked == ["/SimpleNotificationService.pem"], f"fetched: {sns.asked}")
    refused(post("ses", event, {"x-amz-sns-rawdelivery": "true", "x-amz-sns-topic-arn": TOPIC}, "?secret=raw-secret-0123456788"))
    refused(post("ses", event, {"x-amz-sns-rawdelivery": "true", "x-amz-sns-topic-arn": TOPIC + "x"}, f"?secret={RAW_SECRET}"))
    sg_bounce = {"event": "bounce", "email": sg_gone, "timestamp": 1772359200, "sg_event_id": "e1", "smtp-id": message_id[sg_gone], "type": "bounce",
                 "bounce_classification": "Invalid Address", "reason": "550 5.1.1 no such user", "status": "5.1.1"}
    refused(by_sendgrid([sg_bounce], at=int(time.time()) - 26 * 3600))
    other_key = os.path.join(world.base, "other.key")
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", other_key)
    refused(by_sendgrid([sg_bounce], key=other_key))
    pm_bounce = {"RecordType": "Bounce", "Type": "HardBounce", "ID": 7, "MessageID": "883953f4", "Email": pm_gone, "BouncedAt": "2026-03-01T10:00:00Z",
                 "Details": "550 5.1.1 no such user", "Metadata": {"maily": message_id[pm_gone]}}
    refused(by_postmark(pm_bounce, "postmark:a-password-of-some-lengtH"))
    mg_bounce = {"event": "failed", "severity": "permanent", "reason": "bounce", "id": "m1", "timestamp": 1772359200.5, "recipient": mg_gone,
                 "message": {"headers": {"message-id": message_id[mg_gone].strip("<>")}},
                 "delivery-status": {"code": 550, "message": "5.1.1 no such user", "bounce-type": "hard", "mx-host": "mx.example.org"}}
    refused(by_mailgun(mg_bounce, at=int(time.time()) - 301))
    refused(post("mailgun", {"signature": {"timestamp": "1", "token": "t", "signature": "0" * 64}, "event-data": mg_bounce}))
    refused(post("ses", "{}"), 401)
    refused(post("other", "{}"), 404)
    refused(by_postmark("no JSON"), 400)

    # The subscription is confirmed by a GET of the URL that SNS gave; one that is none of SNS's is not asked for.
    asks = sns.envelope("You have chosen to subscribe", "SubscriptionConfirmation", Token="t", SubscribeURL=f"https://{SNS}/?Action=ConfirmSubscription&Token=t")
    check(sent_to_sns(asks) == (200, {"confirmed": True}), "the subscription")
    check(sns.asked[-1] == "/?Action=ConfirmSubscription&Token=t" and len(sns.asked) == 2, f"fetched: {sns.asked}")
    refused(sent_to_sns(sns.envelope("subscribe", "SubscriptionConfirmation", Token="t", SubscribeURL="https://evil.example/?Token=t")))

    # SES: by SNS twice, then raw; a complaint; the envelope's sender alone; an opt-out.
    envelope = sns.envelope(event)
    became(sent_to_sns(envelope), notices=1, recorded=1)
    became(sent_to_sns(envelope), duplicate=1, recorded=0)
    as_raw = {"x-amz-sns-rawdelivery": "true", "x-amz-sns-topic-arn": TOPIC}
    became(post("ses", event, as_raw, f"?secret={RAW_SECRET}"), duplicate=1)
    became(post("ses", ses_event("Bounce", raw, message_id[raw], path[raw], **bounced(raw)), as_raw, f"?secret={RAW_SECRET}"), recorded=1)
    became(sent_to_sns(sns.envelope(ses_event("Complaint", complains, message_id[complains], path[complains], complaintFeedbackType="abuse",
                                              complainedRecipients=[{"emailAddress": complains}]))), recorded=1)
    became(sent_to_sns(sns.envelope(ses_event("Bounce", by_path, "<0102018f@eu-west-1.amazonses.com>", path[by_path], **bounced(by_path)))), recorded=1)
    became(sent_to_sns(sns.envelope(ses_event("Subscription", left, message_id[left], path[left], newTopicPreferences={"unsubscribeAll": True}))), recorded=1)
    became(sent_to_sns(sns.envelope(ses_event("Tomorrow", stays, message_id[stays], path[stays]))), unknown=1, nothing=1)
    became(sent_to_sns(sns.envelope(ses_event("Bounce", stays, "<foreign@shop.example>", "news@shop.example", **bounced(stays)))), quarantined=1)

    letters = wait_for("what is not known is kept", lambda: api.ok("GET", "/v1/deadletters")["items"], 20, world.server)
    check([letter["code"] for letter in letters] == ["unknown_notice"] and "'Tomorrow'" in letters[0]["reason"], letters)

    # SendGrid: what it says of a complaint has no Message-ID; the mail's own argument names the send.
    spam = {"event": "spamreport", "email": sg_spam, "timestamp": 1772359201, "sg_event_id": "e2", **told_sendgrid[sg_spam]}
    out = {"event": "group_unsubscribe", "email": sg_left, "timestamp": 1772359202, "sg_event_id": "e3", **told_sendgrid[sg_left]}
    seen = {"event": "open", "email": stays, "timestamp": 1772359203, "sg_event_id": "e4", **told_sendgrid[stays]}
    became(by_sendgrid([sg_bounce, spam, out, seen, {"event": "bounce", "email": stays}, {"event": "tomorrow", "sg_event_id": "e5"}]),
           notices=5, recorded=3, nothing=2, unknown=1, unreadable=1)
    became(by_sendgrid([sg_bounce, sg_bounce]), duplicate=2)

    # Postmark.
    became(by_postmark(pm_bounce), recorded=1)
    became(by_postmark(pm_bounce), duplicate=1)
    became(by_postmark({"RecordType": "SpamComplaint", "ID": 8, "Email": pm_spam, "BouncedAt": "2026-03-01T10:00:00Z", "Metadata": {"maily": message_id[pm_spam]}}),
           recorded=1)

    # Mailgun: a signature is good for one event.
    became(by_mailgun(mg_bounce, token="t" * 50), recorded=1)
    became(by_mailgun(mg_bounce, token="t" * 50), duplicate=1)
    complaint = {"event": "complained", "id": "m2", "timestamp": 1772359201.5, "recipient": mg_spam,
                 "message": {"headers": {"message-id": message_id[mg_spam].strip("<>")}}}
    refused(by_mailgun({**complaint, "recipient": stays, "message": {"headers": {"message-id": message_id[stays].strip("<>")}}}, token="t" * 50))
    became(by_mailgun(complaint), recorded=1)
    became(by_mailgun({**complaint, "event": "unsubscribed", "id": "m3", "recipient": mg_left,
                       "message": {"headers": {"message-id": message_id[mg_left].strip("<>")}}}), recorded=1)

    for who in (gone, raw, by_path, sg_gone, pm_gone, mg_gone):
        wait_for(f"{who} is suppressed", lambda who=who: suppressed(who) == "hard_bounce", 20, world.server)
        shows(who, "bounced_later")
    for who in (complains, sg_spam, pm_spam, mg_spam):
        wait_for(f"{who} is suppressed", lambda who=who: suppressed(who) == "complaint", 20, world.server)
        shows(who, "complained")
    told = world.api().ok("GET", f"/v1/campaigns/{made}/sends/{ids[gone]}")["history"][-1]
    check(told["source"] == "ses" and told["detail"].startswith("smtp; 550 5.1.1") and gone not in told["detail"], told)
    for who in (left, sg_left, mg_left):
        wait_for(f"{who} has left", lambda who=who: world.api().ok("GET", f"/v1/contacts/{ids[who]}")["unsubscribed_at"], 20, world.server)
    check(suppressed(stays) is None and kinds(stays) == before[stays], "somebody is taken for bounced")

    # Answered 200, and the process dies at once: nothing is lost. Then the same notice again is the same event.
    event = ses_event("Bounce", later, message_id[later], path[later], **bounced(later))
    envelope = sns.envelope(event)
    became(sent_to_sns(envelope), recorded=1)
    world.server.kill()
    world.start_server()
    became(sent_to_sns(envelope), duplicate=1)
    refused(by_mailgun({**complaint, "id": "m4"}, token="t" * 50))  # the signature was used before that
    wait_for("it is suppressed", lambda: suppressed(later) == "hard_bounce", 20, world.server)
    shows(later, "bounced_later")

    text = world.api().call("GET", "/metrics")[1].decode()
    counted = [line for line in text.splitlines() if line.startswith("maily_webhook_") and 'provider="ses"' in line and not line.endswith(" 0")]
    check(any(line.startswith('maily_webhook_results_total') and 'result="duplicate"' in line and line.endswith(" 1") for line in counted), counted)
    check(world.server.stop() == 0, "SIGTERM")
    server.stop()
    sns.server.shutdown()
    return f"{len(people)} mails, {len(sns.asked)} fetches of SNS"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": 2})
