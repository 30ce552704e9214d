"""Migrations and named queries, installed as the package ``gateway.sql``."""
