-- name: campaign_timing
SELECT t.starts_at_us, t.local, t.zone, t.per_contact, t.skip_late, t.tz_version, t.held_at_us, t.held_reason, t.held_codes, t.held_why,
       t.per_minute, t.over_minutes, t.quiet_from, t.quiet_to, t.ttl_minutes,
       (SELECT coalesce(sum(c.without_zone), 0) FROM campaign_clocks c WHERE c.tenant = t.tenant AND c.campaign_id = t.campaign_id) AS without_zone,
       (SELECT coalesce(max(c.clocks), 0) FROM campaign_clocks c WHERE c.tenant = t.tenant AND c.campaign_id = t.campaign_id) AS clocks
FROM campaign_timings t WHERE t.tenant = :tenant AND t.campaign_id = :campaign_id;

-- fold: create_timing
INSERT INTO campaign_timings (tenant, campaign_id, per_contact, skip_late, per_minute, over_minutes, quiet_from, quiet_to, ttl_minutes)
VALUES (?1, ?2, 0, 0, ?3, ?4, ?5, ?6, ?7);

-- fold: edit_timing
UPDATE campaign_timings SET per_minute = ?3, over_minutes = ?4, quiet_from = ?5, quiet_to = ?6, ttl_minutes = ?7
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: delete_timing
DELETE FROM campaign_timings WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: schedule
UPDATE campaign_timings SET starts_at_us = ?3, local = ?4, zone = ?5, per_contact = ?6, skip_late = ?7, tz_version = ?8,
                            held_at_us = NULL, held_reason = NULL, held_codes = NULL, held_why = NULL
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: unschedule
UPDATE campaign_timings SET starts_at_us = NULL, local = NULL, zone = NULL, per_contact = 0, skip_late = 0, tz_version = NULL,
                            held_at_us = NULL, held_reason = NULL, held_codes = NULL, held_why = NULL
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: hold
UPDATE campaign_timings SET held_at_us = ?3, held_reason = ?4, held_codes = ?5, held_why = ?6 WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: let_go
UPDATE campaign_timings SET held_at_us = NULL, held_reason = NULL, held_codes = NULL, held_why = NULL
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: throttle
UPDATE campaign_timings SET per_minute = ?3, over_minutes = ?4 WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: add_clocks
INSERT INTO campaign_clocks (tenant, campaign_id, partition, clocks, without_zone) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tenant, campaign_id, partition) DO UPDATE SET
  clocks = campaign_clocks.clocks + ?4, without_zone = campaign_clocks.without_zone + ?5;
