"""Path files: what they give, and what each mistake is told to be, with file and line."""

import os
import time

import pytest

from audit_tcp import snapshot
from audit_tcp.errors import PathError, SnapshotError
from audit_tcp.path import file
from builders import snapshot_of, subject

SHOP = """\
name = "shop"
slowest_response_s = 30

[[hop]]
kind = "alb"
idle_timeout.timeout_seconds = 90

[[hop]]
kind = "node"
name = "app"
version = "22.1.0"
keepAliveTimeout = 65000
"""


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "shop.toml"
        path.write_text(text)
        return file.load(str(path))

    return read


def test_a_path(load, tmp_path):
    path = load(SHOP)
    assert (path.name, [hop.name for hop in path.hops]) == ("shop", ["alb", "app"])
    assert path.about["slowest_response_s"] == (30, f"{tmp_path}/shop.toml:2")
    assert path.hops[0].facts["upstream.idle_timeout_s"] == (90, f"{tmp_path}/shop.toml:6")
    assert path.hops[1].facts["server.idle_timeout_s"] == (65, f"{tmp_path}/shop.toml:12")


def test_a_path_is_named_as_its_file_and_hops_of_one_name_are_told_apart(load):
    path = load('[[hop]]\nkind = "alb"\n[[hop]]\nkind = "alb"\n[[hop]]\nkind = "node"\nversion = "20.1"\n')
    assert (path.name, [hop.name for hop in path.hops]) == ("shop", ["alb", "alb 2", "node"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "hop: missing"),
        ("hop = 3\n", "shop.toml:1: hop: a list is needed"),
        ("\nhop = []\n", "shop.toml:2: hop: a path has 2 to 50 hops"),
        ('\n[[hop]]\nkind = "alb"\n', "shop.toml:2: hop: a path has 2 to 50 hops"),
        ("[[hop]]\n" * 60, "shop.toml:51: hop: a path has 2 to 50 hops, written as [[hop]], not 60"),
        ("hop = [1, 2]\n", "hop 1: a table is needed, not 1"),
        ('colour = "red"\n' + SHOP, "shop.toml:1: colour: no such key"),
        (SHOP + "[more.colours]\nred = 1\n", "shop.toml:13: more: no such key"),
        ("hop = [\n  {kind = 'alb'},\n  {kind = 'albb'},\n]\n", "shop.toml:3: kind: no kind 'albb'"),
        (SHOP.replace("= 30", '= "30s"'), "shop.toml:2: slowest_response_s: seconds above 0 are needed"),
        (SHOP.replace("= 30", "= 0"), "shop.toml:2: slowest_response_s"),
        (SHOP.replace("= 30", '= "unlimited"'), "shop.toml:2: slowest_response_s"),
        (SHOP.replace('kind = "alb"\n', ""), "shop.toml:4: hop 1: kind: missing"),
        (SHOP.replace('"alb"', '"albb"'), "shop.toml:5: kind: no kind 'albb'; did you mean alb"),
        (SHOP.replace('"alb"', "7"), "shop.toml:5: kind: a text is needed, not 7"),
        (SHOP.replace("= 90", "= 5000"), "shop.toml:6: idle_timeout.timeout_seconds: 5000 is not between 1 and 4000"),
        (SHOP.replace("= 90", '= "90s"'), "shop.toml:6: idle_timeout.timeout_seconds"),
        (SHOP.replace("keepAliveTimeout", "keepaliveTimeout"), "did you mean keepAliveTimeout?"),
        (SHOP.replace('"22.1.0"', '"latest"'), "shop.toml:11: version: a text such as"),
        (
            SHOP.replace('"22.1.0"', "1.24"),
            'shop.toml:11: version: a text is needed, such as version = "1.24", not 1.24',
        ),
        (SHOP.replace('"22.1.0"', "[22]"), "shop.toml:11: version: a text such as"),
        (SHOP + 'take_server = "x"\n', "shop.toml:13: take_server: only of a `snapshot`"),
        (SHOP + 'shipped = "debian"\n', "shop.toml:13: shipped: "),
        (
            SHOP.replace('kind = "alb"', 'terraform = "aws_lb.web"'),
            "shop.toml:5: terraform: needs `--terraform plan.json`",
        ),
        (SHOP + "[[hop]]\n[[", "not TOML"),
        ("[[hop]]\nx = " + "[" * 5000, "nested too deeply"),
        (SHOP + '"idle_timeout_s" = 3\nidle.a = 3\n"idle.a" = 3\n', "idle.a: stated twice"),
        *(
            (
                f'{SHOP}terraform = "aws_lb.web"\n{key} = "1"\n'.replace('version = "22.1.0"\n', ""),
                f"shop.toml:13: {key}: not beside `terraform`",
            )
            for key in ("version", "shipped", "take_server", "take_upstream", "snapshot")
        ),
        *(
            (
                f'{SHOP}snapshot = "web1.json"\n{key} = "1"\n'.replace('version = "22.1.0"\n', ""),
                f"shop.toml:13: {key}: not beside `snapshot`",
            )
            for key in ("version", "shipped")
        ),
        (SHOP.replace('version = "22.1.0"', 'snapshot = "a\\u0000b"'), "a\\x00b': no file can have this name"),
    ],
)
def test_a_mistake_is_told_with_its_place(load, text, told):
    with pytest.raises(PathError) as caught:
        load(text)
    assert told in str(caught.value)


