"""Path files: what they give, and what each mistake is told to be, with file and line."""

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
        ("hop = 3\n", "shop.toml: hop: a list is needed"),
        ('[[hop]]\nkind = "alb"\n', "a path has 2 to 50 hops"),
        ("hop = [1, 2]\n", "hop 1: a table is needed, not 1"),
        ('colour = "red"\n' + SHOP, "shop.toml: colour: no such key"),
        (SHOP.replace("= 30", '= "30s"'), "shop.toml:2: slowest_response_s: seconds above 0 are needed"),
        (SHOP.replace("= 30", "= 0"), "shop.toml:2: slowest_response_s"),
        (SHOP.replace("= 30", '= "unlimited"'), "shop.toml:2: slowest_response_s"),
        (SHOP.replace('kind = "alb"\n', ""), "shop.toml:4: hop 1: kind: missing"),
        (SHOP.replace('"alb"', '"albb"'), "shop.toml:5: kind: no kind 'albb'; did you mean alb"),
        (SHOP.replace('"alb"', "7"), "shop.toml:4: hop 1: kind: a text is needed, not 7"),
        (SHOP.replace("= 90", "= 5000"), "shop.toml:6: idle_timeout.timeout_seconds: 5000 is not between 1 and 4000"),
        (SHOP.replace("= 90", '= "90s"'), "shop.toml:6: idle_timeout.timeout_seconds"),
        (SHOP.replace("keepAliveTimeout", "keepaliveTimeout"), "did you mean keepAliveTimeout?"),
        (SHOP.replace('"22.1.0"', '"latest"'), "shop.toml:11: version: a text such as"),
        (SHOP + 'take_server = "x"\n', "shop.toml:13: take_server: only of a `snapshot`"),
        (SHOP + 'shipped = "debian"\n', "shop.toml:13: shipped: "),
        (SHOP + 'terraform = "aws_lb.web"\n', "shop.toml:13: terraform: needs `--terraform plan.json`"),
        (SHOP + "[[hop]]\n[[", "not TOML"),
        ("[[hop]]\nx = " + "[" * 5000, "nested too deeply"),
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
    with pytest.raises(PathError, match=r"shop\.toml:6: no server named 'node c'"):
        joined(*SERVERS, more='take_server = "node c"')


def test_a_snapshot_without_such_a_server(joined):
    with pytest.raises(PathError, match="h has no server of node; it has nginx"):
        joined(subject("server", "nginx", {"program": "nginx"}))
    with pytest.raises(PathError, match="h has no server of node; it has no servers"):
        joined()


def test_a_snapshot_that_is_none(load):
    with pytest.raises(SnapshotError):
        load('[[hop]]\nkind = "alb"\n[[hop]]\nkind = "node"\nsnapshot = "gone.json"\n')
