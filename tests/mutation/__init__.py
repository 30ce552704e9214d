"""Suite R: defects planted one at a time into the rules that matter most, each of which a test has to notice."""
