"""What the Mainflux routes accept and answer: one module per noun, beside its handlers."""
