"""The rows of identity: one module a noun."""
