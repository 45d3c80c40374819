-- Paused components are few, and every claim of a task asks for them.
CREATE INDEX components_paused ON components (pipeline_id, component) WHERE paused = 1;
