-- The task runners that were seen lately; a server writes what it has seen at intervals.

CREATE TABLE runners (
    hostname     TEXT NOT NULL,          -- as the task runner gives it
    worker_group TEXT NOT NULL,
    access_key   TEXT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    PRIMARY KEY (hostname, worker_group, access_key)
);
CREATE INDEX runners_old ON runners (last_seen_at);
