"""Routes of the service itself: what this is, health, documentation."""
