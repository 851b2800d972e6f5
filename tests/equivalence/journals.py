"""One recorded journal on every combination of log and database: digests of the read models, and public topics as kcat reads them."""
import json
import os
import shutil
import sqlite3
import time

import public_topics
from sites import Api, Failed, Process, check, free_port, say, wait_for

ROWS_SHOWN = 5


def clone(data, to, with_log):
    """What reading a journal needs of a data directory: the keys, and an embedded log."""
    os.makedirs(to)
    shutil.copytree(os.path.join(data, "keys"), os.path.join(to, "keys"))
    if with_log:
        shutil.copytree(os.path.join(data, "log"), os.path.join(to, "log"))
    return to


class Folded:
    """Read models of one journal, folded on one combination; `where` says where their rows are."""

    def __init__(self, services, name, data, log, url):
        self.services, self.name, self.data, self.log, self.url = services, name, data, log, url
        settings = ["--data", data, "--log", log or "rocks", "--db", url or "sqlite"]
        began = time.monotonic()
        said = json.loads(services.maily_says("store", "digest", *settings, "--output", "json"))
        self.seconds = time.monotonic() - began
        self.lsns = said["lsns"]
        self.groups = {group["name"]: group["digest"] for group in said["groups"]}
        self.tables = {f"{group['name']}.{table['table']}": (table["rows"], table["digest"]) for group in said["groups"] for table in group["tables"]}

    def rows(self, table):
        """All rows of a table, as texts."""
        group, name = table.split(".")
        if self.url:
            database = self.url.split("///")[1].split("?")[0]
            place = self.services.run_in(database, f"SELECT live FROM maily.live WHERE read_models = '{group}'")[0]
            return self.services.run_in(database, f'SELECT * FROM "{place}".{name}')
        with open(os.path.join(self.data, "views", f"{group}.live"), encoding="ascii") as pointer:
            place = pointer.readline().strip()
        connection = sqlite3.connect(os.path.join(self.data, "views", f"{place}.db"))
        cells = [["" if cell is None else "\\x" + cell.hex() if isinstance(cell, bytes) else str(cell) for cell in row]
                 for row in connection.execute(f"SELECT * FROM {name}")]
        connection.close()
        return ["|".join(row) for row in cells]

    def compare(self, other):
        """Fails with the tables that differ and the first rows of either side."""
        lines = []
        if self.lsns != other.lsns:
            lines.append(f"decisions: {self.lsns} and {other.lsns}")
        for table in sorted(set(self.tables) | set(other.tables)):
            left, right = self.tables.get(table), other.tables.get(table)
            if left == right:
                continue
            lines.append(f"{table}: {left} and {right}")
            mine, its = set(self.rows(table)), set(other.rows(table))
            lines += [f"  only {self.name}: {row}" for row in sorted(mine - its)[:ROWS_SHOWN]]
            lines += [f"  only {other.name}: {row}" for row in sorted(its - mine)[:ROWS_SHOWN]]
        check(not lines and self.groups == other.groups, f"{self.name} and {other.name} differ:\n" + "\n".join(lines))


def notices(live, folded):
    """That a row changed behind Maily's back is noticed: in PostgreSQL by its digest, and shown; in SQLite as damage of its page. The read models
    were equal before, and are of no use afterwards."""
    change = "UPDATE {0}sends SET attempts = attempts + 7 WHERE contact_id = (SELECT min(contact_id) FROM {0}sends)"
    if folded.url:
        database = folded.url.split("///")[1].split("?")[0]
        place = folded.services.run_in(database, "SELECT live FROM maily.live WHERE read_models = 'campaigns'")[0]
        folded.services.run_in(database, change.format(f'"{place}".'))
    else:
        with open(os.path.join(folded.data, "views", "campaigns.live"), encoding="ascii") as pointer:
            connection = sqlite3.connect(os.path.join(folded.data, "views", pointer.readline().strip() + ".db"))
        connection.execute(change.format(""))
        connection.commit()
        connection.close()
    name = f"{folded.name} with a changed row"
    try:
        live.compare(Folded(live.services, name, folded.data, folded.log, folded.url))
    except Failed as error:
        wanted = ("campaigns.sends", f"only {name}: 1|") if folded.url else ("views/campaigns", "has a wrong checksum")
        check(all(text in str(error) for text in wanted), f"a changed row was noticed, and not shown: {error}")
    else:
        raise Failed("a changed row was not noticed")


def copy(services, source, target):
    """maily log copy, after an attempt that was cut off; and once more: the second time it must refuse."""
    if not target.startswith("kafka:"):
        os.makedirs(os.path.join(target, "log.copying"))
        with open(os.path.join(target, "log.copying", "CURRENT"), "w", encoding="ascii") as file:
            file.write("cut off")
    began = time.monotonic()
    said = json.loads(services.maily_says("log", "copy", "--from", source, "--to", target, "--yes", "--output", "json"))
    seconds = time.monotonic() - began
    refused = json.loads(services.maily_says("log", "copy", "--from", source, "--to", target, "--yes", "--output", "json", code=3))
    check(refused["code"] == "conflict", f"a copy over a log: {refused}")
    return {"records": said["records"], "bytes": said["bytes"], "undecided_commands": said["undecided_commands"], "seconds": round(seconds, 1)}


