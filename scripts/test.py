#!/usr/bin/env python3
"""All tests: unit, contract, model and flow tests under dev, then docs/reference, short demo, bad input, simulation and kill -9 under release.

Prints one line a test and ends with `N passed, N failed`. Exits non-zero if one failed.
"""
import argparse
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RELEASE = "build/release/app/maily"
SKIPPED = 77  # a package or right that it needs is missing; its output says which

# What runs under release: name, command. Each is bounded and stops by itself.
END_TO_END = [
    ("torture table", ["python3", "scripts/torture.py", "table", "--check"]),
    ("reference", ["python3", "scripts/reference.py", "--maily", RELEASE, "--check"]),
    ("demo 2000", ["python3", "tests/e2e/hillstrom.py", "--maily", RELEASE, "--once", "--contacts", "2000"]),
    ("demo 2000 kafka", ["python3", "tests/e2e/hillstrom.py", "--maily", RELEASE, "--once", "--contacts", "2000", "--log", "kafka"]),
    ("demo 2000 postgres", ["python3", "tests/e2e/hillstrom.py", "--maily", RELEASE, "--once", "--contacts", "2000", "--db", "postgres"]),
    ("howto", ["python3", "tests/e2e/howto.py", "--maily", RELEASE]),
    ("skeleton", ["python3", "tests/e2e/skeleton.py", "--maily", RELEASE]),
    ("contract", ["python3", "tests/e2e/contract.py", "--maily", RELEASE]),
    ("bad_input", ["python3", "tests/e2e/bad_input.py", "--maily", RELEASE]),
    ("bad_inbox", ["python3", "tests/e2e/bad_inbox.py", "--maily", RELEASE]),
    ("second_serve", ["python3", "tests/e2e/second_serve.py", "--maily", RELEASE]),
    ("several", ["python3", "tests/e2e/several.py", "--maily", RELEASE]),
    ("sigterm", ["python3", "tests/e2e/sigterm.py", "--maily", RELEASE]),
    ("relay_tls", ["python3", "tests/e2e/relay_tls.py", "--maily", RELEASE]),
    ("domains", ["python3", "tests/e2e/domains.py", "--maily", RELEASE]),
    ("mx", ["python3", "tests/e2e/mx.py", "--maily", RELEASE]),
    ("mta_sts", ["python3", "tests/e2e/mta_sts.py", "--maily", RELEASE]),
    ("sites", ["python3", "tests/e2e/sites.py", "--maily", RELEASE]),
    ("sources", ["python3", "tests/e2e/sources.py", "--maily", RELEASE]),
    ("confirmations", ["python3", "tests/e2e/confirmations.py", "--maily", RELEASE]),
    ("moved_clock", ["python3", "tests/e2e/moved_clock.py", "--maily", RELEASE]),
    ("relay_flush", ["python3", "tests/e2e/relay_flush.py", "--maily", RELEASE]),
    ("site_control", ["python3", "tests/e2e/site_control.py", "--maily", RELEASE]),
    ("site_leases", ["python3", "tests/e2e/site_leases.py", "--maily", RELEASE]),
    ("domain_check", ["python3", "tests/e2e/domain_check.py", "--maily", RELEASE]),
    ("assets", ["python3", "tests/e2e/assets.py", "--maily", RELEASE]),
    ("imports", ["python3", "tests/e2e/imports.py", "--maily", RELEASE]),
    ("suppressions", ["python3", "tests/e2e/suppressions.py", "--maily", RELEASE]),
    ("contacts", ["python3", "tests/e2e/contacts.py", "--maily", RELEASE]),
    ("merge", ["python3", "tests/e2e/merge.py", "--maily", RELEASE]),
    ("segments", ["python3", "tests/e2e/segments.py", "--maily", RELEASE]),
    ("consents", ["python3", "tests/e2e/consents.py", "--maily", RELEASE]),
    ("journeys", ["python3", "tests/e2e/journeys.py", "--maily", RELEASE]),
    ("messages", ["python3", "tests/e2e/messages.py", "--maily", RELEASE]),
    ("sent_mails", ["python3", "tests/e2e/sent_mails.py", "--maily", RELEASE]),
    ("campaign_audience", ["python3", "tests/e2e/campaign_audience.py", "--maily", RELEASE]),
    ("liquid", ["python3", "tests/e2e/liquid_mails.py", "--maily", RELEASE]),
    ("templates", ["python3", "tests/e2e/templates.py", "--maily", RELEASE]),
    ("bounces", ["python3", "tests/e2e/bounces.py", "--maily", RELEASE]),
    ("tracking", ["python3", "tests/e2e/tracking.py", "--maily", RELEASE]),
    ("safety", ["python3", "tests/e2e/safety.py", "--maily", RELEASE]),
    ("ab_test", ["python3", "tests/e2e/ab_test.py", "--maily", RELEASE]),
    ("arm_templates", ["python3", "tests/e2e/arm_templates.py", "--maily", RELEASE]),
    ("evergreen", ["python3", "tests/e2e/evergreen.py", "--maily", RELEASE]),
    ("campaign_timing", ["python3", "tests/e2e/campaign_timing.py", "--maily", RELEASE]),
    ("first_month", ["python3", "tests/e2e/first_month.py", "--maily", RELEASE]),
    ("webhooks", ["python3", "tests/e2e/webhooks.py", "--maily", RELEASE]),
    ("mail_pickup", ["python3", "tests/e2e/mail_pickup.py", "--maily", RELEASE]),
    ("two_tenants", ["python3", "tests/e2e/two_tenants.py", "--maily", RELEASE]),
    ("plaintext", ["python3", "tests/e2e/plaintext.py", "--maily", RELEASE]),
    ("snapshot", ["python3", "tests/e2e/snapshot.py", "--maily", RELEASE]),
    ("full_disk", ["python3", "tests/e2e/full_disk.py", "--maily", RELEASE]),
    ("equivalence", ["python3", "tests/equivalence/suite.py", "--maily", RELEASE, "--short"]),
    ("torture simulate", ["build/release/tests/sim/simulate", "--count", "40"]),
    ("torture power", ["build/release/tests/power/power_cut", "--from", "4", "--count", "2500"]),
    ("torture io", ["python3", "tests/faults/io.py", "--maily", RELEASE, "--count", "16"]),
    ("torture rot", ["build/release/tests/rot/bit_rot", "--count", "300"]),
    ("torture histories", ["python3", "tests/histories/histories.py", "--count", "100000", "--log", "rocks"]),
    ("torture ambiguous", ["python3", "tests/crash/ambiguous.py", "--maily", RELEASE, "--count", "1500", "--kills", "4", "--short"]),
    ("torture ambiguous mx", ["python3", "tests/crash/ambiguous.py", "--maily", RELEASE, "--count", "1500", "--kills", "4", "--short", "--mx"]),
    ("torture crash", ["python3", "tests/crash/crash.py", "--maily", RELEASE, "--count", "20"]),
]


