-- name: consents_of_contact
SELECT e.sequence, e.list_id, e.purpose, e.state, e.source, e.text_hash, e.proof, e.form_id, e.campaign_id, e.number, e.expires_at_us, e.mail,
       e.at_us, p.ip, p.user_agent
FROM consent_events e
LEFT JOIN consent_events_pii p ON p.tenant = e.tenant AND p.contact_id = e.contact_id AND p.sequence = e.sequence
WHERE e.tenant = :tenant AND e.contact_id = :contact_id ORDER BY e.sequence;

-- name: consent_texts
SELECT text_hash, name, language, text, defined_at_us FROM consent_texts
WHERE tenant = :tenant AND text_hash > :after ORDER BY text_hash LIMIT :limit;

-- name: consent_text
SELECT text_hash, name, language, text, defined_at_us FROM consent_texts WHERE tenant = :tenant AND text_hash = :text_hash;

-- name: forms
SELECT form_id, name, list_id, text_hash, double_opt_in, redirect_url, mail_form_id, mail_template_id,
       mail_template_version, created_at_us, archived_at_us FROM forms
WHERE tenant = :tenant AND form_id > :after ORDER BY form_id LIMIT :limit;

-- name: form
SELECT form_id, name, list_id, text_hash, double_opt_in, redirect_url, mail_form_id, mail_template_id,
       mail_template_version, created_at_us, archived_at_us FROM forms
WHERE tenant = :tenant AND form_id = :form_id;

-- name: form_page
SELECT f.list_id, f.text_hash, f.double_opt_in, f.redirect_url, f.mail_form_id, f.mail_template_id, f.mail_template_version,
       f.archived_at_us, l.name AS list_name, l.description, t.text, t.language
FROM forms f JOIN lists l ON l.tenant = f.tenant AND l.list_id = f.list_id
JOIN consent_texts t ON t.tenant = f.tenant AND t.text_hash = f.text_hash
WHERE f.tenant = :tenant AND f.form_id = :form_id;

-- fold: record
INSERT INTO consent_events (tenant, contact_id, sequence, list_id, purpose, state, source, text_hash, proof, form_id, campaign_id, number,
                            expires_at_us, mail, at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15);

-- fold: record_personal
INSERT INTO consent_events_pii (tenant, contact_id, sequence, ip, user_agent) VALUES (?1, ?2, ?3, ?4, ?5);

-- fold: define_text
INSERT INTO consent_texts (tenant, text_hash, name, language, text, defined_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- fold: define_form
INSERT INTO forms (tenant, form_id, name, list_id, text_hash, double_opt_in, redirect_url, mail_form_id, mail_template_id, mail_template_version,
                   created_at_us, archived_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL);

-- fold: archive_form
UPDATE forms SET archived_at_us = ?3 WHERE tenant = ?1 AND form_id = ?2;

-- fold: erase
DELETE FROM consent_events WHERE tenant = ?1 AND contact_id = ?2;

-- fold: erase_personal
DELETE FROM consent_events_pii WHERE tenant = ?1 AND contact_id = ?2;
