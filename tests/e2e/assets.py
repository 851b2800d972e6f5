#!/usr/bin/env python3
"""Images and attachments on the real program: uploaded by the command line, enclosed and hosted, the same bytes on every attempt, served
while the read models are rebuilt and after a kill -9, refused where they must be, and gone with their folder's blobs when they are deleted.
What goes out is read by Python's e-mail package."""
import email
import email.policy
import hashlib
import json
import os
import re
import shutil
import subprocess

from program import Api, check, run_test, wait_for

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
PDF = b"%PDF-1.7 " + os.urandom(150_000)
PEOPLE = 30
FILE_NAME = "Preisliste für März.pdf"
HTML = """<html><body><h1>Spring</h1><p>Hello dear reader of this letter <img src="cid:logo.png" alt="Shop"> and <img src="asset:sky.png"></p>
<p><a href="https://shop.example.com/">shop</a> {{ postal_address }} <a href="{{ unsubscribe_url }}">out</a></p></body></html>"""


def sha(data):
    return hashlib.sha256(data).hexdigest()


def blobs(world):
    return sorted(os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(world.data, "assets", "assets")) for name in names)


def cli(world, *arguments, code=0):
    env = dict(world.env, MAILY_SERVER=f"http://127.0.0.1:{world.port}", MAILY_KEY_FILE=os.path.join(world.data, "admin.key"))
    ran = subprocess.run([world.maily, *arguments, "--output", "json"], env=env, capture_output=True, text=True)
    check(ran.returncode == code, f"{arguments}: exit {ran.returncode}, not {code}: {ran.stdout} {ran.stderr}")
    return json.loads(ran.stdout) if ran.stdout.strip() else None


def upload(world):
    for name, data in (("logo.png", PNG), ("sky.png", PNG + b"sky"), ("list.pdf", PDF), ("unused.png", PNG + b"unused")):
        path = os.path.join(world.base, name)
        with open(path, "wb") as file:
            file.write(data)
        made = cli(world, "asset", "add", path)
        check(made["id"] == sha(data) and made["size"] == len(data), f"{made}")
    wanted = {"logo.png", "sky.png", "list.pdf", "unused.png"}
    wait_for("they are listed", lambda: {row["name"] for row in cli(world, "asset", "list")["items"]} == wanted, 20, world.server)
    for path in blobs(world):
        with open(path, "rb") as file:
            stored = file.read()
        check(b"PNG" not in stored and b"%PDF" not in stored, f"{path} is not sealed")


def refusals(world, api):
    svg = os.path.join(world.base, "x.svg")
    with open(svg, "w", encoding="ascii") as file:
        file.write("<svg/>")
    check(cli(world, "asset", "add", svg, "--type", "image/svg+xml", code=1)["code"] == "asset_type_refused", "an SVG was taken")
    large = Api(world.port, api.key).call("POST", "/v1/assets?name=large.pdf", b"%PDF-" + bytes(3 << 20), {"Content-Type": "application/pdf"})
    check(large[0] == 413, f"too large: {large}")
    missing = api.call("POST", "/v1/templates", {"name": "x", "subject": "s", "html": '<img src="cid:nope.png">{{ unsubscribe_url }} {{ postal_address }}'})
    check(missing[0] == 422 and missing[1]["code"] == "asset_missing" and missing[1]["details"][0]["path"] == "html:1:11", f"{missing}")


EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"  # what every scanner says is a virus
SCANNER = """#!/bin/sh
file=$(cat | tr -d '\\000')
case "$file" in
  *EICAR-STANDARD-ANTIVIRUS-TEST-FILE*) echo "stream: Eicar-Test-Signature FOUND"; exit 1;;
  *unreadable*) echo "no patterns" >&2; exit 2;;
  *endless*) sleep 600;;
esac
"""


def scanned(world):
    """With a scanner nothing is stored that is not clean, or of which nobody knows."""
    world.server.stop()
    program = os.path.join(world.base, "scanner")
    with open(program, "w", encoding="ascii") as file:
        file.write(SCANNER)
    os.chmod(program, 0o755)
    world.settings["asset-scanner"] = program + "-that-is-not-there"
    world.start_server(wait=False)
    check(world.server.process.wait(60) != 0 and "asset_scanner: there is no program" in world.server.tail(), "it started without its scanner")
    world.settings.update({"asset-scanner": f"{program} --stream -", "asset-scan-s": 1})
    world.start_server()
    api = world.api()
    before = blobs(world)

    def put(name, data):
        return api.call("POST", f"/v1/assets?name={name}", data, {"Content-Type": "application/pdf"})
    status, answer, _ = put("virus.pdf", b"%PDF-1.7 " + EICAR)
    check((status, answer["code"]) == (422, "asset_infected") and "Eicar-Test-Signature FOUND" in json.dumps(answer["details"]), f"{status} {answer}")
    for word in (b"unreadable", b"endless"):
        status, answer, _ = put("unknown.pdf", b"%PDF-1.7 " + word)
        check((status, answer["code"]) == (503, "asset_not_scanned"), f"{word}: {status} {answer}")
    check(blobs(world) == before, "what was refused is stored")
    status, answer, _ = put("clean.pdf", b"%PDF-1.7 clean")
    check(status == 201 and len(blobs(world)) == len(before) + 1, f"{status} {answer}")
    clamscan = shutil.which("clamscan")
    if clamscan is None:
        return "no ClamAV here"
    api.close()
    world.server.stop()
    virus = b"%PDF-1.7 " + EICAR
    patterns = os.path.join(world.base, "patterns.hdb")
    with open(patterns, "w", encoding="ascii") as file:
        file.write(f"{hashlib.md5(virus).hexdigest()}:{len(virus)}:Eicar-Test-Signature\n")
    world.settings.update({"asset-scanner": f"{clamscan} --database={patterns} --no-summary -", "asset-scan-s": 60})
    world.start_server()
    api = world.api()
    status, answer, _ = put("virus.pdf", virus)
    check((status, answer["code"]) == (422, "asset_infected") and "Eicar-Test-Signature" in json.dumps(answer["details"]), f"{status} {answer}")
    check(put("clean2.pdf", b"%PDF-1.7 clean 2")[0] == 201, "ClamAV finds nothing in it")
    return "ClamAV finds its test virus"


