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
  PRIMARY KEY (tenant, template_id, version)
);

CREATE TABLE template_links (
  tenant      BIGINT NOT NULL,
  template_id BIGINT NOT NULL,
  version     BIGINT NOT NULL,
  link        BIGINT NOT NULL,  -- in order of first appearance, from 0
  target      TEXT   NOT NULL,
  PRIMARY KEY (tenant, template_id, version, link)
);
