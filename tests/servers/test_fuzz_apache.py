"""Mutated configurations of Apache httpd: no exception, and none takes long."""

from fuzz_apache import run


def test_three_hundred_mutations():
    _, slowest = run(300, 20)
    assert slowest < 1
