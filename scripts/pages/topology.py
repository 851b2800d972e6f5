"""topology.md: who decides, evolves and reads what."""
import re

EDGE = re.compile(r'"(\w+)\.(\w+)" -> "(\w+)" \[label="([\w ]+)"')


def graph(dot):
    """The edges between nouns, as Mermaid; solid = it reacts or a link carries, dotted = it folds another's events."""
    edges = {}
    for noun, name, to, label in EDGE.findall(dot):
        if noun != to:
            arrow = "-.->" if label == "evolves" else "-->"
            edges.setdefault((noun, arrow, label, to), []).append(name)
    lines = [f'  {noun} {arrow}|"{label}: {", ".join(names)}"| {to}' for (noun, arrow, label, to), names in edges.items()]
    return "\n".join(["graph LR", *lines])


def page(program):
    return ("# Topology\n"
            "As `maily topology` prints it (`--dot`: as a graph with every type). A noun decides commands, reacts to events inside the same\n"
            "decision, evolves (folds) events into the tables that it owns, and reads tables of others.\n\n"
            "```\n" + program.run("topology").rstrip() + "\n```\n\n"
            "Between nouns:\n```mermaid\n" + graph(program.run("topology", "--dot")) + "\n```\n")
