"""Shelf: a small API that only tests mount, to prove that one can come from outside the gateway.

It brings everything that a dialect may: a setting, a migration, queries, an order, state, a check at
start, work in the background, a form whose credential is a field, words for errors, an OpenAPI part.
"""
