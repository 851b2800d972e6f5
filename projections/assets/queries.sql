-- name: assets
SELECT a.asset_id, a.name, a.content_type, a.size, a.archived, a.added_at_us,
  (SELECT count(*) FROM (SELECT DISTINCT u.template_id, u.version FROM asset_uses u
    WHERE u.tenant = a.tenant AND u.asset_id = a.asset_id) AS versions) AS used_by_versions
FROM assets a WHERE a.tenant = :tenant AND a.asset_id > :after AND a.archived <= :archived ORDER BY a.asset_id LIMIT :limit;

-- name: asset
SELECT a.asset_id, a.name, a.content_type, a.size, a.archived, a.added_at_us,
  (SELECT count(*) FROM (SELECT DISTINCT u.template_id, u.version FROM asset_uses u
    WHERE u.tenant = a.tenant AND u.asset_id = a.asset_id) AS versions) AS used_by_versions
FROM assets a WHERE a.tenant = :tenant AND a.asset_id = :asset_id;

-- The newest uses.
-- name: asset_uses
SELECT template_id, version, how, file_name FROM asset_uses
WHERE tenant = :tenant AND asset_id = :asset_id ORDER BY template_id DESC, version DESC, how, file_name LIMIT :limit;

-- name: asset_blob
SELECT blob FROM assets WHERE tenant = :tenant AND asset_id = :asset_id;

-- name: template_assets
SELECT u.asset_id, u.how, u.file_name, a.name, a.content_type, a.size
FROM asset_uses u JOIN assets a ON a.tenant = u.tenant AND a.asset_id = u.asset_id
WHERE u.tenant = :tenant AND u.template_id = :template_id AND u.version = :version ORDER BY u.how, u.file_name, u.asset_id;

-- fold: put_asset
INSERT INTO assets (tenant, asset_id, name, content_type, size, archived, blob, added_at_us) VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7)
ON CONFLICT (tenant, asset_id) DO UPDATE SET name = excluded.name, content_type = excluded.content_type, archived = 0;

-- fold: set_archived
UPDATE assets SET archived = ?3 WHERE tenant = ?1 AND asset_id = ?2;

-- fold: delete_asset
DELETE FROM assets WHERE tenant = ?1 AND asset_id = ?2;

-- fold: insert_use
INSERT INTO asset_uses (tenant, asset_id, template_id, version, how, file_name) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (tenant, asset_id, template_id, version, how, file_name) DO NOTHING;

-- fold: delete_uses
DELETE FROM asset_uses WHERE tenant = ?1 AND template_id = ?2;
