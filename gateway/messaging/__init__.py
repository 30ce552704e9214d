"""What things say: messages of channels, and webhooks that are told of them."""
