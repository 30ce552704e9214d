"""The ways of a representation to its client; ``choose`` is the one place that picks one."""
