#!/usr/bin/env python3
"""Measures the program against references, A B A B, and writes build/bench/<name>.json. Everything stays on loopback and stops by itself.

Exits 0 if every row was measured and reaches its target, 1 if not. Rows can be named one by one; a name stands for all that begin with it.
"""
import argparse
import importlib
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import form  # noqa: E402
from form import Missing, ROOT, note  # noqa: E402
from audience import rows as segments_rows  # noqa: E402
from delivery import rows as delivery_rows  # noqa: E402
from liquid import rows as liquid_rows  # noqa: E402
from spine import program_rows  # noqa: E402
from streams import rows as streams_rows  # noqa: E402

SECONDS_MAX = 900  # of one measuring program


def least(ratio):
    return f">= {ratio}", lambda row: row["ratio"] is not None and row["ratio"] >= ratio


def most(value, text):
    return f"<= {text}", lambda row: row["ours"] <= value


def part(ratio, text):
    return f"<= {text}", lambda row: row["ratio"] is not None and row["ratio"] <= ratio


def command_latency(row):
    return row["ours"] <= max(2.5 * row["reference"], row["reference"] + 300)


STREAMS_TARGETS = {"hot_cpu": least(4), "hot_wall": least(4), "hot_best_cpu": least(1.8), "hot_framed_cpu": least(6), "hot_best_framed_cpu": least(2.5),
                   "uniform_cpu": least(3), "uniform_framed_cpu": least(5), "beyond_cache_cpu": least(1.5), "beyond_cache_framed_cpu": least(2),
                   "latency_p99": part(0.2, "1/5"), "kill": most(0, "0")}
RESTART_TARGETS = {"first_decision_1m": part(0.05, "1/20"),
                   "first_decision_10m": ("<= 1/20 and <= 1 s", lambda row: row["ratio"] is not None and row["ratio"] <= 0.05 and row["ours"] <= 1)}
TARGETS = {"decide": least(0.4), "latency_1": ("<= max(2.5 syncs, 1 sync + 0.3 ms)", command_latency), "visible_p99": most(20_000, "20 ms"),
           "send": least(0.4), "click": least(0.3), "import": least(0.25), "rebuild": least(0.4), "restart": most(2.0, "2 s"),
           "memory_per_contact": most(100, "100 bytes"), "first_mail": most(2.0, "2 s"), "memory_per_recipient": most(100, "100 bytes")}


SEND_TARGETS = {"send": least(0.7), "send_memory_flat": part(1.1, "1.1 of the smaller")}
CLICK_TARGETS = {"click": least(0.6)}
SEGMENTS_TARGETS = {"counted": most(3, "3 s"), "membership_p99": most(1000, "1 s"), "differing": most(0, "0"),
                    "events": (">= 4950", lambda row: row["ours"] >= 4_950)}
IMPORT_TARGETS = {"import": least(0.4), "import_memory": part(1.5, "1.5 of a quarter of the rows")}
LIQUID_TARGETS = {"render": (">= 10 and >= 100,000/s", lambda row: row["ratio"] is not None and row["ratio"] >= 10 and row["ours"] >= 100_000)}
TIMERS_TARGETS = {"twice": most(0, "0"), "lost": most(0, "0"), "unfinished": most(0, "0"), "over_cap": most(0, "0"), "slice_p99": most(20, "20 ms"),
                  "memory": part(1.5, "1.5 of half of the timers")}
CASES_LEAST = 0.98


