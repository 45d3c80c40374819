"""Activities: the work that a pipeline does."""
