"""The API of Losant's private files: applications with directories of files."""
