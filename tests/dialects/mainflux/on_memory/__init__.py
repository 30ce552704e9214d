"""The suites beside, on a store that has neither files nor a place for a front server."""
