#!/usr/bin/env python3
"""The common contract of every request and command, clause by clause against the real program: statuses, errors, keys, cursors, tokens, input,
the command line, settings, logs.

Each method names the lines of the contract that it walks. What refuses a start is in second_serve.py; what stands in logs and files in
plaintext.py; tenants in two_tenants.py.
"""
import concurrent.futures
import json
import os
import re
import signal
import socket
import subprocess

from program import Api, check, run_test, wait_for

MEMBERS = {"type", "title", "status", "code", "message", "detail", "instance", "details", "traceId"}
LEAKS = re.compile(r"SELECT |sqlite|\.cc:\d|json\.exception|/data/|0x[0-9a-f]{6}", re.I)
TEMPLATE = {"name": "t", "subject": "Hi", "html": "<a href=\"{{ unsubscribe_url }}\">x</a>{{ postal_address }}<a href=\"https://shop.example.com/\">y</a>",
            "text": "{{ unsubscribe_url }} {{ postal_address }}"}


class Contract:
    def __init__(self, world):
        self.world = world
        world.start_sink("--reply", "gone-secret@example.com=550 5.1.1 <gone-secret@example.com> is not here")
        world.start_server()
        self.api = world.api()
        self.openapi = self.api.ok("GET", "/api/openapi.json")
        self.codes = set(self.openapi["components"]["schemas"]["Problem"]["properties"]["code"]["enum"])
        self.docs = self.api.call("GET", "/api/docs", raw=True)[1].decode()

    def ask(self, status, method, path, body=None, headers=None, code=None, api=None):
        """Asks; checks the status, and that an error is a whole problem that gives nothing away. (0.2)"""
        got, answer, found = (api or self.api).call(method, path, body, headers)
        check(got == status, f"{method} {path} {str(body)[:80]}: {got} {answer}, expected {status}")
        if got >= 400 and method != "HEAD":
            check(MEMBERS <= set(answer) and found["content-type"] == "application/problem+json", f"{method} {path}: no problem: {answer}")
            check(re.fullmatch("[0-9a-f]{32}", answer["traceId"]), f"traceId: {answer}")
            check(answer["code"] in self.codes, f"{method} {path}: code {answer['code']} is not in OpenAPI")
            check(f"id=\"{answer['type'].split('#')[1]}\"" in self.docs, f"{answer['type']} leads nowhere")
            check({detail["code"] for detail in answer["details"]} <= self.codes, f"a detail's code is not in OpenAPI: {answer}")
            text = json.dumps({name: answer[name] for name in answer if name != "instance"})
            check(not LEAKS.search(text) and "secret@" not in text, f"{method} {path} gives away: {text}")
        if code:
            check(answer["code"] == code, f"{method} {path}: {answer}")
        return answer, found

    # ---- 0.1

    def statuses(self):
        ask = self.ask
        ask(200, "PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
        for path, body in (("/v1/lists", {"name": "people"}), ("/v1/templates", TEMPLATE), ("/v1/contacts", {"email": "ann@example.com", "lists": [1]}),
                           ("/v1/campaigns", {"name": "c", "template_id": 1, "list_id": 1, "from": "news@shop.example.com"})):
            answer, headers = ask(201, "POST", path, body)
            check(headers["location"] == f"{path}/{answer['id']}", f"Location: {headers}")
            ask(200, "GET", headers["location"] + f"?min={headers['maily-consistency-token']}&wait_ms=20000&strict=true")
        ask(200, "POST", "/v1/contacts", {"email": "ann@example.com", "lists": [1]})
        ask(202, "POST", "/v1/events", {"id": "e1", "type": "visit", "contact": {"email": "ann@example.com"}})
        key = ask(201, "POST", "/v1/keys", {"label": "reader", "scopes": ["read"]})[0]
        reader = Api(self.world.port, key["key"])
        wait_for("the key is known", lambda: reader.call("GET", "/v1/lists")[0] == 200, 20)
        ask(403, "POST", "/v1/lists", {"name": "x"}, api=reader)
        for path in (f"/v1/keys/{key['id']}", "/v1/suppressions?email=bob%40example.com&reason=asked"):
            ask(204, "DELETE", path)
            ask(204, "DELETE", path)
        for body in ("{\"name\":", "{\"name\":\"a\",\"name\":\"b\"}", "\xff", ""):
            ask(400, "POST", "/v1/lists", body.encode("latin-1"), {"Content-Type": "application/json"})
        ask(400, "GET", "/v1/contacts?page_token=AAAA")
        stranger = Api(self.world.port, "mk_nobody_nothing")
        check(ask(401, "GET", "/v1/lists", api=stranger)[1]["www-authenticate"].startswith("Bearer"), "WWW-Authenticate")
        check(ask(405, "PATCH", "/v1/campaigns")[1]["allow"] == "GET, HEAD, POST", "Allow")
        for path in ("/v1/contacts/281474976799999", "/v1/campaigns/x", "/v1/nothing"):
            ask(404, "GET", path)
        ask(409, "POST", "/v1/lists", {"name": "people"}, code="list_exists")
        moves = ask(409, "POST", "/v1/campaigns/1:pause", code="campaign_not_running")[0]["message"]
        check("launched, scheduled or cancelled" in moves, f"legal moves: {moves}")
        ask(200, "POST", "/v1/campaigns/1:cancel")
        ask(409, "POST", "/v1/campaigns/1:launch", code="campaign_not_draft")
        ask(415, "POST", "/v1/lists", "name=x", {"Content-Type": "application/x-www-form-urlencoded"})
        ask(415, "POST", "/v1/lists", "{}", {"Content-Type": "application/json", "Content-Encoding": "gzip"})
        ask(413, "POST", "/v1/lists", "{\"name\":\"" + "x" * 2_000_000 + "\"}", {"Content-Type": "application/json"})
        self.api.close()
        # All violations at once, each with its place: of the body, of a template by line:column, of what the decider knows.
        for path, body, places in (
                ("/v1/contacts", {"email": "secret@@x", "lists": ["a"], "emial": 1}, {"/email", "/lists/0", "/emial"}),
                ("/v1/contacts", {"email": "bob@example.com", "lists": [1, 77]}, {"/lists/1"}),
                ("/v1/templates", dict(TEMPLATE, name="u", subject="{{ x", html="<p>\n {{ contact.nope }}"), {"subject:1:1", "html:2:5", "html"}),
                ("/v1/campaigns", {"name": "c", "template_id": 1, "from": "nobody", "reply_to": "no", "arms": [{"name": "a", "weight": 1, "holdout": True}]},
                 {"/from", "/reply_to", "/arms"})):
            details = ask(422, "POST", path, body)[0]["details"]
            check({detail["path"] for detail in details} == places and all(detail["hint"] for detail in details), f"{path}: {details}")

    # ---- 0.3

    def idempotency_keys(self):
        asked = [("POST", "/v1/lists", {"name": "once"}, 201), ("POST", "/v1/campaigns/1:pause", None, 409), ("POST", "/v1/lists", {"name": "people"}, 409),
                 ("POST", "/v1/keys", {"label": "once", "scopes": ["read"]}, 201), ("POST", "/v1/contacts", {"email": "once@example.com"}, 201),
                 ("POST", "/v1/tenants", {"name": "No Name"}, 422), ("POST", "/v1/suppressions:batch", {"suppressions": [{"email": "x@example.com"}]}, 200)]
        first = [self.ask(status, method, path, body, {"Idempotency-Key": f"k{i}"})[0] for i, (method, path, body, status) in enumerate(asked)]

        def again(when):
            for i, (method, path, body, status) in enumerate(asked):
                answer = self.ask(status, method, path, body, {"Idempotency-Key": f"k{i}"})[0]
                same = {name: value for name, value in answer.items() if name != "traceId"}
                check(same == {name: value for name, value in first[i].items() if name != "traceId"}, f"{path} {when}: {answer} was {first[i]}")
                for other in ("/v1/contacts", {"email": f"other{i}@example.com"}), ("/v1/lists", {"name": f"other {i}"}):
                    self.ask(422, "POST", *other, {"Idempotency-Key": f"k{i}"}, code="idempotency_key_reused")
        again("at once")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            both = list(pool.map(lambda _: self.world.api().call("POST", "/v1/lists", {"name": "at once"}, {"Idempotency-Key": "at-once"})[:2], range(8)))
        made = [one for one in both if one[0] == 201]
        told = [one for one in both if one[0] == 409 and one[1]["code"] == "request_under_way"]
        check(made and all(one == made[0] for one in made) and len(made) + len(told) == 8, f"eight at once: {both}")
        check(self.ask(201, "POST", "/v1/lists", {"name": "at once"}, {"Idempotency-Key": "at-once"})[0] == made[0][1], "afterwards all get the answer")
        self.api.close()
        self.world.server.kill()
        self.world.start_server()
        again("after kill -9")
        check(self.ask(200, "GET", "/v1/limits")[0]["idempotency_key_hours"] == 24, "limits")
        self.ask(400, "POST", "/v1/lists", {"name": "y"}, {"Idempotency-Key": "two words"}, code="invalid_idempotency_key")

    # ---- 0.4, 0.5

    def cursors(self):
        path = os.path.join(self.world.base, "many.csv")
        with open(path, "w", encoding="ascii") as file:
            file.write("email\n" + "".join(f"many{n}@example.com\n" for n in range(10_000)))
        many = self.ask(201, "POST", "/v1/lists", {"name": "many"})[0]["id"]
        _, out, _ = self.world.cli("import", path, "--list", "many", "--output", "json")
        check(json.loads(out)["created"] == 10_000, out)
        wait_for("the import is visible", lambda: self.api.ok("GET", f"/v1/lists/{many}")["members"] == 10_000, 60, self.world.server)
        seen, token, inserted, at_start = [], "", 0, None
        while True:
            at_start = at_start or self.members(many)
            page = self.api.ok("GET", "/v1/contacts?page_size=500" + (f"&page_token={token}" if token else ""))
            seen += [item["id"] for item in page["items"]]
            for _ in range(50):
                inserted += 1
                self.ask(201, "POST", "/v1/contacts", {"email": f"between{inserted}@example.com"})
            token = page.get("next_page_token", "")
            if not token:
                break
        check(inserted >= 1000 and len(seen) == len(set(seen)), f"{inserted} inserted, {len(seen) - len(set(seen))} rows twice")
        check(at_start <= set(seen), f"{len(at_start - set(seen))} rows are missed")
        for wrong in ("page_size=0", "page_size=1001", "page_size=x", "page_sise=5", "strict=yes", "wait_ms=-1&min=x"):
            self.ask(422, "GET", "/v1/contacts?" + wrong, code="invalid_parameter")
        cursor = self.api.ok("GET", "/v1/contacts?page_size=1")["next_page_token"]
        for wrong in (cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1], cursor + "A", cursor[1:]):
            self.ask(400, "GET", "/v1/contacts?page_token=" + wrong)
        self.ask(400, "GET", "/v1/lists?page_token=" + cursor)
        for n in range(5):
            self.ask(201, "POST", "/v1/tenants", {"name": f"tenant-{n}"})
            self.ask(201, "POST", "/v1/attributes", {"name": f"attribute_{n}", "type": "text"})
            self.ask(201, "POST", "/v1/keys", {"label": f"key {n}", "scopes": ["read"]})
        for path, name in (("/v1/tenants", "id"), ("/v1/attributes", "name"), ("/v1/keys", "id"), ("/v1/lists", "id")):
            wait_for(f"all of {path}", lambda path=path: len(self.api.ok("GET", path)["items"]) >= 4, 20, self.world.server)
            whole = [item[name] for item in self.api.ok("GET", path)["items"]]
            by_two, url = [], f"{path}?page_size=2"
            while url:
                page = self.api.ok("GET", url)
                by_two += [item[name] for item in page["items"]]
                url = f"{path}?page_size=2&page_token={page['next_page_token']}" if "next_page_token" in page else None
            check(by_two == whole and len(whole) == len(set(whole)), f"{path}: {by_two}, whole {whole}")
            self.ask(422, "GET", path + "?page_size=0", code="invalid_parameter")
            self.ask(400, "GET", f"{path}?page_token={cursor}")

    def members(self, list_id):
        """The ids of all contacts of a list, by another road."""
        ids, token = set(), ""
        while True:
            page = self.api.ok("GET", f"/v1/lists/{list_id}/members?page_size=1000" + (f"&page_token={token}" if token else ""))
            ids |= {item["contact_id"] for item in page["items"]}
            token = page.get("next_page_token", "")
            if not token:
                check(len(ids) == 10_000, f"{len(ids)} members")
                return ids

    def tokens(self):
        said = set()
        for n in range(200):
            made, headers = self.ask(201, "POST", "/v1/contacts", {"email": f"token{n}@example.com"})
            token = headers["maily-consistency-token"]
            status, answer, found = self.api.call("GET", f"/v1/contacts/{made['id']}?min={token}&wait_ms=0")
            said.add(found.get("maily-applied"))
            check(status == 200 or found["maily-applied"] == "false", f"claims to be fresh and is not: {status} {answer}")
            status, answer, _ = self.api.call("GET", f"/v1/contacts/{made['id']}?min={token}&wait_ms=0&strict=true")
            check(status in (200, 412), f"strict: {status} {answer}")
            check(self.ask(200, "GET", f"/v1/contacts/{made['id']}?min={token}&wait_ms=20000")[1]["maily-applied"] == "true", "within wait_ms")
        check(said <= {"true", "false"}, f"Maily-Applied: {said}")

    # ---- 0.6

    def raw(self, data):
        """The status line of what a connection answers, and whether it was closed then."""
        with socket.create_connection(("127.0.0.1", self.world.port), timeout=20) as client:
            client.sendall(data.replace("KEY", self.api.key).encode("latin-1"))
            answer = b""
            while piece := client.recv(65536):
                answer += piece
            return answer.split(b"\r\n")[0].decode()

    def input(self):
        event = {"type": "visit", "contact": {"email": "ann@example.com"}}
        for n, at in enumerate(("2026-01-01T00:00:00", "2026-01-01", "2026-02-30T00:00:00Z", 5, "2026-01-01T00:00:00+25:00")):
            self.ask(422, "POST", "/v1/events", dict(event, id=f"t{n}", occurred_at=at))
        self.ask(202, "POST", "/v1/events", dict(event, id="offset", occurred_at="2026-01-01T02:00:00+02:00"))
        for text in re.findall(r'"\w+_at": ?"([^"]*)"', json.dumps(self.api.ok("GET", "/v1/lists"))):
            check(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text), f"a time out: {text}")
        self.ask(422, "POST", "/v1/lists", {"name": "a\0b"})
        self.ask(422, "POST", "/v1/contacts", {"email": "b@example.com", "attributes": {"x": "a\0b"}})
        check("did you mean email?" in json.dumps(self.ask(422, "POST", "/v1/contacts", {"emial": "b@example.com"})[0]), "nearest name")
        self.ask(422, "POST", "/v1/campaigns/1:pause", {"why": "x"})
        for depth, status in ((64, 422), (65, 400)):
            self.ask(status, "POST", "/v1/lists", "[" * depth + "]" * depth, {"Content-Type": "application/json"})
        start = "POST /v1/lists HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer KEY\r\nContent-Type: application/json\r\n"
        chunked = start + "Transfer-Encoding: chunked\r\n\r\n"
        for head in (start + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", start + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
                     start + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "GET /v1/limits HTTP/1.1\nHost: x\n\n",
                     "GET /v1/limits HTTP/1.1\r\nHost: x\nA: b\r\n\r\n", "GET /v1/limits HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n", chunked + "2\n{}\r\n0\r\n\r\n", chunked + "0\n\n", chunked + "2\r\n{}\n0\r\n\r\n",
                     chunked + "2\r\n{}\r\n0\r\n\n", chunked + "2\r\n{}\r\n0\r\nA: b\n\r\n", "GET /v1/limits HTTP/1.1\r\n\r\n"):
            check(self.raw(head).split()[1] == "400", f"{head!r}: {self.raw(head)}")
        for path, size in (("/v1/lists", 1 << 21), ("/v1/events", 70_000)):  # before a byte of the body
            check(self.raw(start.replace("/v1/lists", path) + f"Content-Length: {size}\r\n\r\n").split()[1] == "413", f"{path}: {size} bytes")

    # ---- 0.7, 0.8

    def cli(self, code, *arguments, **env):
        done = subprocess.run([self.world.maily, *arguments], capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL,
                              env=dict(self.world.env, MAILY_SERVER=f"http://127.0.0.1:{self.world.port}",
                                       MAILY_KEY_FILE=os.path.join(self.world.data, "admin.key"), **env))
        said = done.stdout + done.stderr
        check(done.returncode == code, f"maily {' '.join(arguments)}: exit {done.returncode}, expected {code}: {said}")
        check("\x1b" not in said, f"maily {' '.join(arguments)}: colour without a terminal")
        if code:
            check(done.stderr.startswith("maily: ") and ("--output" in arguments or not done.stdout), f"words belong to stderr: {done.stdout}")
        return done.stdout, done.stderr

    def command_line(self):
        for code in (0, 1, 2, 3, 4, 5, 130):
            check(re.search(rf"^{code} ", self.cli(0, "help", "exit-codes")[0], re.M), f"exit code {code} is not explained")
        refused = {("contact", "show", "281474976799999"): 1, ("campaign", "pause", "1"): 3, ("list", "create", "people"): 3, ("arm", "--data", self.world.data): 3,
                   ("contact", "list", "--server", "http://127.0.0.1:1"): 5, ("contact", "show"): 2, ("campaing", "list"): 2, ("campaign", "lst"): 2,
                   ("campaign", "list", "--page-sise", "2"): 2, ("version", "--outputt", "json"): 2, ("help", "nosuch"): 2, ("frobnicate",): 2,
                   ("contact", "upsert", "--file", "/nonexistent"): 2, ("serve", "--partitons", "4"): 2, ("contact", "list", "--key-file", "/nonexistent"): 2,
                   ("schema", "show", "nothing"): 1, ("events", "tail", "--partition", "99"): 1, ("list", "create", "z", "--dry-rum"): 2}
        for arguments, code in refused.items():
            self.cli(code, *arguments)
            answer = json.loads(self.cli(code, *arguments, "--output", "json")[0])
            check(answer["code"] and answer["message"] and "details" in answer, f"{arguments}: {answer}")
        near = {("campaing", "list"): "campaign", ("campaign", "lst"): "list", ("campaign", "list", "--page-sise", "2"): "--page-size",
                ("version", "--outputt", "json"): "--output", ("serve", "--partitons", "4"): "--partitions"}
        for arguments, word in near.items():
            check(f"did you mean {word}?" in self.cli(2, *arguments)[1], f"{arguments}: the nearest name")
        server = ["--data", self.world.data, "--listen", f"127.0.0.1:{self.world.port}"]
        for arguments in (["version"], ["topology"], ["schema", "list"], ["schema", "show", "maily.lists.v1.ListCreated"], ["config", "explain"],
                          ["doctor", *server], ["help", "exit-codes"], ["contact", "list"], ["campaign", "show", "1"], ["projection", "list"],
                          ["projection", "verify"], ["deadletter", "list"], ["tenant", "settings"], ["key", "list"], ["sends", "unknown", "list"],
                          ["query", "/v1/limits"]):
            json.loads(self.cli(0, *arguments, "--output", "json")[0])
        nowhere = os.path.join(self.world.base, "nowhere")
        for arguments in (["serve", "--data", nowhere], ["arm", "--data", nowhere], ["doctor", "--data", nowhere]):
            check("xample" in self.cli(0, *arguments, "--help")[0] and not os.path.exists(nowhere), f"{arguments} --help")
        check(not any(item["name"] == "z" for item in self.api.ok("GET", "/v1/lists?page_size=1000")["items"]), "an unknown flag did something")

    def dry_runs(self):
        """Every command that appends takes --dry-run. (That no log gets longer: api/dry_run_test.cc.)"""
        files = {}
        for name, body in (("contact", {"email": "dry@example.com"}), ("campaign", {"name": "dry", "template_id": 1, "from": "news@shop.example.com"})):
            files[name] = os.path.join(self.world.base, f"dry-{name}.json")
            with open(files[name], "w", encoding="ascii") as file:
                json.dump(body, file)
        received = os.path.join(self.world.base, "dry.csv")
        with open(received, "w", encoding="ascii") as file:
            file.write("message_id\n")
        for type, arguments in (("CreateTenant", ("tenant", "create", "dry")), ("ChangeSettings", ("tenant", "configure", "--company", "dry")),
                                ("RegisterAttribute", ("tenant", "register", "dry", "--type", "text")), ("CreateApiKey", ("key", "create", "--label", "dry", "--scope", "read")),
                                ("RevokeApiKey", ("key", "revoke", "dry")), ("UpsertContact", ("contact", "upsert", "--file", files["contact"])),
                                ("CreateList", ("list", "create", "dry")), ("SaveTemplate", ("template", "save", "--name", "dry", "--subject", "s", "--html", received, "--text", received)),
                                ("CreateCampaign", ("campaign", "create", "--file", files["campaign"])), ("PauseCampaign", ("campaign", "pause", "1")),
                                ("DefineSegment", ("segment", "create", "dry", "subscribed()")), ("ArchiveSegment", ("segment", "archive", "1")),
                                ("PreviewSegment", ("segment", "preview", "subscribed()")), ("DefineSegment", ("segment", "change", "1", "suppressed()")),
                                ("AddSuppression", ("suppression", "add", "dry@example.com")), ("RemoveSuppression", ("suppression", "remove", "dry@example.com", "--reason", "dry"))):
            answer = json.loads(self.cli(0, *arguments, "--dry-run", "--output", "json")[0])
            check(answer["dry_run"] is True and [one["type"].split(".")[-1] for one in answer["commands"]] == [type] and "key" not in answer, f"{arguments}: {answer}")
        self.cli(3, "campaign", "launch", "1", "--dry-run", "--output", "json")  # it counts what the launch would do, of drafts
        settled = json.loads(self.cli(0, "sends", "unknown", "resolve", "--received", received, "--why", "dry", "--dry-run", "--output", "json")[0])
        check(settled["dry_run"] is True and settled["resent"] == 0, f"{settled}")
        for path in ("/v1/tenants", "/v1/attributes", "/v1/keys", "/v1/lists", "/v1/templates", "/v1/campaigns", "/v1/segments", "/v1/contacts?email=dry%40example.com"):
            found = self.api.ok("GET", path)["items"]
            check(not any("dry" in (item.get("name"), item.get("label"), item.get("email", "")[:3]) for item in found), f"{path}: {found}")

    def interrupted(self):
        """SIGINT ends a command with 130, and says so."""
        env = dict(self.world.env, MAILY_SERVER=f"http://127.0.0.1:{self.world.port}", MAILY_KEY_FILE=os.path.join(self.world.data, "admin.key"))
        for more in ([], ["--output", "json"]):
            tail = subprocess.Popen([self.world.maily, "events", "tail", "--partition", "0", "--from", "beginning", "--follow", *more], env=env,
                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            check(tail.stdout.readline().startswith("{"), "events tail shows nothing")
            tail.send_signal(signal.SIGINT)
            out, err = tail.communicate(timeout=20)
            check(tail.returncode == 130 and "interrupted" in err, f"SIGINT: exit {tail.returncode} {err}")
            check(not more or json.loads(out.splitlines()[-1])["code"] == "interrupted", f"SIGINT: {out[-200:]}")

    # ---- 0.9

    def settings(self):
        path = os.path.join(self.world.base, "maily.yaml")

        def with_file(text):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            return ["config", "explain", "--config", path, "--output", "json"]
        wrong = {"partitions: 4\npartitons: 8\n": f"{path}:2: unknown setting 'partitons'; did you mean 'partitions'?", "workers: 2\nworkers: 3\n": f"{path}:2: workers stands twice",
                 "listen: here\n": f"{path}:1: listen must be host:port", "log_level: loud\n": f"{path}:1: log_level must be", "workers: many\n": f"{path}:1: workers must be a number"}
        for text, words in wrong.items():
            check(words in self.cli(2, *with_file(text))[1], f"{text!r}: {words} is not said")
        self.cli(2, "config", "explain", "--config", "/nonexistent.yaml")
        self.cli(2, "config", "explain", MAILY_PARTITONS="4")
        self.cli(0, "config", "explain", MAILY_PORT="tcp://10.0.0.1:80")  # another's
        shown = lambda *more, **env: {item["name"]: (item["value"], item["source"]) for item in  # noqa: E731
                                      json.loads(self.cli(0, *with_file("workers: 3\n"), *more, **env)[0])["items"]}
        check(shown()["workers"] == ("3", f"{path}:1") and shown()["partitions"][1] == "default", "file")
        check(shown(MAILY_WORKERS="4")["workers"] == ("4", "MAILY_WORKERS"), "variable over file")
        check(shown("--workers", "5", MAILY_WORKERS="4")["workers"] == ("5", "--workers"), "flag over variable")

    # ---- 0.10, 0.11

    def logs(self):
        mailed = self.ask(201, "POST", "/v1/lists", {"name": "mailed"})[0]["id"]
        trace = "0123456789abcdef0123456789abcdef"
        for name in ("gone-secret", "secret", "other-secret"):
            self.ask(201, "POST", "/v1/contacts", {"email": f"{name}@example.com", "lists": [mailed], "attributes": {"first_name": "Xanthippe"}},
                     {"traceparent": f"00-{trace}-0123456789abcdef-01"})
        campaign = self.ask(201, "POST", "/v1/campaigns", {"name": "logged", "template_id": 1, "list_id": mailed, "from": "news@shop.example.com"})[0]["id"]
        self.ask(200, "POST", f"/v1/campaigns/{campaign}:launch")
        wait_for("the campaign", lambda: self.api.ok("GET", f"/v1/campaigns/{campaign}")["status"] == "completed", 60, self.world.server)
        sent = self.world.sink_api().ok("GET", "/counts")["mails"]
        check(sent == 2, f"{sent} mails")
        mail = self.world.sink_api().call("GET", "/messages/1?format=raw", raw=True)[1].replace(b"=\r\n", b"").decode(errors="replace")
        tokens = set(re.findall(r"/[cou]/([\w-]{20,})", mail))
        check(len(tokens) >= 2, f"tokens of a mail: {tokens}")
        for token in tokens:
            self.api.call("GET", f"/c/{token}", raw=True)
            self.api.call("POST", f"/u/{token}", "List-Unsubscribe=One-Click", raw=True)
        self.ask(401, "GET", "/v1/lists", api=Api(self.world.port, "mk_secretkey_secret"))
        events = "".join(self.cli(0, "events", "tail", "--partition", str(p), "--from", "beginning")[0] for p in range(4))
        check(events.count(trace) >= 3, "the trace of a request is not in its events")
        self.api.close()
        check(self.world.server.stop(35) == 0, "SIGTERM")
        with open(os.path.join(self.world.base, "server.out"), encoding="utf-8") as file:
            said = file.read()
        for word in ["secret", "Xanthippe", "example.com", "mk_", *tokens]:
            check(word not in said, f"'{word}' is in the log: {[line for line in said.split(chr(10)) if word in line][:2]}")
        check(all(json.loads(line)["level"] for line in said.splitlines()), "a line of the log is no JSON")


def run(world):
    contract = Contract(world)
    for part in (contract.statuses, contract.idempotency_keys, contract.cursors, contract.tokens, contract.input, contract.command_line, contract.dry_runs, contract.interrupted, contract.settings,
                 contract.logs):
        part()
    return f"{len(contract.codes)} codes"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 4})
