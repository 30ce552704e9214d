"""Deployments of earlier commits, as small fixtures, and what they held."""
