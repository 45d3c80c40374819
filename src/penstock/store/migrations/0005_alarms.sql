-- The outbox holds only alarms that are still to be delivered; what became of the others is in the events.
CREATE TABLE alarms_to_deliver (
    sequence     {identity},
    pipeline_id  TEXT NOT NULL,
    object_id    TEXT NOT NULL,
    action       TEXT NOT NULL,
    topic        TEXT NOT NULL,
    subject      TEXT NOT NULL,
    message      TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    due_at       BIGINT NOT NULL,           -- while a server tries it: when another one may
    tries        BIGINT NOT NULL DEFAULT 0, -- that were begun; who has begun the latest one records how it went
    delivered_to TEXT NOT NULL DEFAULT '[]',
    problem      TEXT NOT NULL DEFAULT ''   -- of the latest try
);
INSERT INTO alarms_to_deliver (pipeline_id, object_id, action, topic, subject, message, created_at, due_at)
SELECT pipeline_id, object_id, action, topic, subject, message, created_at, due_at
FROM outbox WHERE due_at IS NOT NULL ORDER BY sequence;
DROP TABLE outbox;
ALTER TABLE alarms_to_deliver RENAME TO outbox;
CREATE INDEX outbox_due ON outbox (due_at, sequence);
CREATE INDEX outbox_of_pipeline ON outbox (pipeline_id, object_id);
