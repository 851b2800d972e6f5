-- One row for everyone in a campaign's audience: what became of the mail to them, or why there was none.
CREATE TABLE sends (
  tenant          BIGINT NOT NULL,
  campaign_id     BIGINT NOT NULL,
  contact_id      BIGINT NOT NULL,
  arm             BIGINT,           -- null = skipped before an arm was chosen, or waits for the winner of a test
  status          BIGINT NOT NULL,  -- send_statuses
  reason          BIGINT NOT NULL,  -- skip_reasons; 0 = none
  attempts        BIGINT NOT NULL,  -- attempts opened
  planned_at_us   BIGINT NOT NULL,
  attempted_at_us BIGINT,           -- when the last attempt was opened
  settled_at_us   BIGINT,           -- delivered, bounced, skipped, held out or expired; null = not yet
  retry_at_us     BIGINT,           -- while it waits
  site            TEXT,             -- while it waits: the site that deferred it; null = it went nowhere
  reply_code      BIGINT,           -- of the last SMTP reply
  reply_text      TEXT,             -- of the last reply, or why it was skipped
  bounce_reason   TEXT,             -- of the last bounce, in the session or later: "invalid_address", …
  bounce_rule     TEXT,             -- the rule that says so
  bounced_at_us   BIGINT,           -- when a notification said later that the mail did not get there
  complained_at_us BIGINT,         -- when the recipient reported it
  locale          TEXT,             -- language of the variant that the last attempt was made of; '' = the template says none; null = not tried
  PRIMARY KEY (tenant, campaign_id, contact_id)
) WITHOUT ROWID;
-- Few at any time, and looked for by people.
CREATE INDEX sends_unknown ON sends (tenant, campaign_id, contact_id) WHERE status = 6;
-- What waits for a retry, by where.
CREATE INDEX sends_waiting ON sends (site) WHERE status = 3;

-- Everything that happened to a send after it was planned.
CREATE TABLE send_history (
  tenant      BIGINT NOT NULL,
  campaign_id BIGINT NOT NULL,
  contact_id  BIGINT NOT NULL,
  sequence    BIGINT NOT NULL,  -- lsn * 256 + place in the decision
  kind        BIGINT NOT NULL,  -- send_history_kinds
  attempt     BIGINT NOT NULL,  -- 0 = none in particular
  at_us       BIGINT NOT NULL,
  reply_code  BIGINT,
  detail      TEXT,             -- the reply, or why
  reason      TEXT,             -- of a bounce, a complaint, a machine's answer
  rule        TEXT,             -- the rule that says so
  source      TEXT,             -- of what came back later: "smtp", "http"
  PRIMARY KEY (tenant, campaign_id, contact_id, sequence)
) WITHOUT ROWID;

-- What servers refused for good: as it was said, and what the rules make of it; those of its day, until it was judged again.
CREATE TABLE bounces (
  tenant        BIGINT NOT NULL,
  campaign_id   BIGINT NOT NULL,
  contact_id    BIGINT NOT NULL,
  at_us         BIGINT NOT NULL,
  reply_code    BIGINT,           -- null = nobody has replied
  enhanced_code TEXT NOT NULL,    -- '' = none
  stage         TEXT NOT NULL,    -- of the conversation: "rcpt", "dot"; '' in old events
  reply_text    TEXT NOT NULL,
  hard          BIGINT NOT NULL,  -- 1 = the address is bad for good
  reason        TEXT NOT NULL,
  rule          TEXT NOT NULL,
  PRIMARY KEY (tenant, campaign_id, contact_id)
) WITHOUT ROWID;

CREATE TABLE send_statuses (status BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO send_statuses (status, name)
VALUES (1, 'pending'), (2, 'open'), (3, 'waiting'), (4, 'delivered'), (5, 'bounced'), (6, 'unknown'), (7, 'skipped'), (8, 'holdout'), (9, 'expired'),
       (10, 'awaiting_winner');

CREATE TABLE skip_reasons (reason BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO skip_reasons (reason, name)
VALUES (0, ''), (1, 'unsubscribed'), (2, 'suppressed'), (3, 'holdout'), (4, 'no_arm'), (5, 'render_error'), (6, 'cancelled'), (7, 'no_address'),
       (8, 'erased'), (9, 'unconfirmed'),
       (15, 'quiet_hours'), (16, 'frequency_cap'), (17, 'late'), (30, 'merged');

CREATE TABLE send_history_kinds (kind BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO send_history_kinds (kind, name)
VALUES (1, 'attempt_opened'), (2, 'delivered'), (3, 'deferred'), (4, 'bounced'), (5, 'unknown'), (6, 'resolved_delivered'),
       (7, 'resolved_not_delivered'), (8, 'retry_due'), (9, 'expired'), (10, 'skipped'), (11, 'bounced_later'),
       (12, 'complained'), (13, 'auto_replied'), (14, 'bounce_reclassified');
