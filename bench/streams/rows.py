"""The rows of ./dev bench streams: workload W1, keyed count, ours beside Kafka Streams on the same broker in the same run."""
import os
import shutil
import time

from form import Missing, note
from streams.sides import PARTITIONS, Broker, Peer, Side

EOS = "exactly_once_v2"
ALO = "at_least_once"
HOT_KEYS = 1_000
UNIFORM_KEYS = 1_000_000
BEYOND_KEYS = 10_000_000
# Of our state, so that about 1 M of the small entries of this workload fit.
CACHE_MB_MILLION = 144
# RocksDB's block cache beyond our own: as much as the four stores of Kafka Streams have (50 MB each), which have their memtables besides.
BLOCK_CACHE_MB = 190
SECONDS_MAX = 600  # of one side
# A member that is known again need not wait until the dead one's session ends.
KNOWN_AGAIN = ["consumer.group.instance.id=bench", "consumer.session.timeout.ms=6000"]
SHAPES = {"count0": "groupByKey().count(), cache 0", "processor": "its best shape, a Processor over a cached store",
          "count": "groupByKey().count(), default cache, deduplicated output"}


class Rows:
    def __init__(self, build, samples, arguments):
        self.build, self.samples, self.arguments = build, samples, arguments
        self.program = os.path.join(build, "bench/streams_keyed_count")
        self.count = 0
        self.broker = None
        self.peer = None

    # ---- one run of one side ----

    def open(self):
        if not os.path.exists(self.program):
            raise Missing(f"{self.program} is not built")
        self.peer = self.peer or Peer(self.build)
        self.broker = Broker()

    def close(self):
        if self.broker:
            self.broker.close()
        self.broker = None

    def fresh(self, what):
        """A name for topics, and a directory for state, that nobody has used."""
        self.count += 1
        name = f"{what}{self.count}"
        return name, os.path.join(self.broker.directory, name)

    def topic(self, name, records=0, keys=1, *more):
        self.peer.run("Load", self.broker.servers, name, PARTITIONS, records, keys, *more)
        return name

    def ours(self, topic, out, prefix, directory, *more):
        where = ["--topic", topic] if topic else []
        return Side([self.program, "--servers", self.broker.servers, "--prefix", prefix, "--dir", directory, "--out", out, *where, *more], self.broker)

    def theirs(self, topic, out, application, directory, shape, guarantee, *more):
        return Side(self.peer.java("KeyedCount", self.broker.servers, application, topic, out, directory, shape, guarantee, *more), self.broker)

    def check(self, out, records, deduplicated=False):
        """An independent client reads the output: each update once."""
        seen = self.peer.verify(self.broker.servers, out)
        wrong = seen["repeated"] + (0 if deduplicated else seen["missing"])
        if seen["sum"] != records or wrong > 0:
            raise Missing(f"the output is wrong: {seen}, {records} were put in")

    def measure(self, what, side, out, warm, records, deduplicated=False):
        try:
            figures = side.drain(warm, records, SECONDS_MAX)
        finally:
            side.close()
        self.check(out, records, deduplicated)
        note(f"    {what}: {figures['wall']:,.0f}/s, {figures['cpu']:,.0f} a CPU-second, broker {figures['broker_us']:.2f} us a record, "
             f"{figures['memory'] >> 20} MB")
        return figures

    def run_ours(self, what, topic, warm, records, *more, prefix=None):
        name, directory = self.fresh("ours")
        out = self.topic(name + ".out")
        try:
            return self.measure(what, self.ours(topic, out, prefix or name, directory, *more), out, warm, records)
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def run_framed(self, what, keys, warm, records, *more):
        prefix, directory = self.fresh("framed")
        self.peer.must([self.program, "--servers", self.broker.servers, "--prefix", prefix, "--dir", directory, "--load", str(records), "--keys", str(keys)])
        return self.run_ours(what, None, warm, records, *more, prefix=prefix)

    def run_theirs(self, shape, guarantee, topic, warm, records):
        name, directory = self.fresh("theirs")
        out = self.topic(name + ".out")
        try:
            # Without transactions it commits every 30 s if not told otherwise, and what it has done is known from its commits.
            often = ["commit.interval.ms=1000"] if guarantee == ALO else []
            side = self.theirs(topic, out, name, directory, shape, guarantee, *often)
            return self.measure(f"Kafka Streams {guarantee} {shape}", side, out, warm, records, deduplicated=shape == "count")
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def add(self, row, ours, theirs, shape, guarantee=EOS, figure="cpu", unit="records/CPU-s"):
        self.samples.add(row, unit, ours[figure], theirs[figure], f"Kafka Streams {self.peer.version} {guarantee}, {SHAPES[shape]}")

    # ---- rows ----

    def hot(self):
        warm, records = self.arguments.warm, self.arguments.records
        self.open()
        try:
            topic = self.topic("hot", records, HOT_KEYS)
            for _ in range(self.arguments.rounds):
                ours = self.run_ours("ours", topic, warm, records)
                plain = self.run_theirs("count0", EOS, topic, warm, records)
                framed = self.run_framed("ours, framed", HOT_KEYS, warm, records)
                best = self.run_theirs("processor", EOS, topic, warm, records)
                self.add("hot_cpu", ours, plain, "count0")
                self.add("hot_wall", ours, plain, "count0", figure="wall", unit="records/s")
                self.add("hot_broker", ours, plain, "count0", figure="broker_us", unit="broker us/record")
                self.add("hot_memory", ours, plain, "count0", figure="memory", unit="bytes, peak")
                self.add("hot_best_cpu", ours, best, "processor")
                self.add("hot_framed_cpu", framed, plain, "count0")
                self.add("hot_best_framed_cpu", framed, best, "processor")
        finally:
            self.close()

    def others(self):
        """What the shapes and the guarantee are worth to Kafka Streams, once."""
        warm, records = self.arguments.warm, self.arguments.records
        self.open()
        try:
            topic = self.topic("hot", records, HOT_KEYS)
            ours = self.run_ours("ours", topic, warm, records)
            for row, shape, guarantee in [("others_default_cpu", "count", EOS), ("others_alo_cpu", "count0", ALO), ("others_alo_best_cpu", "processor", ALO),
                                          ("others_alo_default_cpu", "count", ALO)]:
                self.add(row, ours, self.run_theirs(shape, guarantee, topic, warm, records), shape, guarantee)
        finally:
            self.close()

    def uniform(self):
        warm, records = self.arguments.uniform_warm, self.arguments.uniform_records
        self.open()
        try:
            topic = self.topic("uniform", records, UNIFORM_KEYS)
            for _ in range(self.arguments.rounds):
                ours = self.run_ours("ours", topic, warm, records)
                theirs = self.run_theirs("count0", EOS, topic, warm, records)
                framed = self.run_framed("ours, framed", UNIFORM_KEYS, warm, records)
                self.add("uniform_cpu", ours, theirs, "count0")
                self.add("uniform_wall", ours, theirs, "count0", figure="wall", unit="records/s")
                self.add("uniform_memory", ours, theirs, "count0", figure="memory", unit="bytes, peak")
                self.add("uniform_framed_cpu", framed, theirs, "count0")
        finally:
            self.close()

    def beyond_cache(self):
        warm, records = self.arguments.beyond_warm, self.arguments.beyond_records
        small = ["--cache-mb", str(CACHE_MB_MILLION), "--block-cache-mb", str(BLOCK_CACHE_MB)]
        self.open()
        try:
            topic = self.topic("beyond", records, BEYOND_KEYS)
            for _ in range(self.arguments.rounds):
                ours = self.run_ours("ours", topic, warm, records, *small)
                theirs = self.run_theirs("count0", EOS, topic, warm, records)
                framed = self.run_framed("ours, framed", BEYOND_KEYS, warm, records, *small)
                self.add("beyond_cache_cpu", ours, theirs, "count0")
                self.add("beyond_cache_framed_cpu", framed, theirs, "count0")
        finally:
            self.close()

    def latency(self):
        self.open()
        try:
            note("    a run that does not count: the broker gets warm")
            self.latency_of(lambda *names: self.ours(*names))
            for _ in range(self.arguments.rounds):
                ours = self.latency_of(lambda *names: self.ours(*names))
                theirs = self.latency_of(lambda *names: self.theirs(*names, "count0", EOS))
                for figure in ["p50", "p99"]:
                    self.add(f"latency_{figure}", ours, theirs, "count0", figure=figure, unit="ms")
        finally:
            self.close()

    def latency_of(self, start):
        name, directory = self.fresh("latency")
        topic, out = self.topic(name), self.topic(name + ".out")
        side = start(topic, out, name, directory)
        try:
            side.reach(0, 60)
            time.sleep(5)  # it joins its group, or claims its partitions
            words = self.peer.run("Latency", self.broker.servers, topic, out, self.arguments.rate, HOT_KEYS, 50, 30).split()
        finally:
            side.close()
            shutil.rmtree(directory, ignore_errors=True)
        note(f"    {' '.join(words)}")
        return {words[i]: float(words[i + 1]) for i in range(0, len(words), 2)}

    def kill(self):
        """kill -9 in the middle, twice; then the output, read by another client, has each update once."""
        records = self.arguments.records // 2
        self.open()
        try:
            topic = self.topic("kill", records, HOT_KEYS)
            wrong = []
            for start in [self.ours, lambda *names: self.theirs(*names, "count0", EOS)]:
                name, directory = self.fresh("kill")
                out = self.topic(name + ".out")
                for part in [0.3, 0.6, None]:
                    side = start(topic, out, name, directory)
                    try:
                        if part is None:
                            side.reach(records, SECONDS_MAX)
                        else:
                            side.reach(int(records * part), SECONDS_MAX)
                            side.kill()
                    finally:
                        side.close()
                seen = self.peer.verify(self.broker.servers, out)
                note(f"    {name}: {seen}")
                wrong.append(seen["repeated"] + seen["missing"] + abs(seen["sum"] - records))
            self.samples.add("kill", "updates wrong", wrong[0], wrong[1], f"Kafka Streams {self.peer.version} {EOS}, read_committed")
        finally:
            self.close()

    def restart(self, keys, row):
        """kill -9 with so many keys of state, while there is more to count: how long until the first new decision, and until all is counted."""
        records = keys + self.arguments.records // 4
        self.open()
        try:
            topic = self.topic("restart", records, keys, "in-order")
            name = f"Kafka Streams {self.peer.version} {EOS}, {SHAPES['count0']}, static membership"
            for _ in range(self.arguments.rounds):
                ours = self.killed(self.ours, topic, keys, records, lambda side, before: side.say("deciding", SECONDS_MAX))
                theirs = self.killed(lambda *names: self.theirs(*names, "count0", EOS, *KNOWN_AGAIN), topic, keys, records, self.next_commit)
                self.samples.add(f"first_decision_{row}", "s", ours[0], theirs[0], name)
                self.samples.add(f"caught_up_{row}", "s", ours[1], theirs[1], name)
        finally:
            self.close()

    @staticmethod
    def next_commit(side, before):
        side.reach(before + 1, SECONDS_MAX)
        return time.monotonic()

    def killed(self, start, topic, keys, records, first):
        name, directory = self.fresh("restart")
        out = self.topic(name + ".out")
        side = start(topic, out, name, directory)
        try:
            before = side.reach(keys, 2 * SECONDS_MAX)[1]
            side.kill()
            before = max(before, side.samples[-1][1])
        finally:
            side.close()
        if before >= records:
            raise Missing("everything was counted before the kill: more records are needed")
        begin = time.monotonic()
        side = start(topic, out, name, directory)
        try:
            figures = (first(side, before) - begin, (side.reach(records, SECONDS_MAX), time.monotonic())[1] - begin)
        finally:
            side.close()
            shutil.rmtree(directory, ignore_errors=True)
        self.check(out, records)
        note(f"    {name}: killed after {before:,}; first decision after {figures[0]:.2f} s, caught up after {figures[1]:.2f} s")
        return figures
