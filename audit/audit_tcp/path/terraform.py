"""Paths that a Terraform plan or state shows by itself: CDN, balancers, and the servers of snapshots behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from audit_tcp import catalog
from audit_tcp.errors import PathError
from audit_tcp.model import Snapshot, Subject
from audit_tcp.path import aws, blocks, hops, reach, resources
from audit_tcp.path.aws import LISTENER, ORIGIN, ORIGINS, Plan
from audit_tcp.path.file import Path, told_apart
from audit_tcp.path.hops import Hop
from audit_tcp.path.relations import BALANCERS
from audit_tcp.path.resources import Resource
from audit_tcp.path.saved import filled

MOST_PATHS = 1000
MOST_BALANCERS = 10
"""Balancers behind one another."""

VIA = ("aws_route53_record", "aws_cloudfront_vpc_origin")
VIA_TO = (("alias", "name"), ("records",), ("vpc_origin_endpoint_config", "arn"))
"""What may stand between a CDN and the balancer that it calls, and the attributes that name the balancer."""

Hops = tuple[Hop, ...]


def load(path: str) -> Plan:
    """The output of `terraform show -json`, of a plan or a state, in a file. Raises PathError."""
    return Plan(path, resources.load(path))


def host(path: str) -> Snapshot:
    """A saved snapshot with what it leaves unsaid. Raises SnapshotError, and PathError for facts of a wrong type."""
    return filled(path)


def paths(plan: Plan, snapshots: Sequence[Snapshot]) -> Iterator[Path]:
    """The paths of a plan, each once. Raises PathError if there are none, and after MOST_PATHS of them."""
    seen: set[str] = set()
    for number, chain in enumerate(_Walk(plan, snapshots).chains()):
        if number >= MOST_PATHS:
            raise PathError(f"{plan.path}: more than {MOST_PATHS} paths: write those that count as path files")
        apart = tuple(told_apart(chain))
        name = " -> ".join(hop.name for hop in apart)
        if name not in seen:
            seen.add(name)
            yield Path(name, apart, {}, plan.path)
    if not seen:
        raise PathError(
            f"{plan.path}: no balancer ({', '.join(BALANCERS)}) and no aws_cloudfront_distribution with an origin "
            "that is a server; a path file names other hops by `terraform = ...`"
        )


class _Walk:
    """Follows a plan from what clients call to what answers."""

    def __init__(self, plan: Plan, snapshots: Sequence[Snapshot]) -> None:
        self._plan, self._known, self._relations = plan, plan.known, plan.relations
        self._hosts = [reach.Servers(one) for one in snapshots]

    def chains(self) -> Iterator[Hops]:
        """Every chain of hops. A balancer that something else of the plan stands before begins none."""
        inner = set()
        for cdn in self._known.of("aws_cloudfront_distribution"):
            for hop, behind in self._origins(cdn):
                inner |= {one.address for one in behind}
                ends = (end for one in behind for end in self._of(one, MOST_BALANCERS))
                yield from self._joined((hop,), ends, "origin")
        balancers = self._balancers()
        for one in balancers:
            inner |= {below.address for group in self._groups(one) for below in self._relations.balancers_in(group)}
        for one in balancers:
            for chain in self._of(one, MOST_BALANCERS) if one.address not in inner else ():
                yield chain if chain[0].ends_connections else (self._plain("client", "client"), *chain)

    def _balancers(self) -> list[Resource]:
        """The balancers; one that is read as data only where no resource of the plan is the same."""
        found = self._known.of(*BALANCERS)
        managed = {str(one.values.get("arn")) for one in found if not one.data}
        return [one for one in found if not one.data or str(one.values.get("arn")) not in managed]

    def _origins(self, cdn: Resource) -> Iterator[tuple[Hop, list[Resource]]]:
        """The CDN toward each origin that is a server, and the balancers that the origin is."""
        for origin in blocks.blocks(cdn, "origin", "origin_id"):
            if any(blocks.dicts(origin.values.get(one)) for one in ORIGINS):
                names = [("domain_name",), ("vpc_origin_config", "vpc_origin_id")]
                behind = self._known.linked(origin, names, BALANCERS)
                for via in self._known.linked(origin, names, VIA):
                    behind += self._known.linked(via, VIA_TO, BALANCERS)
                yield self._plan.complete("cloudfront", cdn, aws.read(origin, ORIGIN)), behind

    def _of(self, balancer: Resource, deeper: int) -> Iterator[Hops]:
        """The chains that begin at a balancer; a Network Load Balancer has a timer for each listener."""
        kind, target = self._plan.kind(balancer), f"target of {balancer.address}"
        if kind == "nlb":
            listeners = [one for one in self._relations.listeners(balancer) if self._relations.groups([one])]
            for one in listeners:
                hop = self._plan.complete(kind, balancer, aws.read(one, [LISTENER]), one.address)
                behind = (end for group in self._relations.groups([one]) for end in self._tracked(group, deeper))
                yield from self._joined((hop,), behind, target)
            if listeners:
                return
        hop = self._plan.complete(kind, balancer, self._plan.read(kind, balancer))
        ends: Iterable[Hops] = ()
        if kind == "clb":
            ends = self._servers(_numbers(balancer.values, ("listener", "instance_port")), target)
        elif kind != "gwlb":
            ends = (end for group in self._groups(balancer) for end in self._targets(group, deeper))
        yield from self._joined((hop,), ends, target)

    def _groups(self, balancer: Resource) -> list[Resource]:
        """The target groups of a balancer; where its listeners do not tell, those beside it that nobody else uses."""
        listeners = self._relations.listeners(balancer)
        found = self._relations.groups(listeners)
        beside = self._relations.beside(balancer, self._plan.kind(balancer) == "alb") if listeners else []
        return found or beside

    def _tracked(self, group: Resource, deeper: int) -> Iterator[Hops]:
        """The targets behind the connection tracking of their instances, where a launch template states its timer."""
        templates = self._relations.templates(group)
        stated = [one for one in templates if blocks.at(one.values, aws.TRACKING)]
        kind = "ec2-conntrack"
        tracking = tuple(self._plan.complete(kind, one, self._plan.read(kind, one)) for one in stated[:1])
        for end in self._targets(group, deeper):
            yield (*tracking, *end)

    def _targets(self, group: Resource, deeper: int) -> Iterator[Hops]:
        below = self._relations.balancers_in(group) if deeper else []
        for one in below:
            yield from self._of(one, deeper - 1)
        if group.values.get("target_type") == "lambda":
            yield (self._plain("service", group.address),)
        elif not below:
            ports = _numbers(group.values, ("port",))
            ports += [port for one in self._relations.attachments(group) for port in _numbers(one.values, ("port",))]
            yield from self._servers(ports, group.address)

    def _servers(self, ports: Sequence[int], otherwise: str) -> Iterator[Hops]:
        """Each server of the snapshots on one of the ports, and what is behind it; else a server that is not known."""
        found = [(one, server) for one in self._hosts for server in one.answering(ports)]
        for servers, server in found:
            yield from _and_behind(servers, server)
        if not found:
            yield (self._plain("server", otherwise),)

    def _joined(self, before: Hops, ends: Iterable[Hops], otherwise: str) -> Iterator[Hops]:
        """The ends behind the hops before them; without any, a server that is not known."""
        nothing = True
        for end in ends:
            nothing = False
            yield (*before, *end)
        if nothing:
            yield (*before, self._plain("server", otherwise))

    def _plain(self, kind: str, name: str) -> Hop:
        return hops.made(name[: aws.LONGEST_ADDRESS], hops.kind_of(kind, self._plan.path), {})


def _and_behind(servers: reach.Servers, server: Subject) -> Iterator[Hops]:
    """A server alone or, if it is a proxy, once for each of its pools with what that reaches on the same host."""
    pairs = servers.behind(server) if _kind(server).role == "proxy" else []
    for pool, last in pairs:
        yield _hop(servers.host, server, pool), _hop(servers.host, last, None)
    if not pairs:
        yield (_hop(servers.host, server, None),)


def _hop(host: str, server: Subject, pool: Subject | None) -> Hop:
    """Where the path ends at a proxy nothing is said of its pools."""
    hop = hops.of_subjects(f"{server.name} ({host})", _kind(server), server, pool, {})
    if pool is not None:
        return hop
    return replace(hop, facts={key: fact for key, fact in hop.facts.items() if not key.startswith("upstream.")})


def _kind(server: Subject) -> catalog.Kind:
    kind = catalog.kind(reach.program(server))
    return kind if kind and kind.role in ("proxy", "server", "database") else hops.kind_of("server", server.name)


def _numbers(values: Mapping[str, object], path: Sequence[str]) -> list[int]:
    return [one for one in blocks.at(values, path) if isinstance(one, int) and not isinstance(one, bool)]
