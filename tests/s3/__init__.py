"""Blobs in a real S3 store: SeaweedFS on loopback, one server for a run."""
