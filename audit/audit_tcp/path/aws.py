"""Resources of AWS in a Terraform plan or state as hops: which attributes set which timers.

Only the attributes named here are read. Their names and shapes are those of the AWS provider 5.100.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches

from audit_tcp.errors import PathError
from audit_tcp.path import blocks, hops
from audit_tcp.path.blocks import Block
from audit_tcp.path.hops import Hop, Stating
from audit_tcp.path.relations import BALANCERS, LISTENERS, Relations
from audit_tcp.path.resources import Resource, Resources

MOST_NEAR = 2000
"""Addresses that a mistyped one is compared with."""

LONGEST_ADDRESS = 300
"""Characters of an address that names a hop."""

BY_TYPE = {"application": "alb", "network": "nlb", "gateway": "gwlb"}


@dataclass(frozen=True, slots=True)
class Timer:
    """The catalog's setting, and the paths of the attributes that state it.

    Where several blocks or listeners do, the one that breaks first counts: the longest of a pool, else the shortest.
    """

    setting: str
    paths: tuple[tuple[str, ...], ...]
    longest: bool = False

    @property
    def attribute(self) -> str:
        """The last key, as a person knows it."""
        return self.paths[0][-1]


ORIGINS = ("custom_origin_config", "vpc_origin_config")
ORIGIN = (
    Timer("OriginKeepaliveTimeout", tuple((one, "origin_keepalive_timeout") for one in ORIGINS), longest=True),
    Timer("OriginReadTimeout", tuple((one, "origin_read_timeout") for one in ORIGINS)),
)
"""Of one origin of a distribution."""

LISTENER = Timer("tcp.idle_timeout.seconds", (("tcp_idle_timeout_seconds",),))
TRACKING = ("network_interfaces", "connection_tracking_specification", "tcp_established_timeout")
FLOWS = ("firewall_policy", "stateful_engine_options", "flow_timeouts", "tcp_idle_timeout_seconds")
TIMERS = {
    "alb": (
        Timer("idle_timeout.timeout_seconds", (("idle_timeout",),)),
        Timer("client_keep_alive.seconds", (("client_keep_alive",),)),
    ),
    "clb": (Timer("ConnectionSettings.IdleTimeout", (("idle_timeout",),)),),
    "cloudfront": tuple(replace(one, paths=tuple(("origin", *path) for path in one.paths)) for one in ORIGIN),
    "ec2-conntrack": (Timer("TcpEstablishedTimeout", (TRACKING,)),),
    "network-firewall": (Timer("FlowTimeouts.TcpIdleTimeoutSeconds", (FLOWS,)),),
}
"""What is read of each kind of hop."""

KINDS = {
    "aws_elb": "clb",
    "aws_cloudfront_distribution": "cloudfront",
    "aws_nat_gateway": "nat-gateway",
    "aws_networkfirewall_firewall_policy": "network-firewall",
    "aws_globalaccelerator_accelerator": "global-accelerator",
    "aws_launch_template": "ec2-conntrack",
}
HOPS = ("aws_lb", "aws_alb", *LISTENERS, *KINDS)
"""Types of resources that are hops."""


class Plan:
    """The resources of a plan or state as hops."""

    def __init__(self, path: str, known: Resources) -> None:
        self.path, self.known, self.relations = path, known, Relations(known)
        self._file = os.path.basename(path)

    def hop(self, address: str, where: str) -> Hop:
        """The hop of a resource such as `module.edge.aws_lb.web[0]`, with what the plan states of it and no defaults.

        Raises PathError, beginning with `where`, if there is none, and if a timer is known after apply only.
        """
        resource = self.known.known.get(address)
        if resource is None or resource.type not in HOPS:
            raise self._none(address, resource, where)
        if resource.type in LISTENERS:
            resource = self._timed(resource, where)
        kind = self.kind(resource)
        if resource.type == "aws_launch_template" and not blocks.at(resource.values, TRACKING):
            raise PathError(
                f'{where}: {address:.200} states no {".".join(TRACKING[1:])}: write kind = "ec2-conntrack", or '
                '"ec2-conntrack-nitro-v6" where the instance type is of Nitro v6'
            )
        facts, unknown = self.stated(kind, address, self.read(kind, resource))
        if unknown:
            raise PathError(
                f"{where}: {address:.200}: {unknown[0]} is sensitive or known after apply only: write "
                f'kind = "{kind}" instead of terraform, and state the value here'
            )
        return Hop(address[:LONGEST_ADDRESS], hops.kind_of(kind, where), facts)

    def complete(self, kind: str, resource: Resource, read: Mapping[Timer, Sequence[object]], told: str = "") -> Hop:
        """The hop with the defaults of its kind, but for timers that the plan does not know yet.

        `told` is the address of what states the timers where that is not the hop itself.
        """
        facts, _ = self.stated(kind, told or resource.address, read)
        hop = hops.made(resource.address[:LONGEST_ADDRESS], hops.kind_of(kind, self.path), facts)
        hidden = {
            fact
            for timer, values in read.items()
            if blocks.HIDDEN in values
            for fact in hop.kind.settings[timer.setting].sets
        }
        return replace(hop, facts={key: fact for key, fact in hop.facts.items() if key not in hidden})

    def stated(self, kind: str, address: str, read: Mapping[Timer, Sequence[object]]) -> tuple[hops.Stated, list[str]]:
        """The facts that values mean, and the attributes whose value is not known."""
        chosen: dict[str, int | float] = {}
        origins, unknown = {}, []
        for timer, values in read.items():
            name = timer.attribute
            numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
            if blocks.HIDDEN in values:
                unknown.append(name)
            elif len(numbers) < len(values) or not all(math.isfinite(one) for one in numbers):
                raise PathError(f"{self.path}: {address:.200}: {name}: a number is needed")
            elif numbers:
                chosen[timer.setting] = (max if timer.longest else min)(numbers)
                told = (
                    "" if len(set(numbers)) == 1 else f", the {'longest' if timer.longest else 'shortest'} of several"
                )
                origins[timer.setting] = f"{address:.200} {name} ({self._file}){told}"
        facts, _ = Stating(hops.kind_of(kind, self.path), self.path, origins).facts(chosen)
        return facts, unknown

    def kind(self, resource: Resource) -> str:
        """The catalog's kind of a resource that is a hop. Raises PathError for a balancer of an unknown type."""
        if resource.type in LISTENERS:
            return self.kind(self.known.linked(resource, [("load_balancer_arn",)], BALANCERS)[0])
        if resource.type in KINDS:
            return KINDS[resource.type]
        told = str(resource.values.get("load_balancer_type") or "application")
        if told not in BY_TYPE:
            raise PathError(f"{self.path}: {resource.address:.200}: load_balancer_type: none of {', '.join(BY_TYPE)}")
        return BY_TYPE[told]

    def _timed(self, listener: Resource, where: str) -> Resource:
        """What has the timer: the listener of a layer 4 balancer, else the balancer itself."""
        found = self.known.linked(listener, [("load_balancer_arn",)], BALANCERS)
        if not found:
            raise PathError(f"{where}: {listener.address:.200}: its balancer is not known: name that instead")
        return listener if self.kind(found[0]) in ("nlb", "gwlb") else found[0]

    def read(self, kind: str, resource: Resource) -> dict[Timer, Sequence[object]]:
        """What a resource and, of a layer 4 balancer, its listeners state."""
        if kind not in ("nlb", "gwlb"):
            return read(resource, TIMERS.get(kind, ()))
        listeners = [resource] if resource.type in LISTENERS else self.relations.listeners(resource)
        return {LISTENER: [one for listener in listeners for one in read(listener, [LISTENER])[LISTENER]]}

    def _none(self, address: str, resource: Resource | None, where: str) -> PathError:
        if resource is not None:
            return PathError(
                f"{where}: terraform: {address:.200}: {resource.type:.100} is no hop; {', '.join(HOPS)} are"
            )
        there = [one.address for one in self.known.of(*HOPS)][:MOST_NEAR]
        near = get_close_matches(address[:200], there, 3, 0.5) or there[:5]
        told = f"did you mean {', '.join(one[:200] for one in near)}?" if near else "it has nothing that is a hop"
        return PathError(f"{where}: terraform: {self.path} has no {address:.200}; {told}")


def read(block: Block, timers: Sequence[Timer]) -> dict[Timer, Sequence[object]]:
    """The values of timers; HIDDEN where an expression sets one whose value the document does not tell.

    None of these timers can be 0, which the provider writes for what is not set.
    """
    found: dict[Timer, Sequence[object]] = {}
    for timer in timers:
        values = [one for path in timer.paths for one in blocks.at(block.values, path) if one != 0]
        if not values and any(blocks.references(block.expressions, path) for path in timer.paths):
            values = [blocks.HIDDEN]
        found[timer] = values
    return found
