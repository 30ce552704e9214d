"""What the Mainflux routes accept and return: one module per noun, beside its handlers."""
