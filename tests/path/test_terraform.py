"""Hops and paths of Terraform plans: real ones of the AWS provider (plans/), and made ones for what these do not show."""

import copy
import json
import math
import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from audit_tcp import defaults, profile, snapshot
from audit_tcp.cli import main
from audit_tcp.cli._options import EXIT_FINDINGS
from audit_tcp.errors import PathError
from audit_tcp.path import file, judging, terraform
from builders import snapshot_of, subject

PLANS = Path(__file__).with_name("plans")
SHOP, STATE = str(PLANS / "shop.json"), str(PLANS / "state.json")
SECRETS = ("hunter2", "aHVudGVyMi1")
MQTT = 'module.tcp["mqtt"].aws_lb'


def server(program, port, idle, name=None, **facts):
    listen = facts.pop("listen", [f"*:{port}"])
    return subject(
        "server", name or f"{program} *:{port}", {"program": program, "listen": listen, "idle_timeout_s": idle, **facts}
    )


def a_host(*subjects, name="web1"):
    return defaults.fill(snapshot_of(*subjects, host=name))


WEB = a_host(server("nginx", 80, 75))
POOL = subject(
    "upstream",
    "nginx app",
    {
        "program": "nginx",
        "addresses": ["127.0.0.1:9000"],
        "pool_size": 32,
        "http_version": 1.1,
        "sends_close": False,
        "idle_timeout_s": 60,
    },
)


def resource(address, **values):
    """A resource; expressions as `attribute=Ref(...)`, also in blocks."""
    kind, _, name = address.rpartition("[")[0].rpartition(".") if address.endswith("]") else address.rpartition(".")
    found = {
        "address": address,
        "mode": "managed",
        "type": kind.rpartition(".")[2],
        "name": name,
        "values": {},
        "expressions": {},
    }
    for key, value in values.items():
        known, expression = parted(value)
        if known is not None:
            found["values"][key] = known
        found["expressions"][key] = expression
    return found


class Ref(tuple):
    """What an expression refers to."""


def parted(value):
    if isinstance(value, Ref):
        return None, {"references": list(value)}
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        blocks = [{key: parted(one) for key, one in block.items()} for block in value]
        known = [{key: pair[0] for key, pair in block.items() if pair[0] is not None} for block in blocks]
        return known, [{key: pair[1] for key, pair in block.items()} for block in blocks]
    return value, {"constant_value": value}


def plan_of(*resources, modules=(), calls=None, variables=None):
    """A plan of resources at its top and in modules {address: resources}; `calls` is their configuration."""
    top = [{key: one for key, one in found.items() if key != "expressions"} for found in resources]
    below = [
        {"address": address, "resources": [dict(one, address=f"{address}.{one['address']}") for one in found]}
        for address, found in modules
    ]
    return {
        "format_version": "1.2",
        "planned_values": {"root_module": {"resources": top, "child_modules": below}},
        "configuration": {"root_module": {"resources": configured(*resources), "module_calls": calls or {}}},
    }


def configured(*resources):
    return [{"address": one["address"].partition("[")[0], "expressions": one["expressions"]} for one in resources]


def loaded(tmp_path, document):
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(document))
    return terraform.load(str(path))


def names(plan, *snapshots):
    return [path.name for path in terraform.paths(plan, snapshots)]


def failing(path):
    report = judging.report(path, profile.load("path"), "2026-11-20T00:00:00Z")
    return {finding.rule.id for finding in report.findings if finding.verdict == "fail"}


