-- name: insert_event
INSERT INTO events (at, pipeline_id, object_id, sphere, verb, from_status, to_status, detail)
VALUES (:at, :pipeline_id, :object_id, :sphere, :verb, :from_status, :to_status, :detail);

-- name: events_after
SELECT * FROM events WHERE pipeline_id = :pipeline_id AND sequence > :sequence ORDER BY sequence LIMIT :limit;
