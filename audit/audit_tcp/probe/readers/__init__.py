"""Readers of file formats, imported only where there is a file of that format."""
