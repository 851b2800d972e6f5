#!/usr/bin/env python3
"""./dev torture mutations: plants ten bugs, one at a time, and looks whether the simulation finds each within 2,000 seeds.

Works on a copy of the last commit in build/mutations, so files here are not touched. A bug whose lines are no longer there is an error: the table below is
then to be brought up to date. Leaves build/torture/mutations.json: {name, count, failures, seeds, found: {bug: {seed, seconds, said}}, seconds, commit, ...}.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import torture  # noqa: E402

ROOT = torture.ROOT
WORK = os.path.join(ROOT, "build/mutations")
TREE, BUILD = os.path.join(WORK, "tree"), os.path.join(WORK, "build")
SEEDS = 2000
SECONDS_MAX = 3000  # of one bug

# Bug: the file, what stands there, and what is put in its place.
BUGS = {
    "skipped fence": ("streams/journal/reader.cc",
                      "if (frame.epoch < at.epoch || frame.nonce != at.nonce) return Skip(SkipWhy::kFenced, std::move(record));",
                      ""),
    "flush before acceptance": ("streams/task/task.cc",
                                "    if (flusher->Due()) holding = true;\n",
                                "    if (flusher->Due()) {\n      if (auto flushed = Flush(writer->position()); !flushed) return Fail(flushed.error());\n    }\n"),
    "lost continuation": ("streams/task/task.cc", "    engine->work().Load();\n    engine->TakeOutboxMarks();", "    engine->TakeOutboxMarks();"),
    "double relay": ("streams/task/dedupe.cc",
                     "    if (sequence == last + 1) return std::nullopt;",
                     "    if (sequence == last + 1 || natural_key.starts_with(link::kLinkStream)) return std::nullopt;"),
    "unsynced ack": ("streams/task/task.cc",
                     "    flying = std::exchange(current, {});\n",
                     "    flying = std::exchange(current, {});\n    for (const Answer& answer : flying.answers) environment.replies.Answer(answer.id, answer.reply);\n"),
    "re-decided command": ("streams/task/intake.cc",
                           "LastDecided(partition, from, kCommandsSource).get()) {}",
                           "LastDecided(partition, from.at_genesis ? from : journal::Position(), kCommandsSource).get()) {}"),
    "dropped dead letter": ("projections/dead_letters/fold.cc",
                            "    const journal::Decision& decision = *at.decision;\n",
                            "    const journal::Decision& decision = *at.decision;\n    if (e.type >= 60'000) return Ok();\n"),
    "stale view token": ("projections/views/freshness.cc",
                         "return std::pair(r.offset, r.index) >= std::pair(at.offset, at.index) ? Answer::kYes : Answer::kNotYet;",
                         "return r.offset.Next() >= at.offset ? Answer::kYes : Answer::kNotYet;"),
    "send in replay": ("processors/effects/smtp/attempt_slots.cc",
                       "    case Stage::kDotSent:\n      return {.last = Last::kUnknown, .result = {}};",
                       "    case Stage::kDotSent:\n      return {};"),
    "torn position": ("projections/projector/projector.cc",
                      "      if (!part.changed || part.stored.lsn == part.current.lsn) continue;\n",
                      "      if (part.changed || part.stored.lsn == part.current.lsn) continue;\n"),
}


def call(command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command[:3])} failed:\n{done.stdout[-3000:]}")
    return done.stdout


def prepare():
    shutil.rmtree(TREE, ignore_errors=True)
    call(["git", "worktree", "prune"], cwd=ROOT)
    call(["git", "worktree", "add", "--force", "--detach", TREE, "HEAD"], cwd=ROOT)
    with open(os.path.join(ROOT, "CMakePresets.json"), encoding="utf-8") as file:
        release = next(p for p in json.load(file)["configurePresets"] if p["name"] == "release")
    variables = [f"-D{name}={value}" for name, value in release.get("cacheVariables", {}).items()]
    call(["cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", *variables])


def find(bug, seeds):
    """(seed, what it said) of the first seed that fails; None: none did, or not in time. A crash is a find, too, of seed 0."""
    path, there, planted = BUGS[bug]
    file = os.path.join(TREE, path)
    with open(file, encoding="utf-8") as source:
        text = source.read()
    if text.count(there) != 1:
        sys.exit(f"{bug}: its lines stand {text.count(there)} times in {path}")
    with open(file, "w", encoding="utf-8") as out:
        out.write(text.replace(there, planted))
    try:
        call(["ninja", "-C", BUILD, "simulate"])
        command = [os.path.join(BUILD, "tests/sim/simulate"), "--count", str(seeds), "--until-failure", "--out", os.path.join(WORK, "simulate.json")]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", timeout=SECONDS_MAX, check=False)
        except subprocess.TimeoutExpired:
            return None, f"no seed failed in {SECONDS_MAX} s"
    finally:
        with open(file, "w", encoding="utf-8") as out:
            out.write(text)
    if done.returncode == 0:
        return None, done.stdout.strip()[-200:]
    told = re.search(r"^seed (\d+): (.*)", done.stdout, re.MULTILINE)
    return (int(told[1]), told[2][:200]) if told else (0, f"the program ended with {done.returncode}: {done.stdout.strip()[-200:]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("bug", nargs="*", help="which; none = all: " + ", ".join(BUGS))
    parser.add_argument("--seeds", type=int, default=SEEDS, help="at most, for each bug")
    arguments = parser.parse_args()
    unknown = [bug for bug in arguments.bug if bug not in BUGS]
    if unknown:
        parser.error(f"there is no bug {', '.join(unknown)}; there are: {', '.join(BUGS)}")
    prepare()
    started = time.time()
    found, missed = {}, []
    for bug in arguments.bug or BUGS:
        begun = time.time()
        seed, said = find(bug, arguments.seeds)
        print(f"{bug}: {'NOT FOUND' if seed is None else f'found by seed {seed}'} ({time.time() - begun:.0f} s): {said}", flush=True)
        if seed is None:
            missed.append(bug)
        else:
            found[bug] = {"seed": seed, "seconds": round(time.time() - begun), "said": said}
    os.makedirs(os.path.join(ROOT, "build/torture"), exist_ok=True)
    with open(os.path.join(ROOT, "build/torture/mutations.json"), "w", encoding="utf-8") as file:
        json.dump({"name": "mutations", "count": len(found) + len(missed), "failures": len(missed), "seeds": missed, "found": found,
                   "seconds": round(time.time() - started, 1), "commit": torture.commit(), "machine": torture.machine()}, file)
        file.write("\n")
    call(["git", "worktree", "remove", "--force", TREE], cwd=ROOT)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
