#!/usr/bin/env python3
"""Does what docs/howto/send-a-campaign.md says, command by command, and looks at what came of it."""
import os
import re
import subprocess

from program import ROOT, check, run_test, wait_for

PAGE = "docs/howto/send-a-campaign.md"


def script():
    with open(os.path.join(ROOT, PAGE), encoding="utf-8") as file:
        blocks = re.findall(r"^```sh\n(.*?)^```", file.read(), re.M | re.S)
    check(len(blocks) == 4, f"{PAGE}: {len(blocks)} blocks of commands")
    return "".join(blocks)


def walk(world):
    world.start_sink()
    world.start_server()
    env = dict(world.env, PATH=os.path.dirname(world.maily) + ":" + os.environ["PATH"], MAILY_SERVER=f"http://127.0.0.1:{world.port}",
               MAILY_LISTEN=f"127.0.0.1:{world.port}", MAILY_DATA=world.data)
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script()], cwd=world.base, env=env, stdin=subprocess.DEVNULL, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    check(done.returncode == 0, f"{PAGE}: exit {done.returncode}\n{done.stdout}")
    api = world.api()
    wait_for("campaign", lambda: api.ok("GET", "/v1/campaigns/1")["status"] == "completed", 60, world.server)
    arms = api.ok("GET", "/v1/campaigns/1/report")["arms"]
    check([(arm["name"], arm["delivered"]) for arm in arms] == [("all", 2)], f"{PAGE}: {arms}")
    with open(os.path.join(world.base, "mails"), encoding="utf-8") as file:
        mails = file.read()
    for name in ("Ann", "Bob"):
        check(f"Subject: Spring, {name}\n" in mails.replace("\r\n", "\n"), f"no mail to {name}:\n{mails}")


if __name__ == "__main__":
    run_test(walk)
