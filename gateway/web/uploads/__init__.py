"""Uploads in: bodies, forms, raw files."""
