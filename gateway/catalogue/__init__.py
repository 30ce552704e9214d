"""Rows about files: the port and its PostgreSQL adapter."""
