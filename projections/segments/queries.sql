-- name: segments
SELECT s.segment_id, s.name, s.version, s.text, s.json, s.created_at_us, s.defined_at_us, s.archived_at_us,
       coalesce(sum(p.members), 0) AS members, coalesce(sum(p.undecided), 0) AS undecided, count(p.partition) AS partitions,
       coalesce(sum(CASE WHEN p.version = s.version THEN p.done ELSE 0 END), 0) AS partitions_done
FROM segments s LEFT JOIN segment_parts p ON p.tenant = s.tenant AND p.segment_id = s.segment_id
WHERE s.tenant = :tenant AND s.segment_id > :after
GROUP BY s.segment_id, s.name, s.version, s.text, s.json, s.created_at_us, s.defined_at_us, s.archived_at_us
ORDER BY s.segment_id LIMIT :limit;

-- name: segment
SELECT s.segment_id, s.name, s.version, s.text, s.json, s.created_at_us, s.defined_at_us, s.archived_at_us,
       coalesce(sum(p.members), 0) AS members, coalesce(sum(p.undecided), 0) AS undecided, count(p.partition) AS partitions,
       coalesce(sum(CASE WHEN p.version = s.version THEN p.done ELSE 0 END), 0) AS partitions_done
FROM segments s LEFT JOIN segment_parts p ON p.tenant = s.tenant AND p.segment_id = s.segment_id
WHERE s.tenant = :tenant AND s.segment_id = :segment_id
GROUP BY s.segment_id, s.name, s.version, s.text, s.json, s.created_at_us, s.defined_at_us, s.archived_at_us;

-- name: segment_versions
SELECT version, text, json, defined_at_us FROM segment_versions
WHERE tenant = :tenant AND segment_id = :segment_id ORDER BY version DESC LIMIT 100;

-- name: segment_extent
SELECT partition, max(last_ordinal) AS last_ordinal FROM (
  SELECT partition, last_ordinal FROM segment_slices WHERE tenant = :tenant AND segment_id = :segment_id
  UNION ALL
  SELECT contact_id / 281474976710656 AS partition, contact_id % 281474976710656 AS last_ordinal FROM segment_changes
  WHERE tenant = :tenant AND segment_id = :segment_id) AS both_kinds
GROUP BY partition ORDER BY partition;

-- name: segment_slices
SELECT first_ordinal, last_ordinal, sequence, members FROM segment_slices
WHERE tenant = :tenant AND segment_id = :segment_id AND partition = :partition AND first_ordinal >= :first AND first_ordinal <= :last
  AND at_us <= :at_us
ORDER BY sequence;

-- name: segment_changes
SELECT c.contact_id, c.sequence, c.member FROM segment_changes c
WHERE c.tenant = :tenant AND c.segment_id = :segment_id AND c.contact_id >= :first AND c.contact_id <= :last AND c.at_us <= :at_us
  AND c.sequence = (SELECT max(d.sequence) FROM segment_changes d WHERE d.tenant = c.tenant AND d.segment_id = c.segment_id
                    AND d.contact_id = c.contact_id AND d.at_us <= :at_us)
ORDER BY c.contact_id;

-- name: segment_preview
SELECT v.preview_id, v.segment_id, v.text, v.json, v.requested_at_us, coalesce(sum(p.done), 0) AS partitions_done,
       coalesce(sum(p.contacts), 0) AS contacts, coalesce(sum(p.matching), 0) AS matching, coalesce(sum(p.undecided), 0) AS undecided,
       coalesce(sum(p.members), 0) AS members, coalesce(sum(p.enter), 0) AS enter, coalesce(sum(p.leave), 0) AS leave,
       coalesce(sum(p.pending), 0) AS pending, coalesce(sum(p.kept_hash), 0) AS kept_hash,
       coalesce(sum(p.decided_hash), 0) AS decided_hash, max(p.counted_at_us) AS counted_at_us
