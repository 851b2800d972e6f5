-- fold: positions
SELECT partition, position FROM positions ORDER BY partition;

-- The fence: changes no row if someone else has moved on from here.
-- fold: advance
UPDATE positions SET seq = ?1, chain = ?2, lsn = ?3, time_us = ?4, position = ?5
WHERE partition = ?6 AND seq = ?7 AND chain = ?8;

-- fold: insert_position
INSERT INTO positions (partition, seq, chain, lsn, time_us, position) VALUES (?1, ?2, ?3, ?4, ?5, ?6);

-- fold: insert_read_model
INSERT INTO read_models (name, fingerprint) VALUES (?1, ?2);

-- fold: read_models
SELECT name, fingerprint FROM read_models ORDER BY name;
