"""Suite E: what several processes and many clients did to few names at once had some order of one after the other."""
