-- name: insert_attempt
INSERT INTO attempts (pipeline_id, attempt_id, instance_id, number, task_id, worker_group, owner, status, created_at,
    available_at, expires_at)
VALUES (:pipeline_id, :attempt_id, :instance_id, :number, :task_id, :worker_group, :owner, 'WAITING_FOR_RUNNER',
    :created_at, :available_at, :expires_at);

-- name: attempt_by_id
SELECT * FROM attempts WHERE pipeline_id = :pipeline_id AND attempt_id = :attempt_id;

-- name: attempt_by_task
SELECT * FROM attempts WHERE task_id = :task_id;

-- name: attempts_after
SELECT * FROM attempts WHERE pipeline_id = :pipeline_id AND attempt_id > :attempt_id ORDER BY attempt_id LIMIT :limit;

-- name: active_attempt
SELECT * FROM attempts WHERE pipeline_id = :pipeline_id AND instance_id = :instance_id AND ended_at IS NULL;

-- name: waiting_attempts
SELECT * FROM attempts WHERE worker_group = :worker_group AND status = 'WAITING_FOR_RUNNER' AND available_at <= :now
AND owner = :owner AND NOT EXISTS (SELECT 1 FROM instances i JOIN components c ON c.pipeline_id = i.pipeline_id
    AND c.component IN (i.component, i.node) AND c.paused = 1
    WHERE i.pipeline_id = attempts.pipeline_id AND i.instance_id = attempts.instance_id)
ORDER BY available_at, created_at, attempt_id LIMIT :limit;

-- name: waiting_attempts_for_update
SELECT foremost.* FROM (
    SELECT * FROM attempts WHERE worker_group = :worker_group AND status = 'WAITING_FOR_RUNNER' AND available_at <= :now
    AND owner = :owner AND NOT EXISTS (SELECT 1 FROM instances i JOIN components c ON c.pipeline_id = i.pipeline_id
        AND c.component IN (i.component, i.node) AND c.paused = 1
        WHERE i.pipeline_id = attempts.pipeline_id AND i.instance_id = attempts.instance_id)
    ORDER BY available_at, created_at, attempt_id LIMIT 20 + :limit
) AS foremost JOIN pipelines p ON p.pipeline_id = foremost.pipeline_id
ORDER BY foremost.available_at, foremost.created_at, foremost.attempt_id LIMIT :limit /*pg FOR UPDATE OF p SKIP LOCKED*/;

-- name: waiting_attempts_of_pipeline
SELECT * FROM attempts WHERE worker_group = :worker_group AND status = 'WAITING_FOR_RUNNER' AND available_at <= :now
AND owner = :owner AND pipeline_id = :pipeline_id
AND NOT EXISTS (SELECT 1 FROM instances i JOIN components c ON c.pipeline_id = i.pipeline_id
    AND c.component IN (i.component, i.node) AND c.paused = 1
    WHERE i.pipeline_id = attempts.pipeline_id AND i.instance_id = attempts.instance_id)
ORDER BY available_at, created_at, attempt_id LIMIT :limit;

-- name: move_attempt
UPDATE attempts SET status = :to_status, task_id = :task_id, available_at = :available_at, started_at = :started_at,
    ended_at = :ended_at, acknowledged = :acknowledged, lease_until = :lease_until, ends_at = :ends_at,
    due_at = :due_at, hostname = :hostname, deliveries = :deliveries, error_id = :error_id, error_message = :error_message,
    error_stack_trace = :error_stack_trace
WHERE pipeline_id = :pipeline_id AND attempt_id = :attempt_id AND status = :from_status AND task_id = :held_task_id;

-- name: renew_lease
UPDATE attempts SET acknowledged = 1, lease_until = :lease_until, due_at = :due_at, reported_at = :now, fields = :fields
WHERE task_id = :task_id AND status = 'RUNNING';

-- name: set_attempt_fields
UPDATE attempts SET fields = :fields WHERE pipeline_id = :pipeline_id AND attempt_id = :attempt_id;

-- name: make_available
UPDATE attempts SET available_at = :now WHERE pipeline_id = :pipeline_id AND instance_id = :instance_id
AND ended_at IS NULL AND status = 'WAITING_FOR_RUNNER' AND available_at > :now AND started_at IS NOT NULL;

-- name: put_off_attempt
UPDATE attempts SET available_at = :available_at WHERE pipeline_id = :pipeline_id AND attempt_id = :attempt_id
AND status = 'WAITING_FOR_RUNNER';

