-- Retention deletes old instances: those of a component that started before this and are not there count as done.
ALTER TABLE components ADD COLUMN deleted_before BIGINT;

-- Deleting an instance looks for its attempts, and so does the foreign key.
CREATE INDEX attempts_of_instance ON attempts (pipeline_id, instance_id);
