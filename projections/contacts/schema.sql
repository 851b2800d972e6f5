-- Contacts. What is personal stands in contacts_pii alone, opened with the keys that still exist.
CREATE TABLE contacts (
  tenant        BIGINT NOT NULL,
  contact_id    BIGINT NOT NULL,  -- partition of birth (16 bit), ordinal (48 bit)
  contact_key   BLOB   NOT NULL,  -- keyed hash of the normalised address
  attributes    TEXT   NOT NULL,  -- JSON object of those that are not personal
  tags          TEXT   NOT NULL,  -- JSON array, ascending
  source        TEXT   NOT NULL,  -- of the last change
  created_at_us BIGINT NOT NULL,
  changed_at_us BIGINT NOT NULL,
  merged_into   BIGINT,           -- the contact that it was merged into: it is history; null = it was not
  merged_at_us  BIGINT,
  PRIMARY KEY (tenant, contact_id)
) WITHOUT ROWID;
-- Few: those that were merged, by whom they were merged into.
CREATE INDEX contacts_by_merge ON contacts (tenant, merged_into) WHERE merged_into IS NOT NULL;
-- An address that went from a contact of one partition to one of another may be both's for as long as one is behind the other.
CREATE INDEX contacts_by_key ON contacts (tenant, contact_key);

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

-- Who was erased, and where that stands in the journal. Nothing else is left of a contact but what it was sent and did, by its id.
CREATE TABLE erased_contacts (
  tenant               BIGINT NOT NULL,
  contact_id           BIGINT NOT NULL,
  contact_key          BLOB   NOT NULL,  -- keyed hash of the normalised address
  erased_at_us         BIGINT NOT NULL,
  partition            BIGINT NOT NULL,
  lsn                  BIGINT NOT NULL,  -- of the decision in its partition
  place                BIGINT NOT NULL,  -- of the event in the decision
  chain                TEXT   NOT NULL,  -- of the journal up to there, 16 hexadecimal digits
  keys_destroyed_at_us BIGINT,           -- when no key of the contact was left; null = not yet
  PRIMARY KEY (tenant, contact_id)
) WITHOUT ROWID;

-- What became of the changes of address that were asked for.
CREATE TABLE address_changes (
  tenant           BIGINT NOT NULL,
  contact_id       BIGINT NOT NULL,
  sequence         BIGINT NOT NULL,  -- lsn * 256 + place in the decision, of the asking
  state            TEXT   NOT NULL,  -- asked, changed, refused
  code             TEXT   NOT NULL,  -- why it was refused; empty = it was not
  other_contact_id BIGINT,           -- whose the address is
  asked_at_us      BIGINT NOT NULL,
  decided_at_us    BIGINT,           -- null = not yet
  PRIMARY KEY (tenant, contact_id, sequence)
) WITHOUT ROWID;

-- What became of the merges that were asked for.
CREATE TABLE contact_merges (
  tenant           BIGINT NOT NULL,
  contact_id       BIGINT NOT NULL,
  sequence         BIGINT NOT NULL,  -- lsn * 256 + place in the decision, of the asking
  into_id          BIGINT NOT NULL,  -- that it was to be merged into
  state            TEXT   NOT NULL,  -- asked, merged, refused
  code             TEXT   NOT NULL,  -- why it was refused; empty = it was not
  message          TEXT   NOT NULL,
  other_contact_id BIGINT,           -- what the other one was merged into
  asked_at_us      BIGINT NOT NULL,
  decided_at_us    BIGINT,           -- null = not yet
  PRIMARY KEY (tenant, contact_id, sequence)
) WITHOUT ROWID;

-- Of a contact into which another was merged: it has what that one was.
CREATE TABLE taken_contacts (
  tenant      BIGINT NOT NULL,
  from_id     BIGINT NOT NULL,  -- the contact that is history
  contact_id  BIGINT NOT NULL,
  left_out    TEXT   NOT NULL,  -- JSON array of what there was no room for
  taken_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, from_id)
) WITHOUT ROWID;

CREATE TABLE address_changes_pii (
  tenant         BIGINT NOT NULL,
  contact_id     BIGINT NOT NULL,
  sequence       BIGINT NOT NULL,  -- of the row in contact_history
  former_address TEXT,             -- null = its key is gone
  address        TEXT,
  PRIMARY KEY (tenant, contact_id, sequence)
) WITHOUT ROWID;

-- What happened to a contact, memberships, segments and mails apart: they have tables of their own.
CREATE TABLE contact_history (
  tenant     BIGINT NOT NULL,
  contact_id BIGINT NOT NULL,
  sequence   BIGINT NOT NULL,  -- lsn * 256 + place in the decision
  at_us      BIGINT NOT NULL,
  kind       TEXT   NOT NULL,  -- changed, readmitted, opted_out, opted_in, suppressed, suppression_lifted,
                               -- address_changed, address_change_refused, merged, merge_refused, took_over
  source     TEXT   NOT NULL,  -- who or what asked for it
  detail     TEXT   NOT NULL,  -- names of what changed, a reason; never a value
  PRIMARY KEY (tenant, contact_id, sequence)
) WITHOUT ROWID;