-- name: due_attempts
SELECT * FROM attempts WHERE pipeline_id = :pipeline_id AND ended_at IS NULL AND status = 'RUNNING' AND due_at <= :now
ORDER BY due_at, attempt_id LIMIT :limit;

-- name: expired_attempts
SELECT * FROM attempts WHERE pipeline_id = :pipeline_id AND ended_at IS NULL AND status = 'WAITING_FOR_RUNNER'
AND expires_at <= :now ORDER BY expires_at, attempt_id LIMIT :limit;

-- name: groups_that_became_available
SELECT DISTINCT worker_group FROM attempts WHERE status = 'WAITING_FOR_RUNNER' AND available_at > :since
AND available_at <= :now AND owner = :owner;

-- name: waiting_groups
SELECT DISTINCT worker_group FROM attempts WHERE status = 'WAITING_FOR_RUNNER' AND available_at <= :now
AND owner = :owner;

-- name: next_attempt_due
SELECT MIN(at) AS at FROM (
    SELECT MIN(due_at) AS at FROM attempts WHERE status = 'RUNNING' AND owner = :owner
    UNION ALL
    SELECT MIN(available_at) FROM attempts WHERE status = 'WAITING_FOR_RUNNER' AND available_at > :now AND owner = :owner
    UNION ALL
    SELECT MIN(expires_at) FROM attempts WHERE status = 'WAITING_FOR_RUNNER' AND expires_at IS NOT NULL AND owner = :owner
) AS times;

-- name: set_attempt_end
UPDATE attempts SET ends_at = :ends_at, due_at = CASE WHEN lease_until < COALESCE(:ends_at, lease_until)
    THEN lease_until ELSE COALESCE(:ends_at, lease_until) END
WHERE pipeline_id = :pipeline_id AND attempt_id = :attempt_id AND status = 'RUNNING';

-- name: pipelines_with_leases
SELECT DISTINCT pipeline_id FROM attempts WHERE owner = :owner AND ended_at IS NULL
AND (status = 'RUNNING' OR available_at > :now OR expires_at IS NOT NULL) ORDER BY pipeline_id;

-- name: take_back_leases
UPDATE attempts SET lease_until = lease_until - COALESCE(reported_at, started_at) + :now,
    ends_at = ends_at - COALESCE(reported_at, started_at) + :now,
    started_at = CASE WHEN started_at > :now THEN :now ELSE started_at END,
    reported_at = CASE WHEN reported_at IS NULL THEN NULL ELSE :now END
WHERE pipeline_id = :pipeline_id AND status = 'RUNNING' AND COALESCE(reported_at, started_at) > :now;

-- name: take_back_delays
UPDATE attempts SET available_at = available_at - COALESCE(started_at, created_at) + :now,
    expires_at = expires_at - COALESCE(started_at, created_at) + :now,
    created_at = CASE WHEN created_at > :now THEN :now ELSE created_at END,
    started_at = CASE WHEN started_at IS NULL THEN NULL ELSE :now END
WHERE pipeline_id = :pipeline_id AND status = 'WAITING_FOR_RUNNER' AND COALESCE(started_at, created_at) > :now;

-- name: extend_leases
UPDATE attempts SET ends_at = ends_at + :jump, lease_until = CASE
    WHEN worker_group = :system_group AND lease_until < :system_until THEN :system_until
    WHEN worker_group <> :system_group AND lease_until < :until THEN :until ELSE lease_until END
WHERE pipeline_id = :pipeline_id AND status = 'RUNNING';

-- name: set_due
UPDATE attempts SET due_at = CASE WHEN lease_until < COALESCE(ends_at, lease_until)
    THEN lease_until ELSE COALESCE(ends_at, lease_until) END
WHERE pipeline_id = :pipeline_id AND status = 'RUNNING';

-- name: put_off_expiries
UPDATE attempts SET expires_at = expires_at + :jump
WHERE pipeline_id = :pipeline_id AND ended_at IS NULL AND expires_at IS NOT NULL;

-- name: running_attempts_of_host
SELECT * FROM attempts WHERE worker_group = :worker_group AND status = 'RUNNING' AND owner = :owner
AND hostname = :hostname ORDER BY pipeline_id, attempt_id;

-- name: running_attempts_of_owner
SELECT * FROM attempts WHERE status = 'RUNNING' AND owner = :owner ORDER BY pipeline_id, attempt_id;