HOPS = [
    ("aws_lb.web", "alb", {"server.idle_timeout_s": 120, "upstream.idle_timeout_s": 120, "server.max_age_s": 3600}, "aws_lb.web idle_timeout (shop.json)"),
    ("aws_lb.shared", "alb", {"upstream.idle_timeout_s": 60}, "aws_lb.shared idle_timeout (shop.json)"),
    ("aws_lb_listener.tls", "alb", {"upstream.idle_timeout_s": 120}, "aws_lb_listener.tls idle_timeout (shop.json)"),
    ("aws_elb.old", "clb", {"server.idle_timeout_s": 300, "upstream.idle_timeout_s": 300}, "aws_elb.old idle_timeout (shop.json)"),
    (f"{MQTT}.this", "nlb", {"middle.idle_timeout_s": 3600}, f"{MQTT}.this tcp_idle_timeout_seconds (shop.json)"),
    (f"{MQTT}_listener.this", "nlb", {"middle.idle_timeout_s": 3600}, f"{MQTT}_listener.this tcp_idle_timeout_seconds (shop.json)"),
    ("aws_lb.front", "nlb", {}, ""),
    ("aws_cloudfront_distribution.cdn", "cloudfront", {"upstream.idle_timeout_s": 60, "upstream.response_timeout_s": 30}, "aws_cloudfront_distribution.cdn origin_keepalive_timeout (shop.json)"),
    ("aws_nat_gateway.out", "nat-gateway", {}, ""),
    ("aws_networkfirewall_firewall_policy.edge", "network-firewall", {"middle.idle_timeout_s": 600}, "aws_networkfirewall_firewall_policy.edge tcp_idle_timeout_seconds (shop.json)"),
    ("aws_launch_template.broker", "ec2-conntrack", {"middle.idle_timeout_s": 350}, "aws_launch_template.broker tcp_established_timeout (shop.json)"),
]  # fmt: skip


@pytest.mark.parametrize(("address", "kind", "facts", "origin"), HOPS, ids=[one[0] for one in HOPS])
def test_a_resource_is_a_hop_with_what_the_plan_states(address, kind, facts, origin):
    hop = terraform.load(SHOP).hop(address, "shop.toml:3")
    assert hop.kind.name == kind
    assert {key: hop.facts[key].value for key in facts} == facts
    assert bool(hop.facts) == bool(facts)
    assert not facts or origin in {fact.origin for fact in hop.facts.values()}


@pytest.mark.parametrize("address", ["aws_lb.web", "data.aws_lb.found"])
def test_a_state_tells_it_too_and_what_is_read_as_data(address):
    hop = terraform.load(STATE).hop(address, "shop.toml:3")
    assert hop.facts["server.idle_timeout_s"] == (120, f"{address} idle_timeout (state.json)")


REFUSED = [
    ("aws_lb.wbe", ["shop.toml:3: terraform: ", "has no aws_lb.wbe; did you mean", "aws_lb.web"]),
    ("aws_lb_target_group.web", ["shop.toml:3: terraform: ", "aws_lb_target_group is no hop; aws_lb, "]),
    ("\x1b[31m" * 1000, ["has no "]),
    ("", ["has no ;"]),
]


@pytest.mark.parametrize(("address", "told"), REFUSED, ids=["mistyped", "no hop", "hostile", "empty"])
def test_an_address_that_is_no_hop_is_refused_with_those_near(address, told):
    with pytest.raises(PathError) as caught:
        terraform.load(SHOP).hop(address, "shop.toml:3")
    assert all(part in str(caught.value) for part in told)
    assert len(str(caught.value)) < 1000


BROKEN = [
    (b"{\n  ]", ":2:3: not JSON: "),
    (b"\xff{}", "not UTF-8 at byte 0"),
    (b"PK\x03\x04", "terraform show -json"),
    (b"[]", "neither a plan nor a state: the output of `terraform show -json` is needed"),
    (b'{"version": 4, "serial": 3, "lineage": "x", "resources": []}', "a state as Terraform keeps it: the output of"),
    (b'{"format_version": "1.0"}', "a plan or state without resources"),
    (b'{"a":' * 200_000, "no"),
    (b"[" * 5_000_000, "more than 4000000 parts"),
    (b'{"values": {"root_module": {"resources": [{"type": "aws_lb"}]}}}', "a resource has no `address` and `type`"),
    (b'{"values": {"root_module": {"address": 3}}}', "a module's address: a text is needed"),
    (b'{"values": ' + b"9" * 5000 + b"}", "a number is too long"),
]


@pytest.mark.parametrize(("data", "told"), BROKEN, ids=range(len(BROKEN)))
def test_what_is_no_plan_is_refused_with_the_reason(tmp_path, data, told):
    path = tmp_path / "plan.json"
    path.write_bytes(data)
    with pytest.raises(PathError) as caught:
        terraform.load(str(path))
    assert str(caught.value).startswith(str(path))
    assert told in str(caught.value)


