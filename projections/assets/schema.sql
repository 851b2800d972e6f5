-- Assets: images and files for mails; their bytes stand in blobs.
CREATE TABLE assets (
  tenant       BIGINT  NOT NULL,
  asset_id     TEXT    NOT NULL,  -- SHA-256 of the bytes, hexadecimal
  name         TEXT    NOT NULL,  -- the newest; older ones may stand for it, too
  content_type TEXT    NOT NULL,
  size         BIGINT  NOT NULL,  -- bytes
  archived     BIGINT  NOT NULL,
  blob         TEXT    NOT NULL,
  added_at_us  BIGINT  NOT NULL,
  PRIMARY KEY (tenant, asset_id)
);

-- Which versions of templates were saved with them; until the template is deleted.
CREATE TABLE asset_uses (
  tenant      BIGINT NOT NULL,
  asset_id    TEXT   NOT NULL,
  template_id BIGINT NOT NULL,
  version     BIGINT NOT NULL,
  how         TEXT   NOT NULL,  -- "hosted", "related" or "attached"
  file_name   TEXT   NOT NULL,
  PRIMARY KEY (tenant, asset_id, template_id, version, how, file_name)
);
CREATE INDEX asset_uses_of_template ON asset_uses (tenant, template_id, version);
