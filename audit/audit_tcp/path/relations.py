"""What belongs together in a Terraform plan: balancers, listeners, target groups, and what is attached to these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from audit_tcp.path.resources import Resource, Resources

BALANCERS = ("aws_lb", "aws_alb", "aws_elb")
LISTENERS = ("aws_lb_listener", "aws_alb_listener")
RULES = ("aws_lb_listener_rule", "aws_alb_listener_rule")
GROUPS = ("aws_lb_target_group", "aws_alb_target_group")
ATTACHMENTS = ("aws_lb_target_group_attachment", "aws_alb_target_group_attachment")
WEB = ("HTTP", "HTTPS")
OTHER_THAN_TCP = ("UDP", "QUIC")

By = dict[str, dict[str, Resource]]
"""Resources by address, for each address that they belong to."""


class Relations:
    """Each relation is read once, so that a plan of thousands of resources takes no longer than its length asks for."""

    def __init__(self, known: Resources) -> None:
        self._known = known
        self._listeners = self._by(
            (one for one in known.of(*LISTENERS) if one.values.get("protocol") not in OTHER_THAN_TCP),
            [("load_balancer_arn",)],
            BALANCERS,
        )
        self._rules = self._by(known.of(*RULES), [("listener_arn",)], LISTENERS)
        self._attachments = self._by(known.of(*ATTACHMENTS), [("target_group_arn",)], GROUPS)
        self._groups = {
            one.address: self._forwarded(one, block)
            for types, block in ((LISTENERS, "default_action"), (RULES, "action"))
            for one in known.of(*types)
        }
        self._taken = {address for groups in self._groups.values() for address in groups}
        self._users = self._by(known.of("aws_autoscaling_group"), [("target_group_arns",)], GROUPS)
        ways = [("lb_target_group_arn",), ("alb_target_group_arn",)]
        self._scaled = self._by(known.of("aws_autoscaling_attachment"), ways, GROUPS)

    def _by(self, those: Iterable[Resource], paths: Sequence[Sequence[str]], types: Sequence[str]) -> By:
        found: By = {}
        for one in those:
            for owner in self._known.linked(one, paths, types):
                found.setdefault(owner.address, {})[one.address] = one
        return found

    def _forwarded(self, one: Resource, block: str) -> dict[str, Resource]:
        ways = [(block, "target_group_arn"), (block, "forward", "target_group", "arn")]
        return {group.address: group for group in self._known.linked(one, ways, GROUPS)}

    def listeners(self, balancer: Resource) -> list[Resource]:
        """The listeners of a balancer that carry TCP."""
        return list(self._listeners.get(balancer.address, {}).values())

    def groups(self, listeners: Iterable[Resource]) -> list[Resource]:
        """The target groups that listeners and their rules forward to."""
        found: dict[str, Resource] = {}
        for one in listeners:
            found |= self._groups.get(one.address, {})
            for rule in self._rules.get(one.address, {}):
                found |= self._groups.get(rule, {})
        return list(found.values())

    def beside(self, balancer: Resource, web: bool) -> list[Resource]:
        """Target groups in a balancer's module to which no listener is known to forward: what a dynamic block hides."""
        return [
            one
            for one in self._known.of(*GROUPS)
            if one.module == balancer.module
            and one.address not in self._taken
            and (one.values.get("protocol") in WEB or one.values.get("target_type") == "lambda") == web
        ]

    def attachments(self, group: Resource) -> list[Resource]:
        """What attaches a single target to a group."""
        return list(self._attachments.get(group.address, {}).values())

    def balancers_in(self, group: Resource) -> list[Resource]:
        """The balancers that are the targets of a group of the type `alb`."""
        if group.values.get("target_type") != "alb":
            return []
        found = (self._known.linked(at, [("target_id",)], BALANCERS) for at in self.attachments(group))
        return [one for balancers in found for one in balancers]

    def templates(self, group: Resource) -> list[Resource]:
        """The launch templates of the instances of a group."""
        users = dict(self._users.get(group.address, {}))
        users |= {one.address: one for one in self._attached(group)}
        paths = [("launch_template", "id"), ("launch_template", "name")]
        found = (self._known.linked(one, paths, ["aws_launch_template"]) for one in users.values())
        return list({one.address: one for templates in found for one in templates}.values())

    def _attached(self, group: Resource) -> Iterator[Resource]:
        for at in self.attachments(group):
            yield from self._known.linked(at, [("target_id",)], ["aws_instance"])
        for at in self._scaled.get(group.address, {}).values():
            yield from self._known.linked(at, [("autoscaling_group_name",)], ["aws_autoscaling_group"])
