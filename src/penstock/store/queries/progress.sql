-- name: progress
SELECT
    (SELECT COUNT(*) FROM attempts a JOIN instances i ON i.pipeline_id = a.pipeline_id AND i.instance_id = a.instance_id
     WHERE a.pipeline_id = :pipeline_id AND a.ended_at IS NULL AND i.family <> 'Resource'
     AND (a.status = 'RUNNING' OR a.available_at <= :now))
    + (SELECT COUNT(*) FROM instances WHERE pipeline_id = :pipeline_id AND ended_at IS NULL
       AND status IN ('CREATING', 'SHUTTING_DOWN')) AS working,
    (SELECT COUNT(*) FROM attempts a JOIN instances i ON i.pipeline_id = a.pipeline_id AND i.instance_id = a.instance_id
     WHERE a.pipeline_id = :pipeline_id AND a.ended_at IS NULL AND a.status = 'WAITING_FOR_RUNNER' AND a.available_at > :now
     AND i.family <> 'Precondition') AS retrying,
    (SELECT COUNT(*) FROM attempts a JOIN instances i ON i.pipeline_id = a.pipeline_id AND i.instance_id = a.instance_id
     WHERE a.pipeline_id = :pipeline_id AND a.ended_at IS NULL AND a.status = 'WAITING_FOR_RUNNER' AND a.available_at > :now
     AND i.family = 'Precondition') AS asking,
    (SELECT COUNT(*) FROM components WHERE pipeline_id = :pipeline_id AND next_due_at <= :now) AS due,
    (SELECT MIN(next_due_at) FROM components WHERE pipeline_id = :pipeline_id) AS next_due_at;


-- name: reported_progress
SELECT instance_id, started_at, reported_at, fields FROM attempts WHERE pipeline_id = :pipeline_id
AND ended_at IS NULL AND status = 'RUNNING' AND reported_at IS NOT NULL AND fields <> '{}'
ORDER BY started_at, instance_id LIMIT :limit;
