"""Clients that generators make from ``/openapi.json``, compiled and used against a running gateway."""
