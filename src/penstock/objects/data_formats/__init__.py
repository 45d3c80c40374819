"""Data formats: how rows are written in files."""
