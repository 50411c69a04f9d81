"""The catalog of hops: every kind of every file loads, says only what facts can hold, and says where it is from."""

import math
import re

import pytest

from audit_tcp import catalog
from audit_tcp.errors import ProfileError

NAMES = catalog.names()

FLAGS = {
    "reuse", "keepalive", "evicts", "honours_hint", "so_keepalive", "sends_close", "sends_reset", "pings_before_reuse",
    "validates_before_reuse", "ping_without_stream", "permit_ping_without_stream", "headers_timeout_bug",
    "h2_ignores_idle", "ignores_keepalive", "hint_replaces", "pings_in_request",
}  # fmt: skip
COUNTS = {"pool_size", "max_requests", "max_connections", "backlog", "keepcnt", "http_version"}
TEXTS = {"kind_of", "mode", "worker_class"}
TIMERS = {
    "idle_timeout_s", "max_age_s", "advertised_idle_s", "header_timeout_s", "body_timeout_s", "request_timeout_s",
    "send_timeout_s", "tunnel_timeout_s", "h2_idle_timeout_s", "connect_timeout_s", "response_timeout_s",
    "user_timeout_s", "keepidle_s", "keepintvl_s", "hint_buffer_s", "ping_interval_s", "min_ping_interval_s", "pool_purge_s", "hint_max_s", "backend_timeout_s",
}  # fmt: skip
FACTS = FLAGS | COUNTS | TEXTS | TIMERS

SIDES_OF = {
    "client": {"upstream"}, "middle": {"middle"}, "proxy": {"server", "upstream"}, "server": {"server"}, "database": {"server"},
}  # fmt: skip

SOURCE = re.compile(r"https?://\S+|deb:\S+|measured|commit \w+|\S+[ /][\w.\-/]+\.(java|go|js|py|c|h)\b")
"""A place that can be opened: an address, a package, a measurement, a file of a version."""


def fact_of(name):
    return name.partition(".")[2]


def sides_of(kind):
    return {name.partition(".")[0] for name in kind.defaults}


@pytest.fixture(params=NAMES)
def kind(request):
    return catalog.kind(request.param)


def test_each_kind_has_one_name_in_one_file():
    assert sorted(set(NAMES)) == NAMES
    assert [name for name in NAMES if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name)] == []


def test_a_kind_with_a_file_of_its_own_stands_in_it():
    assert [file for file in catalog._files() if file[:-5] in NAMES and file[:-5] not in catalog._tables(file)] == []


def test_each_kind_says_what_it_is(kind):
    assert kind.title
    assert kind.role in catalog.ROLES
    assert sides_of(kind) <= SIDES_OF[kind.role]
    assert not kind.note or kind.note.endswith(".")


def test_facts_are_known_and_of_their_type(kind):
    assert [name for name in kind.defaults if fact_of(name) not in FACTS] == []
    stated = [(name, value) for name, default in kind.defaults.items() for _, value in default.values]
    stated += [pair for shipped in kind.shipped.values() for pair in shipped.items()]
    wanted = [(FLAGS, bool), (TEXTS, str), (COUNTS | TIMERS, (int, float))]
    wrong = [
        (name, value)
        for name, value in stated
        for names, types in wanted
        if fact_of(name) in names and (not isinstance(value, types) or isinstance(value, bool) != (types is bool))
    ]
    assert wrong == []


def test_each_value_has_a_source_that_can_be_opened(kind):
    assert [(name, one.source) for name, one in kind.defaults.items() if not SOURCE.search(one.source)] == []
    assert [name for name, one in kind.defaults.items() if "unsourced" in one.source or "memory" in one.source] == []


def test_versions_ascend(kind):
    for default in kind.defaults.values():
        versions = [since for since, _ in default.values]
        assert versions == sorted(set(versions))


def test_settings_set_facts_of_the_kind_in_a_fitting_unit(kind):
    for name, setting in kind.settings.items():
        assert {one.partition(".")[0] for one in setting.sets} <= SIDES_OF[kind.role], name
        assert {fact_of(one) for one in setting.sets} <= FACTS, name
        timers = {fact_of(one) in TIMERS for one in setting.sets}
        assert len(timers) == 1, f"{name} sets timers and others"
        assert setting.factor in catalog.UNITS.values()


