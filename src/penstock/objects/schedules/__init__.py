"""Schedules: when work is due."""
