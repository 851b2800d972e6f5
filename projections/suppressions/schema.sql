-- Whom no mail may go to; known by the key of the address, whether there is a contact or not.
CREATE TABLE suppressions (
  tenant      BIGINT NOT NULL,
  contact_key BLOB   NOT NULL,
  reason      TEXT   NOT NULL,
  added_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, contact_key)
) WITHOUT ROWID;
