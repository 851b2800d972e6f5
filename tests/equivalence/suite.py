#!/usr/bin/env python3
"""The equivalence suite: the same journal folds to the same rows on every log and database, and the same commands come to the same outcome.

(a) A recorded journal is copied between logs, folded on {rocks, kafka} x {sqlite, postgres}, and published; digests and records are equal.
(b) The mix (mix.py) is run live, with kill -9, on every combination of log, database and number of processes; outcomes are equal.
Writes build/equivalence.json, and with --page the results into docs/equivalence.md. Exits 1 with the first rows that differ.
"""
import argparse
import concurrent.futures
import datetime
import json
import os
import subprocess
import sys
import time
import types

from sites import Failed, ROOT, Services, Site, say  # first: it adds tests/e2e to the path
from journals import compare_journal
from mix import KILLS, Mix, garbage
from outcome import take

import public_topics
from program import wait_for

# Log, database, processes. Several processes need a log, read models and keys that they share: there are no others.
COMBINATIONS = [("rocks", "sqlite", 1), ("kafka", "postgres", 1), ("kafka", "postgres", 3), ("rocks", "postgres", 1), ("kafka", "sqlite", 1)]
SHORT = COMBINATIONS[:3]
MARK = "<!-- written by ./dev test equivalence --page -->\n"


