-- `entry`: whether an evergreen campaign takes in who comes: open, finishing, closed.
-- name: campaigns
SELECT c.campaign_id, c.name, s.name AS status,
       CASE WHEN c.evergreen = 0 OR c.launched_at_us IS NULL THEN NULL WHEN c.ended_at_us IS NOT NULL THEN 'closed'
            WHEN c.finishing_at_us IS NOT NULL THEN 'finishing' ELSE 'open' END AS entry,
       c.template_id, c.template_version, c.list_id, c.created_at_us, c.launched_at_us, c.ended_at_us
FROM campaigns c JOIN campaign_statuses s ON s.status = c.status
WHERE c.tenant = :tenant AND c.campaign_id > :after ORDER BY c.campaign_id LIMIT :limit;

-- `partitions` is what acknowledgements are counted against: partitions_paused of partitions.
-- name: campaign
SELECT c.campaign_id, c.name, s.name AS status, c.reason, c.template_id, c.template_version, c.from_address, c.from_name, c.reply_to, c.list_id,
       c.untracked, c.postal_address, c.company, c.created_at_us, c.launched_at_us, c.ended_at_us, c.stop_reason, c.stop_count, c.stop_of, c.stop_limit_bp,
       c.stop_site, c.stop_code, c.overridden, c.override_why, c.evergreen, c.finishing_at_us,
       CASE WHEN c.evergreen = 0 OR c.launched_at_us IS NULL THEN NULL WHEN c.ended_at_us IS NOT NULL THEN 'closed'
            WHEN c.finishing_at_us IS NOT NULL THEN 'finishing' ELSE 'open' END AS entry,
       coalesce(sum(p.entrants), 0) AS entrants,
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
GROUP BY c.tenant, c.campaign_id, c.name, s.name, c.reason, c.template_id, c.template_version, c.from_address, c.from_name, c.reply_to, c.list_id,
         c.untracked, c.postal_address, c.company, c.created_at_us, c.launched_at_us, c.ended_at_us, c.stop_reason, c.stop_count, c.stop_of, c.stop_limit_bp,
         c.stop_site, c.stop_code, c.overridden, c.override_why, c.evergreen, c.finishing_at_us;

-- name: campaign_arms
SELECT arm, name, holdout, where_attribute, where_value, weight, subject, from_name, template_id, template_version FROM campaign_arms
WHERE tenant = :tenant AND campaign_id = :campaign_id ORDER BY arm;

-- name: campaign_partitions
SELECT partition, state, planned, settled, last_ordinal, audience, to_send, delivered, bounced, unknown, skipped, holdout, failed,
       entrants, opened_at_us, changed_at_us
FROM campaign_partitions WHERE tenant = :tenant AND campaign_id = :campaign_id ORDER BY partition;

-- Those that stay open first, then the newest.
-- name: campaigns_under_way
SELECT campaign_id FROM campaigns
WHERE tenant = :tenant AND launched_at_us IS NOT NULL AND ended_at_us IS NULL ORDER BY evergreen DESC, campaign_id DESC LIMIT :limit;

-- name: campaign_link
SELECT target FROM campaign_links WHERE tenant = :tenant AND campaign_id = :campaign_id AND link = :link;

-- name: campaign_links
SELECT link, target FROM campaign_links WHERE tenant = :tenant AND campaign_id = :campaign_id ORDER BY link;

-- fold: insert_campaign
INSERT INTO campaigns (tenant, campaign_id, name, template_id, from_address, reply_to, list_id, status, created_at_us, untracked, from_name,
                       evergreen)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11);

-- fold: insert_arm
INSERT INTO campaign_arms (tenant, campaign_id, arm, name, holdout, where_attribute, where_value, weight, subject, from_name, template_id)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (tenant, campaign_id, arm) DO NOTHING;

-- fold: pin_template
UPDATE campaign_arms SET template_version = ?4 WHERE tenant = ?1 AND campaign_id = ?2 AND template_id = ?3;

-- fold: insert_link
INSERT INTO campaign_links (tenant, campaign_id, link, target) VALUES (?1, ?2, ?3, ?4);

-- fold: launch
UPDATE campaigns SET status = 1, template_version = ?3, postal_address = ?4, company = ?5, launched_at_us = ?6, untracked = ?7
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: finish
UPDATE campaigns SET finishing_at_us = ?3 WHERE tenant = ?1 AND campaign_id = ?2;

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
                                 unknown, skipped, holdout, failed, entrants, opened_at_us, changed_at_us)
VALUES (?1, ?2, ?3, 1, 0, 0, ?4, 0, 0, 0, 0, 0, 0, 0, 0, 0, ?5, ?5);

-- fold: set_run_state
UPDATE campaign_partitions SET state = ?4, changed_at_us = ?5 WHERE tenant = ?1 AND campaign_id = ?2 AND partition = ?3;

