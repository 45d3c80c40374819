-- name: insert_alarm
INSERT INTO outbox (pipeline_id, object_id, action, topic, subject, message, created_at, due_at)
VALUES (:pipeline_id, :object_id, :action, :topic, :subject, :message, :at, :at);

-- name: first_alarm
SELECT o.* FROM outbox o JOIN pipelines p ON p.pipeline_id = o.pipeline_id
WHERE p.owner = :owner ORDER BY o.due_at, o.sequence LIMIT 1;

-- name: take_alarm
UPDATE outbox SET tries = tries + 1, due_at = :due_at
WHERE sequence = :sequence AND tries = :tries AND due_at <= :now;

-- name: try_alarm_again
UPDATE outbox SET due_at = :due_at, delivered_to = :delivered_to, problem = :problem
WHERE sequence = :sequence AND tries = :tries;

-- name: end_alarm
DELETE FROM outbox WHERE sequence = :sequence AND tries = :tries;

-- name: alarms_of_object
SELECT * FROM outbox WHERE pipeline_id = :pipeline_id AND object_id = :object_id ORDER BY sequence;