def test_a_file_that_is_not_there():
    with pytest.raises(PathError, match="No such file"):
        file.load("/nonexistent/shop.toml")


SERVERS = (
    subject("server", "node a", {"program": "node", "version": [20, 20, 2], "idle_timeout_s": 5}),
    subject("server", "node b", {"program": "node", "version": [20, 20, 2], "idle_timeout_s": 65}),
)


@pytest.fixture
def joined(tmp_path, load):
    def read(*subjects, more=""):
        snapshot.save(snapshot_of(*subjects), str(tmp_path / "web1.json"))
        return load(f'[[hop]]\nkind = "alb"\n[[hop]]\nkind = "node"\nsnapshot = "web1.json"\n{more}')

    return read


def test_a_hop_of_a_snapshot(joined):
    hop = joined(SERVERS[1]).hops[1]
    assert hop.facts["server.idle_timeout_s"] == (65, "origin of idle_timeout_s")
    assert hop.version == (20, 20, 2)
    assert joined(SERVERS[1], more="idle_timeout_s = 70").hops[1].facts["server.idle_timeout_s"].value == 70


def test_of_several_servers_one_is_to_be_named(joined):
    with pytest.raises(
        PathError, match=r'shop\.toml:5: h has several servers of node: say which by take_server = "node a", "node b"'
    ):
        joined(*SERVERS)
    assert joined(*SERVERS, more='take_server = "node b"').hops[1].facts["server.idle_timeout_s"].value == 65
    with pytest.raises(PathError, match=r"shop\.toml:6: no server named 'node c'; there are \"node a\", \"node b\"$"):
        joined(*SERVERS, more='take_server = "node c"')


def test_a_snapshot_without_such_a_server(joined):
    with pytest.raises(PathError, match="h has no server of node; it has nginx"):
        joined(subject("server", "nginx", {"program": "nginx"}))
    with pytest.raises(PathError, match="h has no server of node; it has no servers"):
        joined()


def test_a_snapshot_that_is_none(load):
    with pytest.raises(SnapshotError, match=r"shop\.toml:5: snapshot: .*gone\.json: No such file"):
        load('[[hop]]\nkind = "alb"\n[[hop]]\nkind = "node"\nsnapshot = "gone.json"\n')


HUGE = {
    "parts": (".".join(["a"] * 20000) + " = 1", "shop.toml:13: a key of more than 10 parts"),
    "parts of a table": (f"[hop.{'a.' * 20000}b]", "shop.toml:13: a key of more than 10 parts"),
    "parts in a list": ("x = [{" + ".".join(["a"] * 20000) + " = 1}]", "shop.toml:13: a key of more than 10 parts"),
    "tables within tables": ("x = " + "{a = " * 50 + "1" + "}" * 50, "shop.toml:13: x.a.a.a"),
    "keys": ("\n".join(f"k{number} = 1" for number in range(50_000)), "shop.toml:8: hop 2: more than 200 keys"),
    "a key": (f"{'k' * 900_000} = 1", "shop.toml:13: kkk"),
    "a text": (f'shipped = "{"s" * 900_000}"', "shop.toml:13: shipped: a text of at most 4096 characters"),
    "the file": ("# " + "x" * (1 << 20), "shop.toml: larger than 1 MiB"),
}


@pytest.mark.parametrize(("more", "told"), HUGE.values(), ids=HUGE)
def test_what_is_huge_is_refused_at_once(load, more, told):
    start = time.monotonic()
    with pytest.raises(PathError) as caught:
        load(f"{SHOP}{more}\n")
    assert told in str(caught.value)
    assert time.monotonic() - start < 5


