-- What imports have replaced, for as long as they can be undone: a row a chunk. Personal values are sealed as they were.
CREATE TABLE import_notes (
  tenant    BIGINT NOT NULL,
  import_id TEXT   NOT NULL,
  part      BIGINT NOT NULL,  -- partition
  sequence  BIGINT NOT NULL,
  at_us     BIGINT NOT NULL,
  created   BIGINT NOT NULL,
  updated   BIGINT NOT NULL,
  note      BLOB   NOT NULL,  -- RowsImported
  PRIMARY KEY (tenant, import_id, part, sequence)
) WITHOUT ROWID;
CREATE INDEX import_notes_by_time ON import_notes (tenant, part, at_us);
