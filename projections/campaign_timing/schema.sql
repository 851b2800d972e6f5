-- When campaigns go: what was scheduled, what was held, how fast.
CREATE TABLE campaign_timings (
  tenant         BIGINT NOT NULL,
  campaign_id    BIGINT NOT NULL,
  starts_at_us   BIGINT,           -- null = it is not scheduled
  local          TEXT,             -- the wall time that was asked for; null = an instant was
  zone           TEXT,             -- of local
  per_contact    BIGINT NOT NULL,  -- 1 = each contact by its own clock
  skip_late      BIGINT NOT NULL,  -- 1 = who is past the wall time at the start gets none
  tz_version     TEXT,             -- of the zone tables that starts_at_us was computed with
  held_at_us     BIGINT,           -- null = it is not held
  held_reason    TEXT,             -- overdue, refused
  held_codes     TEXT,             -- of the objections, separated by spaces
  held_why       TEXT,             -- their sentences
  per_minute     BIGINT NOT NULL,  -- mails; 0 = no such limit
  over_minutes   BIGINT NOT NULL,  -- the audience over so long; 0 = no such limit
  quiet_from     BIGINT,           -- minute of the day; null = the campaign has no quiet hours of its own
  quiet_to       BIGINT,
  ttl_minutes    BIGINT NOT NULL,  -- 0 = the default
  PRIMARY KEY (tenant, campaign_id)
) WITHOUT ROWID;

-- Of an audience that waits for clocks, in each partition.
CREATE TABLE campaign_clocks (
  tenant       BIGINT NOT NULL,
  campaign_id  BIGINT NOT NULL,
  partition    BIGINT NOT NULL,
  clocks       BIGINT NOT NULL,  -- different ones
  without_zone BIGINT NOT NULL,  -- contacts whose own zone is missing or unknown
  PRIMARY KEY (tenant, campaign_id, partition)
) WITHOUT ROWID;
