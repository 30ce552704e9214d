"""Real servers, real clients and real bytes for the tests."""
