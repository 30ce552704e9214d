"""Backups: a folder that holds every byte and row of a deployment as of some moments."""
