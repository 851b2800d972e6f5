#!/usr/bin/env python3
"""A full disk: appends are refused with a clear error, reads go on, and it recovers when space returns.

Runs on a small tmpfs in a mount namespace of its own; skipped (and says so) where that is not allowed.
"""
import argparse
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from program import Failed, ROOT, World, check, wait_for  # noqa: E402

SIZE_MB = 320


def inside(arguments):
    world = World(arguments.maily, "full_disk", settings={"partitions": 2})
    os.makedirs(world.data)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", world.data], check=True)
    filler = os.path.join(world.data, "filler")
    try:
        world.start_server()
        api = world.api()
        status, _, _ = api.call("POST", "/v1/contacts", {"email": "before@example.com"})
        check(status in (200, 201), f"before: {status}")
        with open(filler, "wb", buffering=0) as file:  # nothing of it is left to be written at its end
            try:
                while True:
                    file.write(b"\0" * (1 << 20))
            except OSError:
                pass  # full
        numbers = iter(range(100_000))

        def refused():
            # What is still taken is decided, in the tenant's home too, and no view can show it: they have no space either.
            status, answer, headers = api.call("POST", "/v1/lists", {"name": f"during{next(numbers)}"})
            return (answer, headers) if status == 503 and "space" in answer["message"] else None
        answer, headers = wait_for("a refusal", refused, 30, world.server)
        check("retry-after" in headers, f"during: {answer}")
        # What needs the registered attributes, and the contact's key, is told the same, at once.
        for email in ("before", "during"):
            began = time.monotonic()
            status, answer, headers = api.call("POST", "/v1/contacts", {"email": f"{email}@example.com", "attributes": {"city": "Rome"}})
            check(status == 503 and "space" in answer["message"] and "retry-after" in headers, f"a contact during: {status} {answer}")
            check(time.monotonic() - began < 3, "a contact during: waited for the views")
        check(api.ok("GET", "/v1/contacts?email=before%40example.com")["items"], "reads do not go on")
        os.remove(filler)

        def back():
            return api.call("POST", "/v1/contacts", {"email": "after@example.com"})[0] in (200, 201)
        wait_for("writes after space returned", back, 60, world.server, every=0.5)
        check(world.server.stop() == 0, "SIGTERM")
        world.start_server()
        api = world.api()
        for email in ("before", "after"):
            check(api.ok("GET", f"/v1/contacts?email={email}%40example.com")["items"], f"{email} is lost")
    finally:
        world.close()
        subprocess.run(["umount", world.data], check=False)
    print("ok")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.inside:
        return inside(arguments)
    allowed = subprocess.run(["unshare", "--mount", "true"], capture_output=True)
    if allowed.returncode != 0:
        print("skipped: mount namespaces are not allowed here")
        return None
    sys.exit(subprocess.run(["unshare", "--mount", sys.executable, os.path.abspath(__file__), "--maily", arguments.maily, "--inside"]).returncode)


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
