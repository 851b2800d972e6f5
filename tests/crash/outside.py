"""What may be said of a send, given what the evil sink did with its mail and when the program was killed.

A session of a mail is one of: accepted (250), ambiguous (the final dot, or a part of the body, was handed over and no reply came back),
later (refused for now), never (refused for good), broken (ended before the final dot, by either side).
"""
import collections

from evil_sink import BY_NAME, read_log

AFTER_KILL = 3.0   # seconds in which the sink sees that the program's connections are gone
BEFORE_KILL = 2.0  # seconds for which a busy program may not have read what the sink said last
LOST_TEXT = "the reply's text was lost when the program ended"  # its code is kept


def meaning(what):
    if what.startswith("cut_"):
        return "broken"
    kind = BY_NAME[what]
    if kind.act in ("drop", "hang", "half", "nonsense"):
        return "ambiguous" if kind.step in ("dot", "body") else "broken"
    return {"4xx": "later", "421": "later", "5xx": "never"}.get(kind.act, "accepted")


def dot_may_be_out(line):
    """The program was asked for the body: its final dot may have been handed to the wire."""
    return line.what == "cut_body" or (line.what in BY_NAME and BY_NAME[line.what].step in ("body", "dot"))


class Outside:
    """The sink's log, read as it grows."""

    def __init__(self, path):
        self.path, self.offset = path, 0
        self.sessions = collections.defaultdict(list)  # recipient -> lines
        self.last = {}                                 # connection -> the last line of a mail
        self.ends = {}                                 # connection -> the line of its end
        self.counts = collections.Counter()            # by kind
        self.kills = []                                # (begin, end)

    def read(self):
        """True: there was something new."""
        lines, self.offset = read_log(self.path, self.offset)
        for line in lines:
            if line.recipient:
                self.sessions[line.recipient].append(line)
                self.last[line.connection] = line
                self.counts[line.what] += 1
            else:
                self.ends[line.connection] = line
        return bool(lines)

    def taken(self):
        """Message-IDs in the mailboxes: what an operator would get from the receiver."""
        return [line.message_id for lines in self.sessions.values() for line in lines if line.what in BY_NAME and BY_NAME[line.what].kept]

    def copies(self, recipient):
        return sum(line.what in BY_NAME and BY_NAME[line.what].kept for line in self.sessions[recipient])

    def killed(self, line):
        """A kill cut the connection off while this was the last mail on it, or came before the program can have read the last words of a
        sink that ended it."""
        end = self.ends.get(line.connection)
        if end is None or self.last[line.connection] is not line:
            return False
        before = BEFORE_KILL if end.what == "end_sink" else 0
        return any(begin - before <= end.time <= until + AFTER_KILL for begin, until in self.kills)

    def judge(self, lines, send, may_wait):
        """What is wrong with this send, as a list; `send`: (status, attempts, reply code, reply text). And whether a kill made it unknown."""
        status, attempts, code, text = send
        wrong = []
        for line in lines[:-1]:
            what = meaning(line.what)
            if what in ("accepted", "ambiguous"):
                wrong.append(f"tried again by itself after {line.what}")
            elif what == "never" and not self.killed(line):
                wrong.append(f"tried again after {line.what}")
        if len({line.message_id for line in lines if line.message_id}) > 1:
            wrong.append("attempts with different Message-IDs")
        tried = sum(line.what not in BY_NAME or BY_NAME[line.what].step != "mail" for line in lines)  # else it was only taken to another connection
        if attempts < tried:
            wrong.append(f"{tried} sessions of {attempts} attempts")
        what = meaning(lines[-1].what) if lines else "broken"
        killed = bool(lines) and self.killed(lines[-1])
        by_kill = status == "unknown" and what != "ambiguous"
        if by_kill:
            if not (killed and dot_may_be_out(lines[-1])):
                wrong.append("unknown without a reason")
        elif status != {"accepted": "delivered", "ambiguous": "unknown", "never": "bounced"}.get(what, "waiting" if may_wait else "another session"):
            wrong.append(f"{status}, though its last session was {what}")
        elif status == "bounced" and (text not in (lines[-1].what, LOST_TEXT) or code not in (550, 553, 554)):
            wrong.append(f"the reply was not kept: {code} {text}")
        return wrong, by_kill
