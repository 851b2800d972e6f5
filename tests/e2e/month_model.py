"""What each contact of the first month should have got, and why: a model that knows the documents (docs/campaigns.md, docs/campaign-timing.md,
docs/journeys.md), and nothing of the program. Time passes in it when somebody says so; what is due by then happens in its order.
"""
import collections
import datetime
import heapq
import itertools
import zoneinfo

UTC = datetime.timezone.utc
SHOP_ZONE = "Europe/Berlin"  # of contacts without one of their own
PER_DAY, PER_WEEK = 1, 3     # marketing mails of a contact at most, by campaigns and journeys
GREYLISTED = datetime.timedelta(minutes=6, seconds=10)  # the first attempt is put off by 5 minutes and up to a fifth more
MARGIN = datetime.timedelta(seconds=5)  # what was due is asked for so long after


class Person:
    def __init__(self, email, zone=None, plan="free"):
        self.email, self.zone, self.plan = email, zone, plan
        self.lists, self.consents = set(), set()
        self.opted_out = self.erased = False
        self.suppressed = None                   # the reason
        self.mailed = collections.Counter()      # by the day of its own calendar
        self.greeted = False                     # a greylisting server has seen it
        self.at = None                           # in the welcome journey: the step that it is at
        self.turn = 0                            # of that wait: an older one is over

    @property
    def domain(self):
        return self.email.split("@")[1]

    def clock(self, instant):
        return instant.astimezone(zoneinfo.ZoneInfo(self.zone or SHOP_ZONE))

    def instant(self, wall):
        """When its clock shows this wall time; one that is left out counts with the offset before."""
        return wall.replace(tzinfo=zoneinfo.ZoneInfo(self.zone or SHOP_ZONE)).astimezone(UTC)

    def capped(self, day):
        week = sum(count for at, count in self.mailed.items() if 0 <= (day - at).days < 7)
        return self.mailed[day] >= PER_DAY or week >= PER_WEEK


class Campaign:
    """Its counts are those that a report shows."""

    def __init__(self, name, audience, arms):
        self.name, self.audience, self.arms = name, audience, arms
        self.delivered, self.bounced = set(), set()
        self.skips = collections.Counter()
        self.bounced_later = self.complaints = self.clicks = self.opens = self.unsubscribes = 0


class Model:
    def __init__(self):
        self.now = datetime.datetime(2027, 3, 1, tzinfo=UTC)
        self.people = {}
        self.campaigns = {}
        self.mails = {}                                    # (subject, recipient) -> when it is due; nobody gets one twice
        self.journey = collections.Counter()               # (step, what): how often
        self.left = collections.Counter()                  # why people left the journey
        self.events = collections.Counter()                # producers' events, by name
        self.revenue_cents = 0
        self._due = []
        self._number = itertools.count()

    # ---- time ----
    def when(self, instant, what):
        heapq.heappush(self._due, (instant, next(self._number), what))

    def next_due(self, until):
        """When the next thing happens, if that is until then."""
        return self._due[0][0] if self._due and self._due[0][0] <= until else None

    def pass_to(self, instant):
        while self._due and self._due[0][0] <= instant:
            self.now, _, what = heapq.heappop(self._due)
            what()
        self.now = instant

    # ---- people ----
    def add(self, person, list_name=None):
        """An import or the API: whoever is there already stays what he is; who was erased stays away."""
        there = self.people.setdefault(person.email, person)
        if list_name and not there.erased:
            there.lists.add(list_name)
        return there

    def active(self):
        return [person for person in self.people.values() if not person.erased]

    def members(self, list_name):
        return [person for person in self.active() if list_name in person.lists]

    def opt_out(self, person, campaign=None):
        person.opted_out = True
        if campaign:
            self.campaigns[campaign].unsubscribes += 1
        self.leave(person, "unsubscribed")

    def suppress(self, person, reason):
        if person.suppressed is None:
            person.suppressed = reason
        self.leave(person, "suppressed")

    def erase(self, person):
        self.leave(person, "erased")
        person.erased = True
        person.lists.clear()

    def withdraw(self, person, list_name):
        person.lists.discard(list_name)
        person.consents.discard(list_name)

    # ---- campaigns ----
    def launch(self, name, audience, wall=None, arms=1):
        """To these people, now, or when each one's clock shows the wall time; who is past it gets it now."""
        campaign = self.campaigns[name] = Campaign(name, list(audience), arms)
        for person in campaign.audience:
            due = max(self.now, person.instant(wall)) if wall else self.now
            if person.opted_out or person.suppressed:
                self._skip(campaign, person)
            elif due == self.now:
                self._send(campaign, person)
            else:
                self.when(due, lambda person=person: self._send(campaign, person))
        return campaign

    def _skip(self, campaign, person):
        campaign.skips["unsubscribed" if person.opted_out else "suppressed"] += 1

    def _send(self, campaign, person, again=False):
        day = person.clock(self.now).date()
        if person.erased:
            campaign.skips["erased"] += 1
        elif person.opted_out or person.suppressed:
            self._skip(campaign, person)
        elif person.capped(day) and not again:
            campaign.skips["frequency_cap"] += 1
        else:
            person.mailed[day] += not again
            if person.domain == "gone.example":
                campaign.bounced.add(person.email)
                self.suppress(person, "hard_bounce")
            elif person.domain == "grey.example" and not person.greeted:
                person.greeted = True
                self.when(self.now + GREYLISTED, lambda: self._send(campaign, person, again=True))
            else:
                self._mail(campaign.name, person)
                campaign.delivered.add(person.email)

    def _mail(self, subject, person):
        assert (subject, person.email) not in self.mails, f"{person.email} would get {subject} twice"
        self.mails[subject, person.email] = self.now

    # ---- the welcome journey: hello; whoever clicks within two days gets thanks, the others nudge; on the next Monday at 9 (UTC) last ----
    def sign_up(self, person):
        self.events["signed_up"] += 1
        if person.at is not None or person.opted_out or person.suppressed:
            return
        self.journey["", "entered"] += 1
        self._letter(person, "hello")
        self._wait(person, "clicks", datetime.timedelta(days=2), lambda: self._go_on(person, "nudge"))

    def click_hello(self, person):
        if person.at == "clicks":
            self._go_on(person, "thanks")

    def _letter(self, person, name):
        day = person.clock(self.now).date()
        if person.capped(day):
            self.journey[name, "skipped"] += 1
            return
        person.mailed[day] += 1
        self.journey[name, "sent"] += 1
        self._mail(name, person)

    def _wait(self, person, step, how_long, then):
        person.at = step
        person.turn += 1
        turn = person.turn
        self.when(self.now + how_long + MARGIN, lambda: then() if (person.at, person.turn) == (step, turn) else None)

    def _go_on(self, person, name):
        self._letter(person, name)
        monday = datetime.datetime.combine(self.now.date() + datetime.timedelta(days=-self.now.weekday() % 7), datetime.time(9), UTC)
        monday += datetime.timedelta(days=7 if monday <= self.now else 0)
        self._wait(person, "monday", monday - self.now, lambda: self._end(person))

    def _end(self, person):
        self._letter(person, "last")
        self.leave(person, "completed")

    def leave(self, person, why):
        if person.at not in (None, "over"):
            person.at = "over"
            self.left[why] += 1

    def in_journey(self):
        return sum(person.at not in (None, "over") for person in self.people.values())
