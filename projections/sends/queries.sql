-- :status and :reason: a name of send_statuses or skip_reasons; '' = any.
-- name: sends
SELECT s.contact_id, s.arm, t.name AS status, r.name AS reason, s.attempts, s.planned_at_us, s.attempted_at_us, s.settled_at_us, s.retry_at_us,
       s.reply_code, s.reply_text, s.locale
FROM sends s JOIN send_statuses t ON t.status = s.status JOIN skip_reasons r ON r.reason = s.reason
WHERE s.tenant = :tenant AND s.campaign_id = :campaign_id AND s.contact_id > :after
  AND (:status = '' OR t.name = :status) AND (:reason = '' OR r.name = :reason)
ORDER BY s.contact_id LIMIT :limit;

-- name: send
SELECT s.campaign_id, s.contact_id, s.arm, a.name AS arm_name, t.name AS status, r.name AS reason, s.attempts, s.planned_at_us, s.attempted_at_us,
       s.settled_at_us, s.retry_at_us, s.reply_code, s.reply_text, s.bounce_reason, s.bounce_rule, s.bounced_at_us, s.complained_at_us,
       s.locale
FROM sends s JOIN send_statuses t ON t.status = s.status JOIN skip_reasons r ON r.reason = s.reason
LEFT JOIN campaign_arms a ON a.tenant = s.tenant AND a.campaign_id = s.campaign_id AND a.arm = s.arm
WHERE s.tenant = :tenant AND s.campaign_id = :campaign_id AND s.contact_id = :contact_id;

-- What happened to it, and what the contact did with it.
-- name: send_history
SELECT h.sequence, k.name AS kind, h.attempt, h.at_us, h.reply_code, h.detail, h.reason, h.rule, h.source, NULL AS link, NULL AS agent
FROM send_history h JOIN send_history_kinds k ON k.kind = h.kind
WHERE h.tenant = :tenant AND h.campaign_id = :campaign_id AND h.contact_id = :contact_id
UNION ALL
SELECT e.sequence, k.name AS kind, 0 AS attempt, e.recorded_at_us AS at_us, NULL AS reply_code, e.name AS detail, NULL AS reason,
       NULL AS rule, NULL AS source, e.link, a.name AS agent
FROM engagements e JOIN engagement_kinds k ON k.kind = e.kind LEFT JOIN engagement_agents a ON a.agent = e.agent
WHERE e.tenant = :tenant AND e.contact_id = :contact_id AND e.campaign_id = :campaign_id
ORDER BY sequence LIMIT :limit;

-- Its attempts: when they were opened, and those that ended with the mail in the receiver's hands, or perhaps.
-- name: send_attempts
SELECT sequence, kind, attempt, at_us FROM send_history
WHERE tenant = :tenant AND campaign_id = :campaign_id AND contact_id = :contact_id AND kind IN (1, 2, 5) ORDER BY sequence LIMIT :limit;

-- name: sends_of_contact
SELECT c.campaign_id, c.name AS campaign, s.arm, t.name AS status, r.name AS reason, s.attempts, s.planned_at_us, s.settled_at_us
FROM campaigns c
JOIN sends s ON s.tenant = c.tenant AND s.campaign_id = c.campaign_id AND s.contact_id = :contact_id
JOIN send_statuses t ON t.status = s.status JOIN skip_reasons r ON r.reason = s.reason
WHERE c.tenant = :tenant AND c.campaign_id < :before ORDER BY c.campaign_id DESC LIMIT :limit;

-- Every mail and what became of it, the newest first; the next page begins behind (at_us, place, id, noun_id) of the last row.
-- name: mail_timeline_of_contact
SELECT at_us, place, id, noun_id, kind, noun, name, source, detail, reason, attempt, reply_code, link, agent, read_by, revenue_cents, currency
FROM (
  SELECT s.planned_at_us AS at_us, 11 AS place, 0 AS id, s.campaign_id AS noun_id,
         CASE WHEN s.status = 8 THEN 'holdout' WHEN s.status = 7 AND s.arm IS NULL THEN 'skipped' ELSE 'planned' END AS kind,
         'campaign' AS noun, c.name, '' AS source, '' AS detail, CASE WHEN s.arm IS NULL THEN r.name ELSE '' END AS reason,
         CAST(NULL AS BIGINT) AS attempt, CAST(NULL AS BIGINT) AS reply_code, CAST(NULL AS BIGINT) AS link, '' AS agent, '' AS read_by,
         CAST(NULL AS BIGINT) AS revenue_cents, '' AS currency
  FROM campaigns c JOIN sends s ON s.tenant = c.tenant AND s.campaign_id = c.campaign_id AND s.contact_id = :contact_id
  JOIN skip_reasons r ON r.reason = s.reason
  WHERE c.tenant = :tenant
  UNION ALL
  SELECT h.at_us, 12 AS place, h.sequence AS id, h.campaign_id AS noun_id, k.name AS kind, 'campaign' AS noun, c.name,
         coalesce(h.source, '') AS source, coalesce(h.detail, '') AS detail, coalesce(h.reason, '') AS reason, h.attempt, h.reply_code,
         CAST(NULL AS BIGINT) AS link, '' AS agent, '' AS read_by, CAST(NULL AS BIGINT) AS revenue_cents, '' AS currency
  FROM campaigns c JOIN send_history h ON h.tenant = c.tenant AND h.campaign_id = c.campaign_id AND h.contact_id = :contact_id
  JOIN send_history_kinds k ON k.kind = h.kind
  WHERE c.tenant = :tenant
  UNION ALL
  SELECT e.recorded_at_us AS at_us, 13 AS place, e.sequence AS id, coalesce(e.campaign_id, 0) AS noun_id, k.name AS kind,
         CASE WHEN e.campaign_id IS NULL THEN '' ELSE 'campaign' END AS noun, coalesce(c.name, '') AS name, '' AS source,
         coalesce(e.name, '') AS detail, coalesce(g.rule, '') AS reason, CAST(NULL AS BIGINT) AS attempt, CAST(NULL AS BIGINT) AS reply_code,
         e.link, coalesce(a.name, '') AS agent, coalesce(r.name, '') AS read_by, e.revenue_cents, coalesce(e.currency, '') AS currency
  FROM engagements e JOIN engagement_kinds k ON k.kind = e.kind LEFT JOIN engagement_agents a ON a.agent = e.agent
  LEFT JOIN campaigns c ON c.tenant = e.tenant AND c.campaign_id = e.campaign_id
  LEFT JOIN signals g ON g.tenant = e.tenant AND g.contact_id = e.contact_id AND g.sequence = e.sequence
  LEFT JOIN signal_readers r ON r.read_by = g.read_by
  WHERE e.tenant = :tenant AND e.contact_id = :contact_id
) AS all_kinds
WHERE at_us < :at_us OR (at_us = :at_us AND (place < :place OR (place = :place AND (id < :id OR (id = :id AND noun_id < :noun_id)))))
ORDER BY at_us DESC, place DESC, id DESC, noun_id DESC LIMIT :limit;

