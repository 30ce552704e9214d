"""Routes of the service itself: health, documentation."""