HEAD = '[[hop]]\nkind = "alb"\n'
PLACES = {
    "two sides": (HEAD + '[[hop]]\nkind = "nginx"\nserver.idle_timeout_s = 1\nupstream.idle_timeout_s = 2\n', {"server": 5, "upstream": 6}),
    "tables": (HEAD + '[[hop]]\nkind = "nginx"\n[hop.upstream]\nidle_timeout_s = 2\n\n[hop.server]\nidle_timeout_s = 1\n', {"server": 9, "upstream": 6}),
    "within a line": (HEAD + '[[hop]]\nkind = "nginx"\nserver = {header_timeout_s = 1, idle_timeout_s = 1}\nupstream . idle_timeout_s = 2\n', {"server": 5, "upstream": 6}),
    "a list of hops": ("hop = [{kind = 'alb'}, # one\n{kind = 'nginx', server.idle_timeout_s = 1,\nupstream = {idle_timeout_s = 2}}]\n".replace(",\nup", ", up"), {"server": 2, "upstream": 2}),
    "quotation marks": (HEAD + "[[ \"hop\" ]]\n'kind' = \"nginx\"\n'server'.\"idle_timeout_s\" = 1\n\"upstream.idle\\u005ftimeout_s\" = 2\n", {"server": 5, "upstream": 6}),
    "a hop within a text": (HEAD + 'name = """\n[[hop]]\n\\"""server.idle_timeout_s = 3\n"""\n[[hop]]\nkind = "nginx"\nname = \'\'\'\n[[hop]]\'\'\'\nserver.idle_timeout_s = 1\nupstream.idle_timeout_s = 2\n', {"server": 11, "upstream": 12}),
    "separators within a line": (HEAD + '[[hop]]\nkind = "nginx" # \u2028\nname = "\u2028 \x85"\nserver.idle_timeout_s = 1\r\nupstream.idle_timeout_s = 2\r\n', {"server": 6, "upstream": 7}),
    "of the path": ('[[hop]]\nkind = "alb"\n[[hop]]\nkind = "nginx"\nserver.idle_timeout_s = 1\n"upstream".idle_timeout_s = 2\n', {"server": 5, "upstream": 6}),
}  # fmt: skip


@pytest.mark.parametrize(("text", "lines"), PLACES.values(), ids=PLACES)
def test_each_value_has_its_own_line(tmp_path, text, lines):
    path = tmp_path / "shop.toml"
    path.write_bytes(text.encode())
    hop = file.load(str(path)).hops[1]
    assert {side: hop.facts[f"{side}.idle_timeout_s"] for side in lines} == {
        side: ({"server": 1, "upstream": 2}[side], f"{path}:{line}") for side, line in lines.items()
    }


def test_a_path_tells_where_its_hops_begin(load, tmp_path):
    assert load(SHOP).places == (f"{tmp_path}/shop.toml:4", f"{tmp_path}/shop.toml:8")


def test_a_file_is_read_once(tmp_path):
    """A pipe, as /dev/stdin is, tells its text only once."""
    read, write = os.pipe()
    os.write(write, SHOP.encode())
    os.close(write)
    assert [hop.name for hop in file.load(f"/dev/fd/{read}").hops] == ["alb", "app"]
    os.close(read)


@pytest.mark.parametrize(
    ("given", "apart"),
    [
        (("a", "a", "b"), ["a", "a 2", "b"]),
        (("a", "a", "a 2"), ["a", "a 3", "a 2"]),
        (("a 2", "a", "a", "a"), ["a 2", "a", "a 3", "a 4"]),
        (("a", "a", "a 2", "a 2"), ["a", "a 3", "a 2", "a 2 2"]),
    ],
)
def test_names_are_told_apart(load, given, apart):
    hops = [f'[[hop]]\nkind = "{"node" if last else "alb"}"\nname = "{name}"\n' for last, name in enumerate(given)]
    assert [hop.name for hop in load("".join(hops)).hops] == apart


FACTS = {
    "a number": ("server", {"idle_timeout_s": "65"}, "server node: idle_timeout_s: a number is needed, not '65'"),
    "no flag": ("server", {"idle_timeout_s": True}, "idle_timeout_s: a number is needed, not True"),
    "no list": ("server", {"header_timeout_s": [1, 2]}, "header_timeout_s: a number is needed, not (1, 2)"),
    "no number of hundreds of digits": ("server", {"backlog": 10**400}, "backlog: a number is needed, not 1000"),
    "a flag": ("server", {"so_keepalive": "yes"}, "so_keepalive: true or false is needed, not 'yes'"),
    "a text": ("upstream", {"mode": 7}, "upstream node: mode: a text is needed, not 7"),
    "of the kernel": ("netns", {"net.ipv4.tcp_keepalive_time": "x"}, "netns node: net.ipv4.tcp_keepalive_time: a number"),
    "of a listener": ("listener", {"smallest_backlog": "x"}, "listener node: smallest_backlog: a number is needed"),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "facts", "told"), FACTS.values(), ids=FACTS)
def test_facts_of_a_snapshot_of_a_wrong_type(joined, kind, facts, told):
    program = {"program": "node"} if kind in ("server", "upstream") else {}
    with pytest.raises(PathError) as caught:
        joined(SERVERS[1], subject(kind, "node", {**program, **facts}))
    assert "shop.toml:5: snapshot: " in str(caught.value)
    assert told in str(caught.value)


def test_traps_are_told_beside_a_snapshot_too(joined):
    (trap,) = joined(SERVERS[1], more="keepAliveTimeout = 65").hops[1].traps
    assert "shop.toml:6: keepAliveTimeout = 65 is in milliseconds" in trap