-- name: unknown_sends
SELECT contact_id, arm, attempts, attempted_at_us, reply_text FROM sends
WHERE tenant = :tenant AND campaign_id = :campaign_id AND status = 6 AND contact_id > :after ORDER BY contact_id LIMIT :limit;

-- Of all campaigns; the next page begins after (campaign_id, contact_id) of the last row.
-- name: unknown_sends_of_all
SELECT campaign_id, contact_id, arm, attempts, attempted_at_us, reply_text FROM sends
WHERE tenant = :tenant AND status = 6 AND (campaign_id, contact_id) > (:after_campaign_id, :after) ORDER BY campaign_id, contact_id LIMIT :limit;

-- What tracking needs to know: was this contact to get mail of this campaign?
-- name: send_facts
SELECT arm, status, reason FROM sends WHERE tenant = :tenant AND campaign_id = :campaign_id AND contact_id = :contact_id;

-- Of all tenants: how many mails wait for a retry at a site, since when the first was put off, and when the next is due by its own time.
-- name: site_waiting
SELECT COUNT(*) AS mails, MIN(attempted_at_us) AS oldest_attempted_at_us, MIN(retry_at_us) AS next_due_at_us
FROM sends WHERE status = 3 AND site = :site AND retry_at_us IS NOT NULL;

-- fold: plan
INSERT INTO sends (tenant, campaign_id, contact_id, arm, status, reason, attempts, planned_at_us, settled_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, ?7, ?8);

-- Null leaves what is there; but settled_at_us, retry_at_us and site follow the status.
-- fold: change
UPDATE sends SET status = ?4, reason = coalesce(?5, reason), attempts = coalesce(?6, attempts), attempted_at_us = coalesce(?7, attempted_at_us),
                 settled_at_us = ?8, retry_at_us = ?9, reply_code = coalesce(?10, reply_code), reply_text = coalesce(?11, reply_text),
                 bounce_reason = coalesce(?12, bounce_reason), bounce_rule = coalesce(?13, bounce_rule),
                 site = ?14, locale = coalesce(?15, locale)
WHERE tenant = ?1 AND campaign_id = ?2 AND contact_id = ?3;

-- What came back later: the status stays.
-- fold: hear
UPDATE sends SET bounce_reason = coalesce(?4, bounce_reason), bounce_rule = coalesce(?5, bounce_rule), bounced_at_us = coalesce(?6, bounced_at_us),
                 complained_at_us = coalesce(?7, complained_at_us)
WHERE tenant = ?1 AND campaign_id = ?2 AND contact_id = ?3;

-- fold: remember
INSERT INTO send_history (tenant, campaign_id, contact_id, sequence, kind, attempt, at_us, reply_code, detail, reason, rule, source)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12);

-- Refusals, as they were said and as they are judged now; :campaign_id 0 = of any. The next page begins after (campaign_id, contact_id).
-- name: bounces
SELECT b.campaign_id, b.contact_id, b.at_us, b.reply_code, b.enhanced_code, b.stage, b.reply_text, b.hard, b.reason, b.rule
FROM bounces b
WHERE b.tenant = :tenant AND (:campaign_id = 0 OR b.campaign_id = :campaign_id) AND b.at_us >= :since_at
  AND (b.campaign_id > :after_campaign_id OR (b.campaign_id = :after_campaign_id AND b.contact_id > :after))
ORDER BY b.campaign_id, b.contact_id LIMIT :limit;

-- fold: bounce
INSERT INTO bounces (tenant, campaign_id, contact_id, at_us, reply_code, enhanced_code, stage, reply_text, hard, reason, rule)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
ON CONFLICT (tenant, campaign_id, contact_id) DO UPDATE SET at_us = excluded.at_us, reply_code = excluded.reply_code,
  enhanced_code = excluded.enhanced_code, stage = excluded.stage, reply_text = excluded.reply_text, hard = excluded.hard,
  reason = excluded.reason, rule = excluded.rule;

-- fold: judge_bounce
UPDATE bounces SET hard = ?4, reason = ?5, rule = ?6 WHERE tenant = ?1 AND campaign_id = ?2 AND contact_id = ?3;

-- Those who waited for the winner of a test.
-- fold: release
UPDATE sends SET arm = ?4, status = ?5, reason = ?6, settled_at_us = ?7 WHERE tenant = ?1 AND campaign_id = ?2 AND contact_id = ?3;
