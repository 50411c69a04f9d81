"""Rules and profiles: what the loader refuses, with file and key, and how profiles extend and override."""

import pytest

from audit_tcp import profile
from audit_tcp.errors import ProfileError, UsageError

RULE = {
    "id": '"mine"', "title": '"t"', "of": '"netns"', "fact": '"net.ipv4.tcp_fin_timeout"', "op": '"<="', "value": "60",
    "severity": '"low"', "why": '"w"', "cite": '["c"]', "proof": '["E1"]', "fix": '{ text = "f", safe = true }',
}  # fmt: skip


def rule(**changes):
    entries = {key: value for key, value in {**RULE, **changes}.items() if value is not None}
    return "[[rule]]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())


def load(tmp_path, text, name="mine.toml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return profile.load(str(path))


REFUSED = [
    ('rules = ["keepalive-probes-zer"]', "rules: no rule 'keepalive-probes-zer'; did you mean 'keepalive-probes-zero'?"),
    ('drop = ["xyz"]', "drop: no rule 'xyz'"),
    ("rules = [7]", "rules: no rule 7"),
    ('extends = "nope"', "extends: no profile 'nope'; there are baseline, api, aws"),
    ("extends = 7", "extends: a text or a list is needed, not 7"),
    ("extends = [7]", "extends: names of profiles or files are needed, not 7"),
    ('sumary = "x"', "sumary: no such key; there are summary, extends"),
    ('[override.somaxconn-small]\nvalue = 8', "override.somaxconn-small: not in this profile: add it to `rules`"),
    ('[override.somaxconn-smal]\nvalue = 8', "override.somaxconn-smal: no rule 'somaxconn-smal'; did you mean 'somaxconn-small'?"),
    ('extends = "web"\n[override.somaxconn-small]\nplus = 8', "override.somaxconn-small: plus: a margin belongs to `than`"),
    ('extends = "web"\n[override.listener-below-somaxconn]\nplus = nan', "plus: a number, a text, true, false or a list of those is needed, not nan"),
    ('extends = "web"\n[override.somaxconn-small]\nvalue = inf', "override.somaxconn-small: value: a number, a text"),
    (rule(plus="5"), "rule 1 (mine): plus: a margin belongs to `than`"),
    (rule(value="nan"), "rule 1 (mine): value: a number, a text, true, false or a list of those is needed, not nan"),
    (rule(op='"=="', value="2026-12-31"), "value: a number, a text, true, false or a list of those is needed, not 2026-12-31"),
    (rule(op='"=="', value="{ a = 1 }"), "value: a number, a text, true, false or a list of those is needed, not {'a': 1}"),
    (rule(op='"in"', value="[[1]]"), "value: a number, a text, true, false or a list of those is needed, not [[1]]"),
    (rule(fix='{ text = "f", safe = true, set = { x = [{}] } }'), "rule 1 (mine): fix.set.x: a number"),
    (rule(when='[["x", "==", 2026-12-31]]'), "when: a number, a text, true, false or a list of those is needed"),
    (rule(when='[["x", ["=="], 1]]'), "when: ['=='] is none of"),
    (rule(op='"between"', value="[60, 15]"), "op: between goes from low to high, not from 60 to 15"),
    (rule(when='[["x", "between", [2, 1]]]'), "when: between goes from low to high, not from 2 to 1"),
    (rule(op='"between"', value="[false, true]"), "op: between compares with a list of two numbers"),
    (rule(of='"netnss"'), "rule 1 (mine): of: 'netnss' is none of host, netns, setting"),
    (rule(value="9" * 5000), "limit (4300 digits)"),
    ('extends = "web"\n[override.somaxconn-small]\nvalue = "many"', "override.somaxconn-small: value: >= compares with a number, not with 'many'"),
    ('extends = "web"\n[override.somaxconn-small]\nseverity = "bad"', "severity: 'bad' is none of info, low, medium, high"),
    ('extends = "web"\n[override.somaxconn-small]\nop = "<"', "override.somaxconn-small: op: no such key"),
    ('extends = "web"\n[override.tw-buckets-lowered]\nvalue = 8', "this rule compares with another fact, tw_buckets_of_kernel"),
    (rule(cite=None), "rule 1 (mine): cite: missing"),
    (rule(cite="[]"), "rule 1 (mine): cite: at least one is needed"),
    (rule(proof=None), "rule 1 (mine): proof: missing"),
    (rule(proof='["E14"]'), "rule 1 (mine): proof: 'E14' is neither an experiment"),
    (rule(proof='["trust me"]'), "proof: 'trust me' is neither an experiment"),
    (rule(op='"=~"'), "op: '=~' is none of ==, !=, <"),
    (rule(value='"60"'), "op: <= compares with a number, not with '60'"),
    (rule(value="true"), "op: <= compares with a number, not with True"),
    (rule(op='"in"'), "op: in compares with a list, not with 60"),
    (rule(op='"between"', value="[1]"), "op: between compares with a list of two numbers"),
    (rule(value=None), "value: exactly one of `value` and `than` is needed"),
    (rule(than='"x"'), "value: exactly one of `value` and `than` is needed"),
    (rule(value=None, than='"x"', op='"in"'), "op: in compares with a list, not with None"),
    (rule(severity='"urgent"'), "severity: 'urgent' is none of info, low, medium, high"),
    (rule(when='["x"]'), 'when: a condition is written ["fact", "operator", value]'),
    (rule(when='[["x", "~", 1]]'), "when: '~' is none of"),
    (rule(fix='{ text = "f" }'), "fix: safe: missing"),
    (rule(id=None), "rule 1: id: missing"),
    (rule(why="7"), "rule 1 (mine): why: a text is needed, not 7"),
    (rule() + rule(), "rule 2 (mine): id: there is a rule of this name already"),
    ("rule = 7", "rule: a list is needed, not 7"),
    ("rule = [7]", "rule 1: a table is needed, not 7"),
    ("[", "not TOML: "),
    (b"\xff\xfe", "not UTF-8 at byte 0"),
    ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), REFUSED)
