"""http-api.md: the routes, from the OpenAPI document of a running server."""
import itertools
import json
import re

from .markdown import code, table

EVERY_READ = ("min", "wait_ms", "strict", "page_size", "page_token")
DRY_RUN = "dry_run"


def noun(path):
    return re.match(r"/v1/(\w+)", path).group(1)


def route(method, path, operation):
    own = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query" and p["name"] not in (*EVERY_READ, DRY_RUN)]
    return f"{method} {path}" + ("?" + "&".join(name + "=" for name in own) if own else "")


def becomes(operation):
    if "x-maily-command" in operation:
        return "command " + code(operation["x-maily-command"]["$ref"].split("/")[-1])
    return "query " + code(operation["x-maily-query"]) if "x-maily-query" in operation else ""


def examples(operations):
    for method, path, operation in operations:
        for type, body in operation.get("requestBody", {}).get("content", {}).items():
            yield f"{method} {path}  " + (json.dumps(body["example"], ensure_ascii=False) if "example" in body else type)


def page(program):
    described = {p["name"]: p["description"] for _, _, o in program.operations() for p in o.get("parameters", []) if "description" in p}
    problem = program.openapi["components"]["schemas"]["Problem"]["properties"]
    parts = ["# HTTP API\n"
             "A running server has this as OpenAPI 3.1 at `/api/openapi.json`, and as a page with curl commands at `/api/docs`. All but\n"
             "`/v1/limits` want `Authorization: Bearer mk_…` with the scope named; admin may all, write may also read.\n\n"
             "- A write answers once it is decided, with `Maily-Consistency-Token`; 202 with a status URL if that takes too long.\n"
             f"- `Idempotency-Key` on writes: {described['Idempotency-Key']}.\n"
             f"- `{DRY_RUN}` on writes, but events: {described[DRY_RUN]}. How it would be decided is not foreseen.\n"
             + "".join(f"- `{name}` on reads: {described[name]}.\n" for name in EVERY_READ)
             + "- Errors are `application/problem+json` (RFC 9457) with " + ", ".join(code(name) for name in problem) + ".\n"
             "- In mails: `GET /o/{token}.gif` the open pixel, `GET /c/{token}` a tracked link, `GET /u/{token}` a page with one button,\n"
             "  `POST /u/{token}` the opt-out (RFC 8058); the token authorises. Without a key: `/healthz`, `/readyz`, `/metrics`.\n"]
    for name, operations in itertools.groupby(sorted(program.operations(), key=lambda row: noun(row[1])), key=lambda row: noun(row[1])):
        operations = list(operations)
        rows = [(code(route(*o)), o[2].get("x-maily-scope", "none"), o[2]["summary"], becomes(o[2])) for o in operations]
        parts.append(f"## {name}\n" + table(["route", "scope", "what", "becomes"], rows))
        if bodies := list(examples(operations)):
            parts.append("```\n" + "\n".join(bodies) + "\n```\n")
    limits = program.api.ok("GET", "/v1/limits")
    parts.append("## Limits\nAs `GET /v1/limits` says:\n\n" + table(["limit", "value"], [(code(name), value) for name, value in sorted(limits.items())]))
    return "\n".join(parts)
