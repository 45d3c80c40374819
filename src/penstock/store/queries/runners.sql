-- name: saw_runner
INSERT INTO runners (hostname, worker_group, access_key, last_seen_at)
VALUES (:hostname, :worker_group, :access_key, :now)
ON CONFLICT (hostname, worker_group, access_key) DO UPDATE SET last_seen_at = excluded.last_seen_at
WHERE runners.last_seen_at < excluded.last_seen_at;

-- name: runners
SELECT r.hostname, r.worker_group, r.access_key, r.last_seen_at, k.name AS key_name
FROM runners r LEFT JOIN access_keys k ON k.access_key = r.access_key
WHERE r.last_seen_at > :since
ORDER BY r.hostname, r.access_key, r.worker_group;

-- name: delete_old_runners
DELETE FROM runners WHERE last_seen_at <= :since;
