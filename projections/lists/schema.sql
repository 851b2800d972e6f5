-- Lists, who is on them, and who wants no marketing mail at all.
CREATE TABLE lists (
  tenant        BIGINT NOT NULL,
  list_id       BIGINT NOT NULL,
  name          TEXT   NOT NULL,
  created_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, list_id)
) WITHOUT ROWID;

CREATE TABLE list_members (
  tenant       BIGINT NOT NULL,
  list_id      BIGINT NOT NULL,
  contact_id   BIGINT NOT NULL,
  source       TEXT   NOT NULL,
  joined_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, list_id, contact_id)
) WITHOUT ROWID;

CREATE TABLE list_totals (
  tenant  BIGINT NOT NULL,
  list_id BIGINT NOT NULL,
  members BIGINT NOT NULL,
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
