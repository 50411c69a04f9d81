"""A few hundred mutated server.xml files: no exception, none slow."""

import fuzz_tomcat


def test_mutations_are_survived():
    _, slowest, useful = fuzz_tomcat.run(300, seed=20)
    assert slowest < fuzz_tomcat.LONGEST
    assert useful > 30
