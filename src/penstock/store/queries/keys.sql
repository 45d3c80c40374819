-- name: insert_key
INSERT INTO access_keys (access_key, secret, role, name, owner, pipeline_id, worker_group, created_at)
VALUES (:access_key, :secret, :role, :name, :owner, :pipeline_id, :worker_group, :created_at)
ON CONFLICT DO NOTHING;

-- name: key_by_id
SELECT * FROM access_keys WHERE access_key = :access_key;

-- name: keys
SELECT * FROM access_keys ORDER BY created_at, access_key;

-- name: revoke_key
UPDATE access_keys SET revoked_at = :now WHERE access_key = :access_key AND revoked_at IS NULL;

-- name: delete_keys_of_group
DELETE FROM access_keys WHERE worker_group = :worker_group AND pipeline_id = :pipeline_id;

-- name: delete_keys_of_owner
DELETE FROM access_keys WHERE owner = :owner;

-- name: delete_system_keys
DELETE FROM access_keys WHERE name = :name AND role = 'system';

-- name: delete_keys
DELETE FROM access_keys WHERE pipeline_id = :pipeline_id;
