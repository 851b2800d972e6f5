-- An entry without an address of its own has that of the contact. The oldest first. :reason: '' = any.
-- name: suppressions
SELECT s.entry_key, coalesce(p.address, o.address) AS address, s.domain, s.stream, s.reason, coalesce(p.note, s.note) AS note, s.source, s.added_by, s.added_at_us
FROM suppressions s LEFT JOIN suppressions_pii p ON p.tenant = s.tenant AND p.entry_key = s.entry_key
LEFT JOIN contacts c ON c.tenant = s.tenant AND c.contact_key = s.entry_key
LEFT JOIN contacts_pii o ON o.tenant = c.tenant AND o.contact_id = c.contact_id
WHERE s.tenant = :tenant AND (s.added_at_us > :after_at OR (s.added_at_us = :after_at AND s.entry_key > :after))
  AND (:reason = '' OR s.reason = :reason)
ORDER BY s.added_at_us, s.entry_key LIMIT :limit;

-- Of a domain: itself, and the addresses there.
-- name: suppressions_of_domain
SELECT s.entry_key, coalesce(p.address, o.address) AS address, s.domain, s.stream, s.reason, coalesce(p.note, s.note) AS note, s.source, s.added_by, s.added_at_us
FROM suppressions s LEFT JOIN suppressions_pii p ON p.tenant = s.tenant AND p.entry_key = s.entry_key
LEFT JOIN contacts c ON c.tenant = s.tenant AND c.contact_key = s.entry_key
LEFT JOIN contacts_pii o ON o.tenant = c.tenant AND o.contact_id = c.contact_id
WHERE s.tenant = :tenant AND s.domain_key = :domain_key
  AND (s.added_at_us > :after_at OR (s.added_at_us = :after_at AND s.entry_key > :after)) AND (:reason = '' OR s.reason = :reason)
ORDER BY s.added_at_us, s.entry_key LIMIT :limit;

-- name: suppression
SELECT s.entry_key, coalesce(p.address, o.address) AS address, s.domain, s.stream, s.reason, coalesce(p.note, s.note) AS note, s.source, s.added_by, s.added_at_us
FROM suppressions s LEFT JOIN suppressions_pii p ON p.tenant = s.tenant AND p.entry_key = s.entry_key
LEFT JOIN contacts c ON c.tenant = s.tenant AND c.contact_key = s.entry_key
LEFT JOIN contacts_pii o ON o.tenant = c.tenant AND o.contact_id = c.contact_id
WHERE s.tenant = :tenant AND s.entry_key = :contact_key;

-- What stops mail to an address: its own entry first, then that of its domain.
-- name: suppressions_of_address
SELECT s.entry_key, coalesce(p.address, o.address) AS address, s.domain, s.stream, s.reason, coalesce(p.note, s.note) AS note, s.source, s.added_by, s.added_at_us
FROM suppressions s LEFT JOIN suppressions_pii p ON p.tenant = s.tenant AND p.entry_key = s.entry_key
LEFT JOIN contacts c ON c.tenant = s.tenant AND c.contact_key = s.entry_key
LEFT JOIN contacts_pii o ON o.tenant = c.tenant AND o.contact_id = c.contact_id
WHERE s.tenant = :tenant AND (s.entry_key = :contact_key OR s.entry_key = :domain_key)
ORDER BY CASE WHEN s.domain IS NULL THEN 0 ELSE 1 END;

-- name: suppression_count
SELECT count(*) AS suppressions FROM suppressions WHERE tenant = :tenant;

-- fold: add_suppression
INSERT INTO suppressions (tenant, entry_key, domain, domain_key, stream, reason, source, added_by, note, added_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (tenant, entry_key) DO UPDATE SET domain = ?3, domain_key = ?4, stream = ?5, reason = ?6, source = ?7, added_by = ?8, note = ?9,
  added_at_us = ?10;

-- fold: remove_suppression
DELETE FROM suppressions WHERE tenant = ?1 AND entry_key = ?2;

-- fold: set_personal
INSERT INTO suppressions_pii (tenant, entry_key, address, note) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, entry_key) DO UPDATE SET address = ?3, note = ?4;

-- fold: forget_personal
DELETE FROM suppressions_pii WHERE tenant = ?1 AND entry_key = ?2;