def test_a_missing_plan_and_modules_without_end(tmp_path):
    with pytest.raises(PathError, match="No such file"):
        terraform.load(str(tmp_path / "none.json"))
    module = {"address": "module.a"}
    for _ in range(40):
        module = {"address": "module.a", "child_modules": [module]}
    with pytest.raises(PathError, match="more than 30 modules"):
        loaded(tmp_path, {"values": {"root_module": module}})


SHOP_PATHS = [
    "aws_cloudfront_distribution.cdn -> aws_lb.web -> nginx *:80 (web1)",
    "aws_cloudfront_distribution.cdn -> aws_lb.web -> aws_lb_target_group.api[0]",
    "aws_cloudfront_distribution.cdn -> aws_lb.web -> aws_lb_target_group.api[1]",
    "aws_elb.old -> target of aws_elb.old",
    "aws_lb.dyn -> aws_lb_target_group.dyn",
    "client -> aws_lb.front -> aws_lb.shared -> target of aws_lb.shared",
    f"client -> {MQTT}.this -> aws_launch_template.broker -> aws_lb_target_group.mqtt",
]


def test_the_paths_of_a_plan():
    assert names(terraform.load(SHOP), WEB) == SHOP_PATHS


def test_the_paths_of_a_state():
    assert names(terraform.load(STATE), WEB) == [
        "client -> aws_lb.tcp -> aws_lb_target_group.tcp",
        "aws_lb.web -> nginx *:80 (web1)",
    ]


JOINED = {
    "nothing known": ([], ["aws_lb_target_group.web"]),
    "no port fits": ([a_host(server("nginx", 81, 75))], ["aws_lb_target_group.web"]),
    "only for itself": ([a_host(server("nginx", 80, 75, listen=["127.0.0.1:80", "unix:/run/80"]))], ["aws_lb_target_group.web"]),
    "an address of its own": ([a_host(server("nginx", 80, 75, listen=["10.0.0.5:80"]))], ["nginx *:80 (web1)"]),
    "IPv6": ([a_host(server("apache", 80, 5, listen=["[::]:80"]))], ["apache *:80 (web1)"]),
    "hosts": ([WEB, a_host(server("nginx", 80, 75), name="web2")], ["nginx *:80 (web1)", "nginx *:80 (web2)"]),
    "servers that differ": ([a_host(server("nginx", 80, 75, "a"), server("nginx", 80, 5, "b"), server("nginx", 80, 75, "c"))], ["a (web1)", "b (web1)"]),
    "a program that nobody knows": ([a_host(server("mine", 80, 5))], ["mine *:80 (web1)"]),
    "a client as program": ([a_host(server("requests", 80, 5))], ["requests *:80 (web1)"]),
    "and what is behind": ([a_host(server("nginx", 80, 75), POOL, server("tomcat", 9000, 20))], ["nginx *:80 (web1) -> tomcat *:9000 (web1)"]),
    "behind in another namespace": ([a_host(server("nginx", 80, 75), POOL, server("tomcat", 9000, 20, netns="x"))], ["nginx *:80 (web1)"]),
}  # fmt: skip


@pytest.mark.parametrize(("hosts", "ends"), JOINED.values(), ids=JOINED)
def test_servers_of_the_snapshots_are_the_targets_whose_port_they_listen_on(tmp_path, hosts, ends):
    plan = loaded(tmp_path, web_plan(120))
    assert names(plan, *hosts) == [f"aws_lb.web -> {end}" for end in ends]


def web_plan(idle, *more, **values):
    to = Ref(("aws_lb_target_group.web.arn", "aws_lb_target_group.web"))
    return plan_of(
        resource("aws_lb.web", idle_timeout=idle, load_balancer_type="application"),
        resource(
            "aws_lb_listener.web",
            load_balancer_arn=Ref(("aws_lb.web.arn", "aws_lb.web")),
            protocol="HTTP",
            default_action=[{"type": "forward", "target_group_arn": to}],
        ),
        resource("aws_lb_target_group.web", **{"port": 80, "protocol": "HTTP", "target_type": "instance", **values}),
        *more,
    )


@pytest.mark.parametrize(("idle", "found"), [(120, True), (75, True), (74, False), (60, False), (None, False)])
def test_a_balancer_that_outlives_the_server_is_found_and_the_mended_one_passes(tmp_path, idle, found):
    (path,) = terraform.paths(loaded(tmp_path, web_plan(idle)), [WEB])
    assert ("backend-closes-first" in failing(path)) is found


