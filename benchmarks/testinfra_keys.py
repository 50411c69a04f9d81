"""The peer of `make bench`: twenty sysctls as testinfra asks for them, one assertion each."""

import pytest

TCP = """abort_on_overflow fin_timeout keepalive_intvl keepalive_probes keepalive_time max_syn_backlog max_tw_buckets
mtu_probing no_metrics_save orphan_retries retries1 retries2 rfc1337 slow_start_after_idle synack_retries syncookies
timestamps tw_reuse"""
KEYS = ["net.core.somaxconn", "net.ipv4.ip_local_port_range", *(f"net.ipv4.tcp_{name}" for name in TCP.split())]


@pytest.mark.parametrize("key", KEYS)
def test_sysctl(host, key):
    assert host.sysctl(key) is not None
