-- Lists, who is on them, and who wants no marketing mail at all.
CREATE TABLE lists (
  tenant        BIGINT NOT NULL,
  list_id       BIGINT NOT NULL,
  name          TEXT   NOT NULL,
  public        BIGINT NOT NULL,  -- 1 = people see it on their preference page
  description   TEXT   NOT NULL,  -- there
  created_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, list_id)
) WITHOUT ROWID;

CREATE TABLE list_members (
  tenant       BIGINT NOT NULL,
  list_id      BIGINT NOT NULL,
  contact_id   BIGINT NOT NULL,
  source       TEXT   NOT NULL,
  by_consent   BIGINT NOT NULL,  -- 1 = consent_events says why
  consented    BIGINT NOT NULL,  -- 1 = a consent to this list is recorded
  joined_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, list_id, contact_id)
) WITHOUT ROWID;

-- Memberships that have ended.
CREATE TABLE past_members (
  tenant          BIGINT NOT NULL,
  list_id         BIGINT NOT NULL,
  contact_id      BIGINT NOT NULL,
  left_sequence   BIGINT NOT NULL,  -- orders those of a contact
  source          TEXT   NOT NULL,
  by_consent      BIGINT NOT NULL,
  joined_at_us    BIGINT NOT NULL,
  left_source     TEXT   NOT NULL,
  left_by_consent BIGINT NOT NULL,  -- 1 = consent_events says why
  left_at_us      BIGINT NOT NULL,
  PRIMARY KEY (tenant, list_id, contact_id, left_sequence)
) WITHOUT ROWID;

CREATE TABLE list_totals (
  tenant  BIGINT NOT NULL,
  list_id BIGINT NOT NULL,
  members BIGINT NOT NULL,
  members_without_consent BIGINT NOT NULL,  -- of whom none to this list is recorded
  PRIMARY KEY (tenant, list_id)
) WITHOUT ROWID;

-- Global opt-outs that hold now.
CREATE TABLE unsubscribed (
  tenant             BIGINT NOT NULL,
  contact_id         BIGINT NOT NULL,
  campaign_id        BIGINT NOT NULL,  -- whose mail it was done from
  method             TEXT   NOT NULL,
  unsubscribed_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, contact_id)
) WITHOUT ROWID;

-- Files of contacts; one without an outcome either goes on or was cut off with its process.
CREATE TABLE imports (
  tenant        BIGINT NOT NULL,
  import_id     TEXT   NOT NULL,
  list_id       BIGINT NOT NULL,  -- 0 = none
  source        TEXT   NOT NULL,
  started_at_us BIGINT NOT NULL,
  ended_at_us   BIGINT,
  outcome       TEXT,             -- completed, interrupted, failed
  message       TEXT   NOT NULL,  -- why it failed
  token         TEXT   NOT NULL,  -- a read that is fresh as of this shows all of its rows
  row_count     BIGINT NOT NULL,
  created       BIGINT NOT NULL,
  updated       BIGINT NOT NULL,
  unchanged     BIGINT NOT NULL,
  duplicate     BIGINT NOT NULL,
  skipped       BIGINT NOT NULL,
  rejected      BIGINT NOT NULL,
  PRIMARY KEY (tenant, import_id)
) WITHOUT ROWID;
