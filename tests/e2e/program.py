"""Starts the real program for end-to-end tests, and speaks HTTP to it. Standard library only; loopback only."""
import argparse
import glob
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def need(modules, installed_by):
    """Goes on with an interpreter that has these modules: this one, or Debian's, whose packages are for it alone. Else the test is skipped."""
    if all(importlib.util.find_spec(name) is not None for name in modules):
        return
    debian = "/usr/bin/python3"
    if os.path.exists(debian) and os.environ.get("MAILY_TEST_PYTHON") != "tried":
        os.environ["MAILY_TEST_PYTHON"] = "tried"
        os.execv(debian, [debian, *sys.argv])
    print(f"skipped: no {', '.join(modules)} ({installed_by})")
    sys.exit(77)


class Failed(Exception):
    """A check of the test did not hold."""


class NotThere(Failed):
    """404: a view may show it in a moment."""


def check(condition, message):
    if not condition:
        raise Failed(message)


class Api:
    """A kept HTTP connection with the API key; answers (status, parsed JSON or bytes, headers)."""

    def __init__(self, port, key=None, timeout=120):
        self.port, self.key, self.timeout = port, key, timeout
        self.connection = None

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def call(self, method, path, body=None, headers=None, raw=False):
        headers = dict(headers or {})
        if self.key:
            headers.setdefault("Authorization", "Bearer " + self.key)
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        for attempt in (1, 2):
            try:
                if self.connection is None:
                    self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.timeout)
                self.connection.request(method, path, body=body, headers=headers)
                answer = self.connection.getresponse()
                data = answer.read()
                break
            except (http.client.RemoteDisconnected, ConnectionError, BrokenPipeError, http.client.CannotSendRequest):
                self.close()
                if attempt == 2:
                    raise
        found = {name.lower(): value for name, value in answer.getheaders()}
        if not raw and found.get("content-type", "").split(";")[0] in ("application/json", "application/problem+json"):
            return answer.status, json.loads(data) if data else None, found
        return answer.status, data, found

    def ok(self, method, path, body=None, headers=None):
        status, answer, _ = self.call(method, path, body, headers)
        if status == 404:
            raise NotThere(f"{method} {path}: {status} {answer}")
        check(200 <= status < 300, f"{method} {path}: {status} {answer}")
        return answer


