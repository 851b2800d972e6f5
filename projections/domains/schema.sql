-- Domains that mails come from, the keys that sign them, and what the last look at the DNS found.
CREATE TABLE domains (
  tenant        BIGINT NOT NULL,
  name          TEXT   NOT NULL,
  return_path   TEXT   NOT NULL,  -- host of envelope senders; empty: bounces go to the address in From
  generation    BIGINT NOT NULL,  -- of the newest keys
  added_at_us   BIGINT NOT NULL,
  checked_at_us BIGINT,           -- null = never
  passed        BIGINT NOT NULL,  -- 0, 1: the last check
  PRIMARY KEY (tenant, name)
) WITHOUT ROWID;

CREATE TABLE domain_keys (
  tenant         BIGINT NOT NULL,
  name           TEXT   NOT NULL,
  selector       TEXT   NOT NULL,
  algorithm      TEXT   NOT NULL,
  dns_value      TEXT   NOT NULL,  -- of the TXT record at <selector>._domainkey.<name>
  active_from_us BIGINT,           -- null = it does not sign yet
  active_to_us   BIGINT,           -- null = it still signs
  PRIMARY KEY (tenant, name, selector)
) WITHOUT ROWID;

-- Of the last check alone.
CREATE TABLE domain_check_lines (
  tenant BIGINT NOT NULL,
  name   TEXT   NOT NULL,
  place  BIGINT NOT NULL,  -- from 0
  rule   TEXT   NOT NULL,
  ok     BIGINT NOT NULL,  -- 0, 1
  found  TEXT   NOT NULL,
  fix    TEXT   NOT NULL,  -- what to do; empty if ok
  PRIMARY KEY (tenant, name, place)
) WITHOUT ROWID;
