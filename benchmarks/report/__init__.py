"""The report: one HTML file that needs nothing else, and the headline table in Markdown."""
