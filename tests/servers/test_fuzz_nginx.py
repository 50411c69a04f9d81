"""Broken nginx configurations: no exception, no hang."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fuzz_nginx


def test_broken_configurations_are_read():
    _, slowest, text = fuzz_nginx.run(300, seed=20)
    assert slowest < 1, text
