#!/usr/bin/env python3
"""Runs every libFuzzer target of tests/fuzz for its share of the time. Exits 1 if one found something, with the command that repeats it.

New inputs are gathered in <build>/corpus/<target>, beside the seeds of tests/fuzz/corpus/<target>, and used by the next run. What is found
goes to <build>/found; its fix begins with that file in tests/fuzz/corpus/<target>. Writes build/torture/fuzz.json.
"""
import argparse
import glob
import json
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
INPUT_BYTES_MAX = 8192
MEMORY_MB_MAX = 1024
INPUT_SECONDS_MAX = 5  # one input that takes longer is a finding
GRACE_SECONDS = 60     # beyond the target's share, for its start and its last words


def targets():
    return sorted(os.path.basename(path)[:-len("_fuzz.cc")] for path in glob.glob(os.path.join(ROOT, "tests/fuzz/*_fuzz.cc")))


def fuzz(build, target, seconds):
    """Gives (inputs tried, edges covered, file that was found or None, last words)."""
    program = os.path.join(build, "tests/fuzz", target + "_fuzz")
    gathered, found = os.path.join(build, "corpus", target), os.path.join(build, "found")
    os.makedirs(gathered, exist_ok=True)
    os.makedirs(found, exist_ok=True)
    command = [program, f"-max_total_time={seconds}", f"-timeout={INPUT_SECONDS_MAX}", f"-rss_limit_mb={MEMORY_MB_MAX}", f"-max_len={INPUT_BYTES_MAX}",
               f"-artifact_prefix={found}/{target}-", "-print_final_stats=1", gathered, os.path.join(ROOT, "tests/fuzz/corpus", target)]
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=seconds + GRACE_SECONDS)
        code, output = done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as error:
        code, output = 1, (error.stdout or b"").decode(errors="replace") + f"\nnot at its end {GRACE_SECONDS} s after its time"
    tried = re.findall(r"number_of_executed_units:\s*(\d+)", output)
    edges = re.findall(r"cov: (\d+)", output)
    artifact = re.findall(r"Test unit written to (\S+)", output)
    wrong = None if code == 0 else (artifact[-1] if artifact else "")
    return int(tried[-1]) if tried else 0, int(edges[-1]) if edges else 0, wrong, output[-4000:]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="of all targets together (default 60)")
    parser.add_argument("--build", default="build/fuzz", help="directory of the build")
    parser.add_argument("targets", nargs="*", help=f"of: {', '.join(targets())}; default all")
    arguments = parser.parse_args()
    chosen = arguments.targets or targets()
    if unknown := set(chosen) - set(targets()):
        parser.error(f"no target {', '.join(sorted(unknown))}")
    share = max(1, arguments.seconds // len(chosen))
    report, findings = {}, 0
    for target in chosen:
        started = time.monotonic()
        tried, edges, wrong, words = fuzz(os.path.join(ROOT, arguments.build), target, share)
        report[target] = {"inputs": tried, "edges": edges, "seconds": round(time.monotonic() - started, 1), "found": wrong}
        print(f"{target}: {tried:,} inputs, {edges:,} edges, {'ok' if wrong is None else 'FOUND'}", flush=True)
        if wrong is not None:
            findings += 1
            print(words)
            print(f"repeat: {arguments.build}/tests/fuzz/{target}_fuzz {os.path.relpath(wrong, ROOT) if wrong else ''}", flush=True)
    os.makedirs(os.path.join(ROOT, "build/torture"), exist_ok=True)
    with open(os.path.join(ROOT, "build/torture/fuzz.json"), "w", encoding="utf-8") as file:
        json.dump(report, file, indent=1)
    print(f"fuzz: {len(chosen)} targets, {share} s each, {findings} with findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
