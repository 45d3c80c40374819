-- Ranges of intervals that are to be run again or for the first time: one row per component, however long the range is.
CREATE TABLE backfills (
    sequence         {identity},
    pipeline_id      TEXT NOT NULL REFERENCES pipelines,
    component        TEXT NOT NULL,
    next_start       BIGINT NOT NULL,   -- where it stands: intervals before it were set going or left alone
    end_start        BIGINT NOT NULL,   -- intervals from here on are not in it; the row goes when it gets there
    include_finished SMALLINT NOT NULL,
    requested_at     BIGINT NOT NULL,
    due_at           BIGINT,            -- when to go on; NULL: when something else lets it (an instance that ends)
    CHECK (next_start < end_start)
);
CREATE INDEX backfills_of_pipeline ON backfills (pipeline_id, component, sequence);
CREATE INDEX backfills_due ON backfills (due_at) WHERE due_at IS NOT NULL;
