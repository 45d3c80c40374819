"""Utilities: what describes a part of another object."""
