-- The ledger of consents, besides memberships that came about without one (lists: list_members, past_members); texts and forms.
CREATE TABLE consent_events (
  tenant        BIGINT NOT NULL,
  contact_id    BIGINT NOT NULL,
  sequence      BIGINT NOT NULL,  -- lsn * 256 + place in the decision
  list_id       BIGINT NOT NULL,  -- 0 = of the named purpose
  purpose       TEXT   NOT NULL,  -- of a list empty; marketing = all of it
  state         TEXT   NOT NULL,  -- granted, withdrawn, pending
  source        TEXT   NOT NULL,  -- api, form, import, preference_page, double_opt_in; one_click, page, … of an opt-out
  text_hash     BLOB,             -- SHA-256 of what was read; null = not said
  proof         TEXT   NOT NULL,
  form_id       BIGINT NOT NULL,  -- 0 = none
  campaign_id   BIGINT NOT NULL,  -- whose mail had the link; 0 = none
  number        BIGINT NOT NULL,  -- of the ask that is open, or confirmed; 0 = none
  expires_at_us BIGINT,           -- of an ask
  mail          BIGINT NOT NULL,  -- of an ask: 0 = whoever asked mails the link, 1 = Maily does, 2 = Maily did within the hour before
  at_us         BIGINT NOT NULL,
  PRIMARY KEY (tenant, contact_id, sequence)
) WITHOUT ROWID;

-- Where it was done from, as long as the contact's key is there.
CREATE TABLE consent_events_pii (
  tenant     BIGINT NOT NULL,
  contact_id BIGINT NOT NULL,
  sequence   BIGINT NOT NULL,
  ip         TEXT,
  user_agent TEXT,
  PRIMARY KEY (tenant, contact_id, sequence)
) WITHOUT ROWID;

CREATE TABLE consent_texts (
  tenant        BIGINT NOT NULL,
  text_hash     BLOB   NOT NULL,
  name          TEXT   NOT NULL,
  language      TEXT   NOT NULL,
  text          TEXT   NOT NULL,
  defined_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, text_hash)
) WITHOUT ROWID;

CREATE TABLE forms (
  tenant         BIGINT NOT NULL,
  form_id        BIGINT NOT NULL,
  name           TEXT   NOT NULL,
  list_id        BIGINT NOT NULL,
  text_hash      BLOB   NOT NULL,
  double_opt_in  BIGINT NOT NULL,
  redirect_url   TEXT   NOT NULL,  -- empty = a page says thank you
  mail_form_id          BIGINT NOT NULL,  -- of messages: what mails of confirmations are made by; 0 = none
  mail_template_id      BIGINT NOT NULL,  -- 0 = the built-in text
  mail_template_version BIGINT NOT NULL,
  created_at_us  BIGINT NOT NULL,
  archived_at_us BIGINT,
  PRIMARY KEY (tenant, form_id)
) WITHOUT ROWID;
