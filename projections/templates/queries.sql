-- The latest version of each that is in use, or of each that is archived (:archived 1).
-- name: templates
SELECT t.template_id, t.version, t.name, t.subject, t.saved_at_us, a.archived_at_us
FROM template_versions t LEFT JOIN archived_templates a ON a.tenant = t.tenant AND a.template_id = t.template_id
WHERE t.tenant = :tenant AND t.template_id > :after AND (CASE WHEN a.template_id IS NULL THEN 0 ELSE 1 END) = :archived
  AND t.version = (SELECT max(v.version) FROM template_versions v WHERE v.tenant = t.tenant AND v.template_id = t.template_id)
ORDER BY t.template_id LIMIT :limit;

-- The latest version.
-- name: template
SELECT template_id, version, name, subject, preheader, html, text, text_made, mjml, mjml_sha256, mjml_compiler, locale, partials, variants,
       attributes, saved_at_us,
       (SELECT a.archived_at_us FROM archived_templates a
        WHERE a.tenant = template_versions.tenant AND a.template_id = template_versions.template_id) AS archived_at_us
FROM template_versions WHERE tenant = :tenant AND template_id = :template_id ORDER BY version DESC LIMIT 1;

-- name: template_version
SELECT template_id, version, name, subject, preheader, html, text, text_made, mjml, mjml_sha256, mjml_compiler, locale, partials, variants,
       attributes, saved_at_us,
       (SELECT a.archived_at_us FROM archived_templates a
        WHERE a.tenant = template_versions.tenant AND a.template_id = template_versions.template_id) AS archived_at_us
FROM template_versions WHERE tenant = :tenant AND template_id = :template_id AND version = :version;

-- name: template_versions
SELECT version, name, subject, saved_at_us FROM template_versions
WHERE tenant = :tenant AND template_id = :template_id ORDER BY version DESC LIMIT :limit;

-- name: template_links
SELECT link, target FROM template_links
WHERE tenant = :tenant AND template_id = :template_id AND version = :version ORDER BY link;

-- fold: insert_version
INSERT INTO template_versions (tenant, template_id, version, name, subject, html, text, text_made, attributes, saved_at_us, preheader, mjml,
                               mjml_sha256, mjml_compiler, locale, partials, variants)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17);

-- fold: insert_link
INSERT INTO template_links (tenant, template_id, version, link, target) VALUES (?1, ?2, ?3, ?4, ?5);

-- Those that are not archived, or all.
-- name: partials
SELECT name, version, text_made, archived, changed_at_us FROM partials
WHERE tenant = :tenant AND name > :after AND (archived = 0 OR :archived = 1) ORDER BY name LIMIT :limit;

-- name: partial
SELECT name, version, html, text, text_made, archived, changed_at_us FROM partials WHERE tenant = :tenant AND name = :name;

-- All that can be taken in.
-- name: partial_sources
SELECT name, html, text FROM partials WHERE tenant = :tenant AND archived = 0 ORDER BY name LIMIT :limit;

-- fold: put_partial
INSERT INTO partials (tenant, name, version, html, text, text_made, archived, changed_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7)
ON CONFLICT (tenant, name) DO UPDATE SET version = ?3, html = ?4, text = ?5, text_made = ?6, archived = 0, changed_at_us = ?7;

-- fold: archive_partial
UPDATE partials SET archived = 1, changed_at_us = ?3 WHERE tenant = ?1 AND name = ?2;

-- fold: archive_template
INSERT INTO archived_templates (tenant, template_id, archived_at_us) VALUES (?1, ?2, ?3)
ON CONFLICT (tenant, template_id) DO UPDATE SET archived_at_us = ?3;

-- fold: restore_template
DELETE FROM archived_templates WHERE tenant = ?1 AND template_id = ?2;

-- fold: delete_versions
DELETE FROM template_versions WHERE tenant = ?1 AND template_id = ?2;

-- fold: delete_links
DELETE FROM template_links WHERE tenant = ?1 AND template_id = ?2;
