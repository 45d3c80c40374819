"""Databases: how to reach them."""
