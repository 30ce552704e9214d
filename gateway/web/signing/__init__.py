"""Credentials that a request carries in itself, signed by us: POST policies, and links."""
