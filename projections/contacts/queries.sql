-- name: contact
SELECT c.contact_id, c.contact_key, p.address, c.attributes, p.attributes AS personal_attributes, c.tags, c.source, c.created_at_us, c.changed_at_us,
       u.unsubscribed_at_us, s.reason AS suppressed_reason, s.added_at_us AS suppressed_at_us, c.merged_into, c.merged_at_us
FROM contacts c
LEFT JOIN contacts_pii p ON p.tenant = c.tenant AND p.contact_id = c.contact_id
LEFT JOIN unsubscribed u ON u.tenant = c.tenant AND u.contact_id = c.contact_id
LEFT JOIN suppressions s ON s.tenant = c.tenant AND s.entry_key = c.contact_key
WHERE c.tenant = :tenant AND c.contact_id = :contact_id;

-- name: contact_by_key
SELECT c.contact_id, c.contact_key, p.address, c.attributes, p.attributes AS personal_attributes, c.tags, c.source, c.created_at_us, c.changed_at_us,
       u.unsubscribed_at_us, s.reason AS suppressed_reason, s.added_at_us AS suppressed_at_us, c.merged_into, c.merged_at_us
FROM contacts c
LEFT JOIN contacts_pii p ON p.tenant = c.tenant AND p.contact_id = c.contact_id
LEFT JOIN unsubscribed u ON u.tenant = c.tenant AND u.contact_id = c.contact_id
LEFT JOIN suppressions s ON s.tenant = c.tenant AND s.entry_key = c.contact_key
WHERE c.tenant = :tenant AND c.merged_into IS NULL AND c.contact_id IN (
  WITH RECURSIVE owner (id) AS (
    SELECT contact_id FROM contacts WHERE tenant = :tenant AND contact_key = :contact_key
    UNION
    SELECT o.merged_into FROM contacts o JOIN owner ON owner.id = o.contact_id WHERE o.tenant = :tenant AND o.merged_into IS NOT NULL)
  SELECT id FROM owner);

-- The contact, and all that were merged into it, one after another; itself first.
-- name: merged_contacts
WITH RECURSIVE one (id) AS (
  SELECT contact_id FROM contacts WHERE tenant = :tenant AND contact_id = :contact_id
  UNION
  SELECT m.contact_id FROM contacts m JOIN one ON one.id = m.merged_into WHERE m.tenant = :tenant)
SELECT c.contact_id, p.address, c.merged_into, c.merged_at_us
FROM one JOIN contacts c ON c.tenant = :tenant AND c.contact_id = one.id
LEFT JOIN contacts_pii p ON p.tenant = c.tenant AND p.contact_id = c.contact_id
ORDER BY c.merged_at_us IS NOT NULL, c.merged_at_us, c.contact_id;

-- The newest merge that was asked for, and whether the other one has it all.
-- name: contact_merge
SELECT m.sequence, m.into_id, m.state, m.code, m.message, m.other_contact_id, m.asked_at_us, m.decided_at_us, t.left_out, t.taken_at_us
FROM contact_merges m LEFT JOIN taken_contacts t ON t.tenant = m.tenant AND t.from_id = m.contact_id
WHERE m.tenant = :tenant AND m.contact_id = :contact_id ORDER BY m.sequence DESC LIMIT 1;

-- name: contacts
SELECT c.contact_id, c.contact_key, p.address, c.attributes, p.attributes AS personal_attributes, c.tags, c.source, c.created_at_us, c.changed_at_us,
       u.unsubscribed_at_us, s.reason AS suppressed_reason, s.added_at_us AS suppressed_at_us, c.merged_into, c.merged_at_us
FROM contacts c
LEFT JOIN contacts_pii p ON p.tenant = c.tenant AND p.contact_id = c.contact_id
LEFT JOIN unsubscribed u ON u.tenant = c.tenant AND u.contact_id = c.contact_id
LEFT JOIN suppressions s ON s.tenant = c.tenant AND s.entry_key = c.contact_key
WHERE c.tenant = :tenant AND c.contact_id > :after AND c.merged_into IS NULL ORDER BY c.contact_id LIMIT :limit;

