#!/usr/bin/env python3
"""Checks the arrows between folders and the places of vendor headers; both are data below. Exits 1 and lists each breach."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# Folder -> folders whose headers it may include, besides itself and streams/base. A trailing /* is any subfolder. "file:" entries are
# single headers. The longest matching folder name counts.
BELOW = ["streams/base", "streams/observe", "streams/port"]
ARROWS = {
    "streams/base": [],
    "streams/port": ["streams/base"],
    "streams/observe": ["streams/base"],
    "streams/adapters/rocks": BELOW,
    "streams/adapters/kafka": BELOW,
    "streams/adapters/postgres": BELOW,
    "streams/adapters/asio": BELOW,
    "streams/adapters/disk": BELOW,
    "streams/adapters/dns": ["streams/base", "streams/port"],
    "streams/adapters/curl": ["streams/base", "streams/port"],
    "streams/adapters/sim": BELOW,
    "streams/keyring": BELOW,
    "streams/tls": ["streams/base"],
    "streams/command": BELOW,
    "streams/journal": BELOW,
    "streams/state": BELOW + ["file:streams/journal/position.h"],
    "streams/link": BELOW + ["streams/journal", "streams/command", "streams/state"],
    "streams/task": BELOW + ["streams/state", "streams/journal", "streams/command", "streams/keyring", "streams/link"],
    "schemas": ["streams/base", "streams/port", "streams/keyring", "maily"],
    "processors/audience": ["streams/base", "schemas", "maily", "file:streams/state/table.h", "file:streams/state/key.h"],
    "processors/compliance": ["streams/base", "schemas", "maily", "file:processors/personalization/template.h", "file:streams/state/table.h", "file:streams/state/key.h"],
    "processors/personalization": ["streams/base", "schemas", "maily", "processors/personalization/liquid"],
    "processors/personalization/liquid": ["streams/base"],
    "processors/bounces": ["streams/base"],
    "processors/effects": BELOW + ["streams/tls", "schemas", "maily", "processors/effects/dkim", "processors/effects/mta_sts", "processors/effects/mime", "processors/personalization", "streams/command", "streams/journal", "streams/keyring",
                                   "file:streams/state/table.h", "file:streams/state/key.h", "file:streams/state/cache.h",
                                   "file:streams/state/timers.h", "file:streams/task/credits.h", "file:processors/effects/effect.h", "file:processors/effects/lag.h", "file:processors/audience/arm_mail.h"],
    "processors/effects/dkim": ["streams/base"],
    "processors/effects/mime": ["streams/base", "schemas"],
    "processors/effects/mta_sts": ["streams/base", "streams/port"],
    "processors": ["streams/base", "schemas", "maily", "streams/state", "file:streams/task/processor.h", "file:streams/task/credits.h",
                   "file:streams/journal/decision.h", "file:processors/bounces/classify.h", "processors/audience", "processors/compliance", "processors/personalization"],
    "projections/sql/postgres": ["streams/adapters/postgres", "projections/sql"],
    "projections": BELOW + ["schemas", "maily", "streams/journal", "streams/keyring", "projections/*"],
    "api": BELOW + ["schemas", "maily", "projections/views", "projections/sql", "streams/command", "streams/keyring", "api/*",
                    "file:streams/journal/decision.h", "file:processors/journeys/replay.h"],
    "api/mail": BELOW + ["streams/tls"],
    "api/inbound": BELOW + ["schemas", "maily", "projections/views", "projections/sql", "streams/command", "streams/keyring", "api/gateway",
                            "file:processors/bounces/report.h", "file:processors/bounces/classify.h", "file:api/esp/notice.h"],
    "api/esp": ["streams/base", "file:processors/bounces/classify.h"],
    "app": ["*"],
    "tests": ["*"],
    "bench": ["*"],
}
# The table of a stage may include every noun below it.
TABLES = {"processors/pipeline.cc": ["processors/*", "streams/task"], "processors/pipeline.h": ["streams/task"],
          "processors/destinations.h": ["streams/task"]}

# Vendor header -> the only folders (or files) that may include it.
VENDORS = {
    r"^rocksdb/": ["streams/adapters/rocks"],
    r"^librdkafka/": ["streams/adapters/kafka"],
    r"^boost/beast": ["api/http", "bench"],
    r"^boost/": ["streams/adapters/asio", "api/http", "bench"],
    r"^sqlite3\.h": ["projections/sql/sqlite", "bench"],
    r"^libpq-fe\.h": ["streams/adapters/postgres", "projections/sql/postgres"],
    r"^openssl/": ["streams/keyring/cipher.cc", "streams/tls", "processors/effects/dkim/hash.cc", "processors/effects/dkim/key.cc",
                    "api/esp/signature.cc"],
    r"^ares\.h": ["streams/adapters/dns/dns_resolver.cc"],
    r"^curl/": ["streams/adapters/curl"],
    r"^prometheus/": ["streams/observe"],
    r"^spdlog/": ["streams/observe"],
    r"^csv\.h": ["api/import"],
    r"^gmime/": ["processors/bounces/report.cc"],
    r"^zstd\.h": ["streams/base"],
    r"^yaml-cpp/": ["app"],
    r"^CLI/": ["app"],
}
# Only those who may reach the world name the right to do so.
LIVE = ["streams/port", "streams/adapters/asio", "streams/adapters/dns", "streams/adapters/curl", "app", "tests"]
# Headers that Evolve and Decide must not see.
PURE = re.compile(r"^(cmath|chrono|random|thread|fstream|unordered_map|unordered_set|ctime)$")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')


def rule_of(folder, table):
    while folder and folder not in table:
        folder = os.path.dirname(folder)
    return folder


def allowed(target, source_folder, rules):
    folder = os.path.dirname(target)
    if folder == source_folder or folder == "streams/base":
        return True
    for rule in rules:
        if rule == "*" or (rule.startswith("file:") and rule[5:] == target):
            return True
        if rule.endswith("/*") and (folder + "/").startswith(rule[:-1]):
            return True
        if folder == rule or (rule in ("schemas", "maily") and folder.startswith(rule + "/")):
            return True
    return False


def check(path):
    breaches = []
    folder = os.path.dirname(path)
    is_test = path.endswith("_test.cc")
    rule = rule_of(folder, ARROWS)
    rules = TABLES.get(path, ARROWS.get(rule, [])) + ARROWS.get(rule, [])
    noun = folder.startswith("processors/") and rule == "processors"
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            bracket, target = match.groups()
            where = f"{path}:{number}"
            for vendor, places in VENDORS.items():
                if re.search(vendor, target):
                    if not any(folder == place or folder.startswith(place + "/") or path == place for place in places) and not is_test:
                        breaches.append(f"{where}: vendor header <{target}> belongs to {', '.join(places)}")
                    break
            if target == "streams/port/live.h" and not any(folder.startswith(place) for place in LIVE):
                breaches.append(f"{where}: {folder} names the right to reach the world")
            if noun and bracket == "<" and PURE.match(target) and not is_test:
                breaches.append(f"{where}: a decider or evolver includes <{target}>")
            if bracket == '"' and not is_test:
                top = target.split("/")[0]
                known = top in ("streams", "schemas", "processors", "projections", "api", "app", "maily")
                if known and not allowed(target, folder, rules):
                    breaches.append(f"{where}: {folder} may not include {target}")
    return breaches


def main():
    breaches = []
    count = 0
    for top in ("streams", "schemas", "processors", "projections", "api", "app"):
        for folder, _, files in os.walk(os.path.join(ROOT, top)):
            for name in sorted(files):
                if name.endswith((".h", ".cc")):
                    count += 1
                    breaches += check(os.path.relpath(os.path.join(folder, name), ROOT))
    for breach in breaches:
        print(breach)
    print(f"layers: {count} files, {len(breaches)} breaches")
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
