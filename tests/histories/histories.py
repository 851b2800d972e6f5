#!/usr/bin/env python3
"""Records what clients of a log were told while the log's processes are killed, and checks it.

Clients: record_history, which is killed and started again on the same log. The log: an embedded one, or one on three Kafka brokers that are
killed and stopped, too. Checker: check_history, which reads what was recorded and nothing else. Writes build/torture/histories.json.
"""
import argparse
import collections
import json
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BASE = os.path.join(ROOT, "build/torture/histories")
STUCK_SECONDS = 300   # without an append: somebody waits for ever
KAFKA_SECONDS = 45    # a short load on Kafka is stretched so far, so that faults meet it
KAFKA_FAST = 1_500_000  # so many appends last long enough by themselves


class Failed(Exception):
    pass


class Progress:
    """How many appends the recorder began so far: it counts in a file that outlives it."""

    def __init__(self, directory):
        self.path, self.map = os.path.join(directory, "progress"), None

    def appends(self):
        if self.map is None:
            if not os.path.exists(self.path) or os.path.getsize(self.path) < 16:
                return 0
            with open(self.path, "rb") as file:
                self.map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        return struct.unpack_from("Q", self.map)[0]


class Embedded:
    """The log in a directory of the round."""
    name = "rocks"

    def __init__(self, chance):
        self.chance, self.faults = chance, collections.Counter()

    def arguments(self, directory, _appends):
        return ["--log", os.path.join(directory, "log"), "--memtable-kib", str(self.chance.choice([512, 4096, 20480]))]

    def kills(self):
        return self.chance.randint(6, 14)

    def begin_load(self):
        pass

    def end_load(self):
        pass

    def close(self):
        pass


