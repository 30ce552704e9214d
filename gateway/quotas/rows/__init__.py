"""Rows of quotas."""
