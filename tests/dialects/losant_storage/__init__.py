"""Presigned uploads and signed links."""
