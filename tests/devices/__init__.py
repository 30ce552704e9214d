"""What real device clients send, and what they break on."""
