"""events-and-commands.md: the types of the schema."""
import itertools

from .markdown import code, table


def field(one):
    return one["name"] + ("[]" if one["repeated"] else "")


def row(type):
    plain = ", ".join(code(field(one)) for one in type["fields"] if not one["personal"])
    personal = ", ".join(code(field(one)) for one in type["fields"] if one["personal"])
    return plain, personal


def page(program):
    parts = ["# Events and commands\n"
             "A **command** is a record of `maily.commands`, in the partition that its key says: the contact key (HMAC of the normalised address),\n"
             "the tenant's home, the list of tenants, or one that the caller names because a contact's id or a tracking token says it. An\n"
             "**event** is part of a decision in `maily.journal`, in the partition that decided it; a link carries some on as commands\n"
             "([topology](topology.md)), and on Kafka those of a **public topic** go to it ([how](../howto/run-on-kafka.md#public-topics), as a\n"
             "document [asyncapi.json](asyncapi.json)). **State** is what a partition folds from its events. Personal fields are sealed before the first append.\n\n"
             "A number is used once for ever. `maily schema show NAME` prints the definition.\n"]
    for noun, types in itertools.groupby(program.items("schema", "list"), key=lambda type: type["noun"]):
        types = list(types)
        parts.append(f"## {noun}\n")
        parts.append(table(["number", "command", "key", "fields", "personal"],
                           [(t["type"], code(t["name"].split(".")[-1]), t["key"], *row(t)) for t in types if t["kind"] == "command"]))
        parts.append(table(["number", "event", "public topic", "fields", "personal"],
                           [(t["type"], code(t["name"].split(".")[-1]), t["public_topic"], *row(t)) for t in types if t["kind"] == "event"]))
        parts.append(table(["number", "state", "fields", "personal"],
                           [(t["type"], code(t["name"].split(".")[-1]), *row(t)) for t in types if t["kind"] == "state"]))
    return "\n".join(parts)
