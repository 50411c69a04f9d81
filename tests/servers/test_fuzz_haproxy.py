"""A short run of the mutations; fuzz_haproxy.py runs many."""

import importlib.util
from pathlib import Path

HANG_S = 1


def test_mutated_configurations_are_survived():
    spec = importlib.util.spec_from_file_location("fuzz_haproxy", Path(__file__).with_name("fuzz_haproxy.py"))
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    assert fuzz.run(300, seed=1) < HANG_S