def test_a_real_plan_is_inverted_until_the_server_is_mended():
    for idle, found in ((75, {"backend-closes-first"}), (125, set())):
        path = next(terraform.paths(terraform.load(SHOP), [a_host(server("nginx", 80, idle))]))
        assert failing(path) == found


def test_tracking_that_forgets_before_the_balancer_is_found():
    path = list(terraform.paths(terraform.load(SHOP), []))[-1]
    assert failing(path) == {"conntrack-shorter-than-balancer"}


def test_where_the_path_ends_at_a_proxy_its_pools_are_not_judged(tmp_path):
    (path,) = terraform.paths(
        loaded(tmp_path, web_plan(60)),
        [
            a_host(
                server("nginx", 80, 75),
                subject("upstream", "nginx away", {"program": "nginx", "addresses": ["10.9.9.9:80"]}),
            )
        ],
    )
    assert not any(key.startswith("upstream.") for key in path.hops[-1].facts)


ATTACH = {"target_group_arn": Ref(("aws_lb_target_group.web.arn", "aws_lb_target_group.web"))}
SCALED = Ref(("aws_autoscaling_group.g.name", "aws_autoscaling_group.g"))
TEMPLATE = {"network_interfaces": [{"connection_tracking_specification": [{"tcp_established_timeout": 400}]}]}
NETWORK = (
    resource("aws_lb.tcp", load_balancer_type="network"),
    resource("aws_lb_listener.tcp", load_balancer_arn=Ref(("aws_lb.tcp.arn", "aws_lb.tcp")), protocol="TCP", tcp_idle_timeout_seconds=900,
             default_action=[{"target_group_arn": Ref(("aws_lb_target_group.tcp.arn", "aws_lb_target_group.tcp"))}]),
    resource("aws_lb_target_group.tcp", port=9000, protocol="TCP", target_type="ip"),
)  # fmt: skip
GROUP_TCP = Ref(("aws_lb_target_group.tcp.arn", "aws_lb_target_group.tcp"))
LAUNCHED = [{"id": Ref(("aws_launch_template.t.id", "aws_launch_template.t"))}]
WAYS = {
    "a port of an attachment": (web_plan(60, resource("aws_lb_target_group_attachment.a", port=8080, **ATTACH), port=1), [a_host(server("tomcat", 8080, 75))], ["aws_lb.web -> tomcat *:8080 (web1)"]),
    "a function": (web_plan(60, target_type="lambda", port=None), [], ["aws_lb.web -> aws_lb_target_group.web"]),
    "a gateway": (plan_of(resource("aws_lb.g", load_balancer_type="gateway")), [WEB], ["client -> aws_lb.g -> target of aws_lb.g"]),
    "a balancer alone": (plan_of(resource("aws_lb.a", idle_timeout=60)), [WEB], ["aws_lb.a -> target of aws_lb.a"]),
    "a classic one": (plan_of(resource("aws_elb.a", idle_timeout=60, listener=[{"instance_port": 80}, {"instance_port": 443}])), [WEB], ["aws_elb.a -> nginx *:80 (web1)"]),
    "a network balancer": (plan_of(*NETWORK), [a_host(server("tomcat", 9000, 20))], ["client -> aws_lb.tcp -> tomcat *:9000 (web1)"]),
    "UDP alone": (plan_of(NETWORK[0], dict(NETWORK[1], values={"protocol": "UDP"}), NETWORK[2]), [a_host(server("tomcat", 9000, 20))], ["client -> aws_lb.tcp -> target of aws_lb.tcp"]),
    "scaled instances": (plan_of(*NETWORK, resource("aws_launch_template.t", **TEMPLATE), resource("aws_autoscaling_group.g", launch_template=LAUNCHED), resource("aws_autoscaling_attachment.x", lb_target_group_arn=GROUP_TCP, autoscaling_group_name=SCALED)), [], ["client -> aws_lb.tcp -> aws_launch_template.t -> aws_lb_target_group.tcp"]),
    "an instance": (plan_of(*NETWORK, resource("aws_launch_template.t", **TEMPLATE), resource("aws_instance.i", launch_template=LAUNCHED), resource("aws_lb_target_group_attachment.x", target_group_arn=GROUP_TCP, target_id=Ref(("aws_instance.i.id", "aws_instance.i")))), [], ["client -> aws_lb.tcp -> aws_launch_template.t -> aws_lb_target_group.tcp"]),
    "a template that states nothing": (plan_of(*NETWORK, resource("aws_launch_template.t"), resource("aws_autoscaling_group.g", launch_template=LAUNCHED, target_group_arns=GROUP_TCP)), [], ["client -> aws_lb.tcp -> aws_lb_target_group.tcp"]),
}  # fmt: skip


