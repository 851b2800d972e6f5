#!/usr/bin/env python3
"""Three processes on three brokers, one of which is killed, stopped for a while or cut off every few seconds, under load.

The checker knows what clients were acknowledged, what the SMTP sink received, and what the journal says: nothing acknowledged is lost, no
command is decided twice, no mail is sent twice, and read models and states are folds of the journal. Reports the share of requests that
were served, how long writes took, and how long a partition of a dead process had no decisions. Writes build/torture/takeover.json.
"""
import argparse
import collections
import csv
import io
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from cluster import Cluster  # noqa: E402
from program import Api, Failed, ROOT, check, quote, wait_for  # noqa: E402

HTML = "<p>{{ contact.first_name }} <a href=\"https://shop.example.com/\">shop</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></p>"
TEXT = "{{ contact.first_name }} https://shop.example.com/ {{ postal_address }} {{ unsubscribe_url }}"
PARTITIONS = 16


class Client(threading.Thread):
    """Writes one contact after the other until told to stop, each with its own key, to any process that answers."""

    def __init__(self, members, key, name):
        super().__init__(daemon=True)
        self.apis = [Api(m.port, key, timeout=8) for m in members]
        self.name_, self.at = name, 0
        self.commands = []      # (email, where it is said what became of it)
        self.attempts = []      # (when it ended, seconds, status; 0 = no answer)
        self.writes = []        # (when it ended, seconds until it was acknowledged)
        self.errors, self.stopping = [], False

    def run(self):
        number = 0
        while not self.stopping:
            number += 1
            email, begin = f"{self.name_}-{number}@load.test", time.monotonic()
            while not self.stopping or time.monotonic() - begin < 60:
                api = self.apis[self.at % len(self.apis)]
                asked = time.monotonic()
                try:
                    status, answer, headers = api.call("POST", "/v1/contacts", {"email": email, "attributes": {"first_name": "L"}},
                                                       {"Idempotency-Key": f"{self.name_}-{number}"})
                except Exception as error:  # noqa: BLE001 - processes die under it by design
                    if isinstance(error, Failed):
                        self.errors.append(str(error))
                    status = 0
                    api.close()
                now = time.monotonic()
                self.attempts.append((now, now - asked, status))
                if status in (200, 201):
                    self.commands.append((email, f"/v1/commands/{headers['maily-consistency-token']}"))
                elif status == 202:
                    self.commands.append((email, answer["status_url"]))
                elif status not in (0, 409, 503):
                    self.errors.append(f"contact: {status} {answer}")
                if status in (200, 201, 202):
                    self.writes.append((now, now - begin))
                    break
                self.at += 1  # another process
                time.sleep(0.02)


class Watch(threading.Thread):
    """Sees when partitions of a process that went away decide again elsewhere."""

    def __init__(self, members):
        super().__init__(daemon=True)
        self.members, self.gaps, self.lost = members, [], None
        self.lock, self.stopping = threading.Lock(), False
        self.led = {}  # member -> partitions

    def gone(self, member):
        with self.lock:
            self.lost = (time.monotonic(), member, dict.fromkeys(self.led.get(member.name, [])))

    def run(self):
        apis = {m.name: Api(m.port, None, timeout=2) for m in self.members}
        while not self.stopping:
            for member in self.members:
                try:
                    with open(os.path.join(member.data, "admin.key"), encoding="ascii") as file:
                        apis[member.name].key = file.read().strip()
                    partitions = apis[member.name].ok("GET", "/v1/instance")["partitions"]
                except Exception:  # noqa: BLE001 - it may be dead
                    apis[member.name].close()
                    continue
                with self.lock:
                    leads = {p["partition"]: p["decided"] for p in partitions if p["state"] == "leading"}
                    self.led[member.name] = list(leads)
                    if self.lost is None or self.lost[1] is member:
                        continue
                    since, _, waiting = self.lost
                    for partition, decided in leads.items():
                        if partition not in waiting:
                            continue
                        if waiting[partition] is None or waiting[partition][0] is not member:
                            waiting[partition] = (member, decided)
                        elif decided > waiting[partition][1]:
                            self.gaps.append(time.monotonic() - since)
                            del waiting[partition]
            time.sleep(0.03)  # between looks


