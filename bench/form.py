"""The form that all benches share: samples of rounds become rows, a table, and a JSON file.

A row: {name, unit, ours, reference, reference_name, ratio, ratio_min, ratio_max, rounds, pairs, commits}. `ours`, `reference` and `ratio` are
medians over the rounds, `ratio_min` and `ratio_max` the spread; ratio = ours / reference within a round; `pairs` are the rounds themselves. What
could not be measured stands in its row as null. Rounds can be added to those of an earlier run: `commits` tells which ones were measured.
"""
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def note(text):
    print(text, file=sys.stderr, flush=True)


class Missing(Exception):
    """Something that a row needs is not there; the row is reported as missing."""


class Samples:
    """Gathers (ours, reference) pairs; keeps the order in which rows first came."""

    def __init__(self, more_of=None):
        """`more_of`: the bench whose file holds rounds that these are added to."""
        self.rows, self.missing = {}, {}
        self.commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
        if more_of and os.path.exists(path_of(more_of)):
            with open(path_of(more_of), encoding="utf-8") as file:
                for row in json.load(file)["rows"]:
                    if row["rounds"]:
                        self.rows[row["name"]] = {key: row[key] for key in ["unit", "reference_name", "pairs", "commits"]}

    def add(self, name, unit, ours, reference=None, reference_name=""):
        row = self.rows.setdefault(name, {"unit": unit, "reference_name": reference_name, "pairs": [], "commits": []})
        row["pairs"].append((ours, reference))
        if self.commit not in row["commits"]:
            row["commits"].append(self.commit)
        note(f"  {name}: {figure(ours)} {unit}" + (f", reference {figure(reference)}" if reference else ""))

    def miss(self, name, why):
        if name not in self.rows:
            self.missing[name] = why
            note(f"  {name}: MISSING: {why}")

    def finish(self):
        rows = []
        for name, row in self.rows.items():
            ratios = [ours / reference for ours, reference in row["pairs"] if reference]
            references = [reference for _, reference in row["pairs"] if reference]
            rows.append({"name": name, "unit": row["unit"], "ours": statistics.median(ours for ours, _ in row["pairs"]),
                         "reference": statistics.median(references) if references else None, "reference_name": row["reference_name"],
                         "ratio": statistics.median(ratios) if ratios else None, "ratio_min": min(ratios, default=None),
                         "ratio_max": max(ratios, default=None), "rounds": len(row["pairs"]), "pairs": row["pairs"], "commits": row["commits"]})
        for name in self.missing:
            rows.append({"name": name, "unit": "", "ours": None, "reference": None, "reference_name": "", "ratio": None, "ratio_min": None,
                         "ratio_max": None, "rounds": 0, "pairs": [], "commits": []})
        return rows


def path_of(name):
    return os.path.join(ROOT, "build/bench", name + ".json")


def figure(value):
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def machine():
    model = ""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            model = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        model = platform.machine()
    return f"{os.cpu_count()} x {model}, {platform.system()} {platform.release()}"


def write(name, samples, targets, started):
    """Prints the table, writes build/bench/<name>.json; gives the number of rows that miss their target or were not measured."""
    rows = samples.finish()
    commit = samples.commit
    report = {"name": name, "commit": commit, "machine": machine(), "started_at": started.isoformat(timespec="seconds"), "rows": rows}
    os.makedirs(os.path.dirname(path_of(name)), exist_ok=True)
    with open(path_of(name), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
    short = 0
    print(f"{name} at {commit}, {report['machine']}; medians of interleaved rounds")
    print(f"{'row':<22}{'ours':>12}{'reference':>12}  {'unit':<16}{'ratio':>7}  {'spread':<14}{'rounds':>6}  target")
    for row in rows:
        if row["rounds"] == 0:
            short += 1
            print(f"{row['name']:<22}{'missing':>12}  {' '.join(samples.missing[row['name']].split())[:150]}")
            continue
        verdict = ""
        if row["name"] in targets:
            text, holds = targets[row["name"]]
            good = holds(row)
            short += not good
            verdict = f"{text}: {'reached' if good else 'MISSED'}"
        spread = f"{row['ratio_min']:.2f} - {row['ratio_max']:.2f}" if row["ratio"] is not None else ""
        ratio = f"{row['ratio']:.2f}" if row["ratio"] is not None else ""
        print(f"{row['name']:<22}{figure(row['ours']):>12}{figure(row['reference']):>12}  {row['unit']:<16}{ratio:>7}  {spread:<14}{row['rounds']:>6}  {verdict}")
    for row in rows:
        if row["reference_name"]:
            print(f"  {row['name']}: against {row['reference_name']}")
    print(f"build/bench/{name}.json", flush=True)
    return short


def now():
    return datetime.datetime.now(datetime.timezone.utc)
