-- Contacts. What is personal stands in contacts_pii alone, opened with the keys that still exist.
CREATE TABLE contacts (
  tenant        BIGINT NOT NULL,
  contact_id    BIGINT NOT NULL,  -- partition of birth (16 bit), ordinal (48 bit)
  contact_key   BLOB   NOT NULL,  -- keyed hash of the normalised address
  attributes    TEXT   NOT NULL,  -- JSON object of those that are not personal
  source        TEXT   NOT NULL,  -- of the last change
  created_at_us BIGINT NOT NULL,
  changed_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, contact_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX contacts_by_key ON contacts (tenant, contact_key);

CREATE TABLE contacts_pii (
  tenant     BIGINT NOT NULL,
  contact_id BIGINT NOT NULL,
  address    TEXT,             -- as first spelled; null = its key is gone
  attributes TEXT   NOT NULL,  -- JSON object of the personal ones
  PRIMARY KEY (tenant, contact_id)
) WITHOUT ROWID;

CREATE TABLE contact_totals (
  tenant   BIGINT NOT NULL PRIMARY KEY,
  contacts BIGINT NOT NULL
) WITHOUT ROWID;
