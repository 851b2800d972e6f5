"""One installation of Maily for the equivalence suite: a log, read models, one process or three, and a sink that refuses some mail."""
import json
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "e2e"))
from program import AT_ONCE, Api, Failed, Kafka, Postgres, Process, ROOT, check, free_port, reachable, wait_for  # noqa: E402,F401

PARTITIONS = 16
# What the sink refuses: an address that does not exist, a mail that is not wanted, and one to be tried again later.
GONE, REFUSED, LATER = "gone.test", "refused.test", "later.test"
RULES = [f"rcpt:*@{GONE}=550 5.1.1 no such user", f"dot:*@{REFUSED}=554 5.7.1 not wanted"]
RULE_LATER = f"rcpt:*@{LATER}=451 4.2.0 busy"


UNREACHABLE = 5  # exit code: a broker does not answer yet


def say(text):
    print(text, flush=True)


def await_true(what, test, seconds):
    """As wait_for, where a time in which this process itself was stopped does not count."""
    left, last = seconds, time.monotonic()
    while not test():
        now = time.monotonic()
        left, last = left - min(now - last, 2), now
        if left < 0:
            raise Failed(f"{what}: not within {seconds} s")
        time.sleep(0.05)  # between polls of another process


class Services:
    """A broker and a PostgreSQL that all sites of a run share, each with a prefix of topics and a database of its own."""

    def __init__(self, maily, base):
        self.maily, self.base = os.path.abspath(maily), base
        shutil.rmtree(base, ignore_errors=True)
        os.makedirs(base)
        self.postgres = Postgres("equivalence")
        self.kafka = None
        self.missing = "PostgreSQL is not installed (scripts/setup.sh --postgres)" if self.postgres.missing else ""
        if not self.missing:
            self.kafka = Kafka(self.maily, base, PARTITIONS)
            self.missing = f"no Kafka here: {self.kafka.missing}" if self.kafka.missing else ""
        if not self.missing and shutil.which("kcat") is None:
            self.missing = "kcat is not installed (scripts/setup.sh --kafka)"

    @property
    def brokers(self):
        return self.kafka.address.removeprefix("kafka://")

    def log(self, prefix, make=True):
        """The address of a log of its own; with `make` its topics are there."""
        address = f"{self.kafka.address}/{prefix}"
        def made():
            done = subprocess.run([self.maily, "topics", "create", "--log", address, "--partitions", str(PARTITIONS), "--yes"], env=self.env(),
                                  capture_output=True, text=True)
            check(done.returncode in (0, UNREACHABLE), f"topics of {address}: {done.stdout}{done.stderr}")
            return done.returncode == 0
        if make:
            await_true(f"topics of {address}", made, 60)
        return address

    def run_in(self, database, sql):
        """The lines of the answer, cells parted by |."""
        url = self.postgres.url.replace("///maily?", f"///{database}?")
        done = subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql], capture_output=True, text=True, timeout=120)
        check(done.returncode == 0, f"psql: {done.stderr}")
        return done.stdout.splitlines()

    def database(self, name):
        self.postgres.run(f"CREATE DATABASE {name}")
        return self.postgres.url.replace("///maily?", f"///{name}?")

    def maily_says(self, *arguments, env=None, code=0):
        done = subprocess.run([self.maily, *arguments], env=env or self.env(), capture_output=True, text=True, timeout=900)
        check(done.returncode == code, f"maily {' '.join(arguments)}: exit {done.returncode}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done.stdout

    def env(self):
        return dict(os.environ, XDG_STATE_HOME=os.path.join(self.base, "state"))

    def close(self):
        if self.kafka is not None and not self.kafka.missing:
            self.kafka.close()
        self.postgres.stop()


class Site:
    """`log`: rocks or kafka; `db`: sqlite or postgres; `processes`: 1, or 3 that share out the partitions (kafka and postgres only).
    `patience`: of three, one that was killed stays away until heal(); else it is started again at once, and the others take over less."""

    def __init__(self, services, name, log, db, processes=1, delay_ms=0, seed=1, patience=True):
        self.services, self.name, self.processes = services, name, processes
        self.base = os.path.join(services.base, name)
        os.makedirs(self.base)
        self.delay_ms, self.seed, self.patience = delay_ms, seed, patience
        self.smtp_port, self.sink_port = free_port(), free_port()
        self.settings = {"relay": f"127.0.0.1:{self.smtp_port}", "partitions": PARTITIONS}
        self.log_address = services.log(name) if log == "kafka" else ""
        if self.log_address:
            self.settings["log"] = self.log_address
        if db == "postgres":
            self.settings["db"] = services.database(name.replace("-", "_"))
        if processes > 1:
            self.settings.update(keyring=self.settings["db"], root_key=os.path.join(self.base, "root.key"), lead="group", http_threads=1)
        self.ports = [free_port() for _ in range(processes)]
        self.running = [None] * processes
        self.sink = None
        self.kills = self.resolved = 0
        self._api = None

    def data(self, number=0):
        return os.path.join(self.base, f"data{number}")

    # The sink.

    def start_sink(self, *rules):
        """With these rules beside the ones that always hold; goes on with the mails that it had."""
        if self.sink is not None and self.sink.alive():
            self.sink.stop()
        command = [self.services.maily, "sink", "--listen", f"127.0.0.1:{self.smtp_port}", "--http", f"127.0.0.1:{self.sink_port}",
                   "--log", os.path.join(self.base, "received.log"), "--keep", os.path.join(self.base, "mails"),
                   "--delay-ms", str(self.delay_ms), "--drop-after-dot", "0.02", "--seed", str(self.seed)]
        for rule in [*RULES, *rules]:
            command += ["--reply", rule]
        self.sink = Process(command, os.path.join(self.base, "sink.out"))
        wait_for("sink", lambda: reachable(self.sink_port), 30, self.sink)

    def mails(self):
        return Api(self.sink_port).ok("GET", "/counts")["mails"]

    # The processes.

    def start(self, number=0, wait=True):
        command = [self.services.maily, "serve", "--data", self.data(number), "--listen", f"127.0.0.1:{self.ports[number]}"]
        for name, value in self.settings.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        env = dict(self.services.env(), XDG_STATE_HOME=os.path.join(self.base, "state"))
        self.running[number] = Process(command, os.path.join(self.base, f"server{number}.out"), env)
        if wait:
            self.wait_ready(number)

    def start_all(self):
        self.start_sink(RULE_LATER)
        for number in range(self.processes):
            self.start(number, wait=False)
        for number in range(self.processes):
            self.wait_ready(number)

    def wait_ready(self, number):
        def ready():
            check(self.running[number].alive(), f"{self.name}: process {number} ended\n{self.running[number].tail()}")
            try:
                return Api(self.ports[number], timeout=5).call("GET", "/readyz")[0] == 200
            except OSError:
                return False
        await_true(f"{self.name}: process {number} ready", ready, 150)

    def kill(self):
        """kill -9 of the next process in turn."""
        number = self.kills % self.processes
        self.heal()
        self.running[number].kill()
        self.kills += 1
        if self._api:
            self._api.close()
        if self.processes == 1 or not self.patience:
            self.start(number, wait=self.processes == 1)

    def heal(self):
        """Starts again who was killed."""
        for number, process in enumerate(self.running):
            if process is not None and not process.alive():
                self.start(number)

    def stop(self):
        self.heal()
        for number, process in enumerate(self.running):
            check(process.stop() == 0, f"{self.name}: process {number} did not stop in order\n{process.tail()}")
        self.running = [None] * self.processes
        self._api = None

    def close(self):
        for process in [*self.running, self.sink]:
            if process is not None and process.alive():
                process.kill()

    def api(self):
        """Of a process that lives."""
        if self._api is None or not self.running[self.ports.index(self._api.port)].alive():
            number = next(n for n, process in enumerate(self.running) if process is not None and process.alive())
            with open(os.path.join(self.data(number), "admin.key"), encoding="ascii") as file:
                self._api = Api(self.ports[number], file.read().strip(), timeout=60)
        return self._api

    def cli(self, *arguments, code=0):
        api = self.api()
        env = dict(self.services.env(), MAILY_SERVER=f"http://127.0.0.1:{api.port}", MAILY_KEY=api.key)
        done = subprocess.run([self.services.maily, *arguments], env=env, capture_output=True, text=True, timeout=600)
        if code is not None:
            check(done.returncode == code, f"{self.name}: maily {' '.join(arguments)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode, done.stdout

    # Requests that are asked until they are decided, whatever dies meanwhile.

    def ask(self, method, path, body=None, key=None, seconds=150):
        """The decided answer: (status, answer, headers). `key`: of idempotency; the same request under it has one outcome."""
        headers = {"Idempotency-Key": key} if key else {}
        decided = []

        def ask():
            try:
                status, answer, found = self.api().call(method, path, body, headers)
            except OSError as error:
                status, answer, found = 0, str(error), {}
                self._api.close()
            decided[:] = [status, answer, found]
            under_way = status == 409 and isinstance(answer, dict) and answer.get("code") == "request_under_way"
            return (status not in (0, 202, 503) and not under_way) or (status == 202 and path.endswith(":batch"))  # there: verdicts of each
        await_true(f"{self.name}: {method} {path} decided", ask, seconds)
        return tuple(decided)

    def ok(self, method, path, body=None, key=None):
        status, answer, _ = self.ask(method, path, body, key)
        check(200 <= status < 300, f"{self.name}: {method} {path}: {status} {answer}")
        return answer

    def pages(self, path):
        """All items of a list."""
        items, token = [], ""
        while True:
            joined = "&" if "?" in path else "?"
            answer = self.ok("GET", f"{path}{joined}page_size=1000" + (f"&page_token={token}" if token else ""))
            items += answer["items"]
            token = answer.get("next_page_token")
            if not token:
                return items
