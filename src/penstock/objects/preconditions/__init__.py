"""Preconditions: what must hold before work begins."""
