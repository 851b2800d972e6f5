#!/usr/bin/env python3
"""The real program on a disk that fails: at the k-th write, sync, change of a name or read of a story, for every k, in several ways.

A story is a first start, contacts, a campaign of a few mails, the rebuild of a read model, a stop that flushes, snapshots, a start without
the state stores, more contacts, and a stop. A library preloaded into the program (disk_shim.c) lets one call fail: EIO, ENOSPC, half of a
write, a failing sync; once, or from then on. What is refused is tried again; a program that ends, or goes on refusing, is killed with kill -9
and started again on a disk that works. After a log's sync has failed nothing more may be acknowledged before that. In the end:
  - every acknowledged contact is there;
  - no recipient got two mails, and each got one, or is told as unknown;
  - each state store is the fold of its journal (`maily store verify`), and the read models built anew have the same digests.
Writes build/torture/io.json.
"""
import argparse
import concurrent.futures
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from program import Api, Failed, ROOT, World, check, free_port, quote, wait_for  # noqa: E402

KINDS = ["write", "sync", "make", "read"]
FAULTS = ["write-eio", "write-enospc", "write-short", "sync-eio", "make-eio", "make-enospc", "read-eio"]
MAILS, CONTACTS = 6, 6
HTML = "<a href=\"https://shop.example.com/\">shop</a> {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a>"
PATIENCE = 6.0  # seconds of refusals, until the program is killed


class Disk:
    """What disk_shim.c shares: the calls of each kind, and the first that failed."""

    def __init__(self, library, path, root):
        self.library, self.path, self.root, self.fault = library, path, root, None
        if os.path.exists(path):
            os.remove(path)

    def env(self, base):
        env = dict(base, LD_PRELOAD=self.library, DISK_SHIM_ROOT=self.root, DISK_SHIM_STATE=self.path)
        if self.fault:
            env["DISK_SHIM_FAULT"] = self.fault
        return env

    def look(self):
        """(calls by kind, faults, what failed first)"""
        try:
            with open(self.path, "rb") as file:
                data = file.read(5 * 8 + 256)
        except FileNotFoundError:
            return dict.fromkeys(KINDS, 0), 0, ""
        numbers = struct.unpack_from("<5Q", data.ljust(5 * 8 + 256, b"\0"))
        return dict(zip(KINDS, numbers)), numbers[4], data[40:].split(b"\0")[0].decode(errors="replace")


