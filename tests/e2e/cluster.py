"""Several maily processes on one log, one database and one keyring, for end-to-end and torture tests."""
import argparse
import os
import shutil
import signal
import sys

from program import Api, Failed, Kafka, Postgres, Process, ROOT, check, free_port, reachable, wait_for


class Member:
    """One `maily serve` of several, with a data directory and a port of its own."""

    def __init__(self, cluster, name, **settings):
        self.cluster, self.name = cluster, name
        self.data = os.path.join(cluster.base, name)
        self.port = free_port()
        self.settings = settings
        self.process = None

    def start(self):
        settings = {**self.cluster.settings, "data": self.data, "listen": f"127.0.0.1:{self.port}", **self.settings}
        command = [self.cluster.maily, "serve"]
        for name, value in settings.items():
            command += [f"--{name.replace('_', '-')}", str(value)]
        self.process = Process(command, os.path.join(self.cluster.base, f"{self.name}.out"), self.cluster.env)
        return self

    def alive(self):
        return self.process is not None and self.process.alive()

    def signal(self, number):
        self.process.process.send_signal(number)

    def readyz(self, timeout=5):
        """(status, reason); (0, …) while nobody answers."""
        api = Api(self.port, timeout=timeout)
        try:
            status, answer, _ = api.call("GET", "/readyz")
            return status, answer["reason"]
        except OSError as error:
            return 0, str(error)
        finally:
            api.close()

    def wait_ready(self, seconds=90):
        wait_for(f"{self.name} ready", lambda: self.readyz()[0] == 200, seconds, self.process)
        return self

    def api(self, timeout=120):
        with open(os.path.join(self.data, "admin.key"), encoding="ascii") as file:
            return Api(self.port, file.read().strip(), timeout)

    def leads(self):
        """Partitions that it leads."""
        return [p["partition"] for p in self.api().ok("GET", "/v1/instance")["partitions"] if p["state"] == "leading"]

    def folds(self):
        """Projection groups that it folds."""
        return [g["name"] for g in self.api().ok("GET", "/v1/projections")["items"] if g["folded_here"]]


class Cluster:
    """A broker (or `brokers`), a PostgreSQL, a sink, and the settings that all members share."""

    def __init__(self, maily, name, partitions=16, brokers=1):
        self.maily = os.path.abspath(maily)
        self.base = os.path.join(ROOT, "build", name)
        shutil.rmtree(self.base, ignore_errors=True)
        os.makedirs(self.base)
        self.env = dict(os.environ, XDG_STATE_HOME=os.path.join(self.base, "state"))
        self.members, self.sink, self.kafka = [], None, None
        self.smtp_port, self.sink_port = free_port(), free_port()
        self.postgres = Postgres(name)
        self.missing = "PostgreSQL is not installed (scripts/setup.sh --postgres)" if self.postgres.missing else ""
        if self.missing:
            return
        self.kafka = Kafka(self.maily, self.base, partitions, brokers)
        if self.kafka.missing:
            self.missing = f"no Kafka here: {self.kafka.missing}"
            return
        self.settings = {"log": self.kafka.address, "db": self.postgres.url, "keyring": self.postgres.url,
                         "root_key": os.path.join(self.base, "root.key"), "relay": f"127.0.0.1:{self.smtp_port}"}

    def member(self, name, **settings):
        member = Member(self, name, **settings)
        self.members.append(member)
        return member

    def start_sink(self, *extra):
        self.sink = Process([self.maily, "sink", "--listen", f"127.0.0.1:{self.smtp_port}", "--http", f"127.0.0.1:{self.sink_port}",
                             "--log", os.path.join(self.base, "received.log"), *extra], os.path.join(self.base, "sink.out"), self.env)
        wait_for("sink", lambda: reachable(self.sink_port), 20, self.sink)

    def close(self):
        for member in self.members:
            if member.alive():
                member.signal(signal.SIGCONT)
                member.process.kill()
        if self.sink is not None and self.sink.alive():
            self.sink.kill()
        if self.kafka is not None and not self.kafka.missing:
            self.kafka.close()
        self.postgres.stop()


def run_cluster(test, partitions):
    """`test(cluster)` of the program that calls this, in a cluster named like it. Prints ok and what it gives, and exits 0; or why not, with each
    member's last words, and exits 1; or what is missing here, and exits 77."""
    program = sys.modules["__main__"]
    name = os.path.splitext(os.path.basename(program.__file__))[0]
    parser = argparse.ArgumentParser(description=program.__doc__)
    parser.add_argument("--maily", default=os.path.join(ROOT, "build/release/app/maily"))
    cluster = Cluster(parser.parse_args().maily, name, partitions)
    try:
        if cluster.missing:
            print(f"skipped: {cluster.missing}")
            sys.exit(77)
        print(f"ok: {test(cluster)}")
    except Failed as error:
        print(f"{name}: {error}", file=sys.stderr)
        for member in cluster.members:
            print(f"--- {member.name}: {member.readyz()}\n{member.process.tail(1500) if member.process else ''}", file=sys.stderr)
        sys.exit(1)
    finally:
        cluster.close()
