-- Sites, the mail servers that recipient domains share: what is decided of each, and what was.
-- Why was Gmail slow at 10:05? SELECT * FROM site_changes WHERE site = 'google.com' AND at_us <= :t ORDER BY at_us DESC LIMIT 5
CREATE TABLE sites (
  site              TEXT   NOT NULL PRIMARY KEY,  -- the provider, or the most preferred mail server
  tenant            BIGINT NOT NULL,  -- 1, the operator's: analysts of other tenants do not see it
  suspended         BIGINT NOT NULL,  -- 0, 1: nothing goes there until it is resumed
  draining          BIGINT NOT NULL,  -- 0, 1: what is under way there comes to its end, nothing begins until it is resumed
  suspended_why     TEXT   NOT NULL,  -- the reason that was given last, for suspending, draining or resuming it
  suspended_by      TEXT   NOT NULL,  -- who did: effect:smtp by the rule of refusals, or an API key
  suspended_at_us   BIGINT,           -- when; null = never
  slowed            BIGINT NOT NULL,  -- 0, 1: a process was asked for less there, and has not said since that it recovered
  slowed_at_us      BIGINT,           -- by the last such reply; null = never
  pause_ends_at_us  BIGINT,           -- after that reply; then it is probed
  reply_code        BIGINT,           -- of that reply
  enhanced_code     TEXT   NOT NULL,  -- of it, or empty
  reply_text        TEXT   NOT NULL,  -- of it, without the recipient
  recovered_at_us   BIGINT,           -- null = never
  leased_hour       BIGINT NOT NULL,  -- the hour of the newest lease, since 1970, UTC
  leased_this_hour  BIGINT NOT NULL,  -- mails leased in it, less those returned: at least as many as were begun
  leased_today      BIGINT NOT NULL,  -- the same of its day
  limit_ends_at_us  BIGINT,           -- the end of the last limit that was reached; null = never
  warm_up_day       BIGINT,           -- the day of the plan's step, since 1970, UTC; null = no plan
  warm_up_step      BIGINT,           -- from 0
  warm_up_mails_max BIGINT            -- of that day; 0 = the plan is done
) WITHOUT ROWID;

-- Each decision on how fast mail goes to a site, with its cause.
CREATE TABLE site_changes (
  site          TEXT   NOT NULL,  -- as in sites
  sequence      BIGINT NOT NULL,  -- orders the changes of a site: lsn * 256 + place in the decision
  tenant        BIGINT NOT NULL,  -- 1, the operator's: analysts of other tenants do not see it
  at_us         BIGINT NOT NULL,  -- when it was decided
  kind          TEXT   NOT NULL,  -- slowed, recovered, suspended, drained, resumed, flushed, limit_reached, day_began, step_held
  cause         TEXT   NOT NULL,  -- in words: the reply, the operator's reason, the limit, how the day before was
  reply_code    BIGINT,           -- of slowed; else null
  enhanced_code TEXT   NOT NULL,  -- of slowed, or empty
  reply_text    TEXT   NOT NULL,  -- of slowed, without the recipient, or empty
  pause_us      BIGINT,           -- of slowed: so long nothing goes there
  ends_at_us    BIGINT,           -- of limit_reached: the end of the hour or day
  mails         BIGINT,           -- of limit_reached, day_began, step_held: the number that may be sent; of flushed: its number in site_flushes
  refused       BIGINT,           -- of slowed and suspended by the rule of refusals: X.7.x among the last replies; else null
  replies       BIGINT,           -- of these: how many those were
  actor         TEXT   NOT NULL,  -- who asked: effect:smtp, or an API key
  PRIMARY KEY (site, sequence)
) WITHOUT ROWID;
CREATE INDEX site_changes_by_time ON site_changes (site, at_us);

-- What each flush of a site made due, by the partition that has those mails.
CREATE TABLE site_flushes (
  site      TEXT   NOT NULL,  -- as in sites
  number    BIGINT NOT NULL,  -- of the site's flushes, from 1
  partition BIGINT NOT NULL,
  tenant    BIGINT NOT NULL,  -- 1, the operator's: analysts of other tenants do not see it
  mails     BIGINT NOT NULL,  -- that waited for a retry there, and are due since
  PRIMARY KEY (site, number, partition)
) WITHOUT ROWID;
