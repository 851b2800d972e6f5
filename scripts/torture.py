#!/usr/bin/env python3
"""./dev torture: runs one kind of torture, or all of them, and keeps what came out.

  torture.py run KIND [options of the program]   leaves build/torture/KIND.json with commit, date and machine
  torture.py all [--minutes M]                   all of them, M minutes in all, about
  torture.py keep [KIND...]                      adds build/torture/KIND.json to docs/torture/KIND.json, and writes the table of docs/torture.md
  torture.py table [--check]                     writes that table, or checks it

A result: {"name", "count", "failures", "seeds": those that failed, "seconds", "commit", "date", "machine", ...}. Results of one kind at one commit
are one tally.
"""
import argparse
import datetime
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAILY = "build/release/app/maily"
# Kind: its program, what a count counts, and about how many a minute of two cores does.
KINDS = {
    "simulate": (["build/release/tests/sim/simulate"], "seeds", 100),
    "power": (["build/release/tests/power/power_cut"], "cuts", 3000),
    "rot": (["build/release/tests/rot/bit_rot"], "flips", 1200),
    "io": (["python3", "tests/faults/io.py", "--maily", MAILY], "faults", 30),
    "crash": (["python3", "tests/crash/crash.py", "--maily", MAILY], "kills", 60),
    "ambiguous": (["python3", "tests/crash/ambiguous.py", "--maily", MAILY], "sends", 15000),
    "histories": (["python3", "tests/histories/histories.py"], "operations", 500_000),
}
BEGIN, END = "<!-- results: ./dev torture keep -->", "<!-- end of results -->"


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = next((line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), "unknown")
    return f"{os.cpu_count()} x {model.split(' w/')[0]}, Linux {os.uname().release}"


def commit():
    """The last one that changed the product's code, so that results which are kept in between, and better checkers, stay one tally."""
    but_words = ["--", "streams", "schemas", "processors", "projections", "api", "app", "CMakeLists.txt", ":!*.md", ":!*_test.cc"]
    head = subprocess.run(["git", "log", "-1", "--format=%h", *but_words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "--untracked-files=no", *but_words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    return head + ("+" if changed else "")


def result_of(kind):
    with open(os.path.join(ROOT, f"build/torture/{kind}.json"), encoding="utf-8") as file:
        return json.load(file)


def run(kind, options):
    path = os.path.join(ROOT, f"build/torture/{kind}.json")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if os.path.exists(path):
        os.remove(path)
    code = subprocess.run(KINDS[kind][0] + options, cwd=ROOT, check=False).returncode
    if os.path.exists(path):
        result = result_of(kind)
        if isinstance(result["failures"], list):
            result["failures"] = len(result["failures"])
        result.update(commit=commit(), date=datetime.date.today().isoformat(), machine=machine())
        with open(path, "w", encoding="utf-8") as file:
            json.dump(result, file)
            file.write("\n")
    return code


def run_all(minutes):
    bad = []
    for kind, (_, what, rate) in KINDS.items():
        count = max(1, round(rate * minutes / len(KINDS)))
        print(f"== {kind}: {count} {what}", flush=True)
        if run(kind, ["--count", str(count)]) != 0:
            bad.append(kind)
    print(f"failed: {', '.join(bad)}" if bad else "all held")
    return 1 if bad else 0


def kept(kind):
    path = os.path.join(ROOT, f"docs/torture/{kind}.json")
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def keep(kinds):
    for kind in kinds:
        result = result_of(kind)
        if result.get("commit", "+").endswith("+"):
            sys.exit(f"{kind}: the result is of changed files, not of a commit")
        os.makedirs(os.path.join(ROOT, "docs/torture"), exist_ok=True)
        with open(os.path.join(ROOT, f"docs/torture/{kind}.json"), "a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
    return table(check=False)


def rows():
    yield "| | count | failures | failed | minutes | date | commit | machine |"
    yield "|---|---:|---:|---|---:|---|---|---|"
    for kind, (_, what, _) in KINDS.items():
        tallies = {}
        for result in kept(kind):
            tallies.setdefault(result["commit"], []).append(result)
        for at, results in tallies.items():
            failed = ", ".join(str(seed) for result in results for seed in (result["seeds"] if result["failures"] else []))
            yield (f"| {kind} | {sum(r['count'] for r in results):,} {what} | {sum(r['failures'] for r in results)} | {failed} | "
                   f"{sum(r['seconds'] for r in results) / 60:.0f} | {results[-1]['date']} | {at} | {results[-1]['machine']} |")


def table(check):
    path = os.path.join(ROOT, "docs/torture.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    made = f"{before}{BEGIN}\n" + "\n".join(rows()) + f"\n{END}{after}"
    if check:
        return 0 if made == text else sys.exit("docs/torture.md: its table is not that of docs/torture/: ./dev torture table")
    with open(path, "w", encoding="utf-8") as file:
        file.write(made)
    return 0


def main():
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb == "run" and len(sys.argv) > 2 and sys.argv[2] in KINDS:
        return run(sys.argv[2], sys.argv[3:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("run").add_argument("kind", choices=KINDS)
    verbs.add_parser("all").add_argument("--minutes", type=float, default=10)
    verbs.add_parser("keep").add_argument("kinds", nargs="+", choices=KINDS)
    verbs.add_parser("table").add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    if arguments.verb == "all":
        return run_all(arguments.minutes)
    return keep(arguments.kinds) if arguments.verb == "keep" else table(arguments.check)


if __name__ == "__main__":
    sys.exit(main())
