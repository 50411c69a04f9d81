"""What the kernel makes of a written value. `test_legal_on_the_kernel` holds the same cases against a namespace."""

import errno

import pytest

from audit_tcp.probe import legal, values

NEW = (6, 18)
REFUSED = "refused"

CASES = [
    # key, text, value before, value after
    ("net.ipv4.tcp_keepalive_probes", "255", 9, 255),
    ("net.ipv4.tcp_keepalive_probes", "256", 9, REFUSED),
    ("net.ipv4.tcp_keepalive_probes", "-1", 9, REFUSED),
    ("net.ipv4.tcp_keepalive_time", "105 # comment", 7200, 105),
    ("net.ipv4.tcp_keepalive_time", "0x10", 7200, 16),
    ("net.ipv4.tcp_keepalive_time", "010", 7200, 8),
    ("net.ipv4.tcp_keepalive_time", "60s", 7200, REFUSED),
    ("net.ipv4.tcp_keepalive_time", "60,", 7200, REFUSED),
    ("net.ipv4.tcp_keepalive_time", "", 7200, REFUSED),
    ("net.ipv4.tcp_keepalive_time", "abc", 7200, REFUSED),
    ("net.ipv4.tcp_keepalive_time", "+60", 7200, REFUSED),
    ("net.ipv4.tcp_keepalive_time", "6_0", 7200, REFUSED),
    ("net.ipv4.tcp_keepalive_time", "99999999", 7200, REFUSED),
    ("net.ipv4.tcp_keepalive_time", "\u0661\u0662", 7200, REFUSED),
    ("net.ipv4.tcp_fin_timeout", "-5", 60, -5),
    ("net.ipv4.tcp_ecn", "3", 2, REFUSED),
    ("net.ipv4.tcp_rmem", "0 0 0", [4096, 131072, 33554432], REFUSED),
    ("net.ipv4.tcp_rmem", "4096 131072 100", [4096, 131072, 33554432], [4096, 131072, 100]),
    ("net.ipv4.tcp_rto_max_ms", "120000", 120000, 120000),
    ("net.ipv4.tcp_rto_max_ms", "120001", 120000, REFUSED),
    ("net.ipv4.ip_local_reserved_ports", "8080, 9000", "", REFUSED),
    ("net.ipv4.ip_local_reserved_ports", "80 90", "", REFUSED),
    ("net.ipv4.ip_local_reserved_ports", "8080,,9000", "", REFUSED),
    ("net.ipv4.ip_local_reserved_ports", "0x1f90", "", "8080"),
    ("net.ipv4.ip_local_reserved_ports", "9010-9000", "", REFUSED),
    ("net.ipv4.tcp_fin_timeout", "-1", 60, -1),
    ("net.ipv4.tcp_tw_reuse", "3", 2, REFUSED),
    ("net.ipv4.tcp_syn_retries", "0", 6, REFUSED),
    ("net.core.somaxconn", "-1", 4096, REFUSED),
    ("net.core.somaxconn", "2147483647", 4096, 2147483647),
    ("net.ipv4.ip_local_port_range", "10000 65000", [32768, 60999], [10000, 65000]),
    ("net.ipv4.ip_local_port_range", "20000", [32768, 60999], [20000, 60999]),
    ("net.ipv4.ip_local_port_range", "20000\t30000 # c", [32768, 60999], [20000, 30000]),
    ("net.ipv4.ip_local_port_range", "1000 65000", [32768, 60999], REFUSED),
    ("net.ipv4.ip_local_port_range", "60999 32768", [32768, 60999], REFUSED),
    ("net.ipv4.ip_local_port_range", "10000 65536", [32768, 60999], REFUSED),
    ("net.ipv4.ip_local_reserved_ports", "9000-9010,8080", "", "8080,9000-9010"),
    ("net.ipv4.ip_local_reserved_ports", "8080,8081", "", "8080-8081"),
    ("net.ipv4.ip_local_reserved_ports", "65536", "", REFUSED),
    ("net.ipv4.ip_local_reserved_ports", "abc", "", REFUSED),
    ("net.ipv4.ip_local_reserved_ports", "", "8080", ""),
]


def written(key, text, before, version=NEW):
    try:
        return legal.written(key, text, before, version)
    except legal.Refused:
        return REFUSED


@pytest.mark.parametrize(("key", "text", "before", "after"), CASES)
def test_written(key, text, before, after):
    assert written(key, text, before) == after


def test_a_name_is_taken_as_it_stands():
    assert written("net.ipv4.tcp_congestion_control", "reno", "cubic") == "reno"


VERSIONS = [
    ("net.ipv4.tcp_keepalive_probes", "300", (5, 12), 300),
    ("net.ipv4.tcp_keepalive_probes", "300", (5, 13), REFUSED),
    ("net.ipv4.tcp_keepalive_probes", "300", (5, 10), REFUSED),
    ("net.ipv4.tcp_tw_reuse", "3", (4, 17), 3),
    ("net.ipv4.tcp_tw_reuse", "3", (4, 18), REFUSED),
    ("net.ipv4.tcp_ecn", "3", (5, 14), 3),
    ("net.ipv4.tcp_ecn", "3", (7, 0), 3),
    ("net.netfilter.nf_conntrack_tcp_loose", "2", (5, 2), 2),
    ("net.netfilter.nf_conntrack_tcp_loose", "2", (5, 3), REFUSED),
]


@pytest.mark.parametrize(("key", "text", "version", "after"), VERSIONS)
def test_a_check_holds_from_the_version_that_has_it(key, text, version, after):
    assert written(key, text, 1, version) == after


def test_without_a_value_before_the_numbers_at_the_start_count():
    assert written("net.ipv4.ip_local_port_range", "10000 65000 # c", None) == [10000, 65000]
    assert written("net.core.default_qdisc", "fq", None) == "fq"


@pytest.mark.parametrize(("key", "text", "before", "after"), CASES)
def test_legal_on_the_kernel(key, text, before, after, namespace):
    with namespace.entered():
        assert write(key, " ".join(map(str, before)) if isinstance(before, list) else before) is None
        refusal = write(key, text)
        found = values.parsed(key, values.raw(values.path_of(key)))
    assert (REFUSED if refusal == errno.EINVAL else found) == after


def write(key, text):
    """Writes as systemd and procps do; the error number where the kernel refuses."""
    try:
        with open(values.path_of(key), "w") as file:
            file.write(f"{text}\n")
    except OSError as error:
        return error.errno
    return None
