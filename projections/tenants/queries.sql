-- name: tenants
SELECT t.tenant, t.name, t.created_at_us, s.postal_address, s.company
FROM tenants t LEFT JOIN tenant_settings s ON s.tenant = t.tenant
WHERE t.tenant > :after ORDER BY t.tenant LIMIT :limit;

-- name: tenant
SELECT t.tenant, t.name, t.created_at_us, s.postal_address, s.company
FROM tenants t LEFT JOIN tenant_settings s ON s.tenant = t.tenant
WHERE t.tenant = :tenant;

-- name: tenant_by_name
SELECT tenant, name, created_at_us FROM tenants WHERE name = :name;

-- name: settings
SELECT postal_address, company, hard_bounces_bp, complaints_bp, policy_bp, after_sends, after_replies, tracking, holdout_bp, approval_over, changed_at_us,
       time_zone, quiet_from, quiet_to, cap_per_day, cap_per_week, overdue_minutes
FROM tenant_settings WHERE tenant = :tenant;

-- name: senders
SELECT address FROM senders WHERE tenant = :tenant ORDER BY place;

-- name: attributes
SELECT a.name, t.name AS type, a.personal, a.registered_at_us
FROM attributes a JOIN attribute_types t ON t.type = a.type
WHERE a.tenant = :tenant AND a.name > :after ORDER BY a.name LIMIT :limit;

-- name: api_key
SELECT key_id, tenant, secret_hash, scopes, label, created_at_us, revoked_at_us FROM api_keys WHERE key_id = :key_id;

-- name: api_keys
SELECT key_id, scopes, label, created_at_us, revoked_at_us FROM api_keys
WHERE tenant = :tenant AND (created_at_us, key_id) > (:after_at, :after) ORDER BY created_at_us, key_id LIMIT :limit;

-- fold: insert_tenant
INSERT INTO tenants (tenant, name, created_at_us) VALUES (?1, ?2, ?3);

-- fold: change_settings
INSERT INTO tenant_settings (tenant, postal_address, company, changed_at_us, hard_bounces_bp, complaints_bp, policy_bp, after_sends, after_replies,
                             tracking, holdout_bp, approval_over)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, coalesce(?11, 0), coalesce(?12, 0))
ON CONFLICT (tenant) DO UPDATE SET
  postal_address = CASE WHEN ?2 = '' THEN tenant_settings.postal_address ELSE ?2 END,
  company = CASE WHEN ?3 = '' THEN tenant_settings.company ELSE ?3 END,
  hard_bounces_bp = CASE WHEN ?5 = 0 THEN tenant_settings.hard_bounces_bp ELSE ?5 END,
  complaints_bp = CASE WHEN ?6 = 0 THEN tenant_settings.complaints_bp ELSE ?6 END,
  policy_bp = CASE WHEN ?7 = 0 THEN tenant_settings.policy_bp ELSE ?7 END,
  after_sends = CASE WHEN ?8 = 0 THEN tenant_settings.after_sends ELSE ?8 END,
  after_replies = CASE WHEN ?9 = 0 THEN tenant_settings.after_replies ELSE ?9 END,
  tracking = CASE WHEN ?10 = 0 THEN tenant_settings.tracking ELSE ?10 END,
  holdout_bp = coalesce(?11, tenant_settings.holdout_bp), approval_over = coalesce(?12, tenant_settings.approval_over),
  changed_at_us = ?4;

-- fold: change_timing
UPDATE tenant_settings SET
  time_zone = coalesce(?2, time_zone), quiet_from = coalesce(?3, quiet_from), quiet_to = coalesce(?4, quiet_to),
  cap_per_day = coalesce(?5, cap_per_day), cap_per_week = coalesce(?6, cap_per_week), overdue_minutes = coalesce(?7, overdue_minutes)
WHERE tenant = ?1;

-- fold: delete_senders
DELETE FROM senders WHERE tenant = ?1;

-- fold: insert_sender
INSERT INTO senders (tenant, place, address) VALUES (?1, ?2, ?3);

-- fold: insert_attribute
INSERT INTO attributes (tenant, name, type, personal, registered_at_us) VALUES (?1, ?2, ?3, ?4, ?5);

-- fold: insert_api_key
INSERT INTO api_keys (key_id, tenant, secret_hash, scopes, label, created_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- fold: revoke_api_key
UPDATE api_keys SET revoked_at_us = ?3 WHERE key_id = ?1 AND tenant = ?2;
