-- name: insert_backfill
INSERT INTO backfills (pipeline_id, component, next_start, end_start, include_finished, requested_at)
VALUES (:pipeline_id, :component, :next_start, :end_start, :include_finished, :requested_at);

-- name: backfills_of
SELECT * FROM backfills WHERE pipeline_id = :pipeline_id ORDER BY sequence;

-- name: set_backfill
UPDATE backfills SET next_start = :next_start, due_at = :due_at WHERE sequence = :sequence;

-- name: delete_backfill
DELETE FROM backfills WHERE sequence = :sequence;

-- name: delete_backfills
DELETE FROM backfills WHERE pipeline_id = :pipeline_id;

-- name: hold_backfills
UPDATE backfills SET due_at = NULL WHERE pipeline_id = :pipeline_id AND component = :component AND due_at IS NOT NULL;

-- name: to_backfill
SELECT * FROM instances WHERE pipeline_id = :pipeline_id AND component = :component AND node = ''
AND scheduled_start >= :first AND scheduled_start < :stop
AND (status IN ('FAILED', 'CANCELED', 'CASCADE_FAILED', 'TIMEDOUT', 'SKIPPED')
     OR (status = 'FINISHED' AND :include_finished = 1 AND ended_at <= :requested_at))
ORDER BY scheduled_start LIMIT :limit;

-- name: statuses_in_range
SELECT status, COUNT(*) AS n, MIN(scheduled_start) AS first, MAX(scheduled_start) AS last FROM instances
WHERE pipeline_id = :pipeline_id AND component = :component AND node = ''
AND scheduled_start >= :first AND scheduled_start < :stop GROUP BY status ORDER BY status;

-- name: next_backfill_due
SELECT MIN(b.due_at) AS at FROM backfills b JOIN pipelines p ON p.pipeline_id = b.pipeline_id
WHERE b.due_at IS NOT NULL AND p.owner = :owner;