def test_timers_of_settings_have_a_unit():
    without = [
        (file, name, key)
        for file in catalog._files()
        for name, table in catalog._tables(file).items()
        for key, setting in table.get("setting", {}).items()
        if any(one.endswith("_s") for one in catalog.kind(name).settings[key].sets) != ("unit" in setting)
    ]
    assert without == []


def test_defaults_are_legal_where_a_setting_has_a_range(kind):
    for name, setting in kind.settings.items():
        for value in (value for one in setting.sets if one in kind.defaults for _, value in kind.defaults[one].values):
            if value == math.inf:  # the product writes it in a way of its own
                continue
            low, high = setting.range or (0, math.inf)
            assert low <= value / setting.factor <= high, name
            assert not setting.floor or value >= setting.floor[0], name


LOOKUPS = [  # kind, fact, version, value; a version None is unknown
    ("alb", "server.idle_timeout_s", None, 60),
    ("alb", "upstream.idle_timeout_s", None, 60),
    ("alb", "server.max_age_s", None, 3600),
    ("cloudfront", "upstream.idle_timeout_s", None, 5),
    ("gcp-alb", "upstream.idle_timeout_s", None, 600),
    ("gcp-alb-regional", "upstream.idle_timeout_s", None, 600),
    ("gcp-alb-regional", "server.idle_timeout_s", None, 600),
    ("nlb", "middle.idle_timeout_s", None, 350),
    ("nlb", "middle.sends_reset", None, False),
    ("ec2-conntrack", "middle.idle_timeout_s", None, 432000),
    ("ec2-conntrack-nitro-v6", "middle.idle_timeout_s", None, 350),
    ("ec2-conntrack-nitro-v6", "middle.kind_of", None, "conntrack"),
    ("azure-firewall", "middle.sends_reset", None, True),
    ("kube-ipvs", "middle.idle_timeout_s", None, 900),
    ("hikaricp", "upstream.ping_interval_s", (6, 2, 0), math.inf),
    ("hikaricp", "upstream.ping_interval_s", (6, 2, 1), 120),
    ("hikaricp", "upstream.ping_interval_s", None, None),
    ("hikaricp", "upstream.max_age_s", None, 1800),
    ("node-agent", "upstream.reuse", (18, 20, 8), False),
    ("node-agent", "upstream.reuse", (19,), True),
    ("node-agent", "upstream.idle_timeout_s", (18, 20, 8), None),
    ("node-agent", "upstream.honours_hint", (20, 19, 5), True),
    ("node-agent", "upstream.reuse", None, None),
    ("undici", "upstream.hint_buffer_s", (6, 14, 1), 1),
    ("undici", "upstream.hint_buffer_s", (6, 15, 0), 2),
    ("jdk-httpclient", "upstream.idle_timeout_s", (17, 0, 15), 1200),
    ("jdk-httpclient", "upstream.idle_timeout_s", (20,), 30),
    ("jdk-httpclient", "upstream.idle_timeout_s", None, None),
    ("redis-py", "upstream.so_keepalive", (7, 4, 0), False),
    ("redis-py", "upstream.so_keepalive", (8, 0, 0), True),
    ("redis-py", "upstream.keepidle_s", (8, 0, 1), None),
    ("redis-py", "upstream.keepidle_s", (8, 1, 0), 30),
    ("redis-py", "upstream.so_keepalive", None, None),
    ("dotnet-httpclient", "upstream.idle_timeout_s", (5,), 120),
    ("dotnet-httpclient", "upstream.idle_timeout_s", (6,), 60),
    ("dotnet-httpclient", "upstream.idle_timeout_s", None, None),
    ("go-http-client", "upstream.keepintvl_s", (1, 22, 10), 30),
    ("go-http-client", "upstream.keepintvl_s", (1, 23), 15),
    ("boto3", "upstream.so_keepalive", None, False),
    ("psycopg", "upstream.so_keepalive", None, True),
    ("redis", "server.so_keepalive", (3, 2, 0), False),
    ("redis", "server.so_keepalive", (3, 2, 1), True),
    ("redis", "server.keepidle_s", (3, 2, 0), None),
    ("redis", "server.keepidle_s", (7, 4), 300),
    ("postgresql", "server.idle_timeout_s", None, math.inf),
    ("mysql", "server.idle_timeout_s", None, 28800),
    ("aiohttp-apprunner", "server.idle_timeout_s", (3, 10, 11), 75),
    ("aiohttp-apprunner", "server.idle_timeout_s", (3, 11, 0), 3630),
    ("aiohttp-server", "server.idle_timeout_s", (3, 11, 0), 75),
    ("go-http-server", "server.keepcnt", (1, 22), None),
    ("grpc-go-server", "server.min_ping_interval_s", None, 300),
]


