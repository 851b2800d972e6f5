-- The newest first; the next page begins before (accepted_at_us, message_id) of the last row. :status: a name of send_statuses, '' = any;
-- :template_id 0 = any; :contact_key empty = any.
-- name: messages
SELECT m.message_id, m.contact_id, m.template_id, m.template_version, m.source, m.test, m.attachments, t.name AS status, r.name AS reason, s.attempts,
       m.accepted_at_us, m.expires_at_us, s.attempted_at_us, s.settled_at_us, s.retry_at_us, s.reply_code, s.reply_text
FROM messages m
JOIN sends s ON s.tenant = m.tenant AND s.campaign_id = m.message_id AND s.contact_id = m.contact_id
JOIN send_statuses t ON t.status = s.status JOIN skip_reasons r ON r.reason = s.reason
WHERE m.tenant = :tenant AND (m.accepted_at_us < :before OR (m.accepted_at_us = :before AND m.message_id < :before_id))
  AND (:status = '' OR t.name = :status) AND (:template_id = 0 OR m.template_id = :template_id)
ORDER BY m.accepted_at_us DESC, m.message_id DESC LIMIT :limit;

-- Those to one address.
-- name: messages_to
SELECT m.message_id, m.contact_id, m.template_id, m.template_version, m.source, m.test, m.attachments, t.name AS status, r.name AS reason, s.attempts,
       m.accepted_at_us, m.expires_at_us, s.attempted_at_us, s.settled_at_us, s.retry_at_us, s.reply_code, s.reply_text
FROM messages m
JOIN sends s ON s.tenant = m.tenant AND s.campaign_id = m.message_id AND s.contact_id = m.contact_id
JOIN send_statuses t ON t.status = s.status JOIN skip_reasons r ON r.reason = s.reason
WHERE m.tenant = :tenant AND m.contact_key = :contact_key AND (m.accepted_at_us < :before OR (m.accepted_at_us = :before AND m.message_id < :before_id))
  AND (:status = '' OR t.name = :status) AND (:template_id = 0 OR m.template_id = :template_id)
ORDER BY m.accepted_at_us DESC, m.message_id DESC LIMIT :limit;

-- name: message
SELECT m.message_id, m.contact_id, m.template_id, m.template_version, m.source, m.test, m.attachments, t.name AS status, r.name AS reason, s.attempts,
       m.accepted_at_us, m.expires_at_us, s.attempted_at_us, s.settled_at_us, s.retry_at_us, s.reply_code, s.reply_text,
       s.bounce_reason, s.bounce_rule, s.bounced_at_us, s.complained_at_us
FROM messages m
JOIN sends s ON s.tenant = m.tenant AND s.campaign_id = m.message_id AND s.contact_id = m.contact_id
JOIN send_statuses t ON t.status = s.status JOIN skip_reasons r ON r.reason = s.reason
WHERE m.tenant = :tenant AND m.message_id = :message_id;

-- Of each template and day (in UTC, days since 1970): how many came to what; tests apart.
-- name: message_counts
SELECT m.template_id, m.accepted_at_us / 86400000000 AS day, t.name AS status, COUNT(*) AS messages
FROM messages m
JOIN sends s ON s.tenant = m.tenant AND s.campaign_id = m.message_id AND s.contact_id = m.contact_id
JOIN send_statuses t ON t.status = s.status
WHERE m.tenant = :tenant AND m.test = 0 AND m.accepted_at_us >= :since AND m.accepted_at_us < :until
GROUP BY m.template_id, m.accepted_at_us / 86400000000, t.name
ORDER BY day DESC, m.template_id, t.name LIMIT :limit;

-- name: message_links
SELECT l.link, l.target FROM messages m
JOIN template_links l ON l.tenant = m.tenant AND l.template_id = m.template_id AND l.version = m.template_version
WHERE m.tenant = :tenant AND m.message_id = :message_id ORDER BY l.link;

-- Where the journal tells of its acceptance.
-- name: message_place
SELECT contact_id, sequence FROM messages WHERE tenant = :tenant AND message_id = :message_id;

-- fold: accept
INSERT INTO messages (tenant, message_id, contact_id, template_id, template_version, source, test, accepted_at_us, expires_at_us, contact_key, sequence,
                      attachments)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12);
