"""A short run of the fuzzer: no exception, nothing slow."""

import pytest

fuzz_apps = pytest.importorskip("fuzz_apps")


def test_mutated_configurations_are_refused_or_read():
    _, slowest, number = fuzz_apps.run(300, 7)
    assert slowest < 1, number


DEEP = 100_000
BOMBS = [
    ("envoy", "[" * DEEP), ("envoy", "{a: " * DEEP), ("envoy", "- " * DEEP), ("envoy", '"' + "\\" * DEEP),
    ("envoy", "".join(" " * n + "a:\n" for n in range(1000))), ("envoy", "a: " + "x " * DEEP), ("envoy", "a" + " " * DEEP + "b"),
    ("envoy", "{" + "a, " * DEEP), ("envoy", "a: {b: " + "c " * DEEP), ("envoy", "[" + '"a"' * DEEP), ("envoy", "#" * DEEP + "\n" * DEEP),
    ("toml", "a = " + "[" * DEEP), ("toml", "a." * DEEP), ("toml", "a = {b = " * DEEP), ("toml", '"' * DEEP), ("toml", "[" * DEEP),
    ("toml", "a = '''" * DEEP), ("toml", "_" * DEEP + "=1"),
    ("caddy", "a {\n" * DEEP), ("caddy", "}\n" * DEEP), ("caddy", "{$" * DEEP), ("caddy", "{$a:" * DEEP), ("caddy", '"' + "\\" * DEEP),
    ("caddy", "<<A\n" * DEEP), ("caddy", "a, " * DEEP), ("caddy", "(a) {\nimport a\n}\nimport a\n"),
    ("caddy", "(a) {\nimport b\nimport b\n}\n(b) {\nimport a\nimport a\n}\nx {\nimport a\n}\n"),
    ("caddy", "".join(f"(s{n}) {{\nimport s{n + 1} {{args[0]}}{{args[0]}}\n}}\n" for n in range(50)) + "x {\nimport s0 aaaa\n}\n"),
    ("caddy", "".join(f"(s{n}) {{\nimport s{n + 1} {{args[:]}} {{args[:]}}\n}}\n" for n in range(50)) + "x {\nimport s0 a b\n}\n"),
    ("python", "keepalive = " + "-" * 1900 + "1"), ("python", "keepalive = " + "(" * 900 + ")" * 900), ("python", "keepalive = 9**9**9**9"),
    ("python", "keepalive = " + "1+" * 900 + "1"), ("python", "'" * DEEP), ("python", "(" * DEEP), ("python", '"""' * 33333 + '"'),
    ("python", "a = 'x' * 9999999999"), ("python", "".join(f"a{n + 1} = a{n} + a{n}\n" for n in range(99)).replace("a0 ", "'ab' ")),
    ("python", "keepalive = 10**100000"), ("python", '"""' + "\\" * DEEP + '"""'), ("python", "a" * DEEP), ("python", "a = f" + "'{" * 500),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BOMBS)))
def test_nothing_takes_long(number):
    import time

    begin = time.process_time()
    fuzz_apps.parse(BOMBS[number])
    assert time.process_time() - begin < 2