-- name: contact_ids
SELECT contact_id FROM contacts WHERE tenant = :tenant AND contact_id > :after AND merged_into IS NULL ORDER BY contact_id LIMIT :limit;

-- name: contact_count
SELECT coalesce(sum(contacts), 0) AS contacts FROM contact_totals WHERE tenant = :tenant;

-- name: erased_contact
SELECT contact_id, erased_at_us, partition, lsn, place, chain, keys_destroyed_at_us FROM erased_contacts
WHERE tenant = :tenant AND contact_id = :contact_id;

-- What happened to a contact here, the newest first; the next page begins behind (at_us, place, id, noun_id) of the last row.
-- name: timeline_of_contact
SELECT at_us, place, id, noun_id, kind, noun, name, source, detail FROM (
  SELECT created_at_us AS at_us, CAST(1 AS BIGINT) AS place, CAST(0 AS BIGINT) AS id, CAST(0 AS BIGINT) AS noun_id, 'created' AS kind, '' AS noun, '' AS name, '' AS source, '' AS detail
  FROM contacts WHERE tenant = :tenant AND contact_id = :contact_id
  UNION ALL
  SELECT h.at_us, 2 AS place, h.sequence AS id, 0 AS noun_id, h.kind, '' AS noun, '' AS name, h.source,
         coalesce(p.former_address || ' -> ' || p.address, h.detail) AS detail
  FROM contact_history h
  LEFT JOIN address_changes_pii p ON p.tenant = h.tenant AND p.contact_id = h.contact_id AND p.sequence = h.sequence
  WHERE h.tenant = :tenant AND h.contact_id = :contact_id
  UNION ALL
  SELECT m.joined_at_us AS at_us, 3 AS place, 0 AS id, l.list_id AS noun_id, 'list_joined' AS kind, 'list' AS noun, l.name, m.source, '' AS detail
  FROM lists l JOIN list_members m ON m.tenant = l.tenant AND m.list_id = l.list_id AND m.contact_id = :contact_id
  WHERE l.tenant = :tenant
  UNION ALL
  SELECT m.joined_at_us AS at_us, 3 AS place, m.left_sequence AS id, l.list_id AS noun_id, 'list_joined' AS kind, 'list' AS noun, l.name, m.source, '' AS detail
  FROM past_members m JOIN lists l ON l.tenant = m.tenant AND l.list_id = m.list_id
  WHERE m.tenant = :tenant AND m.contact_id = :contact_id
  UNION ALL
  SELECT m.left_at_us AS at_us, 4 AS place, m.left_sequence AS id, l.list_id AS noun_id, 'list_left' AS kind, 'list' AS noun, l.name, '' AS source, '' AS detail
  FROM past_members m JOIN lists l ON l.tenant = m.tenant AND l.list_id = m.list_id
  WHERE m.tenant = :tenant AND m.contact_id = :contact_id
  UNION ALL
  SELECT c.at_us, 5 AS place, c.sequence AS id, s.segment_id AS noun_id,
         CASE WHEN c.member = 1 THEN 'segment_entered' ELSE 'segment_left' END AS kind, 'segment' AS noun, s.name, '' AS source, '' AS detail
  FROM segments s JOIN segment_changes c ON c.tenant = s.tenant AND c.segment_id = s.segment_id AND c.contact_id = :contact_id
  WHERE s.tenant = :tenant
) AS all_kinds
WHERE at_us < :at_us OR (at_us = :at_us AND (place < :place OR (place = :place AND (id < :id OR (id = :id AND noun_id < :noun_id)))))
ORDER BY at_us DESC, place DESC, id DESC, noun_id DESC LIMIT :limit;

-- fold: insert_contact
INSERT INTO contacts (tenant, contact_id, contact_key, attributes, source, created_at_us, changed_at_us, tags)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7);

-- fold: insert_personal
INSERT INTO contacts_pii (tenant, contact_id, address, attributes) VALUES (?1, ?2, ?3, ?4);

-- fold: attributes
SELECT attributes, tags FROM contacts WHERE tenant = ?1 AND contact_id = ?2;

-- fold: change_contact
UPDATE contacts SET attributes = ?3, source = ?4, changed_at_us = ?5, tags = ?6 WHERE tenant = ?1 AND contact_id = ?2;