def run(command, timeout):
    started = time.monotonic()
    try:
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, text=True,
                              errors="replace", stdin=subprocess.DEVNULL)
        code, output = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        code, output = 124, (error.stdout or b"").decode(errors="replace") if isinstance(error.stdout, bytes) else (error.stdout or "")
        output += f"\ntimed out after {timeout} s"
    return code, output, time.monotonic() - started


def build(preset):
    code, output, seconds = run(["./dev", "build", "--preset", preset], 5000)
    print(f"build {preset}: {'ok' if code == 0 else 'FAILED'} ({seconds:.0f} s)", flush=True)
    if code != 0:
        print(output[-8000:])
    return code == 0


def unit(preset, *choice):
    """Runs ctest on what `choice` says; gives (passed, failed) counting each GoogleTest case where the program says how many it ran."""
    os.makedirs(os.path.join(ROOT, "build/test"), exist_ok=True)
    report = os.path.join(ROOT, f"build/test/unit-{preset}.xml")
    code, output, seconds = run(["ctest", "--preset", preset, *choice, "-j2", "--output-junit", report, "--test-output-size-passed", "200000", "--test-output-size-failed", "200000", "--test-output-truncation", "head"], 3000)
    passed = failed = 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        text = "".join(node.text or "" for node in case.iter("system-out"))
        cases = re.findall(r"\[  PASSED  \] (\d+) test", text)
        broken = re.findall(r"^\[  FAILED  \] (\d+) tests?, listed below", text, re.M)
        if case.find("skipped") is not None:
            print(f"SKIPPED {case.get('name')}: {(text.strip().splitlines() or ['no reason given'])[-1]}", flush=True)
            continue
        ok = case.get("status") == "run"
        passed += int(cases[-1]) if cases else (1 if ok else 0)
        failed += int(broken[-1]) if broken else (0 if ok else 1)
        if not ok:
            print(f"FAILED {case.get('name')}\n{text[-6000:]}", flush=True)
    print(f"unit tests ({preset}): {passed} passed, {failed} failed ({seconds:.0f} s)", flush=True)
    if code != 0 and failed == 0:
        print(output[-4000:])
        failed = 1
    return passed, failed


