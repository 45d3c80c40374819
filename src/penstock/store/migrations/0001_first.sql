-- The first schema. One SQL for SQLite and PostgreSQL; {identity} is the one word that differs.
-- Times are milliseconds since 1970, UTC. Booleans are 0 and 1.

CREATE TABLE pipelines (
    pipeline_id        TEXT PRIMARY KEY,
    name               TEXT NOT NULL,
    unique_id          TEXT NOT NULL,
    description        TEXT,
    creator            TEXT NOT NULL,
    owner              TEXT NOT NULL,      -- '' where servers work it; else the one run that does
    state              TEXT NOT NULL CHECK (state IN
                           ('PENDING', 'SCHEDULED', 'FINISHED', 'DEACTIVATING', 'INACTIVE', 'DELETING')),
    created_at         BIGINT NOT NULL,
    latest_version     BIGINT NOT NULL DEFAULT 0,   -- the last definition that was put
    activation         BIGINT NOT NULL DEFAULT 0,   -- the last activation
    first_activated_at BIGINT,
    last_activated_at  BIGINT,
    finished_at        BIGINT,
    CHECK ((first_activated_at IS NULL) = (activation = 0)),
    CHECK (state <> 'PENDING' OR activation = 0)
);
CREATE UNIQUE INDEX pipelines_once ON pipelines (name, unique_id) WHERE state <> 'DELETING';

CREATE TABLE tags (
    pipeline_id TEXT NOT NULL REFERENCES pipelines,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (pipeline_id, key)
);

-- Every version that was put; secret values in the body are encrypted.
CREATE TABLE definitions (
    pipeline_id TEXT NOT NULL REFERENCES pipelines,
    version     BIGINT NOT NULL,
    body        TEXT NOT NULL,
    errored     SMALLINT NOT NULL,
    created_at  BIGINT NOT NULL,
    created_by  TEXT NOT NULL,
    PRIMARY KEY (pipeline_id, version)
);

-- The act of activating: which version, which parameter values, from when, by whom.
CREATE TABLE activations (
    pipeline_id      TEXT NOT NULL,
    number           BIGINT NOT NULL,
    version          BIGINT NOT NULL,
    parameter_values TEXT NOT NULL,
    scheduled_at     BIGINT NOT NULL,   -- the start of on-demand instances: a second of its own
    start_at         BIGINT,            -- earlier intervals are SKIPPED
    activated_at     BIGINT NOT NULL,
    activated_by     TEXT NOT NULL,
    PRIMARY KEY (pipeline_id, number),
    UNIQUE (pipeline_id, scheduled_at),
    FOREIGN KEY (pipeline_id, version) REFERENCES definitions (pipeline_id, version)
);

-- One row per component that has instances: where its schedule stands, and its health.
CREATE TABLE components (
    pipeline_id   TEXT NOT NULL REFERENCES pipelines,
    component     TEXT NOT NULL,
    next_index    BIGINT NOT NULL DEFAULT 0,   -- the next interval of its schedule
    next_start    BIGINT,                      -- its start; NULL: there is none
    next_due_at   BIGINT,                      -- when to make it; NULL: not now (too many active, paused, inactive)
    paused        SMALLINT NOT NULL DEFAULT 0,
    health        TEXT CHECK (health IN ('HEALTHY', 'ERROR')),
    health_from   TEXT,
    health_at     BIGINT,
    latest_run_at BIGINT,
    latest_completed_at BIGINT,
    deactivated_at BIGINT,
    PRIMARY KEY (pipeline_id, component),
    CHECK (next_due_at IS NULL OR next_start IS NOT NULL)
);
CREATE INDEX components_due ON components (next_due_at) WHERE next_due_at IS NOT NULL;

-- A component in one interval. ended_at is set exactly in final states (docs: the state diagram).
CREATE TABLE instances (
    pipeline_id         TEXT NOT NULL REFERENCES pipelines,
    instance_id         TEXT NOT NULL,
    component           TEXT NOT NULL,
    node                TEXT NOT NULL,   -- of a precondition: the component that has it; else ''
    family              TEXT NOT NULL,
    scheduled_start     BIGINT NOT NULL,
    scheduled_end       BIGINT NOT NULL,
    activation          BIGINT NOT NULL,
    status              TEXT NOT NULL,
    created_at          BIGINT NOT NULL,
    started_at          BIGINT,
    ended_at            BIGINT,
    late_at             BIGINT,          -- when it will be late; NULL once it was, and in final states
    tries_left          BIGINT NOT NULL,
    attempt_count       BIGINT NOT NULL DEFAULT 0,
    is_rerun            SMALLINT NOT NULL DEFAULT 0,
    error_id            TEXT,
    error_message       TEXT,
    error_stack_trace   TEXT,
    cancellation_reason TEXT,
    was_deactivated     SMALLINT NOT NULL DEFAULT 0,   -- CANCELED by a deactivation: the next activation runs it
    cascade_failed_on   TEXT,
    PRIMARY KEY (pipeline_id, instance_id),
    UNIQUE (pipeline_id, component, node, scheduled_start),
    CHECK ((ended_at IS NOT NULL) =
           (status IN ('FINISHED', 'FAILED', 'CANCELED', 'CASCADE_FAILED', 'TIMEDOUT', 'SKIPPED')))
);
CREATE INDEX instances_in_order ON instances (pipeline_id, scheduled_start, instance_id);
CREATE INDEX instances_active ON instances (pipeline_id, component) WHERE ended_at IS NULL;
CREATE INDEX instances_late ON instances (late_at) WHERE late_at IS NOT NULL;

