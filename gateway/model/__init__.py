"""Words and rules of the gateway: pure values and functions, no I/O, no HTTP library."""
