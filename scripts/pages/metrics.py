"""metrics.md: what GET /metrics shows."""
import os
import re
import subprocess

from .markdown import code, table
from .program import ROOT

MADE = re.compile(r'Add(?:Counter|Gauge|Histogram|Probe)\(\s*"(maily_\w+)"')
OF_ANY_SIZE = ("partition", "route", "method", "le")  # labels whose values are not listed


def families(text):
    """name -> {type, help, labels: name -> values}"""
    found = {}
    for line in text.splitlines():
        if line.startswith("# HELP "):
            _, _, name, help = line.split(" ", 3)
            found[name] = {"help": help, "type": "", "labels": {}}
        elif line.startswith("# TYPE "):
            _, _, name, type = line.split(" ")
            found[name]["type"] = type
        elif line and not line.startswith("#"):
            series = line.split("{")[0].split(" ")[0]
            family = found.get(series) or found[re.sub(r"_(bucket|sum|count)$", "", series)]
            for label, value in re.findall(r'(\w+)="([^"]*)"', line):
                family["labels"].setdefault(label, set()).add(value)
    return found


def labels(family):
    shown = []
    for label, values in sorted(family["labels"].items()):
        if label == "le":
            continue
        shown.append(code(label) + ("" if label in OF_ANY_SIZE else ": " + ", ".join(sorted(values))))
    return "; ".join(shown)


def made_in_code():
    files = subprocess.run(["git", "ls-files", "*.cc"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    names = set()
    for path in files:
        if path.startswith(("streams", "processors", "projections", "api", "app")) and not path.endswith("_test.cc"):
            with open(os.path.join(ROOT, path), encoding="utf-8") as file:
                names |= set(MADE.findall(file.read()))
    return names


def page(program):
    found = families(program.api.call("GET", "/metrics")[1].decode())
    if unseen := made_in_code() - found.keys():
        raise RuntimeError(f"not in /metrics of a server that just started: {', '.join(sorted(unseen))}")
    rows = [(code(name), family["type"], family["help"], labels(family)) for name, family in sorted(found.items())]
    return ("# Metrics\n"
            "`GET /metrics`, Prometheus text, without a key. Every name is there from the start. Lag stands in records (or items) and in\n"
            "seconds for each task, link, effect and projection.\n\n" + table(["name", "type", "what", "labels"], rows))
