"""What a pipeline says: objects and their fields, inheritance, parameters, problems and schedule intervals."""
