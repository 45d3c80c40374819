"""Bytes and rows: object storage by URI, formats, compression, databases, and the copy between them.

Nothing here knows a pipeline object; the data nodes and activities of `objects` are built from these pieces.
"""