class Faults:
    def __init__(self, cluster, members, watch, chance):
        self.cluster, self.members, self.watch, self.chance = cluster, members, watch, chance
        self.done = collections.Counter()
        self.times = []  # (begin, end)

    def broker_pid(self, node):
        with open(os.path.join(self.cluster.kafka.directory, str(node), "pid"), encoding="ascii") as file:
            return int(file.read())

    def one(self):
        chance = self.chance
        what = chance.choice(["member killed", "member killed", "member stopped", "member cut off", "broker killed", "broker stopped"])
        member, node = chance.choice(self.members), chance.randint(1, 3)
        begin = time.monotonic()
        if what == "member killed":
            self.watch.gone(member)
            member.process.kill()
            time.sleep(chance.uniform(1, 12))  # it is away for so long
            member.start()
        elif what == "member stopped":
            self.watch.gone(member)
            member.signal(signal.SIGSTOP)
            time.sleep(chance.uniform(5, 30))
            member.signal(signal.SIGCONT)
        elif what == "member cut off":
            for _ in range(20):  # for two seconds each new connection is cut again
                self.cut(member.process.process.pid)
                time.sleep(0.1)
        elif what == "broker killed":
            subprocess.run([self.cluster.kafka.script, "node", str(node), "kill", "--dir", self.cluster.kafka.directory], check=True)
            time.sleep(chance.uniform(1, 10))
            subprocess.run([self.cluster.kafka.script, "node", str(node), "start", "--dir", self.cluster.kafka.directory], check=True)
        else:
            pid = self.broker_pid(node)
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(5, 30))
            os.kill(pid, signal.SIGCONT)
        self.done[what] += 1
        self.times.append((begin, time.monotonic()))
        print(f"{what}: {time.monotonic() - begin:.1f} s", flush=True)

    def cut(self, pid):
        """Closes the process's connections to the brokers, as the kernel of a machine that loses its network would at last."""
        ports = [address.rsplit(":", 1)[1] for address in self.cluster.kafka.address.removeprefix("kafka://").split(",")]
        for line in subprocess.run(["ss", "-tnpH", "state", "established"], capture_output=True, text=True).stdout.splitlines():
            fields = line.split()
            if f"pid={pid}," in line and fields[3].rsplit(":", 1)[1] in ports:
                subprocess.run(["ss", "-K", "src", "127.0.0.1", "sport", "=", f":{fields[2].rsplit(':', 1)[1]}"], capture_output=True)


def ended(job):
    return None if job["status"] == "running" else job


def campaign(api, number, contacts):
    """Imports recipients of its own and launches a campaign to them; gives its id."""
    rows = "email,first_name\n" + "".join(f"r{number}-{i}@mail.test,R{i}\n" for i in range(contacts))
    listed = again(api, "POST", "/v1/lists", {"name": f"list{number}"}, f"list{number}")["id"]
    done = {"created": 0, "unchanged": 0}
    while done["created"] + done["unchanged"] != contacts:  # rows that the log did not take in time are refused: once more
        job = again(api, "POST", f"/v1/imports?list=list{number}", rows, None, {"Content-Type": "text/csv"})
        done = wait_for("the import", lambda: ended(again(api, "GET", f"/v1/imports/{job['id']}")), 120, every=0.2)
    again(api, "GET", f"/v1/lists/{listed}" + (f"?min={quote(done['token'])}&wait_ms=20000" if done.get("token") else ""))
    template = again(api, "POST", "/v1/templates", {"name": f"t{number}", "subject": "s", "html": HTML, "text": TEXT}, f"t{number}")["id"]
    made = again(api, "POST", "/v1/campaigns", {"name": f"c{number}", "template_id": template, "list_id": listed, "from": "news@shop.example.com"}, f"c{number}")["id"]
    again(api, "POST", f"/v1/campaigns/{made}:launch", None, f"launch{number}")
    return made


def again(api, method, path, body=None, key=None, headers=None, patience=120):
    """Asks until it is answered; a write has a key, so that asking again is harmless."""
    end = time.monotonic() + patience
    while True:
        try:
            status, answer, _ = api.call(method, path, body, {**(headers or {}), **({"Idempotency-Key": key} if key else {})})
        except OSError as error:
            status, answer = 0, str(error)
            api.close()
        if status in (200, 201) or (status == 202 and key is None):
            return answer
        check(status in (0, 202, 409, 429, 503) and time.monotonic() < end, f"{method} {path}: {status} {answer}")
        time.sleep(0.2)


