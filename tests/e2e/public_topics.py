"""The public topics as another program's client reads them (kcat), against the journal that the server shows."""
import json
import re
import shutil
import subprocess

from program import check, wait_for

TOPICS = ("campaigns", "contacts", "sends", "engagements")
ID = re.compile(r"(\d+)-(\d+)\.(\d+)$")


def read(servers, topic):
    """Every record of the topic, as kcat gives it: topic, partition, offset, key, payload, headers as a dict."""
    done = subprocess.run(["kcat", "-b", servers, "-C", "-t", topic, "-o", "beginning", "-e", "-q", "-J", "-X", "check.crcs=true"],
                          capture_output=True, text=True, timeout=300)
    check(done.returncode == 0, f"kcat: {done.stderr[-1000:]}")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    for record in records:
        pairs = record.get("headers") or []
        record["headers"] = dict(zip(pairs[::2], pairs[1::2]))
    return records


def journal(api):
    """Every event of every partition, as GET /v1/journal shows it."""
    events = []
    for partition in range(len(api.ok("GET", "/v1/instance")["partitions"])):
        place = "beginning"
        while True:
            status, data, headers = api.call("GET", f"/v1/journal?partition={partition}&from={place}", raw=True)
            check(status == 200, f"journal: {status} {data[:500]}")
            if not data:
                break
            events += [json.loads(line) for line in data.decode().splitlines()]
            place = headers["maily-next"]
    return events


def caught_up(api):
    text = api.call("GET", "/metrics", raw=True)[1].decode()
    return re.search(r"^maily_public_lag_records 0(\.0)?$", text, re.M) is not None


def compare(maily, api, servers, say, prefix="maily"):
    """All that should be in the topics is, once and in order, and nothing else. Gives the records by topic; None: kcat is not installed."""
    if shutil.which("kcat") is None:
        say("  skipped: kcat is not installed (scripts/setup.sh --kafka)")
        return None
    wait_for("everything published", lambda: caught_up(api), 60)
    types = json.loads(subprocess.run([maily, "schema", "list", "--output", "json"], capture_output=True, text=True, check=True).stdout)["items"]
    topic_of = {type["name"]: type["public_topic"] for type in types if type.get("public_topic")}
    wanted = {topic: {} for topic in TOPICS}
    for event in journal(api):
        if event["type"] in topic_of:
            wanted[topic_of[event["type"]]][event["id"]] = event
    found = {}
    for topic in TOPICS:
        records = found[topic] = read(servers, f"{prefix}.{topic}")
        last = {}
        for record in records:
            headers = record["headers"]
            partition, lsn, index = map(int, ID.match(headers["ce_id"]).groups())
            check(partition == record["partition"], f"{topic}: {headers['ce_id']} stands in partition {record['partition']}")
            check((lsn, index) > last.get(partition, (0, 0)), f"{topic}: {headers['ce_id']} follows {last.get(partition)}")
            last[partition] = (lsn, index)
            event = wanted[topic].get(headers["ce_id"])
            check(event is not None, f"{topic}: {headers['ce_id']} is not in the journal")
            for name, value in (("ce_specversion", "1.0"), ("ce_type", event["type"]), ("ce_source", event["source"]), ("ce_time", event["time"]),
                                ("ce_subject", event["key"]), ("ce_tenant", str(event["tenant"])), ("ce_traceid", event["traceid"]),
                                ("ce_causationid", event["causationid"]), ("content-type", "application/json")):
                check(headers.get(name) == value, f"{topic}: {headers['ce_id']}: {name} is {headers.get(name)}, expected {value}")
            check(record["key"] == event["key"], f"{topic}: {headers['ce_id']}: key {record['key']}, expected {event['key']}")
            record["data"] = json.loads(record["payload"])
            unlike = {name for name in event["data"] if record["data"].get(name) != event["data"][name]} - {"address", "attributes", "properties", "ip", "user_agent"}
            check(not unlike, f"{topic}: {headers['ce_id']}: {unlike} differ from the journal")
        check(len(records) == len(wanted[topic]), f"{topic}: {len(records)} records, {len(wanted[topic])} events in the journal")
        say(f"  {prefix}.{topic:<12}{len(records):>9,} records, each event once and in order")
    return found


def count(records, name):
    return sum(1 for record in records if record["headers"]["ce_type"].endswith("." + name))