@pytest.mark.parametrize(("name", "fact", "version", "value"), LOOKUPS)
def test_values_by_version(name, fact, version, value):
    assert catalog.kind(name).defaults[fact].at(version) == value


SETTINGS = [  # kind, setting, what it sets, factor, unlimited, range, floor
    ("nlb", "tcp.idle_timeout.seconds", ("middle.idle_timeout_s",), 1, (), (60, 6000), None),
    ("azure-lb", "idleTimeoutInMinutes", ("middle.idle_timeout_s",), 60, (), (4, 100), None),
    ("azure-lb", "enableTcpReset", ("middle.sends_reset",), 1, (), None, None),
    ("alb", "client_keep_alive.seconds", ("server.max_age_s",), 1, (), (60, 604800), None),
    ("gcp-alb-regional", "httpKeepAliveTimeoutSec", ("server.idle_timeout_s",), 1, (), (5, 600), None),
    ("hikaricp", "maxLifetime", ("upstream.max_age_s",), 0.001, (0,), None, (30, 1800)),
    ("reactor-netty", "maxIdleTime", ("upstream.idle_timeout_s",), 0.001, (-1,), None, None),
    ("psycopg-pool", "tcp_user_timeout", ("upstream.user_timeout_s",), 0.001, (), (1, math.inf), None),
    ("postgresql", "idle_session_timeout", ("server.idle_timeout_s",), 0.001, (0,), None, None),
]


@pytest.mark.parametrize(("name", "key", "sets", "factor", "unlimited", "limits", "floor"), SETTINGS)
def test_settings_as_the_operator_writes_them(name, key, sets, factor, unlimited, limits, floor):
    setting = catalog.kind(name).settings[key]
    assert (setting.sets, setting.factor, setting.unlimited) == (sets, factor, unlimited)
    assert (setting.range, setting.floor) == (limits, floor)


@pytest.mark.parametrize(
    "name", ["", "nosuch", "kernel", "key", "../kernel", "cloud", "__init__", "alb ", "ALB", "a" * 100_000]
)
def test_an_unknown_kind_is_none(name):
    assert catalog.kind(name) is None


