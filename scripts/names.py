#!/usr/bin/env python3
"""Checks that every test, flow and file that the tables of ARCHITECTURE.md name exists, and that api/codes.cc has every code of an error.

Exits 1 and lists what does not.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLES = ("## Formats", "## Invariants and their tests")
NAME = re.compile(r"\b([A-Z]\w*)\.([A-Z]\w*|\*)")  # Suite.Name, Suite.*
MORE = re.compile(r", ([A-Z][a-z]\w*[A-Z]\w*|[A-Z]\w*)(?=[,;: |)]|\.(?!\w)|$)")  # another name of the same suite
TEST = re.compile(r"^\s*(?:TYPED_)?TEST(?:_F|_P)?\((\w+),\s*(\w+)\)", re.M)


def tracked():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.split("\n") if path and os.path.exists(os.path.join(ROOT, path))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def rows(text):
    """The rows of the tables, each with its line."""
    inside = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.startswith("## "):
            inside = line in TABLES
        if inside and line.startswith("|") and not line.startswith("|---"):
            yield number, line


def named(cell):
    """(suite, name) of every test that a cell names."""
    for match in NAME.finditer(cell):
        yield match.groups()
        at = match.end()
        while more := MORE.match(cell, at):
            yield match.group(1), more.group(1)
            at = more.end()


CODE = (re.compile(r"Refuse\(\s*Outcome::k\w+,\s*\"([a-z_]+)\""), re.compile(r"\.code = \"([a-z_]+)\""), re.compile(r"(?:Refuse\(|return |Problem problem)\{\d{3}, \"([a-z_]+)\""),
        re.compile(r"Violation\([^;]*?,\s*\"([a-z_]+)\",\s"), re.compile(r"\{\"/[a-z_]+\",\s*\"([a-z_]+)\""), re.compile(r"RejectOpen\([^;]*?\"([a-z_]+)\""),
        re.compile(r"CampaignIn\([^;]*?\"([a-z_]+)\""), re.compile(r"reject\(\"\w+\", \"([a-z_]+)\""), re.compile(r"Reject\(received, \"([a-z_]+)\""))


def unlisted_codes(files):
    """Codes of errors that the sources spell and api/codes.cc does not list, so that OpenAPI would not either."""
    listed = set(re.findall(r'^    \{"([a-z_]+)", "', read("api/codes.cc"), re.M))
    for path in files:
        if path.endswith("_test.cc") or not re.match(r"(api/(?!import/csv)|processors/[a-z]+/decide\.cc|processors/compliance/rules\.cc|streams/task/)", path) or not path.endswith(".cc"):
            continue
        text = read(path)
        for code in sorted({code for pattern in CODE for code in pattern.findall(text)} - listed):
            yield f"{path}: code {code} is not in api/codes.cc"


def main():
    files = tracked()
    tests = {test for path in files if path.startswith(("streams", "schemas", "processors", "projections", "api", "app", "tests"))
             and path.endswith((".cc", ".h")) for test in TEST.findall(read(path))}
    suites = {suite for suite, _ in tests}
    flows = {line[5:].strip() for path in files if path.endswith(".flow") for line in read(path).split("\n") if line.startswith("flow ")}
    stems = {os.path.basename(path) for path in files} | {os.path.splitext(os.path.basename(path))[0] for path in files} | set(files)
    missing = []
    count = 0
    for number, line in rows(read("ARCHITECTURE.md")):
        plain = re.sub(r"`[^`]*`", "", line)
        for suite, name in named(plain):
            count += 1
            if (name == "*" and suite not in suites) or (name != "*" and (suite, name) not in tests):
                missing.append(f"ARCHITECTURE.md:{number}: no test {suite}.{name}")
        for title in re.findall(r"(?<!\*)\*([a-z][^*]+)\*", plain) if "flow" in plain else []:
            count += 1
            if not any(flow.startswith(title) for flow in flows):
                missing.append(f"ARCHITECTURE.md:{number}: no flow '{title}'")
        for path in re.findall(r"`([\w/.]+\.(?:py|txt|h|cc|proto)|\w+_\w+)`", line):
            count += 1
            if path not in stems and not any(file.endswith("/" + path) for file in files):
                missing.append(f"ARCHITECTURE.md:{number}: no file {path}")
    missing += unlisted_codes(files)
    for line in missing:
        print(line)
    print(f"names: {count} in the tables of ARCHITECTURE.md, {len(missing)} missing")
    sys.exit(1 if missing or count < 100 else 0)


if __name__ == "__main__":
    main()
