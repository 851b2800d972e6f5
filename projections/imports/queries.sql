-- name: import_notes
SELECT part, sequence, at_us, note FROM import_notes
WHERE tenant = :tenant AND import_id = :import_id AND (part > :after_part OR (part = :after_part AND sequence < :before))
ORDER BY part, sequence DESC LIMIT :limit;

-- name: import_applied
SELECT coalesce(sum(created), 0) AS created, coalesce(sum(updated), 0) AS updated, count(*) AS chunks FROM import_notes
WHERE tenant = :tenant AND import_id = :import_id;

-- name: membership
SELECT source, joined_at_us FROM list_members WHERE tenant = :tenant AND list_id = :list_id AND contact_id = :contact_id;

-- name: contacts_of_list
SELECT c.contact_id, c.contact_key, p.address, c.attributes, p.attributes AS personal_attributes, u.unsubscribed_at_us, s.reason AS suppressed_reason
FROM list_members m
JOIN contacts c ON c.tenant = m.tenant AND c.contact_id = m.contact_id
LEFT JOIN contacts_pii p ON p.tenant = c.tenant AND p.contact_id = c.contact_id
LEFT JOIN unsubscribed u ON u.tenant = c.tenant AND u.contact_id = c.contact_id
LEFT JOIN suppressions s ON s.tenant = c.tenant AND s.entry_key = c.contact_key
WHERE m.tenant = :tenant AND m.list_id = :list_id AND m.contact_id > :after ORDER BY m.contact_id LIMIT :limit;

-- fold: note_rows
INSERT INTO import_notes (tenant, import_id, part, sequence, at_us, created, updated, note) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- fold: forget_notes
DELETE FROM import_notes WHERE tenant = ?1 AND part = ?2 AND at_us < ?3;