class Story:
    """One run. `fault` None: count the calls."""

    def __init__(self, maily, library, name, fault=None):
        self.world = World(maily, os.path.join("io", name), settings={"partitions": 2})
        self.world.settings["snapshots"] = os.path.join(self.world.data, "snapshots")
        self.plain_env = self.world.env
        self.disk = Disk(library, os.path.join(self.world.base, "disk"), self.world.data)
        self.disk.fault = fault
        self.world.env = self.disk.env(self.plain_env)
        self.mended = False
        self.deaths = 0
        self.acknowledged = []
        self.after_lost_sync = 0
        self.api = None

    # ---- the program ----

    def mend(self):
        """The disk works again, from the next start on."""
        self.mended = True
        self.world.env = self.plain_env

    def start(self):
        for _ in range(3):
            self.world.port = free_port()
            try:
                self.world.start_server(wait=False)
                self.ready()
                return
            except Failed:
                self.deaths += 1
                if self.world.server.alive():
                    self.world.server.kill()
                if self.mended:
                    raise
                self.mend()
        raise Failed("it does not start")

    def ready(self):
        def is_ready():
            try:
                return Api(self.world.port, timeout=5).call("GET", "/readyz")[0] == 200
            except OSError:
                return False
        wait_for("ready", is_ready, 30 if self.mended or not self.disk.fault else PATIENCE, self.world.server, every=0.01)
        self.api = self.world.api()

    def again(self):
        """Killed, and started on a disk that works."""
        self.deaths += 1
        if self.world.server.alive():
            self.world.server.kill()
        self.mend()
        self.start()

    def lost_sync(self):
        """True once a sync of the log has failed in the process that runs."""
        if self.mended:
            return False
        what = self.disk.look()[2]
        return what.startswith(("fsync", "fdatasync")) and "log/" in what and what.endswith(".log")

    def call(self, method, path, body=None, headers=None, good=(200, 201, 202)):
        """Until it is taken."""
        end = time.monotonic() + PATIENCE
        for _ in range(1000):
            lost = self.lost_sync()
            try:
                status, answer, _ = self.api.call(method, path, body, headers)
            except Exception as error:  # noqa: BLE001 - it may die at any moment
                status, answer = 0, str(error)
            if status in good:
                self.after_lost_sync += lost and method == "POST"
                return answer
            if status not in (0, 409, 503) and self.mended:
                raise Failed(f"{method} {path}: {status} {answer}")
            if time.monotonic() > end or not self.world.server.alive():
                if self.mended:
                    raise Failed(f"{method} {path}: {status} {answer} on a disk that works")
                self.again()
                end = time.monotonic() + 30
            time.sleep(0.02)  # between tries
        raise Failed(f"{method} {path}: never")

    def cli(self, *arguments):
        """A command on the stopped data directory; tried again on a disk that works."""
        for _ in range(2):
            done = subprocess.run([self.world.maily, *arguments], env=self.world.env, capture_output=True, text=True, timeout=60)
            if done.returncode == 0:
                return done.stdout
            if self.disk.fault and "is empty" in done.stderr + done.stdout:
                return ""  # the faulty disk let nothing be flushed: the journal has all
            if self.mended or not self.disk.fault:
                break
            self.deaths += 1
            self.mend()
        raise Failed(f"maily {' '.join(arguments)}: exit {done.returncode}: {done.stdout}{done.stderr}")

    def stop(self):
        """In order; if the disk does not let it, once more on one that works."""
        for _ in range(2):
            try:
                code = self.world.server.stop(20)
                self.api.close()
                if code == 0:
                    return
                why = f"it stopped with exit code {code}\n{self.world.server.tail()}"
            except Failed as error:
                why = str(error)
            if self.mended or not self.disk.fault:
                break
            self.again()
        raise Failed(why)

    # ---- the story ----

    def contact(self, name):
        self.call("POST", "/v1/contacts", {"email": f"{name}@example.com", "attributes": {"first_name": name}}, {"Idempotency-Key": name})
        self.acknowledged.append(name)

    def until(self, what, test, seconds=30):
        """Waits for what happens by itself; on a disk that works, if it does not."""
        end = time.monotonic() + (PATIENCE if self.disk.fault and not self.mended else seconds)
        while True:
            try:
                if test():
                    return
            except Exception:  # noqa: BLE001
                pass
            if time.monotonic() > end or not self.world.server.alive():
                if self.mended or not self.disk.fault:
                    raise Failed(f"{what}\n{self.world.server.tail()}")
                self.again()
                end = time.monotonic() + seconds
            time.sleep(0.01)  # between polls

    def tell(self):
        world = self.world
        world.start_sink()
        self.start()
        self.call("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
        self.call("POST", "/v1/attributes", {"name": "first_name", "type": "text", "personal": True}, {"Idempotency-Key": "attribute"})
        list_id = self.call("POST", "/v1/lists", {"name": "all"}, {"Idempotency-Key": "list"})["id"]
        rows = "email,first_name\n" + "".join(f"r{i}@mail.test,R{i}\n" for i in range(MAILS))
        self.call("POST", "/v1/imports?list=all", rows, {"Content-Type": "text/csv", "Idempotency-Key": "import"})
        self.until("the import", lambda: self.api.ok("GET", f"/v1/lists/{list_id}")["members"] == MAILS)
        template = self.call("POST", "/v1/templates", {"name": "t", "subject": "s", "html": HTML, "text": "{{ postal_address }} {{ unsubscribe_url }}"},
                             {"Idempotency-Key": "template"})["id"]
        campaign = self.call("POST", "/v1/campaigns", {"name": "c", "template_id": template, "list_id": list_id, "from": "news@shop.example.com"},
                             {"Idempotency-Key": "campaign"})["id"]
        self.call("POST", f"/v1/campaigns/{campaign}:launch", None, {"Idempotency-Key": "launch"})
        for i in range(CONTACTS // 2):
            self.contact(f"early{i}")
        self.until("the campaign", lambda: self.settled(campaign))
        self.call("POST", "/v1/projections/people:rebuild")
        self.until("the rebuild", lambda: self.rebuilt("people")["phase"] != "running")
        self.stop()
        self.cli("snapshots", "take", "--data", world.data, "--snapshots", world.settings["snapshots"], "--partitions", "2")
        shutil.rmtree(os.path.join(world.data, "state"), ignore_errors=True)
        self.start()
        for i in range(CONTACTS // 2):
            self.contact(f"late{i}")
        self.stop()
        if self.disk.fault and not self.disk.look()[1]:
            return False
        # The disk works from here on.
        self.mend()
        self.start()
        self.verify(campaign)
        return True

    def settled(self, campaign):
        counts = self.api.ok("GET", f"/v1/campaigns/{campaign}")["counts"]
        return counts["audience"] == MAILS and counts["pending"] == 0

    def rebuilt(self, group):
        return next(g for g in self.api.ok("GET", "/v1/projections")["items"] if g["name"] == group).get("rebuild") or {"phase": "none"}

    def verify(self, campaign):
        world = self.world
        self.until("the campaign", lambda: self.settled(campaign))
        for name in self.acknowledged:
            check(self.call("GET", f"/v1/contacts?email={quote(name)}%40example.com")["items"], f"the acknowledged contact {name} is lost")
        with_mail = self.received()
        unknown = len(self.call("GET", f"/v1/sends/unknown?campaign_id={campaign}&page_size=1000")["items"])
        check(len(with_mail) == len(set(with_mail)), f"somebody got two mails: {sorted(with_mail)}")
        check(MAILS - unknown <= len(with_mail) <= MAILS, f"{len(with_mail)} mails and {unknown} unknown of {MAILS}")
        check(self.after_lost_sync == 0, f"{self.after_lost_sync} requests were acknowledged after a sync of the log had failed")
        for group in [g["name"] for g in self.call("GET", "/v1/projections")["items"]]:
            self.call("POST", f"/v1/projections/{group}:rebuild")
            self.until(f"rebuild of {group}", lambda name=group: self.rebuilt(name)["phase"] in ("done", "failed"))
            check(self.rebuilt(group)["phase"] == "done" and self.rebuilt(group)["digests_equal"], f"read models {group}: {self.rebuilt(group)}")
        self.stop()
        self.cli("store", "verify", "--data", world.data, "--partitions", "2")

    def received(self):
        _, data, _ = self.world.sink_api().call("GET", "/received?format=csv", raw=True)
        return [line.split(",")[0] for line in data.decode().splitlines()[1:] if line]


def tell(maily, library, fault):
    """(fault, what failed in the program's eyes, how often it was killed, why the story is wrong)"""
    name = (fault or "count").replace(":", "-")
    story = Story(maily, library, name, fault)
    why = ""
    reached = True
    try:
        reached = story.tell()
    except Failed as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - a bug of the test is a failure, too
        why = f"{type(error).__name__}: {error}"
    finally:
        story.world.close()
    calls, faults, what = story.disk.look()
    if not why:
        shutil.rmtree(story.world.base, ignore_errors=True)
    return {"fault": fault, "reached": reached, "what": what, "faults": faults, "deaths": story.deaths, "why": why, "calls": calls}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    parser.add_argument("--count", type=int, default=60, help="faults; 0: every call in every way")
    parser.add_argument("--fault", help="only this one, such as sync-eio:12")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=2, help="stories at once")
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="maily-io-") as directory:
        library = os.path.join(directory, "disk_shim.so")
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", library, os.path.join(ROOT, "tests/faults/disk_shim.c"), "-ldl"], check=True)
        counted = tell(arguments.maily, library, None)
        if counted["why"]:
            sys.exit(f"the story fails on a disk that works: {counted['why']}")
        print(f"seed {arguments.seed}; calls of a story: " + ", ".join(f"{n} {kind}" for kind, n in counted["calls"].items()), flush=True)
        plan = [f"{fault}:{k}{stays}" for fault in FAULTS for k in range(1, counted["calls"][fault.split("-")[0]] + 1)
                for stays in (("", "+") if "short" not in fault else ("",))]
        if arguments.fault:
            plan = [arguments.fault]
        elif arguments.count and arguments.count < len(plan):
            plan = random.Random(arguments.seed).sample(plan, arguments.count)
        results = []
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            for result in pool.map(lambda fault: tell(arguments.maily, library, fault), plan):
                results.append(result)
                if result["why"]:
                    print(f"FAILED {result['fault']} ({result['what']}): {result['why']}\n  repeat: ./dev torture io --fault {result['fault']}", flush=True)
    reached = [result for result in results if result["faults"]]
    failed = [result for result in results if result["why"]]
    by_kind = {fault: sum(result["fault"].startswith(fault) for result in reached) for fault in FAULTS}
    os.makedirs(os.path.join(ROOT, "build/torture"), exist_ok=True)
    with open(os.path.join(ROOT, "build/torture/io.json"), "w", encoding="utf-8") as file:
        json.dump({"name": "io", "count": len(reached), "failures": len(failed), "seeds": [result["fault"] for result in failed],
                   "seconds": round(time.monotonic() - started, 1), "calls": counted["calls"], "faults": by_kind,
                   "restarts": sum(result["deaths"] for result in results)}, file)
    print(f"{len(reached)} faults of {len(plan)} planned, {sum(bool(r['deaths']) for r in reached)} of them ended the program, {len(failed)} failures; "
          f"{time.monotonic() - started:.0f} s")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
