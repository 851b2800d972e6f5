"""Rows of imports: a file until all of it is queryable, against sqlite3 .import and PostgreSQL COPY of the same file into a bare indexed table."""
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
from form import Missing, note  # noqa: E402
from spine import program_rows  # noqa: E402  (it knows where program is)
from program import Postgres  # noqa: E402
from spine.program_rows import ATTRIBUTES, check, peak_resident_bytes, tool  # noqa: E402

SMALLER = 4  # the file of the memory row has this part of the rows


class Rows(program_rows.Rows):
    def tables(self, number_type):
        columns = ", ".join(f"{name} {'TEXT' if kind == 'text' else number_type}" for name, kind in ATTRIBUTES)
        return f"CREATE TABLE contacts (email TEXT PRIMARY KEY, first_name TEXT, {columns});\nCREATE INDEX by_segment ON contacts (segment);\n"

    def by_sqlite(self, world, path, count):
        database = os.path.join(world.base, "bare.db")
        if os.path.exists(database):
            os.remove(database)
        commands = self.tables("NUMERIC") + f".import --csv --skip 1 {path} contacts\nSELECT count(*) FROM contacts;\n"
        started = time.monotonic()
        done = subprocess.run([tool("sqlite3"), database], input=commands, capture_output=True, text=True, timeout=600, check=True)
        check(done.stdout.strip() == str(count), f"sqlite3: {done.stdout} {done.stderr}")
        return time.monotonic() - started

    def by_postgres(self, path, count):
        server = Postgres("bench-import")
        if server.missing:
            raise Missing("PostgreSQL is not installed (scripts/setup.sh --postgres)")
        try:
            started = time.monotonic()
            for statement in self.tables("DOUBLE PRECISION").split("\n"):
                if statement:
                    server.run(statement)
            with open(path, "rb") as file:
                subprocess.run(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", f"{server.url}&user=maily", "-c", "COPY contacts FROM STDIN CSV HEADER"],
                               stdin=file, capture_output=True, timeout=600, check=True)
            check(server.run("SELECT count(*) FROM contacts") == [str(count)], "COPY took other rows")
            return time.monotonic() - started
        finally:
            server.stop()

    def run(self):
        for number in range(self.rounds):
            world, peaks = None, {}
            for count in (self.contacts // SMALLER, self.contacts):
                world = self.world("import")  # both begin empty
                world.start_server()
                api = self.prepare(world)
                seconds, _ = self.import_contacts(world, api, f"i{number}-", count, f"import {number}")
                peaks[count] = peak_resident_bytes(world.server.process.pid)
                note(f"    {count:,} rows: {seconds:.1f} s, peak {peaks[count] / 2**20:.0f} MiB")
            path = os.path.join(world.base, f"i{number}-.csv")
            self.close()
            times = {"sqlite3 .import": self.by_sqlite(world, path, self.contacts), "PostgreSQL COPY": self.by_postgres(path, self.contacts)}
            for name, took in times.items():
                note(f"    {name}: {self.contacts / took:,.0f} rows/s")
            self.samples.add("import", "rows/s", self.contacts / seconds, self.contacts / max(times.values()),
                             f"the slower of sqlite3 .import and PostgreSQL COPY of the same {self.contacts:,} rows into a table with two indexes")
            self.samples.add("import_memory", "MiB, peak", peaks[self.contacts] / 2**20, peaks[self.contacts // SMALLER] / 2**20,
                             f"the peak of a file with a {SMALLER}th of the rows")
