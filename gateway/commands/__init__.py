"""The commands beside ``serve``: they look after a deployment that is there, and make none."""
