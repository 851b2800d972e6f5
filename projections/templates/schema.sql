-- Templates; a version never changes.
CREATE TABLE template_versions (
  tenant      BIGINT NOT NULL,
  template_id BIGINT NOT NULL,
  version     BIGINT NOT NULL,
  name        TEXT   NOT NULL,
  subject     TEXT   NOT NULL,
  html        TEXT   NOT NULL,
  text        TEXT   NOT NULL,
  text_made   BIGINT NOT NULL,  -- 1: the text was made from the HTML
  attributes  TEXT   NOT NULL,  -- contact attributes that it names, separated by spaces
  saved_at_us BIGINT NOT NULL,
  preheader   TEXT   NOT NULL,
  mjml        TEXT   NOT NULL,  -- what the HTML was compiled from, or empty
  mjml_sha256 TEXT   NOT NULL,  -- of it, in hexadecimal digits
  mjml_compiler TEXT NOT NULL,
  locale      TEXT   NOT NULL,  -- BCP 47, or empty
  partials    TEXT   NOT NULL,  -- JSON: [{"name", "version", "html", "text"}], as they were when it was saved
  variants    TEXT   NOT NULL,  -- JSON: [{"locale", "subject", "preheader", "html", "text", "text_made", "mjml_sha256"}]
  PRIMARY KEY (tenant, template_id, version)
);

-- Those that are archived: nothing new is made of them.
CREATE TABLE archived_templates (
  tenant         BIGINT NOT NULL,
  template_id    BIGINT NOT NULL,
  archived_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, template_id)
);

CREATE TABLE partials (
  tenant      BIGINT NOT NULL,
  name        TEXT   NOT NULL,
  version     BIGINT NOT NULL,
  html        TEXT   NOT NULL,
  text        TEXT   NOT NULL,
  text_made   BIGINT NOT NULL,  -- 1: the text was made from the HTML
  archived    BIGINT NOT NULL,
  changed_at_us BIGINT NOT NULL,
  PRIMARY KEY (tenant, name)
);

CREATE TABLE template_links (
  tenant      BIGINT NOT NULL,
  template_id BIGINT NOT NULL,
  version     BIGINT NOT NULL,
  link        BIGINT NOT NULL,  -- in order of first appearance, from 0
  target      TEXT   NOT NULL,
  PRIMARY KEY (tenant, template_id, version, link)
);