def journal(api):
    """Every event that is in the journal, as CloudEvents."""
    for partition in range(PARTITIONS):
        place = "beginning"
        while True:
            status, data, headers = api.call("GET", f"/v1/journal?partition={partition}&from={place}", raw=True)
            check(status == 200, f"journal {partition}: {status} {data[:200]}")
            for line in data.splitlines():
                yield json.loads(line)
            if not data:
                break
            place = headers["maily-next"]


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def run(cluster, arguments, result):
    chance = random.Random(arguments.seed)
    failures = result["failures"]
    cluster.start_sink()
    members = [cluster.member(name, lead="group", http_threads=1) for name in ("a", "b", "c")]
    for member in members:
        member.start()
    for member in members:
        member.wait_ready(120)
    # The command line is the edge that no fault touches: a process with the API alone.
    edge = cluster.member("edge", roles="api").start().wait_ready(120)
    api = edge.api(60)
    again(api, "PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"}, "settings")
    again(api, "POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True}, "attribute")

    watch = Watch(members)
    watch.start()
    clients = [Client(members, api.key, f"c{i}") for i in range(3)]
    for client in clients:
        client.start()
    begin = time.monotonic()
    faults = Faults(cluster, members, watch, chance)
    campaigns, campaign_errors = [], []

    def send():
        number = 0
        while time.monotonic() - begin < arguments.minutes * 60:
            number += 1
            try:
                campaigns.append(campaign(edge.api(60), number, arguments.contacts))
            except Failed as error:
                campaign_errors.append(str(error))
            time.sleep(10)  # between campaigns

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    while time.monotonic() - begin < arguments.minutes * 60:
        time.sleep(chance.uniform(2, 6))
        faults.one()
    sender.join(240)
    if not campaigns:
        failures.append("no campaign was launched")
    for member in members:
        member.wait_ready(120)
    for client in clients:
        client.stopping = True
    for client in clients:
        client.join(90)
        failures += client.errors[:3]
    failures += campaign_errors[:3]
    watch.stopping = True
    seconds = time.monotonic() - begin

    # Campaigns end by themselves; what is unknown is settled from the sink's list.
    def settled():
        counts = [api.ok("GET", f"/v1/campaigns/{c}")["counts"] for c in campaigns]
        return counts if all(c["audience"] == arguments.contacts and c["pending"] == 0 for c in counts) else None
    counts = wait_for("the campaigns", settled, 300, every=1)
    unknown = sum(c["unknown"] for c in counts)
    with open(os.path.join(cluster.base, "received.csv"), "w", encoding="utf-8") as file:
        file.write(Api(cluster.sink_port).call("GET", "/received?format=csv", raw=True)[1].decode())
    received = [row["recipient"] for row in csv.DictReader(open(os.path.join(cluster.base, "received.csv"), encoding="utf-8"))]
    if len(received) != len(set(received)):
        failures.append(f"repeated: {len(received) - len(set(received))} mails")
    if unknown:
        env = dict(cluster.env, MAILY_SERVER=f"http://127.0.0.1:{edge.port}", MAILY_KEY_FILE=os.path.join(edge.data, "admin.key"))
        done = subprocess.run([cluster.maily, "sends", "unknown", "resolve", "--received", os.path.join(cluster.base, "received.csv"), "--why", "torture", "--yes"],
                              env=env, capture_output=True, text=True, timeout=600)
        check(done.returncode == 0, f"resolve: {done.stderr}")
        wait_for("the resolved sends", lambda: all(c["unknown"] == 0 for c in settled() or [{"unknown": 1}]), 300, every=1)
    received = [r["recipient"] for r in csv.DictReader(io.StringIO(Api(cluster.sink_port).call("GET", "/received?format=csv", raw=True)[1].decode()))]
    if len(received) != len(set(received)):
        failures.append(f"repeated after resolving: {len(received) - len(set(received))} mails")
    if len(set(received)) != arguments.contacts * len(campaigns):
        failures.append(f"mails: {len(set(received))} recipients of {arguments.contacts * len(campaigns)}")

    # What was acknowledged is there, and the journal tells how it was decided.
    commands = [command for client in clients for command in client.commands]

    def lost():
        there, page = collections.Counter(), ""
        while page is not None:
            listed = api.ok("GET", f"/v1/contacts?page_size=1000{page}")
            there.update(item["email"] for item in listed["items"])
            page = f"&page_token={listed['next_page_token']}" if listed.get("next_page_token") else None
        return [email for email, _ in commands if there[email] != 1]
    end = time.monotonic() + 60
    missing = lost()
    while missing and time.monotonic() < end:  # the read models come after
        time.sleep(0.5)
        missing = lost()
    if missing:
        failures.append(f"lost or doubled acknowledged contacts: {len(missing)} of {len(commands)}, as {missing[:3]}")
    told = chance.sample(commands, min(200, len(commands)))  # each is looked for in the journal
    untold = 0
    for _, url in told:
        status, answer, _ = api.call("GET", url)
        untold += not (status == 200 and answer["status"] == "decided")
    if untold:
        failures.append(f"commands that the journal does not tell of: {untold} of {len(told)}")

    # No command has two decisions; no contact is made twice; no send is opened again under the same attempt.
    decisions, twice = collections.defaultdict(set), collections.Counter()
    for event in journal(api):
        place = event["id"].rsplit(".", 1)[0]
        if re.fullmatch("[0-9a-f]{32}", event["causationid"]):
            decisions[event["causationid"]].add(place)
        if event["type"].endswith(".ContactCreated"):
            twice[("contact", event["key"])] += 1
        if event["type"].endswith(".AttemptOpened"):
            data = event["data"]
            twice[("attempt", event["key"], data.get("campaignId", data.get("campaign_id")), data.get("attempt"))] += 1
    again_decided = sum(len(places) > 1 for places in decisions.values())
    if again_decided:
        failures.append(f"commands with two decisions: {again_decided} of {len(decisions)}")
    repeated = [key for key, count in twice.items() if count > 1]
    if repeated:
        failures.append(f"facts that happened twice: {len(repeated)}, as {repeated[:3]}")

    # Read models are folds of the journal: built again beside, with equal digests.
    keeper = next(m for m in members if m.folds())
    for group in keeper.folds():
        check(keeper.api().call("POST", f"/v1/projections/{group}:rebuild")[0] == 202, f"rebuild of {group}")

        def rebuilt(group=group):
            status = next(g for g in keeper.api().ok("GET", "/v1/projections")["items"] if g["name"] == group).get("rebuild")
            return status if status and status["phase"] in ("done", "failed") else None
        status = wait_for(f"rebuild of {group}", rebuilt, 300, every=0.5)
        if status["phase"] != "done" or not status["digests_equal"]:
            failures.append(f"read models {group} differ from their journal: {status}")
    for member in [edge] + members:
        if member.process.stop() != 0:
            failures.append(f"{member.name} did not end in order")
    # So are the states of each process.
    for member in members:
        done = subprocess.run([cluster.maily, "store", "verify", "--data", member.data, "--log", cluster.settings["log"]], env=cluster.env, capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            failures.append(f"store verify of {member.name}: exit {done.returncode}: {done.stdout[-300:]}{done.stderr[-300:]}")

    attempts = [a for client in clients for a in client.attempts]
    writes = [w for client in clients for w in client.writes]
    during = [s for at, s in writes if any(b <= at <= e + 10 for b, e in faults.times)]
    served = sum(status in (200, 201, 202) for _, _, status in attempts)
    result.update({
        "faults": dict(faults.done), "count": sum(faults.done.values()), "load_seconds": round(seconds, 1),
        "requests": len(attempts), "served_share": round(served / max(1, len(attempts)), 5),
        "by_status": dict(collections.Counter(status for _, _, status in attempts)),
        "acknowledged": len(commands), "decisions": len(decisions), "mails": len(received), "unknown": unknown, "campaigns": len(campaigns),
        "write_p50_seconds": round(quantile([s for _, s in writes], 0.5), 4),
        "write_p99_seconds": round(quantile([s for _, s in writes], 0.99), 3),
        "write_p99_during_faults_seconds": round(quantile(during, 0.99), 3),
        "write_max_seconds": round(max((s for _, s in writes), default=0), 3),
        "first_decision_seconds": {"count": len(watch.gaps), "median": round(statistics.median(watch.gaps), 2) if watch.gaps else None,
                                   "max": round(max(watch.gaps), 2) if watch.gaps else None}})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--contacts", type=int, default=300, help="recipients of each campaign")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    started = time.monotonic()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    result = {"name": "takeover", "count": 0, "failures": [], "seeds": [arguments.seed], "commit": commit, "machine": os.uname().release}
    cluster = Cluster(arguments.maily, "takeover", PARTITIONS, 3)
    try:
        if cluster.missing:
            print(f"skipped: {cluster.missing}")
            return 77
        run(cluster, arguments, result)
    except Failed as error:
        result["failures"].append(str(error))
        for member in cluster.members:
            print(f"--- {member.name}: {member.readyz()}\n{member.process.tail(1500) if member.process else ''}", file=sys.stderr)
    finally:
        cluster.close()
    result["seconds"] = round(time.monotonic() - started, 1)
    os.makedirs(os.path.join(ROOT, "build/torture"), exist_ok=True)
    with open(os.path.join(ROOT, "build/torture/takeover.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)
    print(json.dumps(result, indent=1))
    for failure in result["failures"]:
        print("FAILED:", failure)
    return 1 if result["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
