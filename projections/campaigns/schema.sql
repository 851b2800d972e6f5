-- Campaigns, and how far each partition has come with them.
CREATE TABLE campaigns (
  tenant           BIGINT NOT NULL,
  campaign_id      BIGINT NOT NULL,
  name             TEXT   NOT NULL,
  template_id      BIGINT NOT NULL,
  template_version BIGINT,           -- null = not launched yet
  from_address     TEXT   NOT NULL,
  reply_to         TEXT   NOT NULL,
  from_name        TEXT   NOT NULL,  -- Liquid: the name in From; empty = that of from_address
  list_id          BIGINT NOT NULL,  -- 0 = all contacts
  untracked        BIGINT NOT NULL,  -- 1 = nothing of its mails is tracked
  status           BIGINT NOT NULL,  -- campaign_statuses
  reason           TEXT,             -- why it was refused
  created_at_us    BIGINT NOT NULL,
  postal_address   TEXT,             -- as at the launch
  company          TEXT,             -- as at the launch
  launched_at_us   BIGINT,
  ended_at_us      BIGINT,           -- completed, cancelled or refused
  stop_reason      TEXT,             -- of the safety stop that has paused it: hard_bounces, complaints, render_errors, policy; null = none has
  stop_count       BIGINT,           -- how many of those
  stop_of          BIGINT,           -- of sends answered, mails delivered, replies of the site
  stop_limit_bp    BIGINT,           -- hundredths of a per cent
  stop_site        TEXT,             -- of policy
  stop_code        TEXT,             -- of policy: the newest enhanced code
  overridden       TEXT,             -- reason of the stop that was last overridden; null = none was
  override_why     TEXT,
  evergreen        BIGINT NOT NULL,  -- 1 = whoever comes into the audience after the launch gets it too
  finishing_at_us  BIGINT,           -- of an evergreen one: since when it takes nobody in any more
  PRIMARY KEY (tenant, campaign_id)
) WITHOUT ROWID;

CREATE TABLE campaign_statuses (status BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO campaign_statuses (status, name)
VALUES (0, 'draft'), (1, 'running'), (2, 'paused'), (3, 'cancelled'), (4, 'completed'), (5, 'refused'), (10, 'scheduled'), (11, 'held');

CREATE TABLE campaign_arms (
  tenant          BIGINT NOT NULL,
  campaign_id     BIGINT NOT NULL,
  arm             BIGINT NOT NULL,  -- place in the campaign's definition, from 0
  name            TEXT   NOT NULL,
  holdout         BIGINT NOT NULL,  -- 0, 1
  where_attribute TEXT   NOT NULL,
  where_value     TEXT   NOT NULL,
  weight          BIGINT NOT NULL,
  subject         TEXT   NOT NULL,  -- Liquid: instead of the template's; empty = the template's
  from_name       TEXT   NOT NULL,  -- Liquid: instead of the campaign's; empty = the campaign's
  template_id     BIGINT NOT NULL,  -- of its own; 0 = the campaign's
  template_version BIGINT,          -- of its own, as the launch has pinned it; null = none, or not launched yet
  PRIMARY KEY (tenant, campaign_id, arm)
) WITHOUT ROWID;

-- Where tracked links lead; fixed at launch. Those of templates that arms have of their own follow those of the campaign's.
CREATE TABLE campaign_links (
  tenant      BIGINT NOT NULL,
  campaign_id BIGINT NOT NULL,
  link        BIGINT NOT NULL,
  target      TEXT   NOT NULL,
  PRIMARY KEY (tenant, campaign_id, link)
) WITHOUT ROWID;

-- What each partition says of itself.
CREATE TABLE campaign_partitions (
  tenant        BIGINT NOT NULL,
  campaign_id   BIGINT NOT NULL,
  partition     BIGINT NOT NULL,
  state         BIGINT NOT NULL,  -- 1 running, 2 paused, 3 cancelling
  planned       BIGINT NOT NULL,  -- 1 = the whole audience has its verdict
  settled       BIGINT NOT NULL,  -- 1 = nobody is pending or open any more
  last_ordinal  BIGINT NOT NULL,  -- the audience of the launch is among the contacts 1 … last_ordinal
  audience      BIGINT NOT NULL,
  to_send       BIGINT NOT NULL,
  delivered     BIGINT NOT NULL,
  bounced       BIGINT NOT NULL,
  unknown       BIGINT NOT NULL,
  skipped       BIGINT NOT NULL,
  holdout       BIGINT NOT NULL,
  failed        BIGINT NOT NULL,
  entrants      BIGINT NOT NULL,  -- of the audience: who came into it after the launch
  opened_at_us  BIGINT NOT NULL,
  changed_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, campaign_id, partition)
) WITHOUT ROWID;

-- What belongs to a campaign besides: its revision, its audience, what it is derived from, who has approved it.
CREATE TABLE campaign_drafts (
  tenant            BIGINT NOT NULL,
  campaign_id       BIGINT NOT NULL,
  revision          BIGINT NOT NULL,  -- from 1
  audience          TEXT   NOT NULL,  -- JSON: list_ids, segment_ids, exclude_list_ids, exclude_segment_ids; list_id stands in campaigns
  resend_of         BIGINT,           -- the campaign that it is derived from
  resend_to         TEXT,             -- failed, non_openers
  holdout_bp        BIGINT NOT NULL,  -- hundredths of a per cent of the contacts that get no campaign, as at the launch
  approved_by       TEXT,
  approved_revision BIGINT,
  PRIMARY KEY (tenant, campaign_id)
) WITHOUT ROWID;

-- Dry runs of launches.
CREATE TABLE launch_previews (
  tenant          BIGINT NOT NULL,
  preview_id      BIGINT NOT NULL,
  campaign_id     BIGINT NOT NULL,
  requested_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, preview_id)
) WITHOUT ROWID;

CREATE TABLE launch_preview_rules (
  tenant     BIGINT NOT NULL,
  preview_id BIGINT NOT NULL,
  place      BIGINT NOT NULL,
  rule       TEXT   NOT NULL,
  path       TEXT   NOT NULL,         -- JSON Pointer of what to change; empty = the rule is kept
  sentence   TEXT   NOT NULL,
  PRIMARY KEY (tenant, preview_id, place)
) WITHOUT ROWID;

CREATE TABLE launch_preview_arms (
  tenant     BIGINT NOT NULL,
  preview_id BIGINT NOT NULL,
  arm        BIGINT NOT NULL,
  name       TEXT   NOT NULL,
  holdout    BIGINT NOT NULL,         -- 0, 1
  PRIMARY KEY (tenant, preview_id, arm)
) WITHOUT ROWID;

CREATE TABLE launch_preview_parts (
  tenant        BIGINT NOT NULL,
  preview_id    BIGINT NOT NULL,
  partition     BIGINT NOT NULL,
  done          BIGINT NOT NULL,      -- 1 = all its contacts are counted
  counted_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, preview_id, partition)
) WITHOUT ROWID;

CREATE TABLE launch_preview_verdicts (
  tenant     BIGINT NOT NULL,
  preview_id BIGINT NOT NULL,
  verdict    BIGINT NOT NULL,         -- below 64: skip_reasons; 64 + arm: would be sent; 128 + arm: held out; 192: would wait for a winner
  contacts   BIGINT NOT NULL,
  PRIMARY KEY (tenant, preview_id, verdict)
) WITHOUT ROWID;
