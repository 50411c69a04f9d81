"""Trees of real hosts: the probe makes the same snapshot of them as ever, and the profiles find what is there."""

import json

import pytest
from golden import FOLDER, HOSTS, snapshot_of

from audit_tcp import defaults, judge, profile, snapshot
from trees import grow


def tree(name):
    return json.loads((FOLDER / f"{name}.json").read_text())


def failing(name, chosen):
    document = {**tree(name)["snapshot"], "taken": ""}
    report = judge.judge(defaults.fill(snapshot.from_document(document, name)), profile.load(chosen))
    assert not [finding for finding in report.findings if finding.verdict == "error"]
    return {(f.rule.id, f.subject.name) for f in report.findings if f.verdict == "fail"}


@pytest.mark.parametrize("name", HOSTS)
def test_the_snapshot_of_a_tree_is_the_golden_one(name, tmp_path):
    found = tree(name)
    assert snapshot_of(grow(tmp_path, found["files"], found["links"])) == found["snapshot"]


@pytest.mark.parametrize("name", ["debian-12", "debian-13"])
def test_a_host_as_it_is_installed_has_no_hazard(name):
    assert failing(name, "baseline") == set()


BLOG = {
    ("fin-timeout-above-60", "host"),
    ("keepalive-probes-zero", "host"),
    ("timestamps-off", "host"),
    ("tw-reuse-without-timestamps", "host"),
    ("tw-buckets-lowered", "host"),
    ("tw-recycle-line", "net.ipv4.tcp_tw_recycle"),
    ("setting-unknown-to-kernel", "net.ipv4.tcp_user_timeout"),
    ("setting-refused-by-kernel", "net.ipv4.ip_local_port_range"),
    ("max-syn-backlog-in-vain", "net.ipv4.tcp_max_syn_backlog"),
}


def test_a_blogs_advice_on_debian_12_is_taken_apart():
    assert failing("debian-12-blog", "baseline") == BLOG | {("sysctl-file-ignored", "")}


def test_the_same_advice_never_reaches_debian_13():
    found = failing("debian-13-blog", "baseline")
    lost = {name for rule, name in found if rule == "setting-not-applied-at-boot"}
    assert "net.ipv4.tcp_keepalive_probes" in lost
    assert ("keepalive-probes-zero", "host") not in found
    # the files are judged too: this is what `sysctl --system` would put in force
    assert ("keepalive-probes-zero", "host after sysctl --system") in found