@pytest.mark.parametrize(("document", "hosts", "expected"), WAYS.values(), ids=WAYS)
def test_ways_through_a_plan(tmp_path, document, hosts, expected):
    assert names(loaded(tmp_path, document), *hosts) == expected


ORIGIN = {"origin_id": "web", "custom_origin_config": [{"origin_keepalive_timeout": 20, "origin_read_timeout": 40}]}
TO_WEB = Ref(("aws_lb.web.dns_name", "aws_lb.web"))
CDN = {
    "by reference": ([dict(ORIGIN, domain_name=TO_WEB)], [], "aws_lb.web -> target of aws_lb.web"),
    "by the name of a zone's record": ([dict(ORIGIN, domain_name=Ref(("aws_route53_record.o.fqdn", "aws_route53_record.o")))], [resource("aws_route53_record.o", alias=[{"name": TO_WEB}])], "aws_lb.web -> target of aws_lb.web"),
    "inside the VPC": ([{"origin_id": "v", "domain_name": "x", "vpc_origin_config": [{"origin_keepalive_timeout": 20, "origin_read_timeout": 40, "vpc_origin_id": Ref(("aws_cloudfront_vpc_origin.o.id", "aws_cloudfront_vpc_origin.o"))}]}], [resource("aws_cloudfront_vpc_origin.o", vpc_origin_endpoint_config=[{"arn": Ref(("aws_lb.web.arn", "aws_lb.web"))}])], "aws_lb.web -> target of aws_lb.web"),
    "elsewhere": ([dict(ORIGIN, domain_name="elsewhere.example")], [], "origin"),
    "one of several": ([{"origin_id": "s3", "domain_name": "s3"}, dict(ORIGIN, domain_name=TO_WEB)], [], "aws_lb.web -> target of aws_lb.web"),
}  # fmt: skip


@pytest.mark.parametrize(("origins", "more", "rest"), CDN.values(), ids=CDN)
def test_a_cdn_leads_to_the_balancer_that_is_its_origin(tmp_path, origins, more, rest):
    plan = loaded(
        tmp_path,
        plan_of(
            resource("aws_cloudfront_distribution.c", origin=origins), resource("aws_lb.web", idle_timeout=60), *more
        ),
    )
    first = next(terraform.paths(plan, []))
    assert first.name == f"aws_cloudfront_distribution.c -> {rest}"
    assert [first.hops[0].facts[f"upstream.{fact}"].value for fact in ("idle_timeout_s", "response_timeout_s")] == [
        20,
        40,
    ]


def test_origins_of_a_cdn_have_timers_of_their_own_and_the_hop_the_worst_of_them(tmp_path):
    longer = {
        "origin_id": "api",
        "domain_name": "api.example",
        "custom_origin_config": [{"origin_keepalive_timeout": 55, "origin_read_timeout": 50}],
    }
    plan = loaded(
        tmp_path,
        plan_of(
            resource("aws_cloudfront_distribution.c", origin=[longer, dict(ORIGIN, domain_name=TO_WEB)]),
            resource("aws_lb.web", idle_timeout=60),
        ),
    )
    assert [path.hops[0].facts["upstream.idle_timeout_s"].value for path in terraform.paths(plan, [])] == [55, 20]
    worst = plan.hop("aws_cloudfront_distribution.c", "x").facts
    assert worst["upstream.idle_timeout_s"] == (
        55,
        "aws_cloudfront_distribution.c origin_keepalive_timeout (plan.json), the longest of several",
    )
    assert worst["upstream.response_timeout_s"].value == 40


KEYS = ("a", "b")


