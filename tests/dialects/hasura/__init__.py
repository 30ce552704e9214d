"""The Hasura dialect on the running service."""
