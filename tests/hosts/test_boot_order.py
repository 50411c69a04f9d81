"""What the probe predicts of a boot and of `sysctl --system` is what hosts that really boot show, for every key."""

import os

import pytest
from scenarios import SCENARIOS, filled

import machines
from audit_tcp import remote

pytestmark = pytest.mark.boots

RELEASES = ("bookworm", "trixie")

SEED = "/usr/share/seed-run"
SEED_UNIT = f"""[Unit]
DefaultDependencies=no
Before=systemd-sysctl.service
[Service]
Type=oneshot
ExecStart=/bin/cp -a {SEED}/. /run/
"""
"""/run is empty at a boot; another early service may have filled it, as this one does."""

VOLATILE = ("net.netfilter.nf_conntrack_count", "net.ipv4.route.", "net.ipv6.route.", "stable_secret")


def scenario(name, release):
    files, links = SCENARIOS[name]
    placed = {path.replace("/run/", f"{SEED}/", 1): filled(text) for path, text in files.items()}
    if placed.keys() != files.keys():
        placed["/etc/systemd/system/seed-run.service"] = SEED_UNIT
        links = {**links, "/etc/systemd/system/sysinit.target.wants/seed-run.service": "../seed-run.service"}
    return machines.Scenario(name, release, placed, links)


def dump(machine):
    """Every net.* sysctl of the booted host, read from its namespace by other code than the probe's."""
    found = {}
    with machine.namespace.entered():
        for folder, _, names in os.walk("/proc/sys/net"):
            for name in names:
                path = os.path.join(folder, name)
                if os.stat(path).st_mode & 0o444 and not any(part in path.replace("/", ".") for part in VOLATILE):
                    with open(path) as file:
                        found[path.removeprefix("/proc/sys/")] = " ".join(file.read().split())
    return found


def observe(machine):
    """The host after its boot, what the probe says of it, and the host after `sysctl --system`."""
    booted = dump(machine)
    taken = remote.take(machine.name, ssh=("ssh", "-F", machine.ssh_config))
    machine.run(["sysctl", "--system"], check=False)
    return booted, taken, dump(machine)


@pytest.fixture(scope="module")
def observed():
    reason = machines.require()
    if reason:
        pytest.skip(reason)
    cases = [(name, release) for release in RELEASES for name in SCENARIOS]
    return dict(zip(cases, machines.boot_cycle([scenario(*case) for case in cases], observe), strict=True))


def predicted(taken, fact, defaults):
    """Every key's value as the files make it: the predicted ones over the kernel's own."""
    values = dict(defaults)
    for subject in taken.subjects:
        if subject.kind == "setting" and subject.name.startswith("net.") and fact in subject.facts:
            value = subject.facts[fact].value
            path = subject.name.translate({ord("."): "/", ord("/"): "."})
            values[path] = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return values


def difference(expected, found):
    return {key: (expected.get(key), found[key]) for key in found if expected.get(key) != found[key]}


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", SCENARIOS)
def test_prediction(observed, name, release, kernel_defaults):
    booted, taken, after_system = observed[(name, release)]
    assert not [error for error in taken.errors if error.where.startswith(("collector", "python"))]
    assert difference(predicted(taken, "at_boot", kernel_defaults), booted) == {}
    assert difference(predicted(taken, "by_sysctl_system", kernel_defaults), after_system) == {}


@pytest.fixture(scope="module")
def kernel_defaults():
    """What a host shows that no file has touched: every key of a namespace whose sysctl files are all masked."""
    unit = "/etc/systemd/system/systemd-sysctl.service"
    with machines.Machine("untouched", "bookworm", links={unit: "/dev/null"}) as machine:
        return dump(machine)


def test_the_scenarios_are_enough_and_not_all_alike(observed):
    assert len(SCENARIOS) >= 30
    shown = [booted["net/ipv4/tcp_keepalive_time"] for booted, _, _ in observed.values()]
    assert len(set(shown)) > 15