def in_modules():
    """A module for each key with a balancer; a listener and a target group of that key at the top."""
    inside = resource("aws_lb.this", idle_timeout=60)
    group = Ref(("aws_lb_target_group.g", "each.key"))
    listener = {
        "load_balancer_arn": Ref(("module.edge.arn", "module.edge", "each.key")),
        "default_action": [{"target_group_arn": group}],
    }
    top = [resource(f'aws_lb_listener.l["{key}"]', **listener) for key in KEYS]
    top += [resource(f'aws_lb_target_group.g["{key}"]', port=80, protocol="HTTP") for key in KEYS]
    for one in top:
        one["index"] = one["address"][-3]
    outputs = {"arn": {"expression": {"references": ["aws_lb.this.arn", "aws_lb.this"]}}}
    calls = {"edge": {"module": {"resources": configured(inside), "outputs": outputs}}}
    return plan_of(*top, modules=[(f'module.edge["{key}"]', [inside]) for key in KEYS], calls=calls)


def test_instances_of_one_key_belong_together(tmp_path):
    expected = [f'module.edge["{key}"].aws_lb.this -> aws_lb_target_group.g["{key}"]' for key in KEYS]
    assert names(loaded(tmp_path, in_modules())) == expected


def test_variables_and_outputs_that_refer_to_one_another_without_end(tmp_path):
    circle = {
        "a": {
            "expressions": {"x": {"references": ["module.a.y"]}},
            "module": {"outputs": {"y": {"expression": {"references": ["var.x", "module.b.y"] * 50}}}},
        }
    }
    listener = resource("aws_lb_listener.l", load_balancer_arn=Ref(("module.a.y",)))
    assert names(loaded(tmp_path, plan_of(listener, resource("aws_lb.web"), calls=circle))) == [
        "aws_lb.web -> target of aws_lb.web"
    ]


def test_a_balancer_that_is_its_own_target_ends(tmp_path):
    document = plan_of(
        resource("aws_lb.a", load_balancer_type="network"),
        resource(
            "aws_lb_listener.a",
            load_balancer_arn=Ref(("aws_lb.a",)),
            default_action=[{"target_group_arn": Ref(("aws_lb_target_group.a",))}],
        ),
        resource("aws_lb_target_group.a", target_type="alb", port=80),
        resource(
            "aws_lb_target_group_attachment.a",
            target_group_arn=Ref(("aws_lb_target_group.a",)),
            target_id=Ref(("aws_lb.a",)),
        ),
        resource("aws_lb.b"),
    )
    assert names(loaded(tmp_path, document)) == ["aws_lb.b -> target of aws_lb.b"]


UNKNOWN = {
    "after apply only": ({"idle_timeout": Ref(("data.external.x.result",))}, None),
    "sensitive": ({"idle_timeout": 4000}, {"idle_timeout": True}),
}


@pytest.mark.parametrize(("values", "sensitive"), UNKNOWN.values(), ids=UNKNOWN)
def test_a_timer_that_is_not_known_is_not_taken_for_the_default(tmp_path, values, sensitive):
    plan = loaded(tmp_path, plan_of(dict(resource("aws_lb.web", **values), sensitive_values=sensitive or {})))
    with pytest.raises(
        PathError, match=r'x:1: aws_lb\.web: idle_timeout is sensitive or known after apply only: write kind = "alb"'
    ):
        plan.hop("aws_lb.web", "x:1")
    (path,) = terraform.paths(plan, [])
    assert "upstream.idle_timeout_s" not in path.hops[0].facts
    assert path.hops[0].facts["server.max_age_s"].value == 3600


WRONG = {
    "a text": ({"idle_timeout": "hunter2"}, "aws_lb.web: idle_timeout: a number is needed"),
    "out of range": ({"idle_timeout": 5000}, "5000 is not between 1 and 4000"),
    "a number without end": ({"idle_timeout": math.inf}, "a number is needed"),
    "a type that is not known": ({"load_balancer_type": ["application"]}, "load_balancer_type: none of application"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "told"), WRONG.values(), ids=WRONG)
def test_a_value_that_the_provider_would_refuse(tmp_path, values, told):
    with pytest.raises(PathError, match=told) as caught:
        names(loaded(tmp_path, plan_of(resource("aws_lb.web", **values))))
    assert "hunter2" not in str(caught.value)


