"""The process itself: workers, logs, memory, background tasks."""