@pytest.mark.parametrize(
    "name", ["browser", "client", "http-client", "server", "service", "database", "proxy", "firewall", "cratedb"]
)
def test_generic_kinds_claim_nothing(name):
    assert catalog.kind(name).defaults == {}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A catalog of its own."""

    def forget():
        catalog.kind.cache_clear()
        catalog._tables.cache_clear()

    monkeypatch.setattr(catalog, "HERE", str(tmp_path))
    forget()
    yield tmp_path
    forget()


HEAD = '[x]\ntitle = "X"\nrole = "proxy"\n'
FACT = '[x.server.idle_timeout_s]\ndefault = 5\nsource = "s"\n'

REFUSED = [
    ("[x", "mine.toml: not TOML: "),
    (b"\xff", "mine.toml: not UTF-8 at byte 0"),
    ("x = 7", "mine.toml: x: a table is needed, not 7"),
    ('[x]\nrole = "proxy"', "mine.toml: x: title: missing"),
    ('[x]\ntitle = "X"', "mine.toml: x: role: missing"),
    ('[x]\ntitle = "X"\nrole = "balancer"', "mine.toml: x: role: 'balancer' is none of client, middle, proxy, server, database"),
    ('[x]\ntitle = 7\nrole = "proxy"', "mine.toml: x: title: a text is needed, not 7"),
    (HEAD + "sever = {}", "mine.toml: x: sever: no such key; there are title, role"),
    (HEAD + "server = 7", "mine.toml: x: server: a table is needed, not 7"),
    (HEAD + "[x.server]\nidle_timeout_s = 75", "mine.toml: x.server.idle_timeout_s: a table is needed, not 75"),
    (HEAD + "[x.server.idle_timeout_s]\ndefault = 75", "mine.toml: x.server.idle_timeout_s: source: missing"),
    (HEAD + '[x.server.idle_timeout_s]\nsource = "s"', "mine.toml: x.server.idle_timeout_s: default: missing"),
    (HEAD + FACT.replace('"s"', '" "'), "mine.toml: x.server.idle_timeout_s: source: a text that says where"),
    (HEAD + FACT.replace('"s"', "[]"), "mine.toml: x.server.idle_timeout_s: source: a text that says where"),
    (HEAD + FACT.replace('"s"', "[7]"), "mine.toml: x.server.idle_timeout_s: source: a text that says where"),
    (HEAD + FACT.replace('"s"', "7"), "mine.toml: x.server.idle_timeout_s: source: a text or a list is needed, not 7"),
    *(
        (HEAD + FACT.replace("5", value), f'mine.toml: x.server.idle_timeout_s: default: {told}')
        for value, told in [
            ("-1", 'seconds from 0 or "unlimited" are needed, not -1'),
            ("nan", 'seconds from 0 or "unlimited" are needed, not nan'),
            ("inf", 'seconds from 0 or "unlimited" are needed, not inf'),
            ("true", 'seconds from 0 or "unlimited" are needed, not True'),
            ('"never"', 'seconds from 0 or "unlimited" are needed, not \'never\''),
            ("2026-12-31", 'seconds from 0 or "unlimited" are needed'),
            ("{ a = 1 }", 'seconds from 0 or "unlimited" are needed'),
            ("[]", "versions are needed, the oldest first, not []"),
            ("[[0], 75]", "[[since version], value] for each change is needed, not [0]"),
            ("[[0, 75]]", "[[since version], value] for each change is needed, not [0, 75]"),
            ("[[[], 75]]", "[[since version], value] for each change is needed"),
            ('[[["1"], 75]]', "a version such as [1, 19, 10] is needed, not ['1']"),
            ("[[[1], 75], [[1], 76]]", "versions are needed, the oldest first"),
            ("[[[2], 75], [[1, 9], 76]]", "versions are needed, the oldest first"),
            ('[[[1], 75], [[2], "off"]]', 'seconds from 0 or "unlimited" are needed, not \'off\''),
        ]
    ),
    (HEAD + FACT.replace("idle_timeout_s", "backlog").replace("5", "-1"), "mine.toml: x.server.backlog: default: a number from 0"),
    (HEAD + FACT.replace("idle_timeout_s", "mode").replace("5", '""'), "mine.toml: x.server.mode: default: a number from 0"),
    (HEAD + FACT.replace("server", "middle"), "mine.toml: x: middle: a hop of this role has facts of server and upstream"),
    *(
        (HEAD + f"[x.setting.k]\n{text}", f"mine.toml: x.setting.k: {told}")
        for text, told in [
            ('unit = "s"', "sets: missing"),
            ('sets = "server.a_s"\nunit = "sec"', "unit: 'sec' is none of ms, s, min, h"),
            ('sets = "idle_timeout_s"', "sets: a fact such as server.idle_timeout_s is needed, not 'idle_timeout_s'"),
            ('sets = "middle.idle_timeout_s"', "sets: a fact such as server.idle_timeout_s is needed"),
            ("sets = [7]", "sets: a fact such as server.idle_timeout_s is needed, not 7"),
            ("sets = []", "sets: a fact such as server.idle_timeout_s is needed, not ''"),
            ('sets = "server.a"\nunlimited = [true]', "unlimited: values of this setting are needed, not [True]"),
            ('sets = "server.a"\nunlimited = [[1]]', "unlimited: values of this setting are needed"),
            ('sets = "server.a"\nunlimited = 0', "unlimited: a list is needed, not 0"),
            ('sets = "server.a"\nrange = [1]', "range: two numbers, the lower first, are needed, not [1]"),
            ('sets = "server.a"\nrange = [2, 1]', "range: two numbers, the lower first, are needed, not [2, 1]"),
            ('sets = "server.a"\nrange = [0, nan]', "range: two numbers, the lower first, are needed"),
            ('sets = "server.a"\nrange = ["1", 2]', "range: two numbers, the lower first, are needed"),
            ('sets = "server.a"\nfloor = [30]', "floor: two numbers of seconds are needed, not [30]"),
            ('sets = "server.a"\nfloor = [30, -1]', "floor: two numbers of seconds are needed, not [30, -1]"),
            ('sets = "server.a"\nsource = "s"', "source: no such key; there are sets, unit, unlimited, range, floor"),
        ]
    ),
    (HEAD + "[x.setting]\nk = 7", "mine.toml: x.setting.k: a table is needed, not 7"),
    (HEAD + "[x.shipped]\ndebian = 7", "mine.toml: x.shipped.debian: a table is needed, not 7"),
    (HEAD + "[x.shipped.debian]\nserver = 7", "mine.toml: x.shipped.debian: server: a table is needed, not 7"),
    (HEAD + "[x.shipped.debian.server]\nidle_timeout_s = -5", "mine.toml: x.shipped.debian.server.idle_timeout_s: seconds from 0"),
    (HEAD + "[x.shipped.debian.middle]\nidle_timeout_s = 5", "mine.toml: x.shipped.debian: middle: a hop of this role"),
    (HEAD + 'like = "y"', "mine.toml: x: like: 'y' is no kind of this file with facts of its own"),
    (HEAD + 'like = "x"', "mine.toml: x: like: 'x' is no kind of this file with facts of its own"),
    ('y = 7\n[x]\ntitle = "X"\nlike = "y"', "mine.toml: x: like: 'y' is no kind of this file"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), REFUSED)
def test_what_cannot_be_is_refused_with_file_and_key(folder, text, told):
    (folder / "mine.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ProfileError) as error:
        catalog.kind("x")
    assert told in str(error.value)


def test_a_kind_like_another_takes_what_it_does_not_say_itself(folder):
    text = HEAD + FACT + '[x.setting.a]\nsets = "server.idle_timeout_s"\nunit = "s"\n'
    text += '[y]\ntitle = "Y"\nlike = "x"\n[y.server.max_age_s]\ndefault = 9\nsource = "t"\n'
    text += '[z]\ntitle = "Z"\nlike = "x"\n' + FACT.replace("x", "z").replace("5", '"unlimited"')
    (folder / "mine.toml").write_text(text)
    y, z = catalog.kind("y"), catalog.kind("z")
    assert {name: one.values for name, one in y.defaults.items()} == {
        "server.idle_timeout_s": (((0,), 5),),
        "server.max_age_s": (((0,), 9),),
    }
    assert (y.title, y.role, list(y.settings)) == ("Y", "proxy", ["a"])
    assert z.defaults["server.idle_timeout_s"].at(None) == math.inf


def test_a_file_of_its_own_name_is_the_only_one_that_is_read(folder):
    (folder / "x.toml").write_text(HEAD)
    (folder / "broken.toml").write_text("[")
    assert catalog.kind("x").title == "X"


@pytest.mark.parametrize(
    ("steps", "version", "value"),
    [
        ([((0,), 100), ((1, 19, 10), 1000)], (1, 19, 9), 100),
        ([((0,), 100), ((1, 19, 10), 1000)], (1, 19, 10), 1000),
        ([((0,), 100), ((1, 19, 10), 1000)], (2,), 1000),
        ([((0,), 100), ((1, 19, 10), 1000)], None, None),
        ([((0,), 100), ((2,), 7), ((3,), 100)], None, None),
        ([((2, 0), 7)], (2,), 7),
        ([((2, 0), 7)], (1, 9), None),
        ([((2, 0), 7)], None, 7),
        ([((0,), False)], None, False),
    ],
)
def test_a_value_by_version(steps, version, value):
    assert catalog.Default(tuple(steps), "s").at(version) == value