def test_no_balancer_and_too_many_paths(tmp_path):
    with pytest.raises(PathError, match="no balancer"):
        names(loaded(tmp_path, plan_of(resource("aws_nat_gateway.out"))))
    many = plan_of(*(resource(f"aws_lb.web[{number}]", idle_timeout=60) for number in range(1001)))
    with pytest.raises(PathError, match="more than 1000 paths"):
        names(loaded(tmp_path, many))


def test_secrets_of_a_plan_reach_nothing():
    text = Path(SHOP).read_text()
    assert all(secret in text for secret in SECRETS)
    plan = terraform.load(SHOP)
    shown = repr([*terraform.paths(plan, [WEB]), *(plan.hop(one[0], "x") for one in HOPS)])
    assert not any(secret in shown for secret in SECRETS)


def test_a_large_plan_takes_time_in_proportion(tmp_path):
    lines = []
    for number in range(900):
        lines += [
            resource(f"aws_lb.l[{number}]", idle_timeout=60),
            resource(
                f"aws_lb_listener.l[{number}]",
                load_balancer_arn=Ref((f"aws_lb.l[{number}].arn",)),
                default_action=[{"target_group_arn": Ref((f"aws_lb_target_group.l[{number}].arn",))}],
            ),
            resource(f"aws_lb_target_group.l[{number}]", port=80),
            *(resource(f"aws_instance.i[{number * 10 + i}]", instance_type="m5.large") for i in range(10)),
        ]
    document = plan_of(*lines)
    listeners = {one["address"]: one["expressions"] for one in lines if one["type"] == "aws_lb_listener"}
    for one in document["planned_values"]["root_module"]["resources"]:
        if one["type"] == "aws_lb_listener":
            one["values"]["load_balancer_arn"] = listeners[one["address"]]["load_balancer_arn"]["references"][0]
    began = time.process_time()
    assert len(names(loaded(tmp_path, document), WEB)) == 900
    assert time.process_time() - began < 20


def test_many_attachments_take_time_in_proportion(tmp_path):
    lines = [
        resource("aws_lb.l", load_balancer_type="network", arn="lb"),
        resource("aws_autoscaling_group.g", name="g", launch_template=[{"id": "t"}]),
        resource("aws_launch_template.t", id="t", **TEMPLATE),
    ]
    for number in range(800):
        group = [{"target_group_arn": f"g{number}"}]
        lines += [
            resource(f"aws_lb_listener.l[{number}]", load_balancer_arn="lb", protocol="TCP", default_action=group),
            resource(f"aws_lb_target_group.g[{number}]", arn=f"g{number}", port=80),
        ]
    for number in range(8000):
        to = {"lb_target_group_arn": f"g{number % 800}", "autoscaling_group_name": "g"}
        lines.append(resource(f"aws_autoscaling_attachment.a[{number}]", **to))
    document = plan_of(*lines)
    began = time.process_time()
    found = names(loaded(tmp_path, document), WEB)
    assert len(found) == 1
    assert "aws_launch_template.t" in found[0]
    assert time.process_time() - began < 10


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('name = "edge"', ""),
        ('kind = "alb"', ""),
        ('kind = "nlb"', "kind: the plan tells that this is alb"),
        ('version = "1"', "version: not beside `terraform`, which tells it"),
        ('take_server = ""', "take_server: not beside `terraform`"),
    ],
)
def test_what_stands_beside_a_resource(tmp_path, more, told):
    plan = loaded(tmp_path, plan_of(resource("aws_lb.web", idle_timeout=60)))
    path = tmp_path / "shop.toml"
    path.write_text(f'[[hop]]\nterraform = "aws_lb.web"\n{more}\n[[hop]]\nkind = "server"\n')
    if told:
        with pytest.raises(PathError) as caught:
            file.load(str(path), plan.hop)
        assert f"shop.toml:3: {told}" in str(caught.value)
    else:
        assert file.load(str(path), plan.hop).hops[0].facts["upstream.idle_timeout_s"].value == 60


def test_a_host_with_facts_of_a_wrong_type(tmp_path):
    path = str(tmp_path / "web1.json")
    snapshot.save(snapshot_of(server("nginx", 80, "75")), path)
    with pytest.raises(
        PathError, match=r"web1\.json: server nginx \*:80: idle_timeout_s: a number is needed, not '75'"
    ):
        terraform.host(path)


