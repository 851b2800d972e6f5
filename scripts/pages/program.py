"""What the pages are made of: the answers of the program, and of a server that it runs for them."""
import functools
import json
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/e2e"))
from program import World  # noqa: E402


class Program:
    """`with Program(path) as program`: the command line, and a server of two partitions in build/reference."""

    def __init__(self, maily):
        self.maily = maily

    def __enter__(self):
        self.world = World(self.maily, "reference", settings={"partitions": 2, "mail-listen": "127.0.0.1:0", "snapshots": os.path.join(ROOT, "build/reference/snapshots")})
        self.world.start_server()
        self.api = self.world.api()
        return self

    def __exit__(self, *_):
        self.api.close()
        self.world.server.stop()

    def run(self, *arguments):
        """What `maily arguments…` prints, whatever MAILY_… variables the caller has."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAILY_")}
        done = subprocess.run([self.maily, *arguments], env=env, cwd=self.world.base, capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"maily {' '.join(arguments)}: exit {done.returncode}\n{done.stderr}")
        return done.stdout

    def items(self, *arguments):
        return json.loads(self.run(*arguments, "--output", "json"))["items"]

    @functools.cached_property
    def openapi(self):
        return self.api.ok("GET", "/api/openapi.json")

    def operations(self):
        """(method, path, operation) of every route of the API, in order."""
        for path, methods in self.openapi["paths"].items():
            for method, operation in methods.items():
                yield method.upper(), path, operation