def publish(services, name, data, prefix):
    """A process on the log with this prefix, whose public topics are empty, until everything is published, and something new is decided. Its
    relay is nowhere."""
    address = services.log(prefix)  # the public topics are what it lacks
    port = free_port()
    process = Process([services.maily, "serve", "--data", data, "--log", address, "--listen", f"127.0.0.1:{port}", "--relay", f"127.0.0.1:{free_port()}"],
                      os.path.join(services.base, f"{name}.out"), services.env())
    try:
        def ready():
            try:
                return Api(port, timeout=5).call("GET", "/readyz")[0] == 200
            except OSError:
                return False
        wait_for(f"{name} ready", ready, 90, process)
        with open(os.path.join(data, "admin.key"), encoding="ascii") as file:
            api = Api(port, file.read().strip())
        status, answer, _ = api.call("POST", "/v1/contacts", {"email": "after@moved.test"}, {"Idempotency-Key": "after-the-move"})
        check(status == 201, f"{name}: a log that was moved decides: {status} {answer}")
        records = public_topics.compare(services.maily, api, services.brokers, say, prefix)
        check(process.stop() == 0, f"{name}: no clean stop\n{process.tail()}")
        return records
    finally:
        if process.alive():
            process.kill()


def published(services, prefix, lsns):
    """What kcat reads of events up to these decisions: topic -> partition -> [(key, headers, payload)]; ids that come again are left out, as
    readers do (docs/adr/0021-public-topics.md)."""
    found = {}
    for topic in public_topics.TOPICS:
        by_partition = found[topic] = {}
        for record in public_topics.read(services.brokers, f"{prefix}.{topic}"):
            partition, lsn, index = map(int, public_topics.ID.match(record["headers"]["ce_id"]).groups())
            if lsn > lsns[partition]:
                continue
            records = by_partition.setdefault(partition, [])
            if not records or (lsn, index) > records[-1][0]:
                records.append(((lsn, index), record["key"], sorted(record["headers"].items()), record["payload"]))
    return found


def compare_published(first, second, mine, its):
    """Gives how many records they have."""
    total = 0
    for topic, partitions in first.items():
        for partition in set(partitions) | set(second[topic]):
            left, right = partitions.get(partition, []), second[topic].get(partition, [])
            for number in range(max(len(left), len(right))):
                one, two = left[number:number + 1], right[number:number + 1]
                check(one == two, f"{topic}, partition {partition}, record {number}:\n  {mine}: {one}\n  {its}: {two}")
            total += len(left)
    return total


def compare_journal(services, origin, result):
    """`origin`: a stopped site of one process, on either log. Copies its journal to the other log, and from an embedded one on to a topic;
    folds it on {rocks, kafka} x {sqlite, postgres}; publishes it."""
    name, data = origin.name, origin.data()
    place = lambda text: os.path.join(services.base, f"{name}-{text}")  # noqa: E731
    told = result[name] = {"copies": {}, "digests": {}, "seconds": {}}
    topics = f"{name}-topics"
    if origin.log_address:
        embedded = clone(data, place("embedded"), False)
        told["copies"]["kafka to rocks"] = copy(services, origin.log_address, embedded)
        told["copies"]["rocks to kafka"] = copy(services, embedded, services.log(topics, make=False))
        on_kafka = origin.log_address
    else:
        embedded = clone(data, place("embedded"), True)
        on_kafka = services.log(topics, make=False)
        told["copies"]["rocks to kafka"] = copy(services, data, on_kafka)
    live = Folded(services, f"{name} live", data, origin.log_address, origin.settings.get("db"))
    for log, address in (("rocks", ""), ("kafka", on_kafka)):
        for db in ("sqlite", "postgres"):
            folder = clone(data, place(f"{log}-{db}"), False)
            if not address:
                os.rename(os.path.join(embedded, "log"), os.path.join(folder, "log"))
            url = services.database(f"{name}_{log}_{db}".replace("-", "_")) if db == "postgres" else None
            folded = Folded(services, f"{name} {log}/{db}", folder, address, url)
            if not address:
                os.rename(os.path.join(folder, "log"), os.path.join(embedded, "log"))
            live.compare(folded)
            told["digests"][f"{log}/{db}"] = folded.groups
            told["seconds"][f"{log}/{db}"] = round(folded.seconds, 1)
            if address:
                notices(live, folded)
    told["tables"] = len(live.tables)
    told["rows"] = sum(rows for rows, _ in live.tables.values())
    told["decisions"] = sum(live.lsns)
    say(f"  {name}: {told['decisions']:,} decisions, {told['tables']} tables, {told['rows']:,} rows: the same on rocks/sqlite, rocks/postgres, "
        f"kafka/sqlite, kafka/postgres, and as they were folded live")
    publish(services, f"{name}-publisher", clone(data, place("publisher"), False), topics)
    again = published(services, topics, live.lsns)
    if origin.log_address:
        told["published"] = compare_published(published(services, name, live.lsns), again, "the run itself", "its copy")
        say(f"  {name}: {told['published']:,} records in public topics, the same from the run itself and from its copy")
    else:
        told["published"] = sum(len(records) for partitions in again.values() for records in partitions.values())
        check(told["published"] > 0, f"{name}: nothing was published")
