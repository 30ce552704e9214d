"""What the OpenAPI document is made of."""
