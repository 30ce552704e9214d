"""What the registry keeps, as values: one module a noun.

Knows no rows, no requests and no rights.
"""
