-- name: suppressions
SELECT contact_key, reason, added_at_us FROM suppressions
WHERE tenant = :tenant AND contact_key > :after ORDER BY contact_key LIMIT :limit;

-- name: suppression
SELECT contact_key, reason, added_at_us FROM suppressions WHERE tenant = :tenant AND contact_key = :contact_key;

-- name: suppression_count
SELECT count(*) AS suppressions FROM suppressions WHERE tenant = :tenant;

-- fold: add_suppression
INSERT INTO suppressions (tenant, contact_key, reason, added_at_us) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, contact_key) DO UPDATE SET reason = ?3, added_at_us = ?4;

-- fold: remove_suppression
DELETE FROM suppressions WHERE tenant = ?1 AND contact_key = ?2;
