"""read-models.md: tables and queries, from projections/*/{schema,queries}.sql."""
import glob
import os
import re

from .markdown import code, table
from .program import ROOT

TABLE = re.compile(r"((?:^--[^\n]*\n)*)^CREATE TABLE (\w+) \((.*?)\)(?: WITHOUT ROWID)?;", re.M | re.S)
COLUMN = re.compile(r"^\s*(\w+)\s+(BIGINT|TEXT|BLOB|DOUBLE)([^,\n-]*),?[ ]*(?:--\s*(.*))?$", re.M)
NAMES = re.compile(r"INSERT INTO (\w+) \(\w+, name\)\s*VALUES (.*?);", re.S)
QUERY = re.compile(r"((?:^--[^\n]*\n)*)^-- name: (\w+)\n(.*?);", re.M | re.S)


def said(comments):
    return " ".join(line.lstrip("- ") for line in comments.splitlines())


def head(schema):
    """The first comment of the file, if it is one of the whole file: a blank line or its only table follows."""
    match = re.match(r"((?:--[^\n]*\n)+)", schema)
    return said(match.group(1)) if match else ""


def columns(body):
    rows = [(code(name), type, "" if "NOT NULL" in rest else "null", comment) for name, type, rest, comment in COLUMN.findall(body)]
    key = re.search(r"PRIMARY KEY \((.*?)\)", body)
    return rows, key.group(1) if key else COLUMN.findall(body)[0][0]


def tables(schema):
    first = head(schema)
    names = dict(NAMES.findall(schema))
    for comments, name, body in TABLE.findall(schema):
        about = said(comments)
        if name in names:
            values = re.findall(r"\((\d+), '(\w*)'\)", names[name])
            yield f"**{name}**: " + ", ".join(f"{number} {word or '(none)'}" for number, word in values) + "\n"
            continue
        rows, key = columns(body)
        about = "" if about == first else about
        yield f"**{name}**, key {key}{': ' + about if about else ''}\n\n" + table(["column", "type", "", "what"], rows)


def queries(text, routes):
    rows = []
    for comments, name, body in QUERY.findall(text):
        parameters = dict.fromkeys(word for word in re.findall(r":(\w+)", body))
        rows.append((code(name), ", ".join(parameters), ", ".join(code(route) for route in routes.get(name, [])), said(comments)))
    return table(["query", "parameters", "route", "what"], rows) if rows else ""


def page(program):
    groups = {one["table"]: group["name"] for group in program.api.ok("GET", "/v1/projections/digests")["groups"] for one in group["tables"]}
    routes = {}
    for method, path, operation in program.operations():
        if query := operation.get("x-maily-query"):
            routes.setdefault(query, []).append(f"{method} {path}")
    parts = ["# Read models\n"
             "Folds of the journal in SQLite, a file a group; `maily projection list|verify|rebuild`. `…_at_us` are microseconds since 1970, money\n"
             "is integer cents. A column may be null only where it says so. `tenant` of a query is that of the key that asks; routes: [HTTP\n"
             "API](http-api.md).\n"]
    for path in sorted(glob.glob(os.path.join(ROOT, "projections/*/schema.sql"))):
        folder = os.path.dirname(path)
        with open(path, encoding="utf-8") as file:
            schema = file.read()
        with open(os.path.join(folder, "queries.sql"), encoding="utf-8") as file:
            asked = file.read()
        group = {groups[name] for _, name, _ in TABLE.findall(schema) if name in groups}
        place = f"group {group.pop()}" if group else "in every group"
        parts.append(f"## {os.path.basename(folder)} ({place})\n{head(schema)}\n")
        parts += list(tables(schema))
        parts.append(queries(asked, routes))
    return "\n".join(part for part in parts if part)
