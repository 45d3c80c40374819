"""The 19 operations of AWS Data Pipeline and our own few, one function each, and the ASGI application."""
