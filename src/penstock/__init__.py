"""Penstock: AWS Data Pipeline as software that you run yourself."""

__version__ = "0.1.0"
