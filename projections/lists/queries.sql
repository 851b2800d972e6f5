-- name: lists
SELECT l.list_id, l.name, l.public, l.description, l.created_at_us, coalesce(t.members, 0) AS members,
       coalesce(t.members_without_consent, 0) AS members_without_consent
FROM lists l LEFT JOIN list_totals t ON t.tenant = l.tenant AND t.list_id = l.list_id
WHERE l.tenant = :tenant AND l.list_id > :after ORDER BY l.list_id LIMIT :limit;

-- name: list
SELECT l.list_id, l.name, l.public, l.description, l.created_at_us, coalesce(t.members, 0) AS members,
       coalesce(t.members_without_consent, 0) AS members_without_consent
FROM lists l LEFT JOIN list_totals t ON t.tenant = l.tenant AND t.list_id = l.list_id
WHERE l.tenant = :tenant AND l.list_id = :list_id;

-- name: list_members
SELECT contact_id, source, joined_at_us FROM list_members
WHERE tenant = :tenant AND list_id = :list_id AND contact_id > :after ORDER BY contact_id LIMIT :limit;

-- name: list_members_at
SELECT contact_id, source, joined_at_us FROM list_members
WHERE tenant = :tenant AND list_id = :list_id AND contact_id > :after AND joined_at_us <= :at_us
UNION ALL
SELECT contact_id, source, joined_at_us FROM past_members
WHERE tenant = :tenant AND list_id = :list_id AND contact_id > :after AND joined_at_us <= :at_us AND left_at_us > :at_us
ORDER BY contact_id LIMIT :limit;

-- name: public_lists
SELECT list_id, name, description FROM lists WHERE tenant = :tenant AND public = 1 ORDER BY list_id;

-- name: memberships_of_contact
SELECT p.list_id, p.source, p.by_consent, p.joined_at_us, p.left_source, p.left_by_consent, p.left_at_us, p.left_sequence
FROM lists l JOIN past_members p ON p.tenant = l.tenant AND p.list_id = l.list_id AND p.contact_id = :contact_id
WHERE l.tenant = :tenant
UNION ALL
SELECT m.list_id, m.source, m.by_consent, m.joined_at_us, '' AS left_source, 0 AS left_by_consent, CAST(NULL AS BIGINT) AS left_at_us,
       9223372036854775807 AS left_sequence
FROM lists l JOIN list_members m ON m.tenant = l.tenant AND m.list_id = l.list_id AND m.contact_id = :contact_id
WHERE l.tenant = :tenant
ORDER BY 1, 8;

-- name: list_member_ids
SELECT contact_id FROM list_members
WHERE tenant = :tenant AND list_id = :list_id AND contact_id > :after ORDER BY contact_id LIMIT :limit;

-- name: lists_of_contact
SELECT l.list_id, l.name, m.source, m.joined_at_us
FROM lists l JOIN list_members m ON m.tenant = l.tenant AND m.list_id = l.list_id AND m.contact_id = :contact_id
WHERE l.tenant = :tenant ORDER BY l.list_id;

-- name: past_lists_of_contact
SELECT l.list_id, l.name, m.source, m.joined_at_us, m.left_at_us
FROM past_members m JOIN lists l ON l.tenant = m.tenant AND l.list_id = m.list_id
WHERE m.tenant = :tenant AND m.contact_id = :contact_id ORDER BY m.left_sequence LIMIT 10000;

-- name: unsubscribed
SELECT contact_id, campaign_id, method, unsubscribed_at_us FROM unsubscribed
WHERE tenant = :tenant AND contact_id > :after ORDER BY contact_id LIMIT :limit;

-- name: import
SELECT import_id, list_id, source, started_at_us, ended_at_us, outcome, message, token, row_count, created, updated, unchanged, duplicate,
       skipped, rejected
FROM imports WHERE tenant = :tenant AND import_id = :import_id;

-- name: imports
SELECT import_id, list_id, source, started_at_us, ended_at_us, outcome, message, row_count, created, updated, unchanged, duplicate, skipped,
       rejected
FROM imports WHERE tenant = :tenant AND import_id > :after ORDER BY import_id LIMIT :limit;

-- fold: insert_list
INSERT INTO lists (tenant, list_id, name, public, description, created_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- fold: change_list
UPDATE lists SET name = ?3, public = ?4, description = ?5 WHERE tenant = ?1 AND list_id = ?2;

-- fold: join_list
INSERT INTO list_members (tenant, list_id, contact_id, source, by_consent, consented, joined_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6)
ON CONFLICT (tenant, list_id, contact_id) DO NOTHING;

-- fold: lists_of
SELECT t.list_id FROM list_totals t JOIN list_members m ON m.tenant = t.tenant AND m.list_id = t.list_id AND m.contact_id = ?2 WHERE t.tenant = ?1
ORDER BY t.list_id;

-- fold: erase_past
DELETE FROM past_members WHERE tenant = ?1 AND contact_id = ?2;

-- fold: consent
UPDATE list_members SET consented = 1 WHERE tenant = ?1 AND list_id = ?2 AND contact_id = ?3 AND consented = 0;

-- fold: keep_past
INSERT INTO past_members (tenant, list_id, contact_id, left_sequence, source, by_consent, joined_at_us, left_source, left_by_consent,
                          left_at_us)
SELECT tenant, list_id, contact_id, ?4, source, by_consent, joined_at_us, ?5, ?6, ?7 FROM list_members
WHERE tenant = ?1 AND list_id = ?2 AND contact_id = ?3;

-- fold: leave_list
DELETE FROM list_members WHERE tenant = ?1 AND list_id = ?2 AND contact_id = ?3;

-- fold: add_members
INSERT INTO list_totals (tenant, list_id, members, members_without_consent) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, list_id) DO UPDATE SET members = list_totals.members + ?3,
  members_without_consent = list_totals.members_without_consent + ?4;

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