def test_refused_with_file_and_key(tmp_path, text, message):
    with pytest.raises(ProfileError) as refusal:
        load(tmp_path, text)
    assert str(refusal.value).startswith(f"{tmp_path / 'mine.toml'}")
    assert message in str(refusal.value)


def test_a_circle_is_told_with_its_links(tmp_path):
    (tmp_path / "b.toml").write_text('extends = "./a.toml"')
    with pytest.raises(ProfileError, match=r"circle: a\.toml -> b\.toml -> a\.toml"):
        load(tmp_path, 'extends = "./b.toml"', "a.toml")


def test_two_ways_to_one_base_are_no_circle(tmp_path):
    assert len(load(tmp_path, 'extends = ["web", "aws"]').rules) > len(profile.load("web").rules)


def chain(tmp_path, length, each):
    """The path of a profile that extends, `each` times, one that extends one..., `length` deep."""
    (tmp_path / "p0.toml").write_text('rules = ["keepalive-probes-zero"]')
    for number in range(1, length + 1):
        (tmp_path / f"p{number}.toml").write_text(f"extends = {[f'./p{number - 1}.toml'] * each}")
    return str(tmp_path / f"p{length}.toml")


def test_each_file_of_a_deep_doubled_extends_is_read_once(tmp_path):
    assert [rule.id for rule in profile.load(chain(tmp_path, 40, 2)).rules] == ["keepalive-probes-zero"]


def test_an_endless_extends_is_refused(tmp_path):
    with pytest.raises(ProfileError, match=r"`extends` goes deeper than 100 profiles"):
        profile.load(chain(tmp_path, 2000, 1))


def test_a_profile_knows_its_file(tmp_path):
    assert load(tmp_path, "").path == str(tmp_path / "mine.toml")
    assert profile.load("web").path == ""


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(ProfileError, match=r"gone\.toml: No such file"):
        profile.load(str(tmp_path / "gone.toml"))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(UsageError, match=r"no profile 'webb'; there are baseline"):
        profile.load("webb")


def test_own_profile_extends_adds_drops_and_overrides(tmp_path):
    mine = load(
        tmp_path,
        'summary = "s"\nextends = "web"\nrules = ["retries2-slow", "mine"]\ndrop = ["timestamps-off"]\n'
        "[override.somaxconn-small]\nvalue = 8192\nseverity = 'high'\n"
        "[override.listener-below-somaxconn]\nplus = -100\n" + rule(),
    )
    rules = {one.id: one for one in mine.rules}
    assert mine.name == "mine"
    assert {"retries2-slow", "mine", "keepalive-probes-zero"} <= rules.keys()
    assert "timestamps-off" not in rules
    assert (rules["somaxconn-small"].value, rules["somaxconn-small"].severity) == (8192, "high")
    assert rules["listener-below-somaxconn"].plus == -100


@pytest.mark.parametrize("name", profile.builtin_names())
def test_every_shipped_profile_loads_and_has_a_summary(name):
    chosen = profile.load(name)
    assert chosen.summary
    assert chosen.name == name


def test_every_profile_of_a_host_takes_the_baseline():
    baseline = {rule.id for rule in profile.load("baseline").rules}
    for name in set(profile.builtin_names()) - {"path"}:
        assert baseline <= {rule.id for rule in profile.load(name).rules}