JUNK = [None, True, False, 0, -1, 1e308, "", "x" * 300, "\x1b[2J\u202e", [], {}, [None], [[]], {"references": ["var.a", "module.b.c", 3]}, {"a": {}}, [{"references": [{}]}]]  # fmt: skip


def spoiled(document, dice):
    """The document with some of its parts replaced."""
    document = copy.deepcopy(document)
    for _ in range(dice.randint(1, 4)):
        node = document
        for _ in range(dice.randint(1, 12)):
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = dice.choice(keys)
            if not isinstance(node[key], dict | list) or dice.random() < 0.08:
                node[key] = copy.deepcopy(dice.choice(JUNK))
                break
            node = node[key]
    return document


@pytest.mark.parametrize("seed", range(8))
def test_a_spoiled_plan_is_read_or_refused(tmp_path, seed):
    dice = random.Random(seed)
    documents = [json.loads(Path(path).read_text()) for path in (SHOP, STATE)]
    for _ in range(60):
        try:
            plan = loaded(tmp_path, spoiled(dice.choice(documents), dice))
            plan.hop("aws_lb.web", "x")
            for path in terraform.paths(plan, [WEB]):
                judging.report(path, profile.load("path"), "2026-11-20T00:00:00Z")
        except PathError:
            continue


def saved(tmp_path, found=WEB):
    path = tmp_path / "web1.json"
    snapshot.save(found, str(path))
    return str(path)


def test_a_saved_snapshot_is_filled(tmp_path):
    bare = snapshot_of(subject("server", "nginx *:80", {"program": "nginx", "listen": ["*:80"]}))
    assert terraform.host(saved(tmp_path, bare)).subjects[0].facts["idle_timeout_s"].value == 75


def test_the_command_finds_the_inversion(tmp_path, capsys):
    assert main(["path", "--terraform", SHOP, "--snapshot", saved(tmp_path)]) == EXIT_FINDINGS
    out = capsys.readouterr().out
    assert "aws_lb.web -> nginx *:80 (web1)" in out
    assert "idle_timeout.timeout_seconds" in out


def test_a_path_file_names_resources_and_may_say_more_of_them(tmp_path):
    path = tmp_path / "shop.toml"
    path.write_text(
        '[[hop]]\nterraform = "aws_lb.web"\nserver.idle_timeout_s = 9\n[[hop]]\nkind = "server"\nidle_timeout_s = 130\n'
    )
    found = file.load(str(path), terraform.load(SHOP).hop)
    assert found.hops[0].facts["upstream.idle_timeout_s"].value == 120
    assert found.hops[0].facts["server.idle_timeout_s"].value == 9
    assert found.hops[0].facts["upstream.response_timeout_s"].value == 120
    assert found.hops[0].facts["upstream.connect_timeout_s"].value == 10


def test_the_provider_still_writes_what_is_read(tmp_path):
    plugins = os.environ.get("AUDIT_TCP_TERRAFORM_PLUGINS")
    if not plugins or not shutil.which("terraform"):
        pytest.skip("needs terraform, and AUDIT_TCP_TERRAFORM_PLUGINS: a folder with registry.terraform.io below it")
    shutil.copytree(PLANS / "shop", tmp_path / "shop")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_EC2_METADATA_DISABLED": "true",
        "TF_CLI_CONFIG_FILE": os.devnull,
    }

    def run(*arguments):
        done = subprocess.run(
            ["terraform", *arguments], cwd=tmp_path / "shop", env=environment, capture_output=True, timeout=300
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    run("init", "-input=false", f"-plugin-dir={plugins}")
    run("plan", "-input=false", "-out=saved")
    with pytest.raises(PathError, match="terraform show -json"):
        terraform.load(str(tmp_path / "shop" / "saved"))
    (tmp_path / "shop.json").write_bytes(run("show", "-json", "saved"))
    fresh, kept = (terraform.load(path) for path in (str(tmp_path / "shop.json"), SHOP))
    assert names(fresh, WEB) == SHOP_PATHS
    for address, *_ in HOPS:
        assert fresh.hop(address, "x") == kept.hop(address, "x")
