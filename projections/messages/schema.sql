-- Messages: mails to one person each, that no campaign sends. What became of each stands in sends, whose campaign_id is the message's id.
CREATE TABLE messages (
  tenant           BIGINT NOT NULL,
  message_id       BIGINT NOT NULL,
  contact_id       BIGINT NOT NULL,  -- of sends: the partition's bits alone if the address is no contact's
  template_id      BIGINT NOT NULL,
  template_version BIGINT NOT NULL,
  source           TEXT   NOT NULL,  -- "api", "test", or the noun that wanted it
  test             BIGINT NOT NULL,  -- 1 = in no statistic
  accepted_at_us   BIGINT NOT NULL,
  expires_at_us    BIGINT NOT NULL,
  contact_key      BLOB   NOT NULL,
  sequence         BIGINT NOT NULL,  -- of its acceptance: lsn * 256 + place in the decision
  attachments      BIGINT NOT NULL,  -- files of its own
  PRIMARY KEY (tenant, message_id)
) WITHOUT ROWID;
CREATE INDEX messages_by_time ON messages (tenant, accepted_at_us, message_id);
CREATE INDEX messages_by_address ON messages (tenant, contact_key, accepted_at_us);
