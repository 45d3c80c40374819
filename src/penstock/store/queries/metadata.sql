-- name: insert_metadata
INSERT INTO metadata (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING;

-- name: metadata_by_name
SELECT value FROM metadata WHERE name = :name;
