"""What `terraform show -json` tells, of a plan or a state: resources with their values, and which refers to which.

A plan does not know yet what is known after apply only, such as the ARN of a new target group; then the references in
its `configuration` tell what belongs together. Local values stand nowhere in that document, nor do dynamic blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from audit_tcp import tables
from audit_tcp.errors import PathError
from audit_tcp.path.blocks import INDEX, Block, at, dicts, mapping, most_exact, plain, references, seen, word

LARGEST = 64 << 20
"""Bytes of a plan; one of 10,000 resources has about 30 MB."""

MOST_PARTS = 4_000_000
DEEPEST_MODULE = 30
MOST_STEPS = 1000
"""References that are followed from one attribute: through variables and outputs of modules."""

IDENTITIES = ("arn", "id", "dns_name", "name")
"""Attributes by which one resource names another."""


@dataclass(frozen=True, slots=True)
class Resource(Block):
    """One resource of a plan or state; `module` is the address of the module that it stands in, "" at the top."""

    address: str
    type: str
    data: bool


@dataclass(slots=True)
class Resources:
    """All resources of a document by address, and the configuration by modules without their indices."""

    known: dict[str, Resource] = field(default_factory=dict)
    _instances: dict[tuple[str, str, str | None], list[Resource]] = field(default_factory=dict)
    _expressions: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    _inputs: dict[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    _outputs: dict[tuple[str, str], Any] = field(default_factory=dict)
    _named: dict[str, list[Resource]] = field(default_factory=dict)

    def of(self, *types: str) -> list[Resource]:
        """The resources of these types, in the document's order."""
        return [one for one in self.known.values() if one.type in types]

    def linked(self, block: Block, paths: Iterable[Sequence[str]], types: Sequence[str]) -> list[Resource]:
        """The resources of these types that the block's attributes name: by a known value, else by reference."""
        found: dict[str, Resource] = {}
        for path in paths:
            for text in at(block.values, path):
                same = self._named.get(text, ()) if isinstance(text, str) else ()
                found |= {one.address: one for one in same if one.type in types}
            unknown = [one for one in self._referred(block, path) if not isinstance(one.values.get("id"), str)]
            found |= {one.address: one for one in unknown if one.type in types}
        return list(found.values())

    def _referred(self, block: Block, path: Sequence[str]) -> Iterator[Resource]:
        waiting = [(plain(block.module), one) for one in most_exact(references(block.expressions, path))]
        for module, reference in waiting:
            if len(waiting) > MOST_STEPS:
                return
            kind, _, rest = reference.partition(".")
            if kind == "var":
                above, inputs = self._inputs.get(module, ("", {}))
                waiting += [(above, one) for one in most_exact(references(inputs, (word(rest),)))]
            elif kind == "module":
                called, _, output = plain(rest).partition(".")
                below = _below(module, called)
                told = self._outputs.get((below, word(output)), {})
                waiting += [(below, one) for one in most_exact(references(told, ("expression",)))]
            else:
                yield from self._meant(block, module, reference)

    def _meant(self, block: Block, module: str, reference: str) -> list[Resource]:
        """The instances of a resource that a reference means: of the same index, and in the same module, if any."""
        parts = plain(reference).split(".")
        name = ".".join(parts[: 3 if parts[0] == "data" else 2])
        literal = INDEX.search(reference)
        own = f"[{block.index}]" if isinstance(block.index, int) else f'["{block.index}"]'
        marks = [literal.group() if literal else own, block.module]
        found = next(
            (self._instances[module, name, mark] for mark in marks if (module, name, mark) in self._instances), None
        )
        if found is None:
            found = self._instances.get((module, name, None), [])
            found = [one for one in found if one.module.endswith(own)] or found
        return [one for one in found if one.module == block.module] or found

    def add(self, resource: Resource) -> None:
        """Files a resource under its address, its identities and its place in the configuration."""
        self.known[resource.address] = resource
        local = resource.address.removeprefix(f"{resource.module}.")
        index = local.removeprefix(plain(local)) or None
        for mark in {index, resource.module, None}:
            self._instances.setdefault((plain(resource.module), plain(local), mark), []).append(resource)
        for name in {str(resource.values[key]) for key in IDENTITIES if isinstance(resource.values.get(key), str)}:
            self._named.setdefault(name, []).append(resource)

    def configured(self, module: str, address: str) -> Mapping[str, Any]:
        """The expressions of a resource, empty where the document has none."""
        return self._expressions.get((plain(module), plain(address.removeprefix(f"{module}."))), {})

    def configure(self, module: object, name: str = "", depth: int = 0) -> None:
        """Files the configuration of a module and of those that it calls."""
        if not isinstance(module, dict) or depth > DEEPEST_MODULE:
            return
        for one in dicts(module.get("resources")):
            self._expressions[name, str(one.get("address"))] = mapping(one.get("expressions"))
        for key, told in mapping(module.get("outputs")).items():
            self._outputs[name, key] = told
        for key, call in mapping(module.get("module_calls")).items():
            below = _below(name, key)
            self._inputs[below] = (name, mapping(mapping(call).get("expressions")))
            self.configure(mapping(call).get("module"), below, depth + 1)


