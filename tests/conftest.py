"""Fixtures that several tests need; what cannot run here is skipped with the reason."""

import pytest
from hypothesis import settings

from audit_tcp.lab import net

# a slow machine is not a failure; CI keeps what fails reproducible
settings.register_profile("all", deadline=None, print_blob=True)
settings.load_profile("all")


@pytest.fixture
def namespace():
    """A network namespace of its own, gone afterwards."""
    reason = net.require()
    if reason:
        pytest.skip(reason)
    with net.Namespace() as space:
        yield space
