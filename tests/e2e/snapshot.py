#!/usr/bin/env python3
"""A state store is lost while the server is stopped: from a snapshot it leads the sooner, and its state is the fold of the journal.

The same contacts are imported several times with other attributes, so that the journal is longer than the state is large. The server takes
snapshots meanwhile. Then its stores are removed and it is started three times: from the snapshots; with the newest of a partition damaged,
which it reports; and without any, from the journal alone. After each, `maily store verify` must find that the stores are what a fold of the journal gives.
"""
import json
import os
import shutil

from program import check, run_test, wait_for

CONTACTS, IMPORTS = 8000, 6


def lines(world, message, since=0):
    """The server's log lines with this message, of the newest start."""
    with open(os.path.join(world.base, "server.out"), encoding="utf-8") as file:
        parsed = [json.loads(line) for line in file if line.startswith("{")]
    return [line for line in parsed[since:] if line.get("msg") == message]


def count_lines(world):
    with open(os.path.join(world.base, "server.out"), encoding="utf-8") as file:
        return sum(1 for line in file if line.startswith("{"))


def metric(world, name):
    _, text, _ = world.api().call("GET", "/metrics", raw=True)
    return sum(float(line.split()[-1]) for line in text.decode().splitlines() if line.startswith(name + "{"))


def write(world):
    api = world.api()
    api.ok("POST", "/v1/lists", {"name": "people"})
    for attribute in ("plan", "note"):
        api.ok("POST", "/v1/attributes", {"name": attribute, "type": "text"})
    path = os.path.join(world.base, "contacts.csv")
    for turn in range(IMPORTS):
        with open(path, "w", encoding="utf-8") as file:
            file.write("email,plan,note\n")
            file.writelines(f"person-{n}@example.com,plan {turn},{n * 7919 % 10007} of {turn} {'and so on ' * 12}\n" for n in range(CONTACTS))
        world.cli("import", path, "--list", "people", "--output", "json")
    api.close()


def snapshots(world):
    _, out, _ = world.cli("snapshots", "list", "--snapshots", world.settings["snapshots"], "--output", "json")
    return json.loads(out)["items"]


def verified(world):
    """All stores must be the folds of their journals."""
    _, out, err = world.cli("store", "verify", "--data", world.data, "--output", "json")
    items = json.loads(out)["items"]
    check(all(item["result"] == "equal" for item in items), f"{out}{err}")


def start_without_stores(world):
    """Gives the milliseconds from the start to the last partition led, and how many bytes of the journal were folded."""
    shutil.rmtree(os.path.join(world.data, "state"))
    since = count_lines(world)
    world.start_server()
    led = lines(world, "partition led", since)
    check(len(led) >= world.settings["partitions"], f"{led}")
    with open(os.path.join(world.base, "server.out"), encoding="utf-8") as file:
        first = [json.loads(line) for line in file if line.startswith("{")][since]
    seconds = max(stamp(line["ts"]) for line in led) - stamp(first["ts"])
    return since, seconds * 1000, sum(line["restored_bytes"] for line in led)


def stamp(text):
    hours, minutes, seconds = text.rstrip("Z").split("T")[1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def run(world):
    world.settings["snapshots"] = os.path.join(world.base, "snapshots")
    partitions = world.settings["partitions"]
    world.start_server()
    write(world)
    wait_for("snapshots of all partitions", lambda: metric(world, "maily_snapshots_taken_total") >= 2 * partitions, 20, world.server)
    check(metric(world, "maily_snapshot_failures_total") == 0, "a snapshot failed")
    check(metric(world, "maily_snapshot_bytes") > 0, "the size of the snapshots is not shown")
    world.server.stop()
    there = snapshots(world)
    check({item["partition"] for item in there} == set(range(partitions)), f"{there}")
    check(len(there) <= 2 * partitions and all(item["folds_as_this_build"] for item in there), f"{there}")
    verified(world)

    since, with_snapshots, tail = start_without_stores(world)
    filled = lines(world, "the state was filled from a snapshot", since)
    check(len(filled) == partitions, f"{filled}")
    world.server.stop()
    newest = {}
    for item in snapshots(world):
        newest[item["partition"]] = max(newest.get(item["partition"], ""), item["id"])
    verified(world)

    log_id = there[0]["log_id"]
    part = os.path.join(world.settings["snapshots"], "snapshots", log_id, "00001", "parts", newest[1], "000000")
    with open(part, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    since, _, _ = start_without_stores(world)
    refused = lines(world, "a snapshot cannot be used", since)
    check(len(refused) == 1 and refused[0]["partition"] == 1 and "damaged" in refused[0]["why"], f"{refused}")
    check(metric(world, "maily_snapshot_unusable_total") == 1, "the damaged one is not counted")
    world.server.stop()
    verified(world)

    folder = world.settings.pop("snapshots")
    since, alone, journal = start_without_stores(world)
    check(not lines(world, "the state was filled from a snapshot", since), "a snapshot without the setting")
    world.server.stop()
    verified(world)
    check(tail < journal / 2, f"{tail} of {journal} bytes were folded though there were snapshots")
    size = sum(item["bytes"] for item in there) / max(1, len(there)) * partitions
    world.settings["snapshots"] = folder
    return (f"leading after {with_snapshots:.0f} ms from snapshots of {size / 1e6:.1f} MB and {tail / 1e6:.1f} MB of journal, after {alone:.0f} ms "
            f"from {journal / 1e6:.1f} MB of journal alone")


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "snapshot-journal-mb": 8, "flush-journal-mb": 2})
