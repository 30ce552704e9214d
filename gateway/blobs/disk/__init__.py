"""Blobs on a local disk: the only package that makes file system calls.

    DATA_DIR/incoming/<blob id>.part            being written, locked by its writer
    DATA_DIR/blobs/<kind>/<owner>/<blob id>     permanent, never changed

Knows nothing of rows, requests or names that users give.

Rule: one descriptor from the first write through fsync; a failed fsync is final (the
kernel has dropped the pages, so trying again would lie); a permanent name exists only
for bytes that are already durable, and is durable itself before anyone hears of it.
"""