FROM segment_previews v LEFT JOIN segment_preview_parts p ON p.tenant = v.tenant AND p.preview_id = v.preview_id
WHERE v.tenant = :tenant AND v.preview_id = :preview_id
GROUP BY v.preview_id, v.segment_id, v.text, v.json, v.requested_at_us;

-- name: segment_preview_missing
SELECT attribute, contacts FROM segment_preview_missing WHERE tenant = :tenant AND preview_id = :preview_id ORDER BY attribute;

-- name: segment_preview_samples
SELECT contact_id FROM segment_preview_samples
WHERE tenant = :tenant AND preview_id = :preview_id AND kind = :kind ORDER BY contact_id LIMIT 20;

-- fold: define
INSERT INTO segments (tenant, segment_id, name, version, text, json, created_at_us, defined_at_us, archived_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7, NULL)
ON CONFLICT (tenant, segment_id) DO UPDATE SET version = ?4, text = ?5, json = ?6, defined_at_us = ?7;

-- fold: add_version
INSERT INTO segment_versions (tenant, segment_id, version, text, json, defined_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- fold: archive
UPDATE segments SET archived_at_us = ?3 WHERE tenant = ?1 AND segment_id = ?2;

-- fold: open_part
INSERT INTO segment_parts (tenant, segment_id, partition, version, last_ordinal, planned_to, done, members, entered, dropped, undecided,
                           changed_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, 0, 0, 0, 0, 0, 0, ?6)
ON CONFLICT (tenant, segment_id, partition) DO UPDATE SET version = ?4, last_ordinal = ?5, planned_to = 0, done = 0, entered = 0, dropped = 0,
  undecided = 0, changed_at_us = ?6;

-- fold: plan_part
UPDATE segment_parts SET planned_to = ?4, done = ?5, members = members + ?6 - ?7, entered = entered + ?6, dropped = dropped + ?7,
  undecided = undecided + ?8, changed_at_us = ?9
WHERE tenant = ?1 AND segment_id = ?2 AND partition = ?3;

-- fold: add_slice
INSERT INTO segment_slices (tenant, segment_id, partition, first_ordinal, sequence, last_ordinal, at_us, version, members)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9);

-- fold: close_part
UPDATE segment_parts SET members = 0, done = 1, changed_at_us = ?4 WHERE tenant = ?1 AND segment_id = ?2 AND partition = ?3;

-- fold: add_change
INSERT INTO segment_changes (tenant, segment_id, contact_id, sequence, at_us, member) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
ON CONFLICT (tenant, segment_id, contact_id, sequence) DO UPDATE SET member = ?6;

-- fold: add_members
UPDATE segment_parts SET members = members + ?4, changed_at_us = ?5 WHERE tenant = ?1 AND segment_id = ?2 AND partition = ?3;

-- fold: request_preview
INSERT INTO segment_previews (tenant, preview_id, segment_id, text, json, requested_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- fold: count_preview
INSERT INTO segment_preview_parts (tenant, preview_id, partition, done, contacts, matching, undecided, members, enter, leave, pending, kept_hash,
                                   decided_hash, counted_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)
ON CONFLICT (tenant, preview_id, partition) DO UPDATE SET done = ?4, contacts = segment_preview_parts.contacts + ?5,
  matching = segment_preview_parts.matching + ?6, undecided = segment_preview_parts.undecided + ?7,
  members = segment_preview_parts.members + ?8, enter = segment_preview_parts.enter + ?9, leave = segment_preview_parts.leave + ?10,
  pending = segment_preview_parts.pending + ?11, kept_hash = segment_preview_parts.kept_hash + ?12,
  decided_hash = segment_preview_parts.decided_hash + ?13, counted_at_us = ?14;

-- fold: count_missing
INSERT INTO segment_preview_missing (tenant, preview_id, attribute, contacts) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, preview_id, attribute) DO UPDATE SET contacts = segment_preview_missing.contacts + ?4;

-- fold: add_sample
INSERT INTO segment_preview_samples (tenant, preview_id, kind, contact_id) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, preview_id, kind, contact_id) DO NOTHING;
