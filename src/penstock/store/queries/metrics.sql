-- name: queues
SELECT worker_group, COUNT(*) AS n, MIN(available_at) AS since FROM attempts
WHERE status = 'WAITING_FOR_RUNNER' AND owner = :owner AND available_at <= :now
GROUP BY worker_group ORDER BY n DESC, worker_group;

-- name: unended_by_status
SELECT status, COUNT(*) AS n FROM attempts WHERE ended_at IS NULL AND owner = :owner
GROUP BY status;
