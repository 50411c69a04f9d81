"""audit-tcp: the doctor for the life of TCP connections."""

__version__ = "0.1.0"
