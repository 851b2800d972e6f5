"""Rows of the templates' engine: one mail for many contacts, against LiquidJS on the same template and data; and the share of cases that pass."""
import json
import os
import random
import subprocess

from form import Missing, ROOT

LIQUIDJS = "10.30.1"  # as scripts/setup.sh --bench installs it
MODULES = os.path.join(ROOT, "build/bench/npm/node_modules")
MAIL_BYTES = 10_240
CONTACTS = 1000
LINKS = 10
PLANS = ["free", "pro"]
CITIES = ["Oslo", "Bergen", "R&D City", "Tromsø"]


def template(filler):
    """Words, the first name, two attributes, a condition, ten links, and the way out."""
    chance = random.Random(9)
    words = []
    while sum(len(word) + 1 for word in words) < filler:
        words.append("".join(chance.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(chance.randint(2, 9))))
    lines = [" ".join(words[start:start + 12]) for start in range(0, len(words), 12)]
    for number in range(LINKS):
        lines[(number + 1) * len(lines) // (LINKS + 1)] += f" <a href=\"{{{{ links[{number}] }}}}\">look</a>"
    return ("<html><body><p>Hello {{ contact.first_name }} of {{ contact.city }}, with {{ contact.projects }} projects,</p>\n"
            "{% if contact.plan == 'pro' %}<p>Thank you for being with us.</p>{% else %}<p>There is more for you.</p>{% endif %}\n<p>" +
            "</p>\n<p>".join(lines) + "</p>\n{{ company }}, {{ postal_address }} <a href=\"{{ unsubscribe_url }}\">out</a></body></html>")


def contacts():
    return [{"contact": {"first_name": f"User{g}", "city": CITIES[g % 4], "projects": g % 17, "plan": PLANS[g % 2]},
             "links": [f"https://t.example.com/c/{g:012d}{n:04d}abcdefghijklmnopqrstuvwxyz" for n in range(LINKS)],
             "company": "Shop & Co", "postal_address": "1 Street, 0150 Oslo", "unsubscribe_url": f"https://t.example.com/u/{g:012d}abcdefghijklmnopqrstuvwxyz"}
            for g in range(CONTACTS)]


class Rows:
    def __init__(self, build, samples, rounds):
        self.program, self.samples, self.rounds = os.path.join(build, "bench/liquid_render"), samples, rounds
        self.folder = os.path.join(ROOT, "build/bench/liquid")
        os.makedirs(self.folder, exist_ok=True)

    def run(self, command):
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300, check=False)
        if done.returncode != 0:
            raise Missing(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        return json.loads(done.stdout)

    def cases(self, path):
        return self.run([self.program, "--cases", path])

    def ours(self, mail, seconds):
        return self.run([self.program, "--mail", mail, "--seconds", str(seconds), "--out", os.path.join(self.folder, "ours.txt")])

    def render(self):
        mail = os.path.join(self.folder, "mail.json")
        filler = MAIL_BYTES
        for _ in range(4):
            with open(mail, "w", encoding="utf-8") as file:
                json.dump({"template": template(filler), "contacts": contacts()}, file)
            filler += MAIL_BYTES - self.ours(mail, 0.01)["bytes"]
        for _ in range(self.rounds):
            ours = self.ours(mail, 2)
            theirs = self.run(["node", os.path.join(ROOT, "bench/liquid/liquidjs.cjs"), MODULES, mail, "2", os.path.join(self.folder, "liquidjs.txt")])
            with open(os.path.join(self.folder, "ours.txt"), "rb") as one, open(os.path.join(self.folder, "liquidjs.txt"), "rb") as other:
                if one.read() != other.read():
                    raise Missing("the two engines write different mails: compare build/bench/liquid/ours.txt and liquidjs.txt")
            name = f"LiquidJS {LIQUIDJS} on Node, {ours['bytes']:,} bytes a mail"
            self.samples.add("render", "renders/s/core", ours["renders_per_second"], theirs["renders_per_second"], name)
            self.samples.add("render_string", "renders/s/core", ours["renders_per_second"], theirs["string_renders_per_second"],
                             name + ", its strings left as they are, ours as UTF-8 bytes")
