-- Keys of operators and viewers. SQLite cannot change a CHECK, so the table is made again.

CREATE TABLE access_keys_with_roles (
    access_key   TEXT PRIMARY KEY,
    secret       TEXT NOT NULL,          -- encrypted
    role         TEXT NOT NULL CHECK (role IN ('admin', 'operator', 'viewer', 'runner', 'system')),
    name         TEXT NOT NULL,
    owner        TEXT NOT NULL,          -- whose pipelines it may touch; '' for those of servers
    pipeline_id  TEXT,                   -- a runner key of one pipeline
    worker_group TEXT,                   -- a runner key of one worker group
    created_at   BIGINT NOT NULL,
    revoked_at   BIGINT
);

INSERT INTO access_keys_with_roles
    (access_key, secret, role, name, owner, pipeline_id, worker_group, created_at, revoked_at)
SELECT access_key, secret, role, name, owner, pipeline_id, worker_group, created_at, revoked_at FROM access_keys;

DROP TABLE access_keys;

ALTER TABLE access_keys_with_roles RENAME TO access_keys;
