"""Reasons that the service gives in fields, and that its commands tell from other ones."""

DEACTIVATED = "The pipeline was deactivated."
"""`cancellationReason` of what a deactivation cancelled."""