class Process:
    """A real process with its output in a file."""

    def __init__(self, command, log, env=None):
        self.command, self.log_path = command, log
        self.log = open(log, "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=env)

    def alive(self):
        return self.process.poll() is None

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.close()

    def stop(self, timeout=40):
        if self.alive():
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed(f"{self.command[1]} did not stop within {timeout} s after SIGTERM")
        self.log.close()
        return code

    def tail(self, size=3000):
        with open(self.log_path, "rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - size))
            return file.read().decode(errors="replace")


def wait_for(what, test, seconds, process=None, every=0.05):
    """Polls `test` until it gives something true, through what is not there yet; fails with the process's last words."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = test()
        except NotThere:
            value = None
        if value:
            return value
        if process is not None and not process.alive():
            raise Failed(f"{what}: the process ended\n{process.tail()}")
        if time.monotonic() > end:
            raise Failed(f"{what}: not within {seconds} s\n{process.tail() if process else ''}")
        time.sleep(every)  # between polls of another process


AT_ONCE = 2.5  # s after its hand-over a mail's links are a person's to follow; before, they are a scanner's (signal_rules.h: kAtOnce)


class Kafka:
    """A broker by scripts/kafka.sh, with the topics of one log; gone when this process is."""

    def __init__(self, maily, base, partitions=16, brokers=1, settings=(), env=None):
        self.script = os.path.join(ROOT, "scripts", "kafka.sh")
        self.directory = os.path.join(base, "kafka")
        started = subprocess.run([self.script, *(["start"] if brokers == 1 else ["cluster", str(brokers)]), "--dir", self.directory, "--while", str(os.getpid())], capture_output=True, text=True, env=env)
        self.missing = started.stderr.strip() if started.returncode != 0 else ""
        if self.missing:
            return
        self.address = "kafka://" + started.stdout.strip().splitlines()[-1]
        made = subprocess.run([maily, "topics", "create", "--log", self.address, "--partitions", str(partitions), "--yes", *settings], capture_output=True, text=True)
        check(made.returncode == 0, f"topics: {made.stdout}{made.stderr}")

    def close(self):
        subprocess.run([self.script, "stop", "--dir", self.directory], check=False)


class World:
    """One closed world: a data directory, a sink and a server on loopback ports."""

    def __init__(self, maily, name, keep=False, settings=None):
        self.maily = os.path.abspath(maily)
        base = os.path.join(ROOT, "build", name)
        shutil.rmtree(base, ignore_errors=True)
        os.makedirs(base)
        self.base, self.keep = base, keep
        self.data = os.path.join(base, "data")
        self.port, self.smtp_port, self.sink_port = free_port(), free_port(), free_port()
        self.env = dict(os.environ, XDG_STATE_HOME=os.path.join(base, "state"))
        self.settings = settings or {}
        self.server = self.sink = None

    def start_sink(self, *extra):
        self.sink = Process([self.maily, "sink", "--listen", f"127.0.0.1:{self.smtp_port}", "--http", f"127.0.0.1:{self.sink_port}",
                             "--log", os.path.join(self.base, "received.log"), "--keep", os.path.join(self.base, "mails"), *extra],
                            os.path.join(self.base, "sink.out"), self.env)
        wait_for("sink", lambda: reachable(self.sink_port), 20, self.sink)

    def start_server(self, wait=True):
        command = [self.maily, "serve", "--data", self.data, "--listen", f"127.0.0.1:{self.port}", "--relay", f"127.0.0.1:{self.smtp_port}"]
        for name, value in self.settings.items():
            command += [f"--{name}", str(value)]
        self.server = Process(command, os.path.join(self.base, "server.out"), self.env)
        if wait:
            self.wait_ready()

    def wait_ready(self, seconds=60):
        def ready():
            try:
                return Api(self.port, timeout=5).call("GET", "/readyz")[0] == 200
            except OSError:
                return False
        wait_for("server", ready, seconds, self.server)

    def api(self):
        with open(os.path.join(self.data, "admin.key"), encoding="ascii") as file:
            return Api(self.port, file.read().strip())

    def sink_api(self):
        return Api(self.sink_port)

    def cli(self, *arguments, check_code=True, stdin=None):
        """Runs the command line against the server; gives (exit code, stdout, stderr)."""
        env = dict(self.env, MAILY_SERVER=f"http://127.0.0.1:{self.port}", MAILY_KEY_FILE=os.path.join(self.data, "admin.key"))
        done = subprocess.run([self.maily, *arguments], env=env, capture_output=True, text=True, input=stdin, timeout=600)
        if check_code:
            check(done.returncode == 0, f"maily {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode, done.stdout, done.stderr

    def close(self):
        for process in (self.server, self.sink):
            if process is not None and process.alive():
                process.kill()


class MovedClock:
    """A clock for processes that somebody moves (libfaketime). `missing` says why there is none; `env` is what they are started with."""

    def __init__(self, world):
        library = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        self.missing = "" if library else "libfaketime is not there (scripts/setup.sh --mail)"
        self.path = os.path.join(world.base, "clock")
        self.ahead = 0
        self.move(0)
        self.env = dict(world.env, LD_PRELOAD="".join(library[:1]), FAKETIME_TIMESTAMP_FILE=self.path, FAKETIME_NO_CACHE="1", FAKETIME_DONT_FAKE_MONOTONIC="1")

    def move(self, seconds):
        """From now on it is so far ahead of the machine's."""
        self.ahead = seconds
        with open(self.path + ".new", "w", encoding="ascii") as file:
            file.write(f"{round(seconds):+d}s\n")
        os.rename(self.path + ".new", self.path)

    def now(self):
        return time.time() + self.ahead

    def set(self, instant):
        """It shows this datetime now."""
        self.move(instant.timestamp() - time.time())


class Postgres:
    """A PostgreSQL server of this run's own (scripts/postgres.sh)."""

    SCRIPT = os.path.join(ROOT, "scripts/postgres.sh")

    def __init__(self, name):
        self.directory = f"/tmp/maily-postgres-{name}-{os.getpid()}"
        started = subprocess.run([self.SCRIPT, "start", "--dir", self.directory], capture_output=True, text=True, timeout=120)
        self.missing = started.returncode == 77
        check(self.missing or started.returncode == 0, f"{self.SCRIPT}: {started.stderr}")
        self.url = started.stdout.strip()

    def run(self, sql, user="maily"):
        """As superuser, or another; the lines of the answer."""
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", f"{self.url}&user={user}", "-c", sql], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, f"psql: {done.stderr}")
        return done.stdout.splitlines()

    def url_under_roles(self):
        """Makes the roles of deploy/postgres-roles.sql, a login `server` under them, and an analyst `ann` of tenant 1 and `ben` of 2."""
        with open(os.path.join(ROOT, "deploy/postgres-roles.sql"), encoding="utf-8") as file:
            self.run(file.read())
        self.run("CREATE ROLE server LOGIN IN ROLE maily_owner, maily_writer; CREATE ROLE ann LOGIN IN ROLE maily_analyst; "
                 "CREATE ROLE ben LOGIN IN ROLE maily_analyst")
        return self.url + "&user=server"

    def stop(self):
        subprocess.run([self.SCRIPT, "stop", "--dir", self.directory], check=False, timeout=60)


def reachable(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2):
            return True
    except OSError:
        return False


def quote(text):
    return urllib.parse.quote(text, safe="")


def run_test(test, flags=None, **of_world):
    """`test(world)` of the program that calls this, in a world named like it. Prints ok and what it gives; or why not, and exits 1. `flags`: more of
    them, by name what argparse is told; `world.arguments` has them."""
    program = sys.modules["__main__"]
    name = os.path.splitext(os.path.basename(program.__file__))[0]
    parser = argparse.ArgumentParser(description=program.__doc__)
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    for flag, how in (flags or {}).items():
        parser.add_argument(flag, **how)
    arguments = parser.parse_args()
    world = World(arguments.maily, name, **of_world)
    world.arguments = arguments
    try:
        said = test(world)
    except Failed as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        world.close()
    print(f"ok: {said}" if said else "ok")
