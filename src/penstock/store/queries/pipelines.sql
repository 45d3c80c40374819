-- name: insert_pipeline
INSERT INTO pipelines (pipeline_id, name, unique_id, description, creator, owner, state, created_at)
VALUES (:pipeline_id, :name, :unique_id, :description, :creator, :owner, 'PENDING', :created_at)
ON CONFLICT DO NOTHING;

-- name: pipeline_by_id
SELECT * FROM pipelines WHERE pipeline_id = :pipeline_id;

-- name: pipeline_for_update
SELECT * FROM pipelines WHERE pipeline_id = :pipeline_id /*pg FOR UPDATE*/;

-- name: pipeline_of_task_for_update
SELECT * FROM pipelines WHERE pipeline_id = (SELECT pipeline_id FROM attempts WHERE task_id = :task_id)
/*pg FOR UPDATE*/;

-- name: pipeline_by_unique_id
SELECT * FROM pipelines WHERE name = :name AND unique_id = :unique_id AND state <> 'DELETING';

-- name: pipelines_after
SELECT * FROM pipelines WHERE pipeline_id > :marker AND state <> 'DELETING' ORDER BY pipeline_id LIMIT :limit;

-- name: move_pipeline
UPDATE pipelines SET state = :to_status, finished_at = :finished_at
WHERE pipeline_id = :pipeline_id AND state = :from_status;

-- name: set_latest_version
UPDATE pipelines SET latest_version = :version WHERE pipeline_id = :pipeline_id;

-- name: set_activation
UPDATE pipelines SET activation = :number, last_activated_at = :at,
    first_activated_at = COALESCE(first_activated_at, :at) WHERE pipeline_id = :pipeline_id;

-- name: tags_of
SELECT key, value FROM tags WHERE pipeline_id = :pipeline_id ORDER BY key;

-- name: upsert_tag
INSERT INTO tags (pipeline_id, key, value) VALUES (:pipeline_id, :key, :value)
ON CONFLICT (pipeline_id, key) DO UPDATE SET value = excluded.value;

-- name: delete_tag
DELETE FROM tags WHERE pipeline_id = :pipeline_id AND key = :key;

-- name: put_definition
INSERT INTO definitions (pipeline_id, version, body, errored, created_at, created_by)
VALUES (:pipeline_id, :version, :body, :errored, :created_at, :created_by)
ON CONFLICT (pipeline_id, version) DO UPDATE SET body = excluded.body, errored = excluded.errored,
    created_at = excluded.created_at, created_by = excluded.created_by;

-- name: definition_by_version
SELECT body, errored FROM definitions WHERE pipeline_id = :pipeline_id AND version = :version;

-- name: due_pipelines
SELECT due.pipeline_id FROM (
    SELECT pipeline_id, next_due_at AS at FROM components WHERE next_due_at <= :now
    UNION ALL
    SELECT pipeline_id, due_at FROM backfills WHERE due_at <= :now
    UNION ALL
    SELECT pipeline_id, due_at FROM attempts WHERE status = 'RUNNING' AND owner = :owner AND due_at <= :now
    UNION ALL
    SELECT pipeline_id, expires_at FROM attempts WHERE status = 'WAITING_FOR_RUNNER' AND expires_at IS NOT NULL
        AND owner = :owner AND expires_at <= :now
    UNION ALL
    SELECT pipeline_id, late_at FROM instances WHERE late_at <= :now
) AS due JOIN pipelines p ON p.pipeline_id = due.pipeline_id
WHERE p.owner = :owner GROUP BY due.pipeline_id ORDER BY MIN(due.at) LIMIT :limit;

-- name: versions_before
SELECT version, created_at, created_by, errored FROM definitions WHERE pipeline_id = :pipeline_id AND version < :before
ORDER BY version DESC LIMIT :limit;

-- name: insert_activation
INSERT INTO activations
    (pipeline_id, number, version, parameter_values, scheduled_at, start_at, activated_at, activated_by)
VALUES (:pipeline_id, :number, :version, :parameter_values, :scheduled_at, :start_at, :activated_at, :activated_by);

-- name: activation_by_number
SELECT * FROM activations WHERE pipeline_id = :pipeline_id AND number = :number;

-- name: delete_attempts
DELETE FROM attempts WHERE pipeline_id = :pipeline_id;

-- name: delete_dependencies
DELETE FROM dependencies WHERE pipeline_id = :pipeline_id;

-- name: delete_instances
DELETE FROM instances WHERE pipeline_id = :pipeline_id;

-- name: delete_components
DELETE FROM components WHERE pipeline_id = :pipeline_id;

-- name: delete_outbox
DELETE FROM outbox WHERE pipeline_id = :pipeline_id;

-- name: delete_activations
DELETE FROM activations WHERE pipeline_id = :pipeline_id;

-- name: delete_definitions
DELETE FROM definitions WHERE pipeline_id = :pipeline_id;

-- name: delete_tags
DELETE FROM tags WHERE pipeline_id = :pipeline_id;

-- name: delete_events
DELETE FROM events WHERE pipeline_id = :pipeline_id;

-- name: pipelines_of_owner
SELECT * FROM pipelines WHERE owner = :owner AND state <> 'DELETING' ORDER BY pipeline_id;

-- name: release_pipelines
UPDATE pipelines SET owner = '' WHERE owner = :owner;

-- name: release_attempts
UPDATE attempts SET owner = '' WHERE owner = :owner;

-- name: owners
SELECT owner FROM pipelines WHERE owner <> '' UNION SELECT owner FROM access_keys WHERE owner <> '';