class OnKafka:
    """Three brokers, one of which is away now and then; a log of its own for each round."""
    name = "kafka"

    def __init__(self, chance, total):
        self.chance, self.faults, self.total, self.rounds = chance, collections.Counter(), total, 0
        self.script, self.directory = os.path.join(ROOT, "scripts/kafka.sh"), os.path.join(BASE, "brokers")
        subprocess.run([self.script, "stop", "--dir", self.directory], check=False)
        started = subprocess.run([self.script, "cluster", "3", "--dir", self.directory, "--while", str(os.getpid())], capture_output=True, text=True)
        self.missing = started.stderr.strip() if started.returncode != 0 else ""
        self.address = "" if self.missing else started.stdout.strip().splitlines()[-1]
        self.ending, self.thread, self.error = threading.Event(), None, None

    def arguments(self, directory, appends):
        rate = 0 if self.total >= KAFKA_FAST else max(1, appends // KAFKA_SECONDS)
        return ["--log", f"kafka://{self.address}/{os.path.basename(directory)}", "--rate", str(rate),
                "--append-timeout-ms", str(self.chance.choice([3000, 10000, 30000]))]

    def kills(self):
        return self.chance.randint(2, 5)

    def begin_load(self):
        self.ending.clear()
        self.thread = threading.Thread(target=self.break_brokers, daemon=True)
        self.thread.start()

    def end_load(self):
        """After the fault that is under way."""
        self.ending.set()
        self.thread.join()
        if self.error is not None:
            raise Failed(f"brokers: {self.error}")

    def break_brokers(self):
        chance = random.Random(self.chance.random())
        try:
            while not self.ending.wait(chance.uniform(1, 4)):
                node, what = str(chance.randint(1, 3)), chance.choice(["broker killed", "broker stopped"])
                if what == "broker killed":
                    subprocess.run([self.script, "node", node, "kill", "--dir", self.directory], check=True)
                    time.sleep(chance.uniform(0.5, 6))  # it is away for so long
                    subprocess.run([self.script, "node", node, "start", "--dir", self.directory], check=True)
                else:
                    with open(os.path.join(self.directory, node, "pid"), encoding="ascii") as file:
                        pid = int(file.read())
                    os.kill(pid, signal.SIGSTOP)
                    time.sleep(chance.uniform(1, 10))  # beyond 3 s its partitions have other leaders
                    os.kill(pid, signal.SIGCONT)
                self.faults[what] += 1
        except Exception as error:  # noqa: BLE001 - told by end_load
            self.error = error

    def close(self):
        subprocess.run([self.script, "stop", "--dir", self.directory], check=False)


def live(command, progress, kill_at, chance, output):
    """One life of the recorder: until it ends (True), or has begun `kill_at` appends and is killed (False)."""
    process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        if kill_at is not None and chance.random() < 0.15:  # while it opens the log, perhaps
            time.sleep(chance.uniform(0, 0.3))
            process.kill()
            return False
        seen, since = -1, time.monotonic()
        while process.poll() is None:
            now = progress.appends()
            if kill_at is not None and now >= kill_at:
                time.sleep(chance.uniform(0, 0.02))
                process.kill()
                return False
            if now != seen:
                seen, since = now, time.monotonic()
            if time.monotonic() - since > STUCK_SECONDS:
                raise Failed(f"nothing was appended for {STUCK_SECONDS} s")
            time.sleep(0.001)  # between two looks
        if process.returncode != 0:
            raise Failed(f"the recorder ended with {process.returncode}")
        return True
    finally:
        process.kill()
        process.wait()


def play(log, binaries, seed, number, appends):
    """One round on a fresh log; gives (report, seconds of load, seconds of the check, directory)."""
    chance = log.chance
    directory = os.path.join(BASE, f"{log.name}-{seed}-{number}")
    history = os.path.join(directory, "history")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(history)
    progress = Progress(history)
    kills = sorted(chance.randrange(appends) for _ in range(log.kills()))
    target = appends + 6 * len(kills)  # killed producers have counted appends that they did not begin
    session = 0

    def command(*extra):
        return [os.path.join(binaries, "record_history"), "--history", history, "--session", str(session), "--seed", str(seed * 1000 + number),
                "--appends", str(target), *log.arguments(directory, appends), *extra]
    with open(os.path.join(directory, "output"), "w", encoding="utf-8") as output:
        if log.name == "kafka":
            live(command("--make"), progress, None, chance, output)
        begin = time.monotonic()
        log.begin_load()
        try:
            while not live(command(), progress, kills[0] if kills else None, chance, output):
                kills.pop(0)
                log.faults["recorder killed"] += 1
                session += 1
        finally:
            log.end_load()
        loaded = time.monotonic() - begin
        session += 1
        live(command("--final"), progress, None, chance, output)
    begin = time.monotonic()
    checked = subprocess.run([os.path.join(binaries, "check_history"), history], capture_output=True, text=True)
    if checked.returncode not in (0, 1):
        raise Failed(f"the checker ended with {checked.returncode}: {checked.stderr}")
    return json.loads(checked.stdout), loaded, time.monotonic() - begin, directory


def add(total, report):
    for name, value in report.items():
        if isinstance(value, dict):
            add(total.setdefault(name, {}), value)
        elif not isinstance(value, list):
            total[name] = total.get(name, 0) + value


def run(log, arguments, failures):
    """All rounds on one log; gives its part of the result."""
    total, left, number = {}, arguments.count, 0
    load_seconds = check_seconds = 0.0
    while left > 0:
        appends = min(left, arguments.round)
        try:
            report, loaded, checked, directory = play(log, arguments.binaries, arguments.seed, number, appends)
        except Failed as error:
            failures.append((f"{log.name}-{arguments.seed}-{number}", str(error)))
            break
        add(total, report)
        load_seconds, check_seconds = load_seconds + loaded, check_seconds + checked
        found = sum(report["anomalies"].values())
        print(f"{log.name} round {number}: {report['appends']:,} appends in {loaded:.1f} s, {report['polls']:,} polls, "
              f"{report['records_read']:,} records read, {report['sessions']} lives, checked in {checked:.1f} s: {found} anomalies", flush=True)
        if found:
            failures.append((os.path.basename(directory), str({k: v for k, v in report["anomalies"].items() if v})))
            print("\n".join(report["examples"]), flush=True)
        elif not arguments.keep:
            shutil.rmtree(directory)
        left, number = left - appends, number + 1
    return {**total, "faults": dict(log.faults), "rounds": number, "load_seconds": round(load_seconds, 1), "check_seconds": round(check_seconds, 1),
            "appends_a_second": round(total.get("appends", 0) / max(load_seconds, 0.001))}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--binaries", default=os.path.join(ROOT, "build/release/tests/histories"))
    parser.add_argument("--count", type=int, default=100_000, help="appends on each log")
    parser.add_argument("--round", type=int, default=1_000_000, help="appends of one history: what the checker holds in memory")
    parser.add_argument("--log", choices=["rocks", "kafka", "both"], default="both")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--keep", action="store_true", help="keep clean histories, too")
    arguments = parser.parse_args()
    os.makedirs(BASE, exist_ok=True)
    started = time.monotonic()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    failures, logs, skipped = [], {}, ""
    print(f"seed {arguments.seed}", flush=True)
    for name in ["rocks", "kafka"] if arguments.log == "both" else [arguments.log]:
        chance = random.Random(f"{name} {arguments.seed}")
        log = Embedded(chance) if name == "rocks" else OnKafka(chance, arguments.count)
        try:
            if name == "kafka" and log.missing:
                skipped = f"no Kafka here: {log.missing}"
                print(f"skipped: {skipped}", flush=True)
                continue
            logs[name] = run(log, arguments, failures)
        finally:
            log.close()
    if not logs:
        return 77
    anomalies = {}
    for part in logs.values():
        add(anomalies, part.get("anomalies", {}))
    appends, polls = (sum(part.get(what, 0) for part in logs.values()) for what in ("appends", "polls"))
    result = {"name": "histories", "count": appends + polls, "failures": len(failures), "seeds": [where for where, _ in failures], "seed": arguments.seed,
              "seconds": round(time.monotonic() - started, 1), "commit": commit, "appends": appends, "polls": polls, "anomalies": anomalies,
              "logs": logs, "why": [why for _, why in failures]}
    if skipped:
        result["skipped"] = skipped
    with open(os.path.join(ROOT, "build/torture/histories.json"), "w", encoding="utf-8") as file:
        json.dump(result, file)
    faults = collections.Counter()
    for part in logs.values():
        faults.update(part["faults"])
    print(f"{appends + polls:,} operations ({appends:,} appends, {polls:,} polls), {sum(anomalies.values())} anomalies; faults: "
          f"{', '.join(f'{count} {what}' for what, count in sorted(faults.items()))}; {result['seconds']} s", flush=True)
    for where, why in failures:
        print(f"FAILED: {where}: {why}; --log {where.split('-')[0]} --seed {arguments.seed}, build/torture/histories/{where}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
