-- name: newest_start
SELECT MAX(scheduled_start) AS at FROM instances
WHERE pipeline_id = :pipeline_id AND component = :component AND node = '';

-- name: start_beyond
SELECT scheduled_start AS at FROM instances WHERE pipeline_id = :pipeline_id AND component = :component AND node = ''
ORDER BY scheduled_start DESC LIMIT 1 OFFSET :most;

-- name: old_instances
SELECT i.instance_id, i.scheduled_start FROM instances i
WHERE i.pipeline_id = :pipeline_id AND i.component = :component AND i.node = ''
AND i.scheduled_start > :since AND i.scheduled_start < :newest AND i.ended_at IS NOT NULL
AND (i.ended_at < :ended_before OR i.scheduled_start <= :started_until)
AND NOT EXISTS (SELECT 1 FROM dependencies d WHERE d.pipeline_id = i.pipeline_id AND d.producer = i.component
    AND d.producer_node = '' AND d.producer_start = i.scheduled_start AND d.kind <> 'served')
ORDER BY i.scheduled_start LIMIT :limit;

-- name: active_in_activation
SELECT COUNT(*) AS n FROM instances WHERE pipeline_id = :pipeline_id AND activation = :activation AND ended_at IS NULL;

-- name: set_deleted_before
UPDATE components SET deleted_before = :at WHERE pipeline_id = :pipeline_id AND component = :component
AND COALESCE(deleted_before, :at) <= :at;

-- name: delete_attempts_of_instance
DELETE FROM attempts WHERE pipeline_id = :pipeline_id AND instance_id = :instance_id;

-- name: delete_dependencies_of_consumer
DELETE FROM dependencies WHERE pipeline_id = :pipeline_id AND consumer = :consumer;

-- name: delete_dependencies_on_producer
DELETE FROM dependencies WHERE pipeline_id = :pipeline_id AND producer = :producer
AND producer_node = :producer_node AND producer_start = :producer_start;

-- name: delete_instance
DELETE FROM instances WHERE pipeline_id = :pipeline_id AND instance_id = :instance_id AND ended_at IS NOT NULL;

-- name: events_with_owners
SELECT e.sequence, e.at, CASE
    WHEN e.sphere IN ('INSTANCE', 'ALARM') THEN (SELECT COUNT(*) FROM instances i
        WHERE i.pipeline_id = e.pipeline_id AND i.instance_id = e.object_id)
    WHEN e.sphere = 'ATTEMPT' THEN (SELECT COUNT(*) FROM attempts a
        WHERE a.pipeline_id = e.pipeline_id AND a.attempt_id = e.object_id)
    ELSE 1 END AS owners
FROM events e WHERE e.pipeline_id = :pipeline_id AND e.sequence > :sequence ORDER BY e.sequence LIMIT :limit;

-- name: delete_event
DELETE FROM events WHERE sequence = :sequence;

-- name: activations_with_instances
SELECT DISTINCT activation FROM instances WHERE pipeline_id = :pipeline_id;

-- name: activation_numbers
SELECT number FROM activations WHERE pipeline_id = :pipeline_id ORDER BY number;

-- name: delete_activation
DELETE FROM activations WHERE pipeline_id = :pipeline_id AND number = :number;

-- name: activation_of_version
SELECT number FROM activations WHERE pipeline_id = :pipeline_id AND version = :version LIMIT 1;

-- name: unused_versions
SELECT d.version FROM definitions d JOIN pipelines p ON p.pipeline_id = d.pipeline_id
WHERE d.pipeline_id = :pipeline_id AND d.version <= p.latest_version - :kept
AND NOT EXISTS (SELECT 1 FROM activations a WHERE a.pipeline_id = d.pipeline_id AND a.version = d.version)
ORDER BY d.version LIMIT :limit;

-- name: delete_definition
DELETE FROM definitions WHERE pipeline_id = :pipeline_id AND version = :version;

-- name: unended_attempts
SELECT a.pipeline_id, i.component, a.instance_id, a.attempt_id FROM attempts a
JOIN instances i ON i.pipeline_id = a.pipeline_id AND i.instance_id = a.instance_id
WHERE a.ended_at IS NULL;
