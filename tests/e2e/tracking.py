#!/usr/bin/env python3
"""What mails call back, by the real program: nothing where tenant, campaign or contact want none; a link that no person sees; and whose word is
taken of who asks.
"""
import os
import re
import time

from program import Api, check, run_test, wait_for

BROWSER = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"}


def run(world):
    world.start_sink()
    for wrong in ("10.0.0.1/8", "10.0.0.0/33", "proxy"):
        world.settings["trusted-proxies"] = wrong
        world.start_server(wait=False)
        check(world.server.process.wait(60) == 2 and wrong in world.server.tail(), f"trusted_proxies {wrong}: {world.server.tail()}")
    world.settings.update({"trusted-proxies": "127.0.0.0/8,::1", "honeypot-links": "on"})
    scanners = world.settings["scanner-networks"] = os.path.join(os.path.dirname(world.data), "scanners")
    for wrong, why in ((None, "cannot be read"), ("198.51.100.0/24\n198.51.100.1/24\n", "line 2")):
        if wrong:
            with open(scanners, "w", encoding="ascii") as file:
                file.write(wrong)
        world.start_server(wait=False)
        check(world.server.process.wait(60) == 2 and why in world.server.tail(), f"scanner_networks: {world.server.tail()}")
    with open(scanners, "w", encoding="ascii") as file:
        file.write("# a mail gateway\n198.51.100.128/25\n")
    world.start_server()
    api = world.api()
    api.ok("PUT", "/v1/settings", {"senders": ["news@example.com"], "company": "Shop", "postal_address": "1 Main Street"})
    api.ok("POST", "/v1/attributes", {"name": "tracking", "type": "boolean"})
    api.ok("POST", "/v1/templates", {"name": "t", "subject": "Hi", "text": "https://shop.example/ {{ unsubscribe_url }} {{ postal_address }}",
                                     "html": '<body><a href="https://shop.example/">go</a> {{ unsubscribe_url }} {{ postal_address }}</body>'})
    ann = api.ok("POST", "/v1/contacts", {"email": "ann@example.org"})["id"]
    api.ok("POST", "/v1/contacts", {"email": "bob@example.org", "attributes": {"tracking": False}})

    def launch(name, **more):
        """Gives the mails by recipient, soft line breaks taken out."""
        made = api.ok("POST", "/v1/campaigns", {"name": name, "template_id": 1, "from": "news@example.com", **more})["id"]
        before = world.sink_api().ok("GET", "/counts")["mails"]
        wait_for("it is shown", lambda: all(api.call("GET", f"/v1/campaigns/{made}/preview?email={who}@example.org")[0] == 200 for who in ("ann", "bob")),
                 20, world.server)
        previews = {who: api.ok("GET", f"/v1/campaigns/{made}/preview?email={who}@example.org") for who in ("ann", "bob")}
        api.ok("POST", f"/v1/campaigns/{made}:launch")
        wait_for("both are delivered", lambda: api.ok("GET", f"/v1/campaigns/{made}")["counts"]["delivered"] == 2, 60, world.server)
        mails = {}
        for number in range(before + 1, before + 3):
            mail = world.sink_api().call("GET", f"/messages/{number}?format=raw", raw=True)[1].replace(b"=\r\n", b"").decode().replace("=3D", "=")
            mails["ann" if "To: <ann@" in mail else "bob"] = mail
        for who, mail in mails.items():
            tracked = "/c/" in mail or "/o/" in mail
            check(previews[who]["tracking"] == ("on" if tracked else "off"), (name, who, previews[who]["tracking"], mail))
            body = previews[who]["html"]
            check(("/c/" in body or "/o/" in body) == tracked, "the preview is another mail than the one that is sent")
            check("/u/" in mail, "the opt-out is gone")
        return made, mails

    first, mails = launch("first")
    handed_over = time.monotonic()
    check("/c/" in mails["ann"] and "/o/" in mails["ann"] and "/c/" not in mails["bob"] and "/o/" not in mails["bob"], mails)
    check("https://shop.example/" in mails["bob"], mails["bob"])
    _, off = launch("by the campaign", tracking="off")
    check(not any("/c/" in mail or "/o/" in mail for mail in off.values()), off)
    world.cli("tenant", "configure", "--tracking", "off")
    wait_for("the setting is shown", lambda: api.ok("GET", "/v1/settings")["tracking"] == "off", 20, world.server)
    _, off = launch("by the tenant")
    check(not any("/c/" in mail or "/o/" in mail for mail in off.values()), off)

    # It says that it is a browser, and asks from where scanners do.
    pixel = re.search(r'src="http://[^/]+(/o/[^"]+)"', mails["ann"]).group(1)
    check(Api(world.port).call("GET", pixel, headers={**BROWSER, "X-Forwarded-For": "198.51.100.200"}, raw=True)[0] == 200, "no picture")
    wait_for("the scanner is known", lambda: api.ok("GET", f"/v1/campaigns/{first}/report")["totals"]["machine_opens"] == 1, 20, world.server)

    # A machine follows all that there is; the link that no person sees tells.
    html = mails["ann"].split("<body>", 1)[1]
    hidden = re.search(r'href="http://[^/]+(/c/[^"]+)" style="display:none"', html).group(1)
    visible = re.search(r'<a href="http://[^/]+(/c/[^"]+)">go', html).group(1)
    asker = Api(world.port)
    wait_for("a person can have read it", lambda: time.monotonic() - handed_over > 2.5, 20, world.server)  # kAtOnce is 2 s
    check(asker.call("GET", visible, headers={**BROWSER, "X-Forwarded-For": "198.51.100.1, 203.0.113.5"})[0] == 302, "the link leads nowhere")
    status, page, headers = asker.call("GET", hidden, headers={**BROWSER, "X-Forwarded-For": "not an address"}, raw=True)
    check(status == 200 and b"http" not in page and "location" not in headers, (status, page, headers))
    seen = wait_for("the click is judged", lambda: [item for item in api.ok("GET", f"/v1/contacts/{ann}/engagements")["items"] if item["kind"] == "click"],
                    20, world.server)
    check(len(seen) == 1, seen)
    wait_for("it was a machine", lambda: any(item["kind"] == "click" and item["rule"] == "honeypot"
                                             for item in api.ok("GET", f"/v1/contacts/{ann}/engagements")["items"]), 20, world.server)
    report = api.ok("GET", f"/v1/campaigns/{first}/report")["totals"]
    check(report["clicks"] == 0 and report["machine_clicks"] == 1, report)
    check(world.server.stop() == 0, "SIGTERM")
    return "3 campaigns, 1 machine"


if __name__ == "__main__":
    run_test(run, settings={"partitions": 2, "workers": 1, "relay-connections": 2})