-- fold: personal_attributes
SELECT attributes FROM contacts_pii WHERE tenant = ?1 AND contact_id = ?2;

-- fold: change_personal
UPDATE contacts_pii SET attributes = ?3 WHERE tenant = ?1 AND contact_id = ?2;

-- fold: add_contacts
INSERT INTO contact_totals (tenant, contacts) VALUES (?1, ?2)
ON CONFLICT (tenant) DO UPDATE SET contacts = contact_totals.contacts + ?2;

-- fold: erase_contact
DELETE FROM contacts WHERE tenant = ?1 AND contact_id = ?2;

-- fold: erase_personal
DELETE FROM contacts_pii WHERE tenant = ?1 AND contact_id = ?2;

-- fold: erase_history
DELETE FROM contact_history WHERE tenant = ?1 AND contact_id = ?2;

-- fold: remember_erased
INSERT INTO erased_contacts (tenant, contact_id, contact_key, erased_at_us, partition, lsn, place, chain, keys_destroyed_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL);

-- fold: destroy_keys
UPDATE erased_contacts SET keys_destroyed_at_us = ?3 WHERE tenant = ?1 AND contact_id = ?2 AND keys_destroyed_at_us IS NULL;

-- fold: remember
INSERT INTO contact_history (tenant, contact_id, sequence, at_us, kind, source, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7);

-- Of one partition: the copy of a suppression is read where its contact is.
-- fold: find_contact
SELECT contact_id FROM contacts WHERE tenant = ?1 AND contact_key = ?2 AND contact_id BETWEEN ?3 AND ?4;

-- The newest change of address that was asked for.
-- name: address_change
SELECT sequence, state, code, other_contact_id, asked_at_us, decided_at_us FROM address_changes
WHERE tenant = :tenant AND contact_id = :contact_id ORDER BY sequence DESC LIMIT 1;

-- fold: ask_address
INSERT INTO address_changes (tenant, contact_id, sequence, state, code, other_contact_id, asked_at_us, decided_at_us)
VALUES (?1, ?2, ?3, 'asked', '', NULL, ?4, NULL);

-- fold: settle_address
UPDATE address_changes SET state = ?3, code = ?4, other_contact_id = ?5, decided_at_us = ?6
WHERE tenant = ?1 AND contact_id = ?2 AND state = 'asked';

-- fold: change_address
UPDATE contacts SET contact_key = ?3, source = ?4, changed_at_us = ?5 WHERE tenant = ?1 AND contact_id = ?2;

-- fold: change_personal_address
UPDATE contacts_pii SET address = ?3 WHERE tenant = ?1 AND contact_id = ?2;

-- fold: remember_addresses
INSERT INTO address_changes_pii (tenant, contact_id, sequence, former_address, address) VALUES (?1, ?2, ?3, ?4, ?5);

-- fold: erase_address_changes
DELETE FROM address_changes WHERE tenant = ?1 AND contact_id = ?2;

-- fold: erase_addresses
DELETE FROM address_changes_pii WHERE tenant = ?1 AND contact_id = ?2;

-- fold: ask_merge
INSERT INTO contact_merges (tenant, contact_id, sequence, into_id, state, code, message, other_contact_id, asked_at_us, decided_at_us)
VALUES (?1, ?2, ?3, ?4, 'asked', '', '', NULL, ?5, NULL);

-- fold: settle_merge
UPDATE contact_merges SET state = ?3, code = ?4, message = ?5, other_contact_id = ?6, decided_at_us = ?7
WHERE tenant = ?1 AND contact_id = ?2 AND state = 'asked';

-- fold: merge_contact
UPDATE contacts SET merged_into = ?3, merged_at_us = ?4 WHERE tenant = ?1 AND contact_id = ?2;

-- fold: take_contact
INSERT INTO taken_contacts (tenant, from_id, contact_id, left_out, taken_at_us) VALUES (?1, ?2, ?3, ?4, ?5);

-- fold: erase_merges
DELETE FROM contact_merges WHERE tenant = ?1 AND contact_id = ?2;

-- fold: erase_taken
DELETE FROM taken_contacts WHERE tenant = ?1 AND contact_id = ?2;
