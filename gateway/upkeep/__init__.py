"""Upkeep: sweep, check, scrub, and the loop that runs them."""
