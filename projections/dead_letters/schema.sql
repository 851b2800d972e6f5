-- Commands that were not decided, with their bytes. What is personal in them is sealed.
CREATE TABLE dead_letters (
  partition       BIGINT NOT NULL,
  sequence        BIGINT NOT NULL,  -- lsn * 256 + place in the decision
  tenant          BIGINT NOT NULL,
  code            TEXT   NOT NULL,
  reason          TEXT   NOT NULL,
  build           TEXT   NOT NULL,  -- of the process that rejected it
  type            BIGINT NOT NULL,  -- of the command; 0 = unreadable
  original        BLOB   NOT NULL,
  generation      BIGINT NOT NULL,  -- where it stands: generation, offset, place in the record
  record_offset   BIGINT NOT NULL,
  record_index    BIGINT NOT NULL,
  command_id      BLOB   NOT NULL,
  trace_id        BLOB   NOT NULL,
  actor           TEXT   NOT NULL,
  rejected_at_us  BIGINT NOT NULL,
  PRIMARY KEY (partition, sequence)
);
CREATE INDEX dead_letters_by_tenant ON dead_letters (tenant, partition, sequence);
