-- Newest first.
-- name: site_changes
SELECT sequence, at_us, kind, cause, reply_code, enhanced_code, reply_text, pause_us, ends_at_us, mails, refused, replies, actor
FROM site_changes WHERE site = :site AND sequence < :before ORDER BY sequence DESC LIMIT :limit;

-- name: site
SELECT site, suspended, draining, suspended_why, suspended_by, suspended_at_us, slowed, slowed_at_us, pause_ends_at_us, reply_code, enhanced_code,
       reply_text, recovered_at_us, leased_hour, leased_this_hour, leased_today, limit_ends_at_us, warm_up_day, warm_up_step, warm_up_mails_max
FROM sites WHERE site = :site;

-- name: site_flushes
SELECT number, SUM(mails) AS mails FROM site_flushes WHERE site = :site GROUP BY number ORDER BY number DESC LIMIT :limit;

-- fold: add_site
INSERT INTO sites (site, tenant, suspended, draining, suspended_why, suspended_by, slowed, enhanced_code, reply_text, leased_hour, leased_this_hour, leased_today)
VALUES (?1, 1, 0, 0, '', '', 0, '', '', 0, 0, 0) ON CONFLICT (site) DO NOTHING;

-- fold: set_slowed
UPDATE sites SET slowed = 1, slowed_at_us = ?2, pause_ends_at_us = ?3, reply_code = ?4, enhanced_code = ?5, reply_text = ?6 WHERE site = ?1;

-- fold: set_recovered
UPDATE sites SET slowed = 0, recovered_at_us = ?2 WHERE site = ?1;

-- fold: set_suspended
UPDATE sites SET suspended = ?2, draining = ?3, suspended_why = ?4, suspended_by = ?5, suspended_at_us = ?6 WHERE site = ?1;

-- fold: add_leased
UPDATE sites SET leased_this_hour = CASE WHEN leased_hour = ?2 THEN leased_this_hour ELSE 0 END + ?3,
                 leased_today = CASE WHEN leased_hour / 24 = ?2 / 24 THEN leased_today ELSE 0 END + ?3,
                 leased_hour = ?2
WHERE site = ?1;

-- fold: subtract_leased
UPDATE sites SET leased_this_hour = leased_this_hour - CASE WHEN leased_hour = ?2 THEN ?3 ELSE 0 END,
                 leased_today = leased_today - CASE WHEN leased_hour / 24 = ?2 / 24 THEN ?3 ELSE 0 END
WHERE site = ?1;

-- fold: set_limit
UPDATE sites SET limit_ends_at_us = ?2 WHERE site = ?1;

-- fold: set_day
UPDATE sites SET warm_up_day = ?2, warm_up_step = ?3, warm_up_mails_max = ?4 WHERE site = ?1;

-- fold: add_change
INSERT INTO site_changes (site, sequence, tenant, at_us, kind, cause, reply_code, enhanced_code, reply_text, pause_us, ends_at_us, mails, refused, replies, actor)
VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14);

-- fold: add_flushed
INSERT INTO site_flushes (site, number, partition, tenant, mails) VALUES (?1, ?2, ?3, 1, 1)
ON CONFLICT (site, number, partition) DO UPDATE SET mails = site_flushes.mails + 1;
