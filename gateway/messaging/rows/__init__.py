"""The rows of messaging: one module a noun."""