class Programs:
    """The measuring programs in C++: each prints a JSON line a row and round."""

    def __init__(self, build, samples, rounds):
        self.build, self.samples, self.rounds = build, samples, rounds

    def run(self, name, *arguments):
        path = os.path.join(self.build, "bench", name)
        if not os.path.exists(path):
            raise Missing(f"{path} is not built")
        done = subprocess.run([path, "--rounds", str(self.rounds), *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=SECONDS_MAX, check=False)
        for line in done.stderr.splitlines():
            if line and not line.startswith("{"):
                note("    " + line)
        for line in done.stdout.splitlines():
            if line.startswith('{"row"'):
                row = json.loads(line)
                self.samples.add(row["row"], row["unit"], row["ours"], row["reference"], row["reference_name"])
        if done.returncode != 0:
            raise Missing(f"{name} ended with {done.returncode}: {done.stderr.strip()[-300:]}")


def spine(arguments):
    samples = form.Samples("spine" if arguments.more else None)
    started = form.now()
    programs = Programs(arguments.build, samples, arguments.rounds)
    world = program_rows.Rows(os.path.join(arguments.build, "app/maily"), arguments.build, samples, arguments.rounds, arguments.contacts)
    steps = [
        (["decide", "decide_cpu"], lambda: programs.run("spine_decide")),
        (["latency_1", "latency_1_p99", "latency_16", "latency_16_p99", "latency_256", "latency_256_p99"], lambda: programs.run("spine_latency")),
        (["visible", "visible_p99"], lambda: programs.run("spine_latency", "--visible")),
        (["send", "disk_per_send"], world.send),
        (["click"], world.click),
        (["latency_http_1", "latency_http_16", "latency_http_256"], world.http_latency),
        (["rebuild"], lambda: programs.run("spine_rebuild", "--data", world.journal())),
        (["import"], world.imports),
        (["first_mail", "memory_per_recipient"], world.audience),
        (["memory_per_contact", "disk_per_contact", "restart"], world.size),
    ]
    try:
        take(steps, samples, arguments)
    finally:
        world.close()
    return form.write("spine", samples, TARGETS, started)


def streams(arguments):
    samples = form.Samples("streams" if arguments.more else None)
    started = form.now()
    world = streams_rows.Rows(arguments.build, samples, arguments)
    steps = [
        (["hot_cpu", "hot_wall", "hot_broker", "hot_memory", "hot_best_cpu", "hot_framed_cpu", "hot_best_framed_cpu"], world.hot),
        (["uniform_cpu", "uniform_wall", "uniform_memory", "uniform_framed_cpu"], world.uniform),
        (["beyond_cache_cpu", "beyond_cache_framed_cpu"], world.beyond_cache),
        (["latency_p50", "latency_p99"], world.latency),
        (["kill"], world.kill),
        (["others_default_cpu", "others_alo_cpu", "others_alo_best_cpu", "others_alo_default_cpu"], world.others),
    ]
    take(steps, samples, arguments)
    return form.write("streams", samples, STREAMS_TARGETS, started)


def restart(arguments):
    samples = form.Samples("restart" if arguments.more else None)
    started = form.now()
    world = streams_rows.Rows(arguments.build, samples, arguments)
    steps = [([f"first_decision_{name}", f"caught_up_{name}"], lambda keys=keys, name=name: world.restart(keys, name))
             for name, keys in [("1m", 1_000_000), ("10m", 10_000_000)]]
    take(steps, samples, arguments)
    return form.write("restart", samples, RESTART_TARGETS, started)


def send(arguments):
    samples = form.Samples("send" if arguments.more else None)
    started = form.now()
    world = delivery_rows.Rows(os.path.join(arguments.build, "app/maily"), arguments.build, samples, arguments.rounds, arguments.sends)
    wanted = [row for row in delivery_rows.ROWS if not arguments.row or row in arguments.row]
    try:
        if wanted:
            take([(wanted, lambda: world.send(wanted))], samples, argparse.Namespace(row=None))
        if not arguments.row or "send_memory_flat" in arguments.row:
            take([(["send_memory_flat"], world.memory)], samples, argparse.Namespace(row=None))
    finally:
        world.close()
    return form.write("send", samples, SEND_TARGETS, started)


def click(arguments):
    samples = form.Samples("click" if arguments.more else None)
    started = form.now()
    world = program_rows.Rows(os.path.join(arguments.build, "app/maily"), arguments.build, samples, arguments.rounds, arguments.contacts)
    try:
        take([(["click", "click_p99"], world.click)], samples, arguments)
    finally:
        world.close()
    return form.write("click", samples, CLICK_TARGETS, started)


def segments(arguments):
    samples = form.Samples("segments" if arguments.more else None)
    started = form.now()
    world = segments_rows.Rows(os.path.join(arguments.build, "app/maily"), arguments.build, samples, arguments.rounds, arguments.contacts)
    names = ["counted", "counted_median", "membership_p50", "membership_p99", "events", "disk_per_event", "memory", "differing"]
    try:
        take([(names, world.run)], samples, argparse.Namespace(row=None))
    finally:
        world.close()
    return form.write("segments", samples, SEGMENTS_TARGETS, started)


def imports(arguments):
    samples = form.Samples("import" if arguments.more else None)
    started = form.now()
    import_rows = importlib.import_module("import.rows")  # the folder is called like a keyword
    world = import_rows.Rows(os.path.join(arguments.build, "app/maily"), arguments.build, samples, arguments.rounds, arguments.contacts)
    try:
        take([(["import", "import_memory"], world.run)], samples, arguments)
    finally:
        world.close()
    return form.write("import", samples, IMPORT_TARGETS, started)


def bounces(arguments):
    """Agreement of the bounce rules with a folder of labelled mails; the shares stand at the top of the file."""
    path = os.path.join(arguments.build, "bench/bounces_agreement")
    if not os.path.exists(path):
        raise Missing(f"{path} is not built")
    started = form.now()
    command = [path] + (["--dir", os.path.abspath(arguments.dir)] if arguments.dir else [])
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=SECONDS_MAX, check=False)
    print(done.stderr.decode(errors="replace"), end="")
    if done.returncode != 0:
        return 1
    report = {"name": "bounces", "commit": form.Samples().commit, "machine": form.machine(), "started_at": started.isoformat(timespec="seconds"),
              "definitions": {"agreement": "labels whose class we give too / labels",
                              "false_hard": "labels that are not hard and that we call hard / labels that are not hard"}}
    report.update(json.loads(done.stdout))
    os.makedirs(os.path.dirname(form.path_of("bounces")), exist_ok=True)
    with open(form.path_of("bounces"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=2)
    short = 0
    for name, text, holds in [("agreement", ">= 0.95", report["agreement"] >= 0.95), ("false_hard", "<= 0.01", report["false_hard"] <= 0.01)]:
        short += not holds
        print(f"{name} {report[name]:.4f}  {text}: {'reached' if holds else 'MISSED'}  ({report['definitions'][name]})")
    print("build/bench/bounces.json", flush=True)
    return short


def timers(arguments):
    """Journey timers in a real store: a tenth due in one minute after two hours in which nothing ran."""
    samples = form.Samples("timers" if arguments.more else None)
    started = form.now()
    programs = Programs(arguments.build, samples, arguments.rounds)
    names = ["armed", "caught_up", "slice_p50", "slice_p99", "slice_max", "twice", "lost", "unfinished", "over_cap", "memory"]
    take([(names, lambda: programs.run("journeys_timers", "--timers", str(arguments.timers)))], samples, argparse.Namespace(row=None))
    return form.write("timers", samples, TIMERS_TARGETS, started)


def liquid(arguments):
    """The engine of templates: renders against LiquidJS; the share of cases that pass stands at the top of the file."""
    samples = form.Samples("liquid" if arguments.more else None)
    started = form.now()
    world = liquid_rows.Rows(arguments.build, samples, arguments.rounds)
    path = os.path.abspath(arguments.cases or os.path.join(ROOT, "../shared/conformance/liquid-dev.json"))
    try:
        cases = world.cases(path)
    except Missing as error:
        cases = {"cases": None, "cases_failed": [], "cases_missing": str(error)}
    take([(["render", "render_string"], world.render)], samples, arguments)
    short = form.write("liquid", samples, LIQUID_TARGETS, started)
    with open(form.path_of("liquid"), encoding="utf-8") as file:
        report = json.load(file)
    with open(form.path_of("liquid"), "w", encoding="utf-8") as file:
        json.dump(cases | report, file, indent=2)
    for failed in cases["cases_failed"]:
        print(f"case {failed['name']}: {failed['why']}")
    if cases["cases"] is None:
        print(f"cases: missing: {cases['cases_missing']}")
        return short + 1
    good = cases["cases"] >= CASES_LEAST
    print(f"cases {cases['cases']:.4f} of {cases['cases_count']}  >= {CASES_LEAST}: {'reached' if good else 'MISSED'}")
    return short + (not good)


def take(steps, samples, arguments):
    """Runs the steps that give a row that is wanted; a row that does not come is reported as missing."""
    if os.getloadavg()[0] > 0.5:
        note(f"load average {os.getloadavg()[0]:.1f}: others use this machine, so the figures and their spread suffer")
    for names, step in steps:
        wanted = [name for name in names if not arguments.row or any(name.startswith(row) for row in arguments.row)]
        if not wanted:
            continue
        note(", ".join(wanted))
        why = "it was not reported"
        try:
            step()
        except (Missing, program_rows.Failed, OSError, subprocess.SubprocessError, KeyError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            note(f"    this round ended early: {why}")
        for name in wanted:
            samples.miss(name, why)
    if not samples.rows and not samples.missing:
        sys.exit(f"no row begins with {' or '.join(arguments.row)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("bench", choices=["spine", "streams", "restart", "send", "click", "segments", "import", "bounces", "liquid", "timers"], help="which bench")
    parser.add_argument("row", nargs="*", help="rows to measure; none = all")
    parser.add_argument("--rounds", type=int, default=5, help="interleaved rounds")
    parser.add_argument("--more", action="store_true", help="add the rounds to those in build/bench/<name>.json")
    parser.add_argument("--contacts", type=int, default=1_000_000, help="contacts of the size and restart rows")
    parser.add_argument("--timers", type=int, default=1_000_000, help="timers: how many are armed")
    parser.add_argument("--sends", type=int, default=100_000, help="send: recipients of a campaign")
    parser.add_argument("--records", type=int, default=4_000_000, help="streams: of the hot rows")
    parser.add_argument("--warm", type=int, default=1_500_000, help="streams: records before it is measured, so that a JVM is warm")
    parser.add_argument("--uniform-records", type=int, default=5_000_000, help="streams: of the uniform rows")
    parser.add_argument("--uniform-warm", type=int, default=2_000_000, help="streams: as --warm")
    parser.add_argument("--beyond-records", type=int, default=12_500_000, help="streams: of the rows beyond the cache")
    parser.add_argument("--beyond-warm", type=int, default=6_500_000, help="streams: as --warm")
    parser.add_argument("--rate", type=int, default=40_000, help="streams: records a second of the latency rows")
    parser.add_argument("--dir", help="bounces: a folder of mails with expected.json (default: the development half beside the repository)")
    parser.add_argument("--cases", help="liquid: a file of golden cases (default: the development half beside the repository)")
    parser.add_argument("--build", default=os.path.join(ROOT, "build/release"), help="build directory")
    arguments = parser.parse_intermixed_args()
    arguments.build = os.path.abspath(arguments.build)
    sys.exit(1 if {"spine": spine, "streams": streams, "restart": restart, "send": send, "click": click, "segments": segments, "import": imports,
              "bounces": bounces, "liquid": liquid, "timers": timers}[arguments.bench](arguments) else 0)


if __name__ == "__main__":
    main()
