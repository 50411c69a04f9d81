"""Fixtures that several tests need; what cannot run here is skipped with the reason."""

import pytest

from audit_tcp.lab import net


@pytest.fixture
def namespace():
    """A network namespace of its own, gone afterwards."""
    reason = net.require()
    if reason:
        pytest.skip(reason)
    with net.Namespace() as space:
        yield space
