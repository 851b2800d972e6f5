-- name: contact
SELECT c.contact_id, c.contact_key, p.address, c.attributes, p.attributes AS personal_attributes, c.source, c.created_at_us, c.changed_at_us,
       u.unsubscribed_at_us, s.reason AS suppressed_reason, s.added_at_us AS suppressed_at_us
FROM contacts c
LEFT JOIN contacts_pii p ON p.tenant = c.tenant AND p.contact_id = c.contact_id
LEFT JOIN unsubscribed u ON u.tenant = c.tenant AND u.contact_id = c.contact_id
LEFT JOIN suppressions s ON s.tenant = c.tenant AND s.entry_key = c.contact_key
WHERE c.tenant = :tenant AND c.contact_id = :contact_id;

-- name: contact_by_key
SELECT c.contact_id, c.contact_key, p.address, c.attributes, p.attributes AS personal_attributes, c.source, c.created_at_us, c.changed_at_us,
       u.unsubscribed_at_us, s.reason AS suppressed_reason, s.added_at_us AS suppressed_at_us
FROM contacts c
LEFT JOIN contacts_pii p ON p.tenant = c.tenant AND p.contact_id = c.contact_id
LEFT JOIN unsubscribed u ON u.tenant = c.tenant AND u.contact_id = c.contact_id
LEFT JOIN suppressions s ON s.tenant = c.tenant AND s.entry_key = c.contact_key
WHERE c.tenant = :tenant AND c.contact_key = :contact_key;

-- name: contacts
SELECT c.contact_id, c.contact_key, p.address, c.attributes, p.attributes AS personal_attributes, c.source, c.created_at_us, c.changed_at_us,
       u.unsubscribed_at_us, s.reason AS suppressed_reason, s.added_at_us AS suppressed_at_us
FROM contacts c
LEFT JOIN contacts_pii p ON p.tenant = c.tenant AND p.contact_id = c.contact_id
LEFT JOIN unsubscribed u ON u.tenant = c.tenant AND u.contact_id = c.contact_id
LEFT JOIN suppressions s ON s.tenant = c.tenant AND s.entry_key = c.contact_key
WHERE c.tenant = :tenant AND c.contact_id > :after ORDER BY c.contact_id LIMIT :limit;

-- name: contact_ids
SELECT contact_id FROM contacts WHERE tenant = :tenant AND contact_id > :after ORDER BY contact_id LIMIT :limit;

-- name: contact_count
SELECT coalesce(sum(contacts), 0) AS contacts FROM contact_totals WHERE tenant = :tenant;

-- fold: insert_contact
INSERT INTO contacts (tenant, contact_id, contact_key, attributes, source, created_at_us, changed_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6);

-- fold: insert_personal
INSERT INTO contacts_pii (tenant, contact_id, address, attributes) VALUES (?1, ?2, ?3, ?4);

-- fold: attributes
SELECT attributes FROM contacts WHERE tenant = ?1 AND contact_id = ?2;

-- fold: change_contact
UPDATE contacts SET attributes = ?3, source = ?4, changed_at_us = ?5 WHERE tenant = ?1 AND contact_id = ?2;

-- fold: personal_attributes
SELECT attributes FROM contacts_pii WHERE tenant = ?1 AND contact_id = ?2;

-- fold: change_personal
UPDATE contacts_pii SET attributes = ?3 WHERE tenant = ?1 AND contact_id = ?2;

-- fold: add_contacts
INSERT INTO contact_totals (tenant, contacts) VALUES (?1, ?2)
ON CONFLICT (tenant) DO UPDATE SET contacts = contact_totals.contacts + ?2;
