-- name: lists
SELECT l.list_id, l.name, l.created_at_us, coalesce(t.members, 0) AS members
FROM lists l LEFT JOIN list_totals t ON t.tenant = l.tenant AND t.list_id = l.list_id
WHERE l.tenant = :tenant AND l.list_id > :after ORDER BY l.list_id LIMIT :limit;

-- name: list
SELECT l.list_id, l.name, l.created_at_us, coalesce(t.members, 0) AS members
FROM lists l LEFT JOIN list_totals t ON t.tenant = l.tenant AND t.list_id = l.list_id
WHERE l.tenant = :tenant AND l.list_id = :list_id;

-- name: list_members
SELECT contact_id, source, joined_at_us FROM list_members
WHERE tenant = :tenant AND list_id = :list_id AND contact_id > :after ORDER BY contact_id LIMIT :limit;

-- name: list_member_ids
SELECT contact_id FROM list_members
WHERE tenant = :tenant AND list_id = :list_id AND contact_id > :after ORDER BY contact_id LIMIT :limit;

-- name: lists_of_contact
SELECT l.list_id, l.name, m.source, m.joined_at_us
FROM lists l JOIN list_members m ON m.tenant = l.tenant AND m.list_id = l.list_id AND m.contact_id = :contact_id
WHERE l.tenant = :tenant ORDER BY l.list_id;

-- name: unsubscribed
SELECT contact_id, campaign_id, method, unsubscribed_at_us FROM unsubscribed
WHERE tenant = :tenant AND contact_id > :after ORDER BY contact_id LIMIT :limit;

-- name: import
SELECT import_id, list_id, source, started_at_us, ended_at_us, outcome, message, token, row_count, created, updated, unchanged, duplicate,
       skipped, rejected
FROM imports WHERE tenant = :tenant AND import_id = :import_id;

-- fold: insert_list
INSERT INTO lists (tenant, list_id, name, created_at_us) VALUES (?1, ?2, ?3, ?4);

-- fold: join_list
INSERT INTO list_members (tenant, list_id, contact_id, source, joined_at_us) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tenant, list_id, contact_id) DO NOTHING;

-- fold: leave_list
DELETE FROM list_members WHERE tenant = ?1 AND list_id = ?2 AND contact_id = ?3;

-- fold: add_members
INSERT INTO list_totals (tenant, list_id, members) VALUES (?1, ?2, ?3)
ON CONFLICT (tenant, list_id) DO UPDATE SET members = list_totals.members + ?3;

-- fold: unsubscribe
INSERT INTO unsubscribed (tenant, contact_id, campaign_id, method, unsubscribed_at_us) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tenant, contact_id) DO NOTHING;

-- fold: resubscribe
DELETE FROM unsubscribed WHERE tenant = ?1 AND contact_id = ?2;

-- fold: start_import
INSERT INTO imports (tenant, import_id, list_id, source, started_at_us, ended_at_us, outcome, message, token, row_count, created, updated,
                     unchanged, duplicate, skipped, rejected)
VALUES (?1, ?2, ?3, ?4, ?5, NULL, NULL, '', '', 0, 0, 0, 0, 0, 0, 0)
ON CONFLICT (tenant, import_id) DO UPDATE SET list_id = ?3, source = ?4, started_at_us = ?5, ended_at_us = NULL, outcome = NULL,
  message = '', token = '', row_count = 0, created = 0, updated = 0, unchanged = 0, duplicate = 0, skipped = 0, rejected = 0;

-- fold: end_import
UPDATE imports SET ended_at_us = ?3, outcome = ?4, message = ?5, token = ?6, row_count = ?7, created = ?8, updated = ?9, unchanged = ?10,
  duplicate = ?11, skipped = ?12, rejected = ?13
WHERE tenant = ?1 AND import_id = ?2;
