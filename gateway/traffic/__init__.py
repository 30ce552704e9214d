"""What bounds and remembers traffic: caches, single flight, limits, bandwidth."""