def load(path: str) -> Resources:
    """The resources in a file. Raises PathError with line and column where it is no JSON, and how to write it."""
    document = _document(path)
    roots = [mapping(document.get(key)).get("root_module") for key in ("planned_values", "values")]
    if not any(isinstance(root, dict) for root in roots):
        raise PathError(f"{path}: {_mistaken(document)}: the output of `terraform show -json` is needed")
    found = Resources()
    found.configure(mapping(document.get("configuration")).get("root_module"))
    before = mapping(mapping(document.get("prior_state")).get("values")).get("root_module")
    for root, managed in ((before, False), *((root, True) for root in roots)):
        for module, raw in _raw(root, path):
            if managed or raw.get("mode") == "data":
                found.add(_resource(raw, module, found, path))
    return found


def _document(path: str) -> Mapping[str, Any]:
    import json

    data = tables.bounded(path, LARGEST, PathError)
    if data.startswith(b"PK"):
        raise PathError(f"{path}: a plan as Terraform saves it: write `terraform show -json {path} > plan.json`")
    if sum(data.count(mark) for mark in b"[{,") > MOST_PARTS:
        raise PathError(f"{path}: no plan: more than {MOST_PARTS} parts")
    try:
        return mapping(json.loads(data))
    except UnicodeDecodeError as error:
        raise PathError(f"{path}: not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise PathError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise PathError(f"{path}: no plan: nested too deeply") from None
    except ValueError:  # a number of thousands of digits
        raise PathError(f"{path}: no plan: a number is too long") from None


def _mistaken(document: Mapping[str, Any]) -> str:
    if "serial" in document and "lineage" in document:
        return "a state as Terraform keeps it"
    return "a plan or state without resources" if "format_version" in document else "neither a plan nor a state"


def _raw(root: object, where: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each resource of a module and of those below it, with the module's address."""
    waiting = [(mapping(root), 0)]
    for module, depth in waiting:
        if depth > DEEPEST_MODULE:
            raise PathError(f"{where}: more than {DEEPEST_MODULE} modules within one another")
        address = module.get("address", "")
        if not isinstance(address, str):
            raise PathError(f"{where}: a module's address: a text is needed")
        yield from ((address, one) for one in dicts(module.get("resources")))
        waiting += [(below, depth + 1) for below in dicts(module.get("child_modules"))]


def _resource(raw: Mapping[str, Any], module: str, found: Resources, where: str) -> Resource:
    address, kind = raw.get("address"), raw.get("type")
    if not isinstance(address, str) or not isinstance(kind, str):
        raise PathError(f"{where}: a resource has no `address` and `type`")
    values = mapping(seen(raw.get("values"), raw.get("sensitive_values")))
    return Resource(
        module=module,
        index=raw.get("index"),
        values=values,
        expressions=found.configured(module, address),
        address=address,
        type=kind,
        data=raw.get("mode") == "data",
    )


def _below(module: str, name: str) -> str:
    return f"{module}.module.{name}" if module else f"module.{name}"
