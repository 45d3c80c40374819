"""Penstock: AWS Data Pipeline as software that you run yourself."""
