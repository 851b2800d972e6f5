#!/usr/bin/env python3
"""Three processes share a log on Kafka, read models and keys in PostgreSQL: two lead, follow and take over, one serves the API alone.

Kills one, starts it again, ends the other in order, and sees to it that every write is answered and shown, each partition has one leader,
the read models one keeper, and that readyz tells the truth about partitions that nobody leads.
"""
import time

from cluster import run_cluster
from program import check, wait_for

PARTITIONS = 16


def ask(api, number):
    body = {"email": f"c{number}@example.com", "attributes": {"first_name": f"N{number}"}}
    return api.call("POST", "/v1/contacts", body, {"Idempotency-Key": f"k{number}"})


def write(api, numbers, patience=60):
    """Adds contacts; one answered 202 is looked up by its command. Gives how long the slowest took, in seconds."""
    slowest = 0
    for number in numbers:
        begin = time.monotonic()
        while True:
            status, answer, _ = ask(api, number)
            if status in (200, 201):
                break
            check(status in (202, 409, 503), f"contact {number}: {status} {answer}")
            check(time.monotonic() - begin < patience, f"contact {number}: still {status} after {patience} s: {answer}")
            time.sleep(0.1)  # as its Retry-After says, at most
        slowest = max(slowest, time.monotonic() - begin)
    return slowest


def shown(api):
    return api.ok("GET", "/v1/contacts?page_size=1000")["items"]


def run(cluster):
    for wrong, words in (({"roles": "tasks"}, "tasks and effects go together"), ({"roles": "tasks,efects"}, "did you mean 'effects'"),
                         ({"roles": "api", "db": "sqlite"}, "set db to postgresql"), ({"lead": "group", "keyring": "rocks"}, "set keyring to postgresql"),
                         ({"lead": "0-16"}, "there is no partition 16"), ({"lead": "7-3"}, "write 0-7,12"), ({"lead": "0-3", "log": "rocks"}, "set log to kafka")):
        refused = cluster.member("refused", **wrong).start()
        code = refused.process.process.wait(60)
        check(code == 2 and words in refused.process.tail(), f"{wrong}: exit {code}: {refused.process.tail()}")

    a, b = (cluster.member(name, lead="group", http_threads=1) for name in "ab")
    edge = cluster.member("edge", roles="api")
    for member in (a, b, edge):
        member.start()
    for member in (a, b, edge):
        member.wait_ready()

    def shared_out(*members):
        return lambda: sorted(sum((m.leads() for m in members), [])) == list(range(PARTITIONS)) and all(m.leads() for m in members)

    wait_for("partitions shared out", shared_out(a, b), 60)
    keepers = [m for m in (a, b) if m.folds()]
    check(len(keepers) == 1 and sorted(keepers[0].folds()) == ["campaigns", "people"], "one of them folds the read models")
    status, answer, _ = edge.api().call("POST", "/v1/projections/people:rebuild")
    check(status == 409 and "ask 127.0.0.1" in answer["message"], f"who does not fold says who does: {status} {answer}")

    api = edge.api()
    write(api, range(50))
    status, answer, _ = ask(api, 1)
    check(status in (200, 201), f"the same request again, answered by the journal: {status}")
    wait_for("contacts shown", lambda: len(shown(api)) == 50, 30)
    check({c["attributes"]["first_name"] for c in shown(a.api())} == {c["attributes"]["first_name"] for c in shown(b.api())}, "both open the same keys")

    # The one that folds the read models dies.
    dead, left = (a, b) if keepers[0] is a else (b, a)
    dead.process.kill()
    takeover = write(api, range(50, 100))
    wait_for("every partition taken over", shared_out(left), 60)
    wait_for("read models taken over", lambda: len(left.folds()) == 2, 60)
    wait_for("contacts shown after the takeover", lambda: len(shown(api)) == 100, 60)
    wait_for("ready after the takeover", lambda: edge.readyz()[0] == 200 and left.readyz()[0] == 200, 60)

    # It comes back, and the other one ends in order.
    dead.start().wait_ready()
    wait_for("partitions shared out again", shared_out(dead, left), 60)
    write(api, range(100, 120))
    left.signal(15)
    handover = write(api, range(120, 160))
    check(left.process.stop() == 0, "a clean stop")
    wait_for("every partition handed over", shared_out(dead), 60)
    wait_for("contacts shown after the hand-over", lambda: len(shown(api)) == 160, 60)
    check(len({c["id"] for c in shown(api)}) == 160, "nobody twice")

    # A fixed list leaves partitions without an owner, and who is asked says which.
    check(dead.process.stop() == 0, "a clean stop")
    part = cluster.member("part", lead="0-7").start()
    wait_for("part leads its own", lambda: part.readyz()[0] == 200 and part.leads() == list(range(8)), 60)
    undecided = next(number for number in range(200, 300) if ask(api, number)[0] == 202)
    status, reason = wait_for("edge is not ready", lambda: (lambda r: r if r[0] == 503 and "nobody decides" in r[1] else None)(edge.readyz()), 60)
    check(reason.startswith("partition") and int(reason.split()[1].rstrip(",:")) >= 8, f"it names the partition: {reason}")
    rest = cluster.member("rest", lead="8-15").start()
    wait_for("edge is ready again", lambda: edge.readyz()[0] == 200, 60)
    write(api, range(200, undecided + 1))
    wait_for("contacts shown at the end", lambda: len(shown(api)) == 160 + undecided - 199, 60)
    for member in (edge, rest, part):
        check(member.process.stop() == 0, f"{member.name}: a clean stop")
    return f"slowest write while a process was killed {takeover:.1f} s, while one ended in order {handover:.1f} s"


if __name__ == "__main__":
    run_cluster(run, PARTITIONS)
