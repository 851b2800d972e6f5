"""What a run of the mix came to, in words that mean the same on every site: addresses and names, no ids, times or attempts."""
import hashlib

from sites import Failed, check

ROWS_SHOWN = 10


class Outcome:
    """Sections of rows, each row a tuple of texts and numbers; in order, so that equal outcomes have equal digests."""

    def __init__(self, sections):
        self.sections = {name: sorted(rows) for name, rows in sections.items()}

    def digest(self):
        return hashlib.sha256(repr(self.sections).encode()).hexdigest()[:32]

    def rows(self):
        return sum(len(rows) for rows in self.sections.values())

    def differences(self, other, mine, its):
        """The first rows, section by section, that only one of the two has; empty = equal."""
        lines = []
        for name, rows in self.sections.items():
            left, right = set(rows), set(other.sections[name])
            lines += [f"{name}: only {mine}: {row}" for row in sorted(left - right)[:ROWS_SHOWN]]
            lines += [f"{name}: only {its}: {row}" for row in sorted(right - left)[:ROWS_SHOWN]]
            if left == right and len(rows) != len(other.sections[name]):
                lines.append(f"{name}: {len(rows)} rows of {mine}, {len(other.sections[name])} of {its}")
        return lines


def take(mix):
    """Asks the site of a mix that has come to its end."""
    site = mix.site
    contacts = site.pages("/v1/contacts")
    address = {contact["id"]: contact["email"] for contact in contacts}
    check(len(address) == len(contacts) and None not in address.values(), f"{site.name}: a contact without address, or twice")
    sections = {"answers": [tuple(answer) for answer in mix.answers]}
    sections["contacts"] = [(contact["email"], repr(sorted(contact["attributes"].items())), contact["unsubscribed_at"] is not None,
                             contact["suppressed_reason"] or "") for contact in contacts]
    lists = site.pages("/v1/lists")
    sections["lists"] = [(item["name"], item["members"]) for item in lists]
    sections["members"] = [(item["name"], address[member["contact_id"]]) for item in lists for member in site.pages(f"/v1/lists/{item['id']}/members")]
    sections["suppressions"] = [(number, item["reason"]) for number, item in enumerate(sorted(site.pages("/v1/suppressions"), key=lambda row: row["reason"]))]
    sections["engagements"] = [(kind, site.ok("GET", f"/v1/engagements/count?type={kind}")["count"]) for kind in mix.expected]
    sections["sends"], sections["totals"], sections["skips"] = [], [], []
    for name, campaign in mix.campaigns.items():
        sends = site.pages(f"/v1/campaigns/{campaign}/sends")
        sections["sends"] += [(name, address[send["contact_id"]], send["status"], send["reason"]) for send in sends]
        status = mix.status(name)
        sections["totals"].append((name, status["status"], repr(sorted(status["counts"].items()))))
        report = site.ok("GET", f"/v1/campaigns/{campaign}/report")
        sections["totals"] += [(name, arm["name"], repr(sorted(arm.items()))) for arm in report["arms"]]
        sections["skips"] += [(name, skip["reason"], skip["contacts"] if "contacts" in skip else skip["count"])
                              for skip in site.ok("GET", f"/v1/campaigns/{campaign}/skips")["items"]]
    outcome = Outcome(sections)
    once(mix, outcome)
    return outcome


def once(mix, outcome):
    """Whom the sink has mail for, and how often: once for each campaign that says delivered."""
    delivered, received = {}, {}
    for _, email, status, _ in outcome.sections["sends"]:
        check(status in ("delivered", "bounced", "skipped", "holdout"), f"{mix.site.name}: a send that is not settled: {email} {status}")
        delivered[email] = delivered.get(email, 0) + (status == "delivered")
    for email in mix.received():
        received[email] = received.get(email, 0) + 1
    wrong = sorted((email, count, received.get(email, 0)) for email, count in delivered.items() if count != received.get(email, 0))
    wrong += sorted((email, 0, count) for email, count in received.items() if email not in delivered)
    if wrong:
        raise Failed(f"{mix.site.name}: {len(wrong)} recipients (delivered, received): {wrong[:ROWS_SHOWN]}")
