#!/usr/bin/env python3
"""Writes docs/reference from what the program says of itself; with --check, exits 1 and shows where the files differ from it."""
import argparse
import difflib
import os
import sys

from pages import asyncapi, command_line, configuration, http_api, metrics, read_models, topology, types
from pages.program import ROOT, Program

FOLDER = "docs/reference"
MADE = "\n<!-- Generated: ./dev docs -->\n"
PAGES = {
    "http-api.md": http_api,
    "configuration.md": configuration,
    "command-line.md": command_line,
    "events-and-commands.md": types,
    "topology.md": topology,
    "metrics.md": metrics,
    "read-models.md": read_models,
    "asyncapi.json": asyncapi,
}


def text_of(name, module, program):
    return module.page(program).rstrip() + "\n" + ("" if name.endswith(".json") else MADE)


def committed(path):
    try:
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    parser.add_argument("--check", action="store_true", help="write nothing")
    arguments = parser.parse_args()
    with Program(os.path.abspath(arguments.maily)) as program:
        texts = {f"{FOLDER}/{name}": text_of(name, module, program) for name, module in PAGES.items()}
    others = [f"{FOLDER}/{name}" for name in os.listdir(os.path.join(ROOT, FOLDER)) if f"{FOLDER}/{name}" not in texts]
    stale = [path for path, text in texts.items() if committed(path) != text]
    for path in stale:
        sys.stdout.writelines(list(difflib.unified_diff(committed(path).splitlines(True), texts[path].splitlines(True), path, "the program"))[:40])
        if not arguments.check:
            with open(os.path.join(ROOT, path), "w", encoding="utf-8") as file:
                file.write(texts[path])
    for path in others:
        print(f"{path}: nothing makes it")
    print(f"reference: {len(texts)} pages, {len(stale)} {'differ from what the program says (./dev docs)' if arguments.check else 'written'}")
    sys.exit(1 if others or (arguments.check and stale) else 0)


if __name__ == "__main__":
    main()