class Suite:
    def __init__(self, arguments):
        self.arguments = arguments
        self.services = Services(arguments.maily, os.path.join(ROOT, "build/equivalence"))
        self.sites, self.outcomes = [], {}
        self.result = {"contacts": arguments.contacts, "seed": arguments.seed, "journals": {}, "outcomes": {}}

    def site(self, log, db, processes):
        short = self.arguments.short
        site = Site(self.services, f"{log}-{db}-{processes}", log, db, processes, delay_ms=40 if self.arguments.contacts < 2000 else 5, seed=self.arguments.seed,
                    patience=not short)
        self.sites.append(site)
        return site

    def play(self, site):
        """The mix; the site is stopped afterwards."""
        began, name, short = time.monotonic(), site.name, self.arguments.short
        site.start_all()
        poison = (lambda: garbage(self.services, name)) if site.log_address else None
        mix = Mix(site, self.arguments.contacts, self.arguments.seed, deferrals=not short, poison=poison,
                  kills=KILLS if not short else ("import", "sending") if site.processes == 1 else ("sending",))
        mix.run()
        outcome = self.outcomes[name] = take(mix)
        if site.log_address and site.processes == 1:
            wait_for("everything published", lambda: public_topics.caught_up(site.api()), 60)
        if not site.log_address:  # not while a process uses it
            self.services.maily_says("log", "copy", "--from", site.data(), "--to", os.path.join(site.base, "nowhere"), "--yes", code=3)
        site.stop()
        site.sink.stop()
        seconds = time.monotonic() - began
        self.result["outcomes"][name] = {"digest": outcome.digest(), "rows": outcome.rows(), "kills": site.kills, "settled_from_the_sink": site.resolved,
                                         "seconds": round(seconds, 1)}
        say(f"  {name}: outcome {outcome.digest()}, {outcome.rows():,} rows; {site.kills} kills, {site.resolved} sends settled from the sink's list ({seconds:.0f} s)")

    def compare_outcomes(self, names):
        for name in names[1:]:
            differences = self.outcomes[names[0]].differences(self.outcomes[name], names[0], name)
            if differences:
                raise Failed(f"{names[0]} and {name} came to different outcomes:\n" + "\n".join(differences[:40]))

    def hillstrom(self, contacts):
        """The demo, and its journal everywhere."""
        began = time.monotonic()
        done = subprocess.run([sys.executable, os.path.join(ROOT, "tests/e2e/hillstrom.py"), "--maily", self.arguments.maily, "--once", "--contacts", str(contacts)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"the demo: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        say(f"  the demo with {contacts:,} contacts: all numbers are exact ({time.monotonic() - began:.0f} s)")
        demo = types.SimpleNamespace(name="hillstrom", data=lambda: os.path.join(ROOT, "build/demo/data"), log_address="", settings={})
        compare_journal(self.services, demo, self.result["journals"])

    def run(self):
        """All installations side by side: they wait more than they work."""
        combinations = SHORT if self.arguments.short else COMBINATIONS
        sites = [self.site(*combination) for combination in combinations]
        with concurrent.futures.ThreadPoolExecutor(len(sites)) as pool:
            list(pool.map(self.play, sites))
        self.compare_outcomes([site.name for site in sites])
        for site in sites[:2]:
            compare_journal(self.services, site, self.result["journals"])
        if self.arguments.hillstrom:
            self.hillstrom(self.arguments.hillstrom)

    def close(self):
        for site in self.sites:
            site.close()
        self.services.close()


def write_page(result):
    """Replaces what stands below the mark in docs/equivalence.md."""
    path = os.path.join(ROOT, "docs/equivalence.md")
    with open(path, encoding="utf-8") as file:
        text = file.read().split(MARK)[0]
    lines = [f"{result['date']}, commit {result['commit']}: `./dev test equivalence --contacts {result['contacts']} --seed {result['seed']}`, "
             f"{result['seconds'] / 60:.0f} minutes.", "", "| journal | decisions | tables | rows | read models on four combinations | records in public topics |",
             "|---|---|---|---|---|---|"]
    for name, told in sorted(result["journals"].items()):
        digests = {json.dumps(groups, sort_keys=True) for groups in told["digests"].values()}
        equal = ", ".join(f"{group} `{digest}`" for group, digest in sorted(next(iter(told["digests"].values())).items()))
        lines.append(f"| {name} | {told['decisions']:,} | {told['tables']} | {told['rows']:,} | {'equal' if len(digests) == 1 else 'DIFFERENT'}: {equal} "
                     f"| {told['published']:,} |")
    lines += ["", "| run live | outcome digest | rows | kill -9 | sends settled from the sink's list | seconds |", "|---|---|---|---|---|---|"]
    lines += [f"| {name} | `{told['digest']}` | {told['rows']:,} | {told['kills']} | {told['settled_from_the_sink']} | {told['seconds']:.0f} |"
              for name, told in sorted(result["outcomes"].items())]
    with open(path, "w", encoding="utf-8") as file:
        file.write(text + MARK + "\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"), help="the program")
    parser.add_argument("--contacts", type=int, help="of the Hillstrom file, chosen by the seed [2000; 250 with --short]")
    parser.add_argument("--hillstrom", type=int, help="contacts of the demo, whose journal is compared too; 0: without it [64000; 0 with --short]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--short", action="store_true", help="three combinations, no deferred mail: what every test run does")
    parser.add_argument("--page", action="store_true", help="write the results into docs/equivalence.md")
    arguments = parser.parse_args()
    arguments.contacts = arguments.contacts or (250 if arguments.short else 2000)
    if arguments.hillstrom is None:
        arguments.hillstrom = 0 if arguments.short else 64000
    began = time.monotonic()
    suite = Suite(arguments)
    try:
        if suite.services.missing:
            say(f"skipped: {suite.services.missing}")
            sys.exit(77)
        say(f"equivalence: {arguments.contacts:,} contacts, seed {arguments.seed}")
        suite.run()
    except Failed as error:
        say(f"FAILED: {error}\nagain: ./dev test equivalence --contacts {arguments.contacts} --seed {arguments.seed}{' --short' if arguments.short else ''}")
        sys.exit(1)
    finally:
        suite.close()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    suite.result.update(date=datetime.date.today().isoformat(), commit=commit, seconds=round(time.monotonic() - began, 1))
    with open(os.path.join(ROOT, "build/equivalence.json"), "w", encoding="utf-8") as file:
        json.dump(suite.result, file, indent=2)
    if arguments.page:
        write_page(suite.result)
    say(f"ok: the same journals and the same outcomes everywhere ({suite.result['seconds']:.0f} s); build/equivalence.json")


if __name__ == "__main__":
    main()
