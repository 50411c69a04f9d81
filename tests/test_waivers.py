"""Waivers cover, expire, and are refused when they are wrong."""

import datetime

import pytest

from audit_tcp import judge, profile, waivers
from audit_tcp.errors import ProfileError
from builders import snapshot, subject

TODAY = datetime.date(2026, 11, 20)
ENTRY = {"rule": '"keepalive-probes-zero"', "subject": '"netns blue*"', "reason": '"legacy"', "expires": "2026-12-31"}


def write(tmp_path, *entries):
    path = tmp_path / "waivers.toml"
    text = ("[[waiver]]\n" + "".join(f"{key} = {value}\n" for key, value in entry.items()) for entry in entries)
    path.write_text("".join(text))
    return str(path)


def verdict(tmp_path, today=TODAY, on="h", **changes):
    bad = subject("netns", "blue-1", {"net.ipv4.tcp_keepalive_probes": 0})
    report = judge.judge(snapshot(bad, host=on), profile.load("baseline"))
    waived = waivers.apply(report, waivers.load(write(tmp_path, {**ENTRY, **changes})), today)
    return next((f.verdict, f.note) for f in waived.findings if f.rule.id == "keepalive-probes-zero")


def test_a_waiver_covers_until_its_day(tmp_path):
    assert verdict(tmp_path) == ("waived", "legacy (until 2026-12-31)")
    assert verdict(tmp_path, today=datetime.date(2026, 12, 31))[0] == "waived"


def test_an_expired_waiver_fails_again_and_says_so(tmp_path):
    assert verdict(tmp_path, today=datetime.date(2027, 1, 1)) == ("fail", "the waiver expired on 2026-12-31: legacy")


@pytest.mark.parametrize("changes", [{"subject": '"netns red*"'}, {"rule": '"timestamps-off"'}, {"host": '"web*"'}])
def test_another_subject_rule_or_host_is_not_covered(tmp_path, changes):
    assert verdict(tmp_path, **changes) == ("fail", "")


def test_a_host_pattern_covers_its_hosts(tmp_path):
    assert verdict(tmp_path, on="web7", host='"web*"')[0] == "waived"


def test_a_longer_waiver_beats_an_expired_one(tmp_path):
    entries = [{**ENTRY, "expires": "2020-01-01"}, ENTRY]
    bad = subject("netns", "blue", {"net.ipv4.tcp_keepalive_probes": 0})
    report = judge.judge(snapshot(bad), profile.load("baseline"))
    found = waivers.apply(report, waivers.load(write(tmp_path, *entries)), TODAY).findings
    assert [f.verdict for f in found if f.rule.id == "keepalive-probes-zero"] == ["waived"]


def test_the_waivers_that_cover_something_are_noted_though_expired(tmp_path):
    entries = [{**ENTRY, "expires": "2020-01-01"}, {**ENTRY, "subject": '"netns red*"'}]
    listed = waivers.load(write(tmp_path, *entries))
    bad = subject("netns", "blue", {"net.ipv4.tcp_keepalive_probes": 0})
    used = set()
    waivers.apply(judge.judge(snapshot(bad), profile.load("baseline")), listed, TODAY, used)
    assert used == {listed[0]}


REFUSED = [
    ({**ENTRY, "rule": '"keepalive-probe-zero"'}, "waiver 1: rule: no rule 'keepalive-probe-zero'; did you mean"),
    ({**ENTRY, "expires": '"soon"'}, "waiver 1: expires: a day such as 2026-12-31 is needed, not 'soon'"),
    ({**ENTRY, "expires": "2026-12-31T00:00:00Z"}, "waiver 1: expires: a day without a time is needed"),
    ({**ENTRY, "reason": '" "'}, "waiver 1: reason: a text is needed"),
    ({key: value for key, value in ENTRY.items() if key != "expires"}, "waiver 1: expires: missing"),
    ({**ENTRY, "until": '"x"'}, "waiver 1: until: no such key"),
]


@pytest.mark.parametrize(("entry", "message"), REFUSED)
def test_refused(tmp_path, entry, message):
    with pytest.raises(ProfileError) as refusal:
        waivers.load(write(tmp_path, entry))
    assert message in str(refusal.value)
