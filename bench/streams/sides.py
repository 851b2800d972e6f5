"""The two sides of ./dev bench streams as processes: started, watched while they drain a topic, measured from the outside, ended.

Both print the same lines: "state SECONDS WORD" and "progress SECONDS RECORDS". What a process costs is read from /proc: utime + stime of all its
threads, and its peak of resident memory.
"""
import os
import shutil
import subprocess
import tempfile
import threading
import time

from form import Missing, ROOT, note

PARTITIONS = 4
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "maily")
PEER = os.path.join(ROOT, "bench/peers/kafka-streams")
JVM = ["-Xms1g", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


class Broker:
    """One broker by scripts/kafka.sh, set up as Kafka's own start script does, with everything that is in it; gone when this process is."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="maily-bench-streams-")
        self.home = os.path.join(self.directory, "kafka")
        done = subprocess.run([os.path.join(ROOT, "scripts/kafka.sh"), "start", "--full", "--dir", self.home, "--while", str(os.getpid())],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            shutil.rmtree(self.directory)
            raise Missing(f"no broker: {done.stderr.strip()[-300:]}")
        self.servers = done.stdout.split()[-1]
        with open(os.path.join(self.home, "1/pid"), encoding="ascii") as file:
            self.pid = int(file.read())

    def close(self):
        subprocess.run([os.path.join(ROOT, "scripts/kafka.sh"), "stop", "--dir", self.home], capture_output=True, check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


class Peer:
    """Kafka Streams and the tools beside it, compiled once from bench/peers/kafka-streams."""

    def __init__(self, build):
        self.classes = os.path.join(build, "bench/kafka-streams")
        with open(os.path.join(PEER, "pom.xml"), encoding="utf-8") as file:
            version = file.read().split("<kafka.version>")[1].split("<")[0]
        self.version = version
        self.jars = os.path.join(CACHE, f"kafka-streams-{version}/jars")
        if not os.path.exists(os.path.join(self.jars, f"kafka-streams-{version}.jar")):
            note("    fetching Kafka Streams")
            self.must(["mvn", "-q", "-B", "-f", os.path.join(PEER, "pom.xml"), "dependency:copy-dependencies", "-DincludeScope=runtime",
                       f"-DoutputDirectory={self.jars}"])
        sources = os.path.join(PEER, "src/main/java/maily/peers")
        self.must(["javac", "-d", self.classes, "-cp", self.jars + "/*"] + [os.path.join(sources, name) for name in sorted(os.listdir(sources))])

    @staticmethod
    def must(command):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Missing(f"{command[0]}: {(done.stdout + done.stderr).strip()[-300:]}")
        return done.stdout

    def java(self, tool, *arguments):
        return ["java", *JVM, "-cp", f"{self.classes}:{self.jars}/*", f"maily.peers.{tool}", *map(str, arguments)]

    def run(self, tool, *arguments):
        return self.must(self.java(tool, *arguments))

    def verify(self, servers, topic):
        words = self.run("Verify", servers, topic).split()
        return {words[i]: int(words[i + 1]) for i in range(0, len(words), 2)}


class Side:
    """A process that drains the input. Close it, whatever happens."""

    def __init__(self, command, broker):
        self.broker = broker
        self.samples = []  # (seconds, records, CPU seconds of the process, of the broker)
        self.states = {}  # word -> when it was first said
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)
        self.changed = threading.Condition()
        self.ended = False
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            words = line.split()
            if len(words) == 3 and words[0] == "state":
                with self.changed:
                    self.states.setdefault(words[2], time.monotonic())
                    self.changed.notify_all()
            if len(words) < 3 or words[0] != "progress":
                continue
            try:
                sample = (float(words[1]), int(words[2]), cpu_seconds(self.process.pid), cpu_seconds(self.broker.pid))
            except (OSError, ValueError):
                break
            with self.changed:
                self.samples.append(sample)
                self.changed.notify_all()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def reach(self, records, seconds):
        """The first sample with so many records."""
        end = time.monotonic() + seconds
        with self.changed:
            while not self.samples or self.samples[-1][1] < records:
                if self.ended or time.monotonic() > end:
                    self.errors.seek(0)
                    last = self.errors.read().decode(errors="replace").strip()[-300:]
                    raise Missing(f"{self.samples[-1][1] if self.samples else 0} of {records} records{' when it ended' if self.ended else ''}: {last}")
                self.changed.wait(1)
            return next(sample for sample in self.samples if sample[1] >= records)

    def say(self, word, seconds):
        """When it said so."""
        with self.changed:
            if not self.changed.wait_for(lambda: word in self.states or self.ended, seconds) or word not in self.states:
                raise Missing(f"it was not {word} in {seconds} s")
            return self.states[word]

    def drain(self, warm, records, seconds):
        """What the records after the first `warm` ones took."""
        begin = self.reach(warm, seconds)
        end = self.reach(records, seconds)
        count = end[1] - begin[1]
        if end[0] <= begin[0]:
            raise Missing("it was too fast to be measured: more records are needed")
        return {"wall": count / (end[0] - begin[0]), "cpu": count / (end[2] - begin[2]), "broker_us": (end[3] - begin[3]) / count * 1e6,
                "memory": peak_bytes(self.process.pid)}

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
        self.reader.join()
        self.errors.close()
