-- Segments: their versions, how many are members, who was one when, and previews.
CREATE TABLE segments (
  tenant         BIGINT NOT NULL,
  segment_id     BIGINT NOT NULL,
  name           TEXT   NOT NULL,
  version        BIGINT NOT NULL,  -- the newest; in force once every partition has it
  text           TEXT   NOT NULL,  -- of it, in the canonical form
  json           TEXT   NOT NULL,
  created_at_us  BIGINT NOT NULL,
  defined_at_us  BIGINT NOT NULL,  -- this version
  archived_at_us BIGINT,           -- null = it is in use
  PRIMARY KEY (tenant, segment_id)
) WITHOUT ROWID;

CREATE TABLE segment_versions (
  tenant        BIGINT NOT NULL,
  segment_id    BIGINT NOT NULL,
  version       BIGINT NOT NULL,
  text          TEXT   NOT NULL,
  json          TEXT   NOT NULL,
  defined_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, segment_id, version)
) WITHOUT ROWID;

-- How far a partition has come with the newest version, and how many of its contacts are members.
CREATE TABLE segment_parts (
  tenant        BIGINT NOT NULL,
  segment_id    BIGINT NOT NULL,
  partition     BIGINT NOT NULL,
  version       BIGINT NOT NULL,
  last_ordinal  BIGINT NOT NULL,  -- contacts that there were when it came
  planned_to    BIGINT NOT NULL,
  done          BIGINT NOT NULL,  -- 1 = it is in force for all contacts of the partition
  members       BIGINT NOT NULL,  -- now
  entered       BIGINT NOT NULL,  -- by this version
  dropped       BIGINT NOT NULL,  -- by this version: members before, and no more
  undecided     BIGINT NOT NULL,  -- when it came: an attribute that is asked for had no value
  changed_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, segment_id, partition)
) WITHOUT ROWID;

-- What a version found, slice by slice: bit i % 8 of byte i / 8 = the contact of ordinal first_ordinal + i was a member from then on.
CREATE TABLE segment_slices (
  tenant        BIGINT NOT NULL,
  segment_id    BIGINT NOT NULL,
  partition     BIGINT NOT NULL,
  first_ordinal BIGINT NOT NULL,
  sequence      BIGINT NOT NULL,  -- orders slices and changes of a partition
  last_ordinal  BIGINT NOT NULL,
  at_us         BIGINT NOT NULL,
  version       BIGINT NOT NULL,
  members       BLOB   NOT NULL,  -- trailing zero bytes are left out
  PRIMARY KEY (tenant, segment_id, partition, first_ordinal, sequence)
) WITHOUT ROWID;

-- Contacts that entered or left a segment by what happened to them, or by time.
CREATE TABLE segment_changes (
  tenant     BIGINT NOT NULL,
  segment_id BIGINT NOT NULL,
  contact_id BIGINT NOT NULL,
  sequence   BIGINT NOT NULL,
  at_us      BIGINT NOT NULL,
  member     BIGINT NOT NULL,     -- 1 = entered, 0 = left
  PRIMARY KEY (tenant, segment_id, contact_id, sequence)
) WITHOUT ROWID;

-- Expressions that were counted without being put into force.
CREATE TABLE segment_previews (
  tenant          BIGINT NOT NULL,
  preview_id      BIGINT NOT NULL,
  segment_id      BIGINT NOT NULL,  -- that it is compared with; 0 = none
  text            TEXT   NOT NULL,
  json            TEXT   NOT NULL,
  requested_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, preview_id)
) WITHOUT ROWID;

CREATE TABLE segment_preview_parts (
  tenant        BIGINT NOT NULL,
  preview_id    BIGINT NOT NULL,
  partition     BIGINT NOT NULL,
  done          BIGINT NOT NULL,
  contacts      BIGINT NOT NULL,
  matching      BIGINT NOT NULL,
  undecided     BIGINT NOT NULL,  -- an attribute that is asked for has no value
  members       BIGINT NOT NULL,  -- of the segment it is compared with
  enter         BIGINT NOT NULL,
  leave         BIGINT NOT NULL,
  pending       BIGINT NOT NULL,  -- contacts on whom something is yet to be decided: compared with nothing
  kept_hash     BIGINT NOT NULL,  -- sum of hashes of the members as kept,
  decided_hash  BIGINT NOT NULL,  -- and as the expression decides now
  counted_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, preview_id, partition)
) WITHOUT ROWID;

CREATE TABLE segment_preview_missing (
  tenant     BIGINT NOT NULL,
  preview_id BIGINT NOT NULL,
  attribute  TEXT   NOT NULL,
  contacts   BIGINT NOT NULL,     -- without a value of it
  PRIMARY KEY (tenant, preview_id, attribute)
) WITHOUT ROWID;

-- Some of those who match, would enter or would leave: at most 20 of each kind and partition.
CREATE TABLE segment_preview_samples (
  tenant     BIGINT NOT NULL,
  preview_id BIGINT NOT NULL,
  kind       TEXT   NOT NULL,     -- match, enter, leave
  contact_id BIGINT NOT NULL,
  PRIMARY KEY (tenant, preview_id, kind, contact_id)
) WITHOUT ROWID;
