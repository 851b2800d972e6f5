-- name: journeys
SELECT j.journey_id, j.name, j.version, j.json, j.paused, j.created_at_us, j.defined_at_us, j.archived_at_us,
       (SELECT coalesce(sum(s.here), 0) FROM journey_steps s WHERE s.tenant = j.tenant AND s.journey_id = j.journey_id) AS in_it,
       (SELECT coalesce(sum(e.instances), 0) FROM journey_ends e WHERE e.tenant = j.tenant AND e.journey_id = j.journey_id) AS over
FROM journeys j WHERE j.tenant = :tenant AND j.journey_id > :after ORDER BY j.journey_id LIMIT :limit;

-- name: journey
SELECT j.journey_id, j.name, j.version, j.json, j.paused, j.created_at_us, j.defined_at_us, j.archived_at_us,
       (SELECT coalesce(sum(s.here), 0) FROM journey_steps s WHERE s.tenant = j.tenant AND s.journey_id = j.journey_id) AS in_it,
       (SELECT coalesce(sum(e.instances), 0) FROM journey_ends e WHERE e.tenant = j.tenant AND e.journey_id = j.journey_id) AS over
FROM journeys j WHERE j.tenant = :tenant AND j.journey_id = :journey_id;

-- name: journey_versions
SELECT version, json, defined_at_us FROM journey_versions
WHERE tenant = :tenant AND journey_id = :journey_id ORDER BY version DESC LIMIT 200;

-- name: journey_steps
SELECT step, entered, here, sent, skipped, updated, deferred, without_zone FROM journey_steps
WHERE tenant = :tenant AND journey_id = :journey_id AND step <> '' ORDER BY step;

-- name: journey_ends
SELECT step, reason, instances FROM journey_ends WHERE tenant = :tenant AND journey_id = :journey_id ORDER BY step, reason;

-- Who is in a journey; the next page begins behind (contact_id, instance_key) of the last row.
-- name: journey_people
SELECT contact_id, instance_key, version, step, status, entered_at_us, due_at_us FROM journey_instances
WHERE tenant = :tenant AND journey_id = :journey_id AND status <> 'over'
  AND (contact_id > :after OR (contact_id = :after AND instance_key > :after_key))
ORDER BY contact_id, instance_key LIMIT :limit;

-- What a journey did with a contact since it entered, under whatever key.
-- name: journey_history
SELECT instance_key, at_us, kind, step, why, message_id, event_id FROM journey_moves
WHERE tenant = :tenant AND contact_id = :contact_id AND journey_id = :journey_id AND at_us >= :since_us
ORDER BY sequence, place LIMIT 1000;

-- name: journeys_of_contact
SELECT i.journey_id, j.name, i.instance_key, i.version, i.step, i.status, i.why, i.entered_at_us, i.entered_why, i.event_id, i.since_us,
       i.due_at_us, i.zone, i.zone_missing
FROM journey_instances i LEFT JOIN journeys j ON j.tenant = i.tenant AND j.journey_id = i.journey_id
WHERE i.tenant = :tenant AND i.contact_id = :contact_id
ORDER BY i.journey_id, i.instance_key LIMIT 500;

-- name: journey_moves_of_contact
SELECT sequence, place, journey_id, instance_key, version, at_us, kind, step, next_step, why, due_at_us, message_id, event_id, zone, zone_missing
FROM journey_moves WHERE tenant = :tenant AND contact_id = :contact_id
ORDER BY sequence DESC, place DESC LIMIT 500;

-- fold: define
INSERT INTO journeys (tenant, journey_id, name, version, json, paused, created_at_us, defined_at_us, archived_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?6, NULL)
ON CONFLICT (tenant, journey_id) DO UPDATE SET version = ?4, json = ?5, defined_at_us = ?6;

-- fold: add_version
INSERT INTO journey_versions (tenant, journey_id, version, json, defined_at_us) VALUES (?1, ?2, ?3, ?4, ?5);

-- fold: archive
UPDATE journeys SET archived_at_us = ?3 WHERE tenant = ?1 AND journey_id = ?2;

-- fold: pause
UPDATE journeys SET paused = ?3 WHERE tenant = ?1 AND journey_id = ?2;

-- fold: enter
INSERT INTO journey_instances (tenant, contact_id, journey_id, instance_key, version, step, status, why, entered_at_us, entered_why, event_id,
                               since_us, due_at_us, zone, zone_missing)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, 'ready', ?7, ?8, ?7, ?9, ?8, NULL, '', 0)
ON CONFLICT (tenant, contact_id, journey_id, instance_key) DO UPDATE SET version = ?5, step = ?6, status = 'ready', why = ?7,
  entered_at_us = ?8, entered_why = ?7, event_id = ?9, since_us = ?8, due_at_us = NULL, zone = '', zone_missing = 0;

-- fold: stand
UPDATE journey_instances SET version = ?5, step = ?6, status = ?7, why = ?8, since_us = ?9, due_at_us = ?10, zone = ?11, zone_missing = ?12
WHERE tenant = ?1 AND contact_id = ?2 AND journey_id = ?3 AND instance_key = ?4;

-- fold: add_move
INSERT INTO journey_moves (tenant, contact_id, sequence, place, journey_id, instance_key, version, at_us, kind, step, next_step, why, due_at_us,
                           message_id, event_id, zone, zone_missing)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17);

-- fold: add_step
INSERT INTO journey_steps (tenant, journey_id, step, entered, here, sent, skipped, updated, deferred, without_zone)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
ON CONFLICT (tenant, journey_id, step) DO UPDATE SET entered = journey_steps.entered + ?4, here = journey_steps.here + ?5,
  sent = journey_steps.sent + ?6, skipped = journey_steps.skipped + ?7, updated = journey_steps.updated + ?8, deferred = journey_steps.deferred + ?9,
  without_zone = journey_steps.without_zone + ?10;

-- fold: add_end
INSERT INTO journey_ends (tenant, journey_id, step, reason, instances) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tenant, journey_id, step, reason) DO UPDATE SET instances = journey_ends.instances + ?5;
