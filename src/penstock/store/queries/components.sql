-- name: insert_component
INSERT INTO components (pipeline_id, component, next_index, next_start, next_due_at, latest_run_at)
VALUES (:pipeline_id, :component, :next_index, :next_start, :next_due_at, :latest_run_at) ON CONFLICT DO NOTHING;

-- name: component_by_id
SELECT * FROM components WHERE pipeline_id = :pipeline_id AND component = :component;

-- name: what_is_to_come
SELECT c.*, EXISTS (SELECT 1 FROM backfills b WHERE b.pipeline_id = c.pipeline_id AND b.component = c.component)
    AS has_backfills,
    (SELECT COUNT(*) FROM instances i WHERE i.pipeline_id = c.pipeline_id AND i.component = c.component
        AND i.ended_at IS NULL AND i.is_rerun = 0) AS active,
    EXISTS (SELECT 1 FROM instances i WHERE i.pipeline_id = c.pipeline_id AND i.ended_at IS NULL) AS has_active_instances
FROM components c WHERE c.pipeline_id = :pipeline_id AND c.component = :component;

-- name: components_of
SELECT * FROM components WHERE pipeline_id = :pipeline_id ORDER BY component;

-- name: set_cursor
UPDATE components SET next_index = :next_index, next_start = :next_start, next_due_at = :next_due_at
WHERE pipeline_id = :pipeline_id AND component = :component;

-- name: stop_cursors
UPDATE components SET next_due_at = NULL, deactivated_at = :at WHERE pipeline_id = :pipeline_id;

-- name: set_paused
UPDATE components SET paused = :paused WHERE pipeline_id = :pipeline_id AND component = :component;

-- name: set_health
UPDATE components SET health = :health, health_from = :instance_id, health_at = :at,
    latest_completed_at = CASE WHEN latest_completed_at > :completed THEN latest_completed_at
        ELSE COALESCE(:completed, latest_completed_at) END
WHERE pipeline_id = :pipeline_id AND component = :component;

-- name: set_latest_run
UPDATE components SET latest_run_at = :scheduled_start WHERE pipeline_id = :pipeline_id AND component = :component;

-- name: due_components
SELECT component FROM (
    SELECT component, next_due_at AS at FROM components WHERE pipeline_id = :pipeline_id AND next_due_at <= :now
    UNION ALL
    SELECT component, due_at FROM backfills WHERE pipeline_id = :pipeline_id AND due_at <= :now
) AS due GROUP BY component ORDER BY MIN(at), component;

-- name: next_component_due
SELECT MIN(c.next_due_at) AS at FROM components c JOIN pipelines p ON p.pipeline_id = c.pipeline_id
WHERE c.next_due_at IS NOT NULL AND p.owner = :owner;

-- name: unfinished_components
SELECT (SELECT COUNT(*) FROM components WHERE pipeline_id = :pipeline_id AND next_start IS NOT NULL)
    + (SELECT COUNT(*) FROM backfills WHERE pipeline_id = :pipeline_id) AS n;
