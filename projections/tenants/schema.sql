-- Who uses the platform, and how each has set it up.
CREATE TABLE tenants (
  tenant        BIGINT NOT NULL PRIMARY KEY,
  name          TEXT   NOT NULL,
  created_at_us BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE tenant_settings (
  tenant         BIGINT NOT NULL PRIMARY KEY,
  postal_address TEXT   NOT NULL,
  company        TEXT   NOT NULL,
  changed_at_us  BIGINT NOT NULL,
  hard_bounces_bp BIGINT NOT NULL,  -- limits of safety stops, in hundredths of a per cent; 0 = the default
  complaints_bp   BIGINT NOT NULL,
  policy_bp       BIGINT NOT NULL,
  after_sends     BIGINT NOT NULL,
  after_replies   BIGINT NOT NULL,
  tracking        BIGINT NOT NULL,  -- 2 = off: its mails have neither tracked links nor a pixel
  holdout_bp      BIGINT NOT NULL,  -- hundredths of a per cent of the contacts that get no campaign
  approval_over   BIGINT NOT NULL,  -- a campaign for more contacts than this is approved by a second person; 0 = none is
  time_zone       TEXT,             -- IANA; null = UTC
  quiet_from      BIGINT,           -- minute of the day from which no marketing mail goes; null = there are no such hours
  quiet_to        BIGINT,           -- until this one; the same = there are none
  cap_per_day     BIGINT,           -- marketing mails of a contact at most; null, 0 = no limit
  cap_per_week    BIGINT,
  overdue_minutes BIGINT            -- a start that is later is held; null = the default
) WITHOUT ROWID;

-- Addresses that may stand in From.
CREATE TABLE senders (
  tenant  BIGINT NOT NULL,
  place   BIGINT NOT NULL,  -- in the order given, from 0
  address TEXT   NOT NULL,
  PRIMARY KEY (tenant, place)
) WITHOUT ROWID;

CREATE TABLE attributes (
  tenant           BIGINT NOT NULL,
  name             TEXT   NOT NULL,
  type             BIGINT NOT NULL,  -- attribute_types
  personal         BIGINT NOT NULL,  -- 0, 1
  registered_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

CREATE TABLE attribute_types (type BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO attribute_types (type, name) VALUES (1, 'text'), (2, 'integer'), (3, 'number'), (4, 'boolean');

CREATE TABLE api_keys (
  key_id        TEXT   NOT NULL,
  tenant        BIGINT NOT NULL,
  secret_hash   BLOB   NOT NULL,  -- SHA-256 of the whole key
  scopes        TEXT   NOT NULL,  -- separated by spaces
  label         TEXT   NOT NULL,
  created_at_us BIGINT NOT NULL,
  revoked_at_us BIGINT,           -- null = it is valid
  PRIMARY KEY (key_id, tenant)
) WITHOUT ROWID;
