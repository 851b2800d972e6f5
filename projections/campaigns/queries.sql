-- name: campaigns
SELECT c.campaign_id, c.name, s.name AS status, c.template_id, c.template_version, c.list_id, c.created_at_us, c.launched_at_us, c.ended_at_us
FROM campaigns c JOIN campaign_statuses s ON s.status = c.status
WHERE c.tenant = :tenant AND c.campaign_id > :after ORDER BY c.campaign_id LIMIT :limit;

-- `partitions` is what acknowledgements are counted against: partitions_paused of partitions.
-- name: campaign
SELECT c.campaign_id, c.name, s.name AS status, c.reason, c.template_id, c.template_version, c.from_address, c.reply_to, c.list_id,
       c.untracked, c.postal_address, c.company, c.created_at_us, c.launched_at_us, c.ended_at_us, c.stop_reason, c.stop_count, c.stop_of, c.stop_limit_bp,
       c.stop_site, c.stop_code, c.overridden, c.override_why,
       (SELECT count(*) FROM positions) AS partitions,
       count(p.partition) AS partitions_opened,
       coalesce(sum(CASE WHEN p.state = 1 THEN 1 ELSE 0 END), 0) AS partitions_running,
       coalesce(sum(CASE WHEN p.state = 2 THEN 1 ELSE 0 END), 0) AS partitions_paused,
       coalesce(sum(CASE WHEN p.state = 3 THEN 1 ELSE 0 END), 0) AS partitions_cancelling,
       coalesce(sum(p.planned), 0) AS partitions_planned,
       coalesce(sum(p.settled), 0) AS partitions_settled
FROM campaigns c JOIN campaign_statuses s ON s.status = c.status
LEFT JOIN campaign_partitions p ON p.tenant = c.tenant AND p.campaign_id = c.campaign_id
WHERE c.tenant = :tenant AND c.campaign_id = :campaign_id
GROUP BY c.tenant, c.campaign_id, c.name, s.name, c.reason, c.template_id, c.template_version, c.from_address, c.reply_to, c.list_id,
         c.untracked, c.postal_address, c.company, c.created_at_us, c.launched_at_us, c.ended_at_us, c.stop_reason, c.stop_count, c.stop_of, c.stop_limit_bp,
         c.stop_site, c.stop_code, c.overridden, c.override_why;

-- name: campaign_arms
SELECT arm, name, holdout, where_attribute, where_value, weight FROM campaign_arms
WHERE tenant = :tenant AND campaign_id = :campaign_id ORDER BY arm;

-- name: campaign_partitions
SELECT partition, state, planned, settled, last_ordinal, audience, to_send, delivered, bounced, unknown, skipped, holdout, failed,
       opened_at_us, changed_at_us
FROM campaign_partitions WHERE tenant = :tenant AND campaign_id = :campaign_id ORDER BY partition;

-- name: campaign_link
SELECT target FROM campaign_links WHERE tenant = :tenant AND campaign_id = :campaign_id AND link = :link;

-- name: campaign_links
SELECT link, target FROM campaign_links WHERE tenant = :tenant AND campaign_id = :campaign_id ORDER BY link;

-- fold: insert_campaign
INSERT INTO campaigns (tenant, campaign_id, name, template_id, from_address, reply_to, list_id, status, created_at_us, untracked)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9);

-- fold: insert_arm
INSERT INTO campaign_arms (tenant, campaign_id, arm, name, holdout, where_attribute, where_value, weight) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8);

-- fold: insert_link
INSERT INTO campaign_links (tenant, campaign_id, link, target) VALUES (?1, ?2, ?3, ?4);

-- fold: launch
UPDATE campaigns SET status = 1, template_version = ?3, postal_address = ?4, company = ?5, launched_at_us = ?6, untracked = ?7
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: set_status
UPDATE campaigns SET status = ?3 WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: pause
UPDATE campaigns SET status = 2, stop_reason = ?3, stop_count = ?4, stop_of = ?5, stop_limit_bp = ?6, stop_site = ?7, stop_code = ?8
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: resume
UPDATE campaigns SET status = 1, stop_reason = NULL, stop_count = NULL, stop_of = NULL, stop_limit_bp = NULL, stop_site = NULL, stop_code = NULL,
                     overridden = coalesce(?3, overridden), override_why = coalesce(?4, override_why)
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: end
UPDATE campaigns SET status = ?3, ended_at_us = ?4, reason = ?5 WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: open_partition
INSERT INTO campaign_partitions (tenant, campaign_id, partition, state, planned, settled, last_ordinal, audience, to_send, delivered, bounced,
                                 unknown, skipped, holdout, failed, opened_at_us, changed_at_us)
VALUES (?1, ?2, ?3, 1, 0, 0, ?4, 0, 0, 0, 0, 0, 0, 0, 0, ?5, ?5);

-- fold: set_run_state
UPDATE campaign_partitions SET state = ?4, changed_at_us = ?5 WHERE tenant = ?1 AND campaign_id = ?2 AND partition = ?3;

-- fold: progress
UPDATE campaign_partitions SET planned = ?4, settled = ?5, audience = ?6, to_send = ?7, delivered = ?8, bounced = ?9, unknown = ?10, skipped = ?11,
                               holdout = ?12, failed = ?13, changed_at_us = ?14
WHERE tenant = ?1 AND campaign_id = ?2 AND partition = ?3;
