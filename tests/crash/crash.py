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
import itertools
import json
import os
import random
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
                elif status == 503:
                    continue  # an event of a contact that may not be there is taken, and may be refused when it is decided
                else:
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


def play(maily, seed, kills, contacts):
    """One world: so many kills while a campaign goes out. Gives what went wrong, and figures."""
    chance = random.Random(seed)
    world = World(maily, "crash", settings={"partitions": 8})
    failures, figures = [], {}
    try:
        world.start_sink()
        world.start_server()
        api = world.api()
        api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
        api.ok("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True})
        api.ok("POST", "/v1/lists", {"name": "all"})
        path = os.path.join(world.base, "contacts.csv")
        with open(path, "w", encoding="ascii") as file:
            file.write("email,first_name\n" + "".join(f"r{i}@mail.test,R{i}\n" for i in range(contacts)))
        token = json.loads(world.cli("import", path, "--list", "all", "--output", "json")[1])["token"]
        template = api.ok("POST", "/v1/templates", {"name": "t", "subject": "s", "html": HTML, "text": TEXT})["id"]
        lists = api.ok("GET", f"/v1/lists?min={quote(token)}&wait_ms=20000")["items"]
        campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": template, "list_id": lists[0]["id"], "from": "news@shop.example.com"})["id"]
        clients = [Client(world, api.key, f"c{i}") for i in range(3)]
        for client in clients:
            client.start()
        api.ok("POST", f"/v1/campaigns/{campaign}:launch")
        for cycle in range(kills):
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
            return counts["audience"] == contacts and counts["pending"] == 0
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
        lost = contacts - len(set(received))
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
        figures = {"contacts": len(acknowledged), "events": events, "mails": len(received), "unknown": len(unknown)}
    except Failed as error:
        failures.append(str(error))
    finally:
        world.close()
    return failures, figures


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    parser.add_argument("--count", type=int, default=20, help="kills; a new world and campaign after every --kills of them")
    parser.add_argument("--kills", type=int, default=25, help="of one world")
    parser.add_argument("--contacts", type=int, default=3000, help="recipients of a campaign")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    started = time.monotonic()
    done, failed, total = 0, [], {}
    for seed in itertools.count(arguments.seed):
        kills = min(arguments.kills, arguments.count - done)
        if kills <= 0:
            break
        failures, figures = play(arguments.maily, seed, kills, arguments.contacts)
        done += kills
        for name, value in figures.items():
            total[name] = total.get(name, 0) + value
        for failure in failures:
            print(f"FAILED: {failure}\n  repeat: ./dev torture crash --count {kills} --seed {seed}", flush=True)
        if failures:
            failed.append(seed)
            break  # its world is kept
        if done < arguments.count:
            print(f"  {done} kills, {time.monotonic() - started:.0f} s", flush=True)
    os.makedirs(os.path.join(ROOT, "build/torture"), exist_ok=True)
    with open(os.path.join(ROOT, "build/torture/crash.json"), "w", encoding="utf-8") as file:
        json.dump({"name": "crash", "count": done, "failures": len(failed), "seeds": failed, "seconds": round(time.monotonic() - started, 1), **total}, file)
    print(f"{done} kills, {total.get('contacts', 0)} contacts and {total.get('events', 0)} events acknowledged, {total.get('mails', 0)} mails, "
          f"{total.get('unknown', 0)} unknown")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
