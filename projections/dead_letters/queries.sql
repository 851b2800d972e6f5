-- The next page begins after (partition, sequence) of the last row.
-- name: dead_letters
SELECT partition, sequence, tenant, code, reason, build, type, generation, record_offset, record_index, command_id, trace_id, actor, rejected_at_us
FROM dead_letters
WHERE tenant = :tenant AND (partition, sequence) > (:after_partition, :after) ORDER BY partition, sequence LIMIT :limit;

-- Of all tenants, and of none: for the operator.
-- name: dead_letters_of_all
SELECT partition, sequence, tenant, code, reason, build, type, generation, record_offset, record_index, command_id, trace_id, actor, rejected_at_us
FROM dead_letters
WHERE (partition, sequence) > (:after_partition, :after) ORDER BY partition, sequence LIMIT :limit;

-- name: dead_letter
SELECT partition, sequence, tenant, code, reason, build, type, generation, record_offset, record_index, command_id, trace_id, actor, rejected_at_us,
       original
FROM dead_letters WHERE partition = :partition AND sequence = :sequence;

-- fold: insert
INSERT INTO dead_letters (partition, sequence, tenant, code, reason, build, type, original, generation, record_offset, record_index, command_id,
                          trace_id, actor, rejected_at_us)
VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15);