def fetch_postgres():
    """As fetch_kafka; before the build, which registers the tests on PostgreSQL only where it is."""
    code, output, _ = run(["scripts/setup.sh", "--postgres"], 900)
    if code != 0:
        print("postgres: SKIPPED, it cannot be had here: " + (output.strip().splitlines() or ["no reason given"])[-1], flush=True)


def fetch_mail():
    """As fetch_kafka: a mail server that is not ours."""
    code, output, _ = run(["scripts/setup.sh", "--mail"], 900)
    if code != 0:
        print("mail: SKIPPED, no mail server can be had here: " + (output.strip().splitlines() or ["no reason given"])[-1], flush=True)


def fetch_kafka():
    """What the tests on a real broker need; without it they skip themselves, and say so."""
    for command in (["scripts/setup.sh", "--kafka"], ["scripts/kafka.sh", "fetch"]):
        code, output, _ = run(command, 900)
        if code != 0:
            print("kafka: SKIPPED, no broker can be had here: " + (output.strip().splitlines() or ["no reason given"])[-1], flush=True)
            return


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("suite", nargs="?", choices=["all", "kafka"], default="all",
                        help="all: everything but the minutes of brokers that are killed; kafka: those")
    parser.add_argument("--preset", help="preset of the unit tests; default dev, of kafka release")
    arguments = parser.parse_args()
    passed = failed = 0
    if arguments.suite == "kafka":
        preset = arguments.preset or "release"
        fetch_kafka()
        passed, failed = unit(preset, "-R", "kafka") if build(preset) else (0, 1)
        print(f"{passed} passed, {failed} failed")
        sys.exit(1 if failed else 0)
    arguments.preset = arguments.preset or "dev"
    steps = [("layers", ["python3", "scripts/layers.py"]), ("names", ["python3", "scripts/names.py"])]
    fetch_kafka()
    fetch_mail()
    fetch_postgres()
    if build(arguments.preset):
        ok, bad = unit(arguments.preset, "-LE", "broker")
        passed, failed = passed + ok, failed + bad
    else:
        failed += 1
    if build("release"):
        steps += [(name, command) for name, command in END_TO_END if os.path.exists(os.path.join(ROOT, command[1 if command[0] == "python3" else 0]))]
    else:
        failed += 1
    for name, command in steps:
        code, output, seconds = run(command, 900)
        print(f"{name}: {'ok' if code == 0 else 'skipped' if code == SKIPPED else 'FAILED'} ({seconds:.0f} s)", flush=True)
        if code == 0:
            passed += 1
        elif code == SKIPPED:
            print(output[-1000:], flush=True)
        else:
            failed += 1
            print(output[-8000:], flush=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
