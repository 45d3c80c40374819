"""Data nodes: where data lies."""
