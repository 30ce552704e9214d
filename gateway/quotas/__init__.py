"""Quotas: room for uploads under way, and what everybody may have and has."""
