"""The Hasura filestore API."""
