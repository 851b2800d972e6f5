#!/usr/bin/env python3
"""kill -9 under load: a checker that sees only what clients were acknowledged and what the SMTP sink received.

Each cycle: several clients upsert contacts and send events while a campaign is being delivered; the server is killed after 5-200 ms and
started again. At the end every acknowledged write must be there, no recipient may have got a campaign twice, and every recipient must have
got it once or be listed as unknown (settled here from the sink's list, as an operator would). What became of each command is told as it
was answered.
Writes build/torture/crash.json.
"""
import argparse
import csv
import io
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from program import Api, Failed, ROOT, World, check, quote, wait_for  # noqa: E402

HTML = "<p>{{ contact.first_name }} <a href=\"https://shop.example.com/\">shop</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></p>"
TEXT = "{{ contact.first_name }} https://shop.example.com/ {{ postal_address }} {{ unsubscribe_url }}"


class Client(threading.Thread):
    """Writes until told to stop; keeps what was acknowledged."""

    def __init__(self, world, key, name):
        super().__init__(daemon=True)
        self.world, self.key, self.name_ = world, key, name
        self.contacts, self.events = [], []
        self.commands = []  # (where it is said what became of it, the id that was answered or None)
        self.stopping = False
        self.errors = []

    def run(self):
        number = 0
        api = Api(self.world.port, self.key, timeout=5)
        while not self.stopping:
            number += 1
            email = f"{self.name_}-{number}@load.test"
            try:
                status, answer, headers = api.call("POST", "/v1/contacts", {"email": email, "attributes": {"first_name": "L"}},
                                                   {"Idempotency-Key": f"{self.name_}-{number}"})
                if status in (200, 201):
                    self.contacts.append(email)
                    self.commands.append((f"/v1/commands/{headers['maily-consistency-token']}", answer["id"]))
                elif status == 202:
                    self.commands.append((answer["status_url"], None))
                elif status != 503:
                    self.errors.append(f"contact: {status} {answer}")
                status, answer, _ = api.call("POST", "/v1/events:batch", {"events": [
                    {"id": f"{email}-v", "type": "conversion", "contact": {"email": email}, "revenue_cents": 1, "currency": "EUR"}]})
                if status == 202 and answer["events"][0]["verdict"] in ("accepted", "duplicate"):
                    self.events.append(email)
            except (OSError, ValueError, Exception) as error:  # noqa: BLE001 - the server dies under it by design
                if isinstance(error, Failed):
                    self.errors.append(str(error))
                api.close()
                time.sleep(0.01)  # until the server is back


def sink_list(world):
    _, data, _ = world.sink_api().call("GET", "/received?format=csv", raw=True)
    return list(csv.DictReader(io.StringIO(data.decode())))


def tells(api, url, contact_id):
    """True if the journal has a decision there, with the answer that the client got."""
    status, answer, _ = api.call("GET", url)
    return status == 200 and answer["status"] == "decided" and contact_id in (None, answer["answer"].get("id"))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    parser.add_argument("--count", type=int, default=20, help="kills")
    parser.add_argument("--contacts", type=int, default=3000, help="recipients of the campaign")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    chance = random.Random(arguments.seed)
    started = time.monotonic()
    world = World(arguments.maily, "crash", settings={"partitions": 8})
    failures = []
    try:
        world.start_sink()
        world.start_server()
        api = world.api()
        api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
        api.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True})
        api.ok("POST", "/v1/lists", {"name": "all"})
        path = os.path.join(world.base, "contacts.csv")
        with open(path, "w", encoding="ascii") as file:
            file.write("email,first_name\n" + "".join(f"r{i}@mail.test,R{i}\n" for i in range(arguments.contacts)))
        token = json.loads(world.cli("import", path, "--list", "all", "--output", "json")[1])["token"]
        template = api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "html": HTML, "text": TEXT})["id"]
        lists = api.ok("GET", f"/v1/lists?min={quote(token)}&wait_ms=20000")["items"]
        campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": template, "list_id": lists[0]["id"], "from": "news@shop.example.com"})["id"]
        clients = [Client(world, api.key, f"c{i}") for i in range(3)]
        for client in clients:
            client.start()
        api.ok("POST", f"/v1/campaigns/{campaign}:launch")
        for cycle in range(arguments.count):
            time.sleep(chance.uniform(0.005, 0.2))  # the moment of the kill is what is random
            world.server.kill()
            api.close()
            world.start_server()
        for client in clients:
            client.stopping = True
        for client in clients:
            client.join(20)
            failures += client.errors[:3]

        def settled():
            counts = api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]
            return counts["audience"] == arguments.contacts and counts["pending"] == 0
        wait_for("the campaign", settled, 300, world.server)
        unknown = api.ok("GET", f"/v1/sends/unknown?campaign_id={campaign}&page_size=1000")["items"]
        received = [row["recipient"] for row in sink_list(world)]
        if len(received) != len(set(received)):
            failures.append(f"repeated: {len(received) - len(set(received))} mails before anything was resolved")
        if unknown:
            with open(os.path.join(world.base, "received.csv"), "w", encoding="utf-8") as file:
                file.write(world.sink_api().call("GET", "/received?format=csv", raw=True)[1].decode())
            world.cli("sends", "unknown", "resolve", "--received", os.path.join(world.base, "received.csv"), "--why", "crash test", "--yes")
            wait_for("the resolved sends", lambda: settled() and api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]["unknown"] == 0, 120, world.server)
        received = [row["recipient"] for row in sink_list(world)]
        if len(received) != len(set(received)):
            failures.append(f"repeated after resolving: {len(received) - len(set(received))}")
        lost = arguments.contacts - len(set(received))
        if lost:
            failures.append(f"lost mails: {lost}")
        # What was acknowledged is there.
        acknowledged = [email for client in clients for email in client.contacts]
        missing = 0
        for email in acknowledged:
            status, answer, _ = api.call("GET", f"/v1/contacts?email={quote(email)}")
            if status != 200 or not answer["items"]:
                missing += 1
        if missing:
            failures.append(f"lost acknowledged contacts: {missing} of {len(acknowledged)}")
        commands = [command for client in clients for command in client.commands]
        untold = sum(not tells(api, *command) for command in commands)
        if untold:
            failures.append(f"commands that the journal does not tell of as they were answered: {untold} of {len(commands)}")
        events = sum(len(client.events) for client in clients)
        totals = api.ok("GET", "/v1/engagements/count?type=conversion")["count"]
        if totals < events:
            failures.append(f"lost acknowledged events: {events - totals} of {events}")
        print(f"{arguments.count} kills, {len(acknowledged)} contacts and {events} events acknowledged, {len(received)} mails, {len(unknown)} unknown")
    except Failed as error:
        failures.append(str(error))
    finally:
        world.close()
    os.makedirs(os.path.join(ROOT, "build/torture"), exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    with open(os.path.join(ROOT, "build/torture/crash.json"), "w", encoding="utf-8") as file:
        json.dump({"name": "crash", "count": arguments.count, "failures": failures, "seeds": [arguments.seed],
                   "seconds": round(time.monotonic() - started, 1), "commit": commit, "machine": os.uname().release}, file)
    for failure in failures:
        print("FAILED:", failure)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