def served(world, name, data):
    status, body, headers = Api(world.port).call("GET", f"/a/1/{sha(data)}", raw=True)
    check(status == 200 and body == data, f"{name}: {status}, {len(body)} bytes")
    check(headers["cache-control"] == "public, max-age=31536000, immutable" and headers["etag"] == f'"{sha(data)}"', f"{headers}")
    check(Api(world.port).call("GET", f"/a/1/{sha(data)}", headers={"If-None-Match": headers["etag"]}, raw=True)[0] == 304, "no 304")


def received(mail):
    """What a person gets: (text, HTML, {Content-ID or file name: bytes})."""
    message = email.message_from_bytes(mail, policy=email.policy.SMTP)
    found = {}
    for part in message.walk():
        check(not part.defects, f"{part.defects}")
        if part.is_multipart() or part.get_content_maintype() == "text" and part.get_content_disposition() is None:
            continue
        found[part["content-id"] or part.get_filename()] = part.get_payload(decode=True)
    bodies = [message.get_body(preferencelist=(kind,)).get_content() for kind in ("plain", "html")]
    return bodies[0], bodies[1], found


def mails(world):
    count = world.sink_api().ok("GET", "/counts")["mails"]
    return [world.sink_api().call("GET", f"/messages/{number}?format=raw", raw=True)[1] for number in range(1, count + 1)]


def run(world):
    world.start_sink()
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@shop.example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    upload(world)
    refusals(world, api)
    people = os.path.join(world.base, "people.csv")
    with open(people, "w", encoding="ascii") as file:
        file.write("email\n" + "".join(f"person-{n}@example.com\n" for n in range(PEOPLE)))
    api.ok("POST", "/v1/lists", {"name": "all"})
    world.cli("import", people, "--list", "all")
    page = os.path.join(world.base, "spring.html")
    with open(page, "w", encoding="utf-8") as file:
        file.write(HTML)
    saved = cli(world, "template", "save", "--name", "spring", "--subject", "Spring", "--html", page, "--attach", f"list.pdf={FILE_NAME}")
    check([warning["code"] for warning in saved["warnings"]] == ["missing_alt"], f"{saved}")
    check(cli(world, "asset", "delete", sha(PNG), code=3)["code"] == "asset_in_use", "a used asset was deleted")

    campaign = api.ok("POST", "/v1/campaigns", {"name": "c", "template_id": saved["id"], "list_id": 1, "from": "Shop <news@shop.example.com>"})["id"]
    asked = f"/v1/campaigns/{campaign}/preview?email=person-1%40example.com"
    preview = wait_for("a preview", lambda: (lambda answer: answer[0] == 200 and answer[1])(api.call("GET", asked)), 20, world.server)
    check(received(preview["message"].encode())[2].get(FILE_NAME) == PDF, "the preview has not the file")
    check([warning["code"] for warning in preview["warnings"]] == ["missing_alt", "http_link", "http_link"], f"preview: {preview['warnings']}")
    api.ok("POST", f"/v1/campaigns/{campaign}:launch")
    wait_for("the campaign completes", lambda: api.ok("GET", f"/v1/campaigns/{campaign}")["status"] == "completed", 120, world.server)
    all_mails = mails(world)
    check(len(all_mails) == PEOPLE, f"{len(all_mails)} mails")
    for mail in all_mails:
        text, html, files = received(mail)
        check(max(len(line) for line in mail.split(b"\r\n")) <= 998, "a line is too long")
        shown = re.search(r'src="cid:([^"]+)"', html)
        check(shown and files.get(f"<{shown.group(1)}>") == PNG, f"the image is not the one that is shown: {files.keys()}")
        check(files.get(FILE_NAME) == PDF and len(files) == 2, f"{files.keys()}")
        check(f"http://127.0.0.1:{world.port}/a/1/{sha(PNG + b'sky')}" in html, "the hosted image has no address")
        check(text.startswith("Spring\r\n======") or text.startswith("Spring\n======"), f"text: {text[:80]!r}")
        check("shop <http" in text and "/u/" in text and "<p>" not in text, f"text: {text[:400]!r}")
    tails = {mail[mail.index(b"Content-ID:"):] for mail in all_mails}
    check(len(tails) == 1, "what is enclosed differs from mail to mail")

    served(world, "logo.png", PNG)
    world.server.kill()
    world.start_server()
    served(world, "logo.png", PNG)
    api = world.api()
    api.ok("POST", "/v1/projections/campaigns:rebuild")
    served(world, "list.pdf", PDF)
    before = len(blobs(world))
    cli(world, "asset", "archive", sha(PNG))
    cli(world, "asset", "delete", sha(PNG + b"unused"))
    wait_for("the blob is gone", lambda: len(blobs(world)) == before - 1, 10)
    check(Api(world.port).call("GET", f"/a/1/{sha(PNG + b'unused')}", raw=True)[0] == 404, "a deleted asset is served")
    api.close()
    return scanned(world)


if __name__ == "__main__":
    run_test(run)
