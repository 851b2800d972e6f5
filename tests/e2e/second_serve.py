#!/usr/bin/env python3
"""A second `maily serve` on the same data directory is refused, naming the holder; the first one is unharmed."""
import json
import os
import subprocess

from program import check, free_port, run_test


def run(world):
    world.start_server()
    command = [world.maily, "serve", "--data", world.data, "--listen", f"127.0.0.1:{free_port()}"]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, env=world.env)
    check(second.returncode == 3, f"exit {second.returncode}: {second.stderr}")
    check(f"pid {world.server.process.pid}" in second.stderr, f"the holder is not named: {second.stderr}")
    check(world.api().call("GET", "/readyz")[0] == 200, "the first one is harmed")
    _, output, _ = world.cli("doctor", "--output", "json", "--data", world.data, "--listen", f"127.0.0.1:{world.port}")
    found = {item["check"]: item for item in json.loads(output)["items"]}
    check(found["partitions"]["level"] == "ok" and found["commands"]["detail"].startswith("first offsets kept: 0 to 0;"), f"doctor: {found}")
    taken = subprocess.run([world.maily, "serve", "--data", os.path.join(world.base, "other"), "--listen", f"127.0.0.1:{world.port}"],
                           capture_output=True, text=True, timeout=60, env=world.env)
    check(taken.returncode == 3, f"port taken: exit {taken.returncode}: {taken.stderr}")
    other = subprocess.run(command[:4] + ["--listen", "127.0.0.1:1", "--partitons", "4"], capture_output=True, text=True, timeout=60, env=world.env)
    check(other.returncode == 2 and "--partitions" in other.stderr, f"unknown flag: {other.returncode} {other.stderr}")
    check(world.server.stop() == 0, "SIGTERM")
    # A copy of the data elsewhere is held: it opens no connection.
    copy = os.path.join(world.base, "copy")
    subprocess.run(["cp", "-a", world.data, copy], check=True)
    world.data = copy
    world.start_server()
    check(world.api().ok("GET", "/v1/instance")["mode"] == "held", "a copy is not held")
    check(world.server.stop() == 0, "SIGTERM")
    # `arm` makes the copy an instance of its own, for a server with the same XDG_STATE_HOME alone.
    for state, mode in (("elsewhere", "held"), ("state", "sandbox")):
        armed = subprocess.run([world.maily, "arm", "--sandbox", "--data", copy, "--output", "json"], capture_output=True, text=True, timeout=60,
                               env=dict(world.env, XDG_STATE_HOME=os.path.join(world.base, state)))
        check(armed.returncode == 0, f"arm: exit {armed.returncode}: {armed.stderr}")
        check(json.loads(armed.stdout)["identity"].startswith(os.path.join(world.base, state, "maily") + "/"), f"arm: {armed.stdout}")
        world.start_server()
        found = world.api().ok("GET", "/v1/instance")["mode"]
        check(found == mode, f"armed with XDG_STATE_HOME={state}: {found}")
        check(world.server.stop() == 0, "SIGTERM")
    changed = subprocess.run([world.maily, "serve", "--data", os.path.join(world.base, "data"), "--partitions", "4", "--listen", f"127.0.0.1:{free_port()}"],
                             capture_output=True, text=True, timeout=60, env=world.env)
    another_format(world)
    check(changed.returncode == 3 and "partition" in changed.stderr, f"changed partition count: {changed.returncode} {changed.stderr}")


def another_format(world):
    """A log or a state that another build wrote is refused, in a sentence; what is there stays."""
    change = os.path.join(os.path.dirname(world.maily), "../tests/e2e/change_entry")
    for store, key, whose in (("log", b"settings", "log"), ("state/state-1", b"\0\0meta", "partition 1")):
        newer = os.path.join(world.base, "newer-" + os.path.basename(store))
        subprocess.run(["cp", "-a", os.path.join(world.base, "data"), newer], check=True)
        subprocess.run([change, os.path.join(newer, store), key.hex(), "2"], check=True)
        for _ in range(2):
            refused = subprocess.run([world.maily, "serve", "--data", newer, "--listen", f"127.0.0.1:{free_port()}"], capture_output=True, text=True,
                                     timeout=60, env=world.env)
            said = [line for line in refused.stderr.splitlines() if line.startswith("maily: ")]
            check(refused.returncode == 3 and len(said) == 1 and "has format 2, this build reads 1" in said[0] and whose in said[0],
                  f"{store} of another format: exit {refused.returncode}: {refused.stderr}")


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2})