-- fold: progress
UPDATE campaign_partitions SET planned = ?4, settled = ?5, audience = ?6, to_send = ?7, delivered = ?8, bounced = ?9, unknown = ?10, skipped = ?11,
                               holdout = ?12, failed = ?13, entrants = ?14, changed_at_us = ?15
WHERE tenant = ?1 AND campaign_id = ?2 AND partition = ?3;

-- name: campaign_draft
SELECT revision, audience, resend_of, resend_to, holdout_bp, approved_by, approved_revision FROM campaign_drafts
WHERE tenant = :tenant AND campaign_id = :campaign_id;

-- name: launch_preview
SELECT v.preview_id, v.campaign_id, v.requested_at_us, coalesce(sum(p.done), 0) AS partitions_done, max(p.counted_at_us) AS counted_at_us,
       coalesce((SELECT c.evergreen FROM campaigns c WHERE c.tenant = :tenant AND c.campaign_id = v.campaign_id), 0) AS evergreen
FROM launch_previews v LEFT JOIN launch_preview_parts p ON p.tenant = v.tenant AND p.preview_id = v.preview_id
WHERE v.tenant = :tenant AND v.preview_id = :preview_id
GROUP BY v.preview_id, v.campaign_id, v.requested_at_us;

-- name: launch_preview_rules
SELECT rule, path, sentence FROM launch_preview_rules WHERE tenant = :tenant AND preview_id = :preview_id ORDER BY place;

-- name: launch_preview_arms
SELECT a.arm, a.name, a.holdout, coalesce(v.contacts, 0) AS recipients
FROM launch_preview_arms a LEFT JOIN launch_preview_verdicts v ON v.tenant = a.tenant AND v.preview_id = a.preview_id
     AND v.verdict = a.arm + CASE WHEN a.holdout = 1 THEN 128 ELSE 64 END
WHERE a.tenant = :tenant AND a.preview_id = :preview_id ORDER BY a.arm;

-- How many would wait for the winner of a test.
-- name: launch_preview_rest
SELECT contacts FROM launch_preview_verdicts WHERE tenant = :tenant AND preview_id = :preview_id AND verdict = 192;

-- Why some would get no mail.
-- name: launch_preview_skips
SELECT r.name AS reason, v.contacts FROM launch_preview_verdicts v JOIN skip_reasons r ON r.reason = v.verdict
WHERE v.tenant = :tenant AND v.preview_id = :preview_id AND v.verdict < 64 ORDER BY v.verdict;

-- fold: insert_draft
INSERT INTO campaign_drafts (tenant, campaign_id, revision, audience, resend_of, resend_to, holdout_bp) VALUES (?1, ?2, 1, ?3, ?4, ?5, 0);

-- fold: edit_campaign
UPDATE campaigns SET name = ?3, template_id = ?4, from_address = ?5, reply_to = ?6, list_id = ?7, untracked = ?8, from_name = ?9, evergreen = ?10
WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: edit_draft
UPDATE campaign_drafts SET revision = ?3, audience = ?4 WHERE tenant = ?1 AND campaign_id = ?2;

-- Not of one that was launched: its arms stay, with what they were launched with.
-- fold: delete_arms
DELETE FROM campaign_arms WHERE tenant = ?1 AND campaign_id = ?2
AND NOT EXISTS (SELECT 1 FROM campaigns c WHERE c.tenant = ?1 AND c.campaign_id = ?2 AND c.launched_at_us IS NOT NULL);

-- fold: delete_draft
DELETE FROM campaign_drafts WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: delete_campaign
DELETE FROM campaigns WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: approve
UPDATE campaign_drafts SET approved_revision = ?3, approved_by = ?4 WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: launch_draft
UPDATE campaign_drafts SET holdout_bp = ?3 WHERE tenant = ?1 AND campaign_id = ?2;

-- fold: request_launch_preview
INSERT INTO launch_previews (tenant, preview_id, campaign_id, requested_at_us) VALUES (?1, ?2, ?3, ?4);

-- fold: add_launch_rule
INSERT INTO launch_preview_rules (tenant, preview_id, place, rule, path, sentence) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- fold: add_launch_arm
INSERT INTO launch_preview_arms (tenant, preview_id, arm, name, holdout) VALUES (?1, ?2, ?3, ?4, ?5);

-- fold: count_launch_part
INSERT INTO launch_preview_parts (tenant, preview_id, partition, done, counted_at_us) VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (tenant, preview_id, partition) DO UPDATE SET done = ?4, counted_at_us = ?5;

-- fold: count_launch_verdict
INSERT INTO launch_preview_verdicts (tenant, preview_id, verdict, contacts) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (tenant, preview_id, verdict) DO UPDATE SET contacts = launch_preview_verdicts.contacts + ?4;
