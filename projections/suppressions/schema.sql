-- Whom no mail may go to: an address, known by its key, whether there is a contact or not; or every address at a domain.
CREATE TABLE suppressions (
  tenant      BIGINT NOT NULL,
  entry_key   BLOB   NOT NULL,  -- of an address: its contact key; of a domain: its domain key
  domain      TEXT,             -- null = the entry is of an address
  domain_key  BLOB   NOT NULL,  -- keyed hash of the address's domain; empty = not known
  stream      TEXT   NOT NULL,  -- of which mails: all, marketing, transactional
  reason      TEXT   NOT NULL,
  source      TEXT   NOT NULL,  -- operator, import, webhook, bounce, complaint
  added_by    TEXT   NOT NULL,  -- key:<id of the API key>, effect:smtp, ...
  note        TEXT,             -- of a domain; that of an address is personal
  added_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, entry_key)
) WITHOUT ROWID;
CREATE INDEX suppressions_by_time ON suppressions (tenant, added_at_us, entry_key);
CREATE INDEX suppressions_by_domain ON suppressions (tenant, domain_key, added_at_us, entry_key);

CREATE TABLE suppressions_pii (
  tenant    BIGINT NOT NULL,
  entry_key BLOB   NOT NULL,
  address   TEXT,               -- as spelled; null = it was not given, or its key is gone
  note      TEXT,
  PRIMARY KEY (tenant, entry_key)
) WITHOUT ROWID;
