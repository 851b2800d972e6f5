"""asyncapi.json: the public topics for tools."""


def page(program):
    return program.run("schema", "asyncapi")
