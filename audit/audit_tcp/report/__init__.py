"""The report formats: one module each, whose name is the `--format`; only the one asked for is imported."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Protocol, cast

from audit_tcp.errors import UsageError
from audit_tcp.model import Report


class Render(Protocol):
    """What every format offers under the name `render`."""

    def __call__(
        self, reports: Iterable[Report], *, fail_on: str = "medium", colour: bool = False, width: int = 80
    ) -> Iterator[str]:
        """Chunks of text, written while the reports still come. Only text heeds `colour` and `width` (in columns)."""


def formats() -> list[str]:
    """The names that `--format` takes."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def renderer(name: str) -> Render:
    """The `render` of one format. Raises UsageError with the legal names where there is none of that name."""
    if name not in formats():
        raise UsageError(f"there is no report format {name!r}; it is one of {', '.join(formats())}")
    return cast(Render, importlib.import_module(f"{__name__}.{name}").render)
