"""Experiments that show on the running kernel what a setting does, each in network namespaces of its own."""