-- What an instance waits for: a producer component at a scheduled start, whether or not that instance exists yet.
-- Kinds: data (must finish), precondition (must finish), resource (must run), served (a resource waits for its
-- activities to end, however they end).
CREATE TABLE dependencies (
    pipeline_id    TEXT NOT NULL,
    consumer       TEXT NOT NULL,       -- an instance
    kind           TEXT NOT NULL CHECK (kind IN ('data', 'precondition', 'resource', 'served')),
    producer       TEXT NOT NULL,       -- a component
    producer_node  TEXT NOT NULL,
    producer_start BIGINT NOT NULL,
    met            SMALLINT NOT NULL,
    PRIMARY KEY (pipeline_id, consumer, producer, producer_node, producer_start, kind)
);
CREATE INDEX dependencies_of_producer
    ON dependencies (pipeline_id, producer, producer_start, producer_node, consumer, kind);
CREATE INDEX dependencies_unmet ON dependencies (pipeline_id, consumer) WHERE met = 0;

-- An attempt is a lease: whoever lost it (a new task_id, or another status) cannot finish it.
CREATE TABLE attempts (
    pipeline_id     TEXT NOT NULL,
    attempt_id      TEXT NOT NULL,
    instance_id     TEXT NOT NULL,
    number          BIGINT NOT NULL,
    task_id         TEXT NOT NULL UNIQUE,
    worker_group    TEXT NOT NULL,
    owner           TEXT NOT NULL,       -- the pipeline's owner
    status          TEXT NOT NULL CHECK (status IN
                        ('WAITING_FOR_RUNNER', 'RUNNING', 'FINISHED', 'FAILED', 'CANCELED', 'TIMEDOUT')),
    created_at      BIGINT NOT NULL,
    available_at    BIGINT NOT NULL,     -- not handed out before
    expires_at      BIGINT,              -- of a precondition: when asking ends
    started_at      BIGINT,
    ended_at        BIGINT,
    acknowledged    SMALLINT NOT NULL DEFAULT 0,
    lease_until     BIGINT,              -- silent for longer: lost
    ends_at         BIGINT,              -- the attempt's timeout
    due_at          BIGINT,              -- the earlier of the two, while running
    hostname        TEXT,
    deliveries      BIGINT NOT NULL DEFAULT 0,   -- how often it came back without an acknowledgement
    reported_at     BIGINT,
    fields          TEXT NOT NULL DEFAULT '{}',
    error_id        TEXT,
    error_message   TEXT,
    error_stack_trace TEXT,
    PRIMARY KEY (pipeline_id, attempt_id),
    FOREIGN KEY (pipeline_id, instance_id) REFERENCES instances (pipeline_id, instance_id),
    CHECK ((status = 'RUNNING') = (due_at IS NOT NULL)),
    CHECK ((ended_at IS NOT NULL) = (status IN ('FINISHED', 'FAILED', 'CANCELED', 'TIMEDOUT')))
);
CREATE INDEX attempts_waiting ON attempts (owner, worker_group, available_at, created_at, attempt_id)
    WHERE status = 'WAITING_FOR_RUNNER';
CREATE INDEX attempts_available ON attempts (owner, available_at, worker_group) WHERE status = 'WAITING_FOR_RUNNER';
CREATE INDEX attempts_due ON attempts (owner, due_at) WHERE status = 'RUNNING';
CREATE INDEX attempts_expiring ON attempts (owner, expires_at)
    WHERE status = 'WAITING_FOR_RUNNER' AND expires_at IS NOT NULL;
CREATE UNIQUE INDEX attempts_one_active ON attempts (pipeline_id, instance_id) WHERE ended_at IS NULL;

-- Every move of a status, in the transaction of the move.
CREATE TABLE events (
    sequence    {identity},
    at          BIGINT NOT NULL,
    pipeline_id TEXT NOT NULL,
    object_id   TEXT NOT NULL,
    sphere      TEXT NOT NULL,
    verb        TEXT NOT NULL,
    from_status TEXT NOT NULL,
    to_status   TEXT NOT NULL,
    detail      TEXT NOT NULL
);
CREATE INDEX events_of_pipeline ON events (pipeline_id, sequence);

-- Alarms to deliver, written in the transaction of the status that set them off.
CREATE TABLE outbox (
    sequence     {identity},
    pipeline_id  TEXT NOT NULL,
    object_id    TEXT NOT NULL,
    action       TEXT NOT NULL,
    topic        TEXT NOT NULL,
    subject      TEXT NOT NULL,
    message      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    due_at       BIGINT,                 -- NULL: delivered
    delivered_at BIGINT,
    CHECK ((due_at IS NULL) = (delivered_at IS NOT NULL))
);
CREATE INDEX outbox_due ON outbox (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX outbox_due_of_pipeline ON outbox (pipeline_id) WHERE due_at IS NOT NULL;

CREATE TABLE access_keys (
    access_key   TEXT PRIMARY KEY,
    secret       TEXT NOT NULL,          -- encrypted
    role         TEXT NOT NULL CHECK (role IN ('admin', 'runner', 'system')),
    name         TEXT NOT NULL,
    owner        TEXT NOT NULL,          -- whose pipelines it may touch; '' for those of servers
    pipeline_id  TEXT,                   -- a runner key of one pipeline
    worker_group TEXT,                   -- a runner key of one worker group
    created_at   BIGINT NOT NULL,
    revoked_at   BIGINT
);

-- What is true of the store as a whole, such as a text that only its master key can read.
CREATE TABLE metadata (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
