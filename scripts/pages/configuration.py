"""configuration.md: the settings of `maily serve`."""
from .markdown import code, table


def limits(setting):
    return f"{setting['least']} to {setting['most']}" if "least" in setting else ""


def page(program):
    rows = [(code(setting["name"]), code(setting["variable"]), code("--" + setting["name"].replace("_", "-")), code(setting["default"]),
             limits(setting), setting["help"]) for setting in program.items("config", "explain")]
    return ("# Configuration\n"
            "Settings of `maily serve`. A flag wins over its variable, a variable over the line `name: value` of the `--config` file, that over\n"
            "the default. An unknown name or a value out of range is refused at the start. `maily config explain` shows every value and where\n"
            "it came from; [deploy/maily.yaml](../../deploy/maily.yaml) is a file to begin with.\n\n"
            + table(["name", "variable", "flag", "default", "range", "what"], rows))
