"""The OpenAPI document: that it is one, that it is complete, and that the service keeps to it."""
