-- name: insert_event
INSERT INTO events (at, pipeline_id, object_id, sphere, verb, from_status, to_status, detail)
VALUES (:at, :pipeline_id, :object_id, :sphere, :verb, :from_status, :to_status, :detail);

-- name: events_after
SELECT * FROM events WHERE pipeline_id = :pipeline_id AND sequence > :sequence ORDER BY sequence LIMIT :limit;

-- name: insert_alarm
INSERT INTO outbox (pipeline_id, object_id, action, topic, subject, message, created_at, due_at)
VALUES (:pipeline_id, :object_id, :action, :topic, :subject, :message, :at, :at);

-- name: due_alarms
SELECT * FROM outbox WHERE pipeline_id = :pipeline_id AND due_at <= :now ORDER BY sequence LIMIT :limit;

-- name: alarm_delivered
UPDATE outbox SET due_at = NULL, delivered_at = :now WHERE sequence = :sequence AND delivered_at IS NULL;

-- name: next_alarm_due
SELECT MIN(o.due_at) AS at FROM outbox o JOIN pipelines p ON p.pipeline_id = o.pipeline_id
WHERE o.due_at IS NOT NULL AND p.owner = :owner;
