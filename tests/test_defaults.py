"""What a namespace has of the host's tuning, by the defaults of the kernel that runs."""

import pytest

from audit_tcp import defaults
from audit_tcp.lab.net import Namespace, require
from audit_tcp.model import Subject
from audit_tcp.snapshot import Facts
from builders import snapshot, subject

HOST = {"is_host": True}
CHILD = {"is_host": False}


def filled(version, *subjects):
    host = subject("host", "", {"kernel.version": version})
    found = defaults.fill(snapshot(host, *subjects)).subjects
    return {
        one.name: {name: one.facts[name].value for name in ("tuned", "host_tuning_missing") if name in one.facts}
        for one in found[1:]
    }


def test_what_the_host_tuned_and_a_namespace_did_not_get():
    host = subject("netns", "host", {**HOST, "net.core.somaxconn": 65535, "net.ipv4.tcp_fin_timeout": 60})
    plain = subject("netns", "plain", {**CHILD, "net.core.somaxconn": 4096, "net.ipv4.tcp_fin_timeout": 60})
    own = subject("netns", "own", {**CHILD, "net.core.somaxconn": 1024})
    without = subject("netns", "without", CHILD)
    assert filled([6, 1, 0], host, plain, own, without) == {
        "host": {"tuned": ("net.core.somaxconn = 65535",)},
        "plain": {"tuned": (), "host_tuning_missing": ("net.core.somaxconn = 4096 (host: 65535)",)},
        "own": {"tuned": ("net.core.somaxconn = 1024",), "host_tuning_missing": ()},
        "without": {"tuned": (), "host_tuning_missing": ()},
    }


MOVED = [
    # a default that moved with the kernel is not tuning
    ("net.core.somaxconn", [5, 3, 0], 128, 4096),
    ("net.core.somaxconn", [5, 4, 0], 4096, 128),
    ("net.ipv4.tcp_tw_reuse", [4, 17, 0], 0, 2),
    ("net.ipv4.tcp_tw_reuse", [4, 18, 0], 2, 0),
    ("net.ipv4.tcp_tw_reuse_delay", [6, 14, 0], 1000, 100),
]


@pytest.mark.parametrize(("key", "version", "default", "tuned"), MOVED)
def test_a_default_that_moved_is_not_tuning(key, version, default, tuned):
    assert filled(version, subject("netns", "host", {**HOST, key: default}))["host"]["tuned"] == ()
    assert filled(version, subject("netns", "host", {**HOST, key: tuned}))["host"]["tuned"] == (f"{key} = {tuned}",)


def test_a_key_that_the_kernel_should_not_have_is_left_alone():
    assert (
        filled([6, 13, 0], subject("netns", "host", {**HOST, "net.ipv4.tcp_tw_reuse_delay": 5}))["host"]["tuned"] == ()
    )


def test_without_a_kernel_version_nothing_is_added():
    one = snapshot(subject("netns", "host", HOST))
    assert defaults.fill(one) == one


def test_facts_of_a_document_are_added_to():
    facts = Facts({"is_host": {"value": True, "origin": "o"}, "net.core.somaxconn": 5})
    found = defaults.fill(snapshot(subject("host", "", {"kernel.version": [6, 1, 0]}), Subject("netns", "host", facts)))
    assert found.subjects[1].facts["tuned"].value == ("net.core.somaxconn = 5",)


def test_the_catalog_is_what_a_fresh_namespace_of_this_kernel_has():
    import os

    if require():
        pytest.skip(require())
    version = tuple(int(part) for part in os.uname().release.split("-")[0].split("."))
    with Namespace() as fresh:
        for key, default in defaults.of_kernel(version):
            expected = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
            assert " ".join(fresh.sysctl(key).split()) == expected, key
