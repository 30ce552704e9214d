"""The gateway over HTTP: the real service, directly and behind the deployed nginx."""
