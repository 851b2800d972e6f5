"""command-line.md: --help of every subcommand."""
import re

SHOWN_ONCE = re.compile(r"^  (-h,--help|--server TEXT|--key-file TEXT) .*\n", re.M)


def subcommands(text):
    listed = text.split("Subcommands:\n", 1)[1].split("\n\n", 1)[0] if "Subcommands:\n" in text else ""
    return re.findall(r"^  ([a-z]\S*)", listed, re.M)


def help_of(program, *words):
    """(words, text) of a subcommand and all below it."""
    text = program.run(*words, "--help").rstrip() + "\n"
    yield words, text
    for name in subcommands(text):
        yield from help_of(program, *words, name)


def shown(text):
    """Without the lines that stand once, at the head of the page, and without a heading that nothing follows."""
    text = SHOWN_ONCE.sub("", text)
    text = re.sub(r"Options:\n(\n|\Z)", r"\1", text)
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def page(program):
    parts = ["# Command line\n"
             "Every subcommand has `--help`. All take `--output text|json` and `--yes`; those that ask a running server also take\n"
             "`--server` (default `$MAILY_SERVER` or `http://127.0.0.1:8080`) and `--key-file` (default `$MAILY_KEY_FILE`, or the key itself in\n"
             "`$MAILY_KEY`, or `maily-data/admin.key`), which are left out below.\n\n"
             "Exit codes:\n```\n" + program.run("help", "exit-codes").strip() + "\n```\n"]
    for words, text in help_of(program):
        if "Subcommands:\n" in text and words:
            parts.append(f"## maily {' '.join(words)}\n{text.splitlines()[0]}\n")
            continue
        level = "###" if len(words) > 1 else "##"
        parts.append(f"{level} {' '.join(('maily',) + words)}\n```\n{shown(text)}\n```\n")
    return "\n".join(parts)
