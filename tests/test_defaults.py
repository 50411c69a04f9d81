"""What a namespace has of the host's tuning, by the defaults of the kernel that runs."""

import os

import pytest

from audit_tcp import defaults
from audit_tcp.lab.net import Namespace, require
from audit_tcp.model import Subject
from audit_tcp.snapshot import Facts
from builders import snapshot, subject

HOST = {"is_host": True}
CHILD = {"is_host": False}


def missing(version, *subjects):
    """What each namespace but the host's is told to lack."""
    host = subject("host", "", {"kernel.version": version})
    found = defaults.fill(snapshot(host, *subjects)).subjects
    return {one.name: one.facts["host_tuning_missing"].value for one in found if "host_tuning_missing" in one.facts}


def test_what_the_host_tuned_and_a_namespace_did_not_get():
    host = subject("netns", "host", {**HOST, "net.core.somaxconn": 65535, "net.ipv4.tcp_fin_timeout": 60})
    plain = subject("netns", "plain", {**CHILD, "net.core.somaxconn": 4096, "net.ipv4.tcp_fin_timeout": 60})
    own = subject("netns", "own", {**CHILD, "net.core.somaxconn": 1024})
    without = subject("netns", "without", CHILD)
    pending = subject("netns", "host after a boot", {"net.core.somaxconn": 4096})
    assert missing([6, 1, 0], host, plain, own, without, pending) == {
        "plain": ("net.core.somaxconn = 4096 (host: 65535)",),
        "own": (),
        "without": (),
    }


MOVED = [
    # key, version, the kernel's default then, another version's
    ("net.core.somaxconn", [5, 3, 0], 128, 4096),
    ("net.core.somaxconn", [5, 4, 0], 4096, 128),
    ("net.ipv4.tcp_tw_reuse", [4, 17, 0], 0, 2),
    ("net.ipv4.tcp_tw_reuse", [4, 18, 0], 2, 0),
    ("net.ipv4.tcp_tw_reuse_delay", [6, 14, 0], 1000, 100),
]


@pytest.mark.parametrize(("key", "version", "default", "tuned"), MOVED)
def test_a_default_that_moved_with_the_kernel_is_not_tuning(key, version, default, tuned):
    child = subject("netns", "n", {**CHILD, key: default})
    assert missing(version, subject("netns", "host", {**HOST, key: default}), child) == {"n": ()}
    told = (f"{key} = {default} (host: {tuned})",)
    assert missing(version, subject("netns", "host", {**HOST, key: tuned}), child) == {"n": told}


def test_a_key_that_the_kernel_should_not_have_is_left_alone():
    key = "net.ipv4.tcp_tw_reuse_delay"
    host, child = subject("netns", "host", {**HOST, key: 5}), subject("netns", "n", {**CHILD, key: 1000})
    assert missing([6, 13, 0], host, child) == {"n": ()}


def test_without_a_kernel_version_nothing_is_added():
    one = snapshot(subject("netns", "host", HOST), subject("netns", "n", CHILD))
    assert defaults.fill(one) == one


def test_facts_of_a_document_are_added_to():
    facts = Facts({"is_host": {"value": False, "origin": "o"}, "net.core.somaxconn": 4096})
    host = subject("netns", "host", {**HOST, "net.core.somaxconn": 5})
    found = defaults.fill(
        snapshot(subject("host", "", {"kernel.version": [6, 1, 0]}), host, Subject("netns", "n", facts))
    )
    assert found.subjects[2].facts["host_tuning_missing"].value == ("net.core.somaxconn = 4096 (host: 5)",)


def test_the_catalog_is_what_a_fresh_namespace_of_this_kernel_has():
    if require():
        pytest.skip(require())
    version = tuple(int(part) for part in os.uname().release.split("-")[0].split("."))
    with Namespace() as fresh:
        for key, default in defaults.of_kernel(version):
            expected = " ".join(map(str, default)) if isinstance(default, tuple) else str(default)
            assert " ".join(fresh.sysctl(key).split()) == expected, key
