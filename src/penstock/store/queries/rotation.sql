-- name: secrets_of_keys_for_update
SELECT access_key, secret AS text FROM access_keys WHERE access_key > :access_key ORDER BY access_key LIMIT :limit /*pg FOR UPDATE*/;

-- name: set_secret_of_key
UPDATE access_keys SET secret = :text WHERE access_key = :access_key;

-- name: secrets_of_definitions_for_update
SELECT pipeline_id, version, body AS text FROM definitions WHERE (pipeline_id, version) > (:pipeline_id, :version)
ORDER BY pipeline_id, version LIMIT :limit /*pg FOR UPDATE*/;

-- name: set_secrets_of_definition
UPDATE definitions SET body = :text WHERE pipeline_id = :pipeline_id AND version = :version;

-- name: secrets_of_activations_for_update
SELECT pipeline_id, number, parameter_values AS text FROM activations
WHERE (pipeline_id, number) > (:pipeline_id, :number) ORDER BY pipeline_id, number LIMIT :limit /*pg FOR UPDATE*/;

-- name: set_secrets_of_activation
UPDATE activations SET parameter_values = :text WHERE pipeline_id = :pipeline_id AND number = :number;

-- name: secrets_of_metadata_for_update
SELECT name, value AS text FROM metadata WHERE name > :name ORDER BY name LIMIT :limit /*pg FOR UPDATE*/;

-- name: set_secret_of_metadata
UPDATE metadata SET value = :text WHERE name = :name;
