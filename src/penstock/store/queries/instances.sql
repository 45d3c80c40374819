-- name: insert_instance
INSERT INTO instances (pipeline_id, instance_id, component, node, family, scheduled_start, scheduled_end, activation,
    status, created_at, started_at, ended_at, late_at, tries_left, attempt_count)
VALUES (:pipeline_id, :instance_id, :component, :node, :family, :scheduled_start, :scheduled_end, :activation,
    :status, :created_at, :started_at, :ended_at, :late_at, :tries_left, :attempt_count)
ON CONFLICT DO NOTHING;

-- name: instance_by_id
SELECT * FROM instances WHERE pipeline_id = :pipeline_id AND instance_id = :instance_id;

-- name: instance_of_task
SELECT i.* FROM attempts a JOIN instances i ON i.pipeline_id = a.pipeline_id AND i.instance_id = a.instance_id
WHERE a.task_id = :task_id;

-- name: consumers_of_task
SELECT d.consumer, d.kind, d.met FROM attempts a JOIN instances i ON i.pipeline_id = a.pipeline_id
    AND i.instance_id = a.instance_id JOIN dependencies d ON d.pipeline_id = i.pipeline_id
    AND d.producer = i.component AND d.producer_node = i.node AND d.producer_start = i.scheduled_start
WHERE a.task_id = :task_id ORDER BY d.consumer;

-- name: instance_and_its_pause
SELECT i.*, EXISTS (SELECT 1 FROM components c WHERE c.pipeline_id = i.pipeline_id
    AND c.component IN (i.component, i.node) AND c.paused = 1) AS is_paused
FROM instances i WHERE i.pipeline_id = :pipeline_id AND i.instance_id = :instance_id;

-- name: instance_by_key
SELECT * FROM instances WHERE pipeline_id = :pipeline_id AND component = :component AND node = :node
AND scheduled_start = :scheduled_start;

-- name: instances_after
SELECT * FROM instances WHERE pipeline_id = :pipeline_id
AND (scheduled_start, instance_id) > (:scheduled_start, :instance_id)
ORDER BY scheduled_start, instance_id LIMIT :limit;

-- name: active_instances_of_component
SELECT * FROM instances WHERE pipeline_id = :pipeline_id AND component = :component AND ended_at IS NULL
ORDER BY scheduled_start;

-- name: active_instances_of_pipeline
SELECT * FROM instances WHERE pipeline_id = :pipeline_id AND ended_at IS NULL ORDER BY scheduled_start, instance_id;

-- name: active_count
SELECT COUNT(*) AS n FROM instances WHERE pipeline_id = :pipeline_id AND component = :component AND ended_at IS NULL
AND is_rerun = 0;

-- name: has_active_instances
SELECT COUNT(*) AS n FROM (SELECT 1 FROM instances WHERE pipeline_id = :pipeline_id AND ended_at IS NULL LIMIT 1) AS active;

-- name: deactivated_instances
SELECT i.* FROM instances i JOIN components c ON c.pipeline_id = i.pipeline_id AND c.component = i.component
WHERE i.pipeline_id = :pipeline_id AND i.status = 'CANCELED' AND i.was_deactivated = 1
AND i.ended_at >= c.deactivated_at ORDER BY i.scheduled_start, i.instance_id;

-- name: move_instance
UPDATE instances SET status = :to_status, started_at = :started_at, ended_at = :ended_at, late_at = :late_at,
    tries_left = :tries_left, attempt_count = :attempt_count, activation = :activation, is_rerun = :is_rerun,
    error_id = :error_id, error_message = :error_message, error_stack_trace = :error_stack_trace,
    cancellation_reason = :cancellation_reason, was_deactivated = :was_deactivated, cascade_failed_on = :cascade_failed_on
WHERE pipeline_id = :pipeline_id AND instance_id = :instance_id AND status = :from_status;

-- name: set_late
UPDATE instances SET late_at = NULL WHERE pipeline_id = :pipeline_id AND instance_id = :instance_id;

-- name: late_instances
SELECT * FROM instances WHERE pipeline_id = :pipeline_id AND ended_at IS NULL AND late_at <= :now
ORDER BY late_at, instance_id LIMIT :limit;

-- name: next_late
SELECT MIN(i.late_at) AS at FROM instances i JOIN pipelines p ON p.pipeline_id = i.pipeline_id
WHERE i.late_at IS NOT NULL AND p.owner = :owner;

-- name: status_counts
SELECT family, status, COUNT(*) AS n FROM instances WHERE pipeline_id = :pipeline_id GROUP BY family, status;

-- name: insert_dependency
INSERT INTO dependencies (pipeline_id, consumer, kind, producer, producer_node, producer_start, met)
VALUES (:pipeline_id, :consumer, :kind, :producer, :producer_node, :producer_start, :met)
ON CONFLICT DO NOTHING;

-- name: dependencies_of
SELECT * FROM dependencies WHERE pipeline_id = :pipeline_id AND consumer = :consumer
ORDER BY kind, producer, producer_node, producer_start;

-- name: unmet_dependencies
SELECT * FROM dependencies WHERE pipeline_id = :pipeline_id AND consumer = :consumer AND met = 0
ORDER BY kind, producer, producer_node, producer_start;

-- name: waiting_consumers
SELECT consumer, kind, met FROM dependencies WHERE pipeline_id = :pipeline_id AND producer = :producer
AND producer_node = :producer_node AND producer_start = :producer_start ORDER BY consumer;

-- name: consumers_of_stretch
SELECT DISTINCT consumer FROM dependencies WHERE pipeline_id = :pipeline_id AND producer = :producer
AND producer_node = '' AND producer_start BETWEEN :first AND :last AND kind <> 'precondition' AND met = 0
ORDER BY consumer;

-- name: meet_stretch
UPDATE dependencies SET met = 1 WHERE pipeline_id = :pipeline_id AND producer = :producer
AND producer_node = '' AND producer_start BETWEEN :first AND :last AND kind IN ('data', 'served') AND met = 0;

-- name: meet_producer
UPDATE dependencies SET met = 1 WHERE pipeline_id = :pipeline_id AND producer = :producer
AND producer_node = :producer_node AND producer_start = :producer_start AND kind IN (:kind, :second_kind, :third_kind)
AND met = 0;

-- name: unmeet_producer
UPDATE dependencies SET met = 0 WHERE pipeline_id = :pipeline_id AND producer = :producer
AND producer_node = :producer_node AND producer_start = :producer_start AND kind = :kind AND met = 1;

-- name: set_met
UPDATE dependencies SET met = :met WHERE pipeline_id = :pipeline_id AND consumer = :consumer AND kind = :kind
AND producer = :producer AND producer_node = :producer_node AND producer_start = :producer_start;
