"""Ways in which files set sysctls, for hosts that boot. `{T}` and so on are keys; `links` are symbolic links."""

KEYS = {
    "T": "net.ipv4.tcp_keepalive_time",
    "I": "net.ipv4.tcp_keepalive_intvl",
    "P": "net.ipv4.tcp_keepalive_probes",
    "F": "net.ipv4.tcp_fin_timeout",
    "R": "net.ipv4.ip_local_port_range",
    "V": "net.ipv4.ip_local_reserved_ports",
    "S": "net.core.somaxconn",
}

ETC, RUN, LOCAL, LIB = ("/etc/sysctl.d/", "/run/sysctl.d/", "/usr/local/lib/sysctl.d/", "/usr/lib/sysctl.d/")
CONF = "/etc/sysctl.conf"
LINK = {"/etc/sysctl.d/99-sysctl.conf": "../sysctl.conf"}
NO_LINK = {"/etc/sysctl.d/99-sysctl.conf": "/dev/null"}

SCENARIOS = {
    # which file
    "nothing of its own": ({}, {}),
    "one line": ({ETC + "50-x.conf": "{T} = 101"}, {}),
    "one name in four folders": (
        {folder + "50-x.conf": f"{{T}} = {value}" for folder, value in ((ETC, 101), (RUN, 102), (LOCAL, 103), (LIB, 104))}, {}),
    "one name in run and usr/lib": ({RUN + "50-x.conf": "{T} = 102", LIB + "50-x.conf": "{T} = 104"}, {}),
    "one name in usr/local/lib and usr/lib": ({LOCAL + "50-x.conf": "{T} = 103", LIB + "50-x.conf": "{T} = 104"}, {}),
    "a later name in usr/lib beats etc": ({ETC + "50-a.conf": "{T} = 101", LIB + "60-b.conf": "{T} = 104"}, {}),
    "names sort as bytes": ({ETC + "9-a.conf": "{T} = 9", ETC + "10-b.conf": "{T} = 10", ETC + "A.conf": "{T} = 65"}, {}),
    "lower case sorts after upper case": ({ETC + "b.conf": "{T} = 98", ETC + "Z.conf": "{T} = 90"}, {}),
    "sysctl.conf without the link": ({CONF: "{T} = 200"}, NO_LINK),
    "sysctl.conf through the link": ({CONF: "{T} = 200", ETC + "99-a.conf": "{T} = 101"}, LINK),
    "sysctl.conf against a later name": ({CONF: "{T} = 200", ETC + "99-zz.conf": "{T} = 101"}, LINK),
    "sysctl.conf against a file, no link": ({CONF: "{T} = 200", ETC + "99-z.conf": "{T} = 101"}, NO_LINK),
    "a mask": ({LIB + "50-x.conf": "{T} = 104"}, {ETC + "50-x.conf": "/dev/null"}),
    "a relative mask": ({LIB + "50-x.conf": "{T} = 104"}, {ETC + "50-x.conf": "../../dev/null"}),
    "an empty file hides its namesake": ({ETC + "50-x.conf": "", LIB + "50-x.conf": "{T} = 104"}, {}),
    "no suffix": ({ETC + "50-x": "{T} = 101", ETC + "50-y.conf.bak": "{T} = 102", ETC + "conf": "{T} = 103"}, {}),
    "a hidden file": ({ETC + ".50-x.conf": "{T} = 101"}, {}),
    "a link to a file elsewhere": ({"/srv/tcp": "{T} = 105"}, {ETC + "50-x.conf": "/srv/tcp"}),
    "a link to nothing": ({LIB + "50-x.conf": "{T} = 104", ETC + "60-y.conf": "{F} = 30"}, {ETC + "50-x.conf": "/gone"}),
    # which line
    "twice in one file": ({ETC + "50-x.conf": "{T} = 1\n{T} = 2\n{F} = 30"}, {}),
    "twice with one value and another between": ({ETC + "50-x.conf": "{T} = 1\n{T} = 2\n{T} = 1"}, {}),
    "comments and blank lines": ({ETC + "50-x.conf": "# {T} = 1\n; {T} = 2\n\n   \n  # {T} = 3\n{F} = 33"}, {}),
    "a comment after the value": ({ETC + "50-x.conf": "{T} = 105 # two minutes\n{F} = 31 ; half"}, {}),
    "blanks and tabs": ({ETC + "50-x.conf": "  {T}\t=\t107  \n{R}=10000 \t 60000"}, {}),
    "slashes": ({ETC + "50-x.conf": "net/ipv4/tcp_keepalive_time = 108\n/net/ipv4/tcp_fin_timeout = 32"}, {}),
    "carriage returns": ({ETC + "50-x.conf": "{T} = 109\r\n{F} = 33\r\n"}, {}),
    "no newline at the end": ({ETC + "50-x.conf": "{F} = 34\n{T} = 110"}, {}),
    "a line that is no assignment": ({ETC + "50-x.conf": "{T} = 111\nhello\n{F} = 35"}, {}),
    "a key without a value": ({ETC + "50-x.conf": "{T} =\n{F} = 36\n{V} ="}, {}),
    "an unknown key": ({ETC + "50-x.conf": "net.ipv4.tcp_tw_recycle = 1\n-net.ipv4.tcp_user_timeout = 1\n{F} = 37"}, {}),
    "a minus before an assignment": ({ETC + "50-x.conf": "-{T} = 112\n-{P} = 300\n{F} = 38"}, {}),
    # which value
    "a value out of range": ({ETC + "50-x.conf": "{P} = 300\n{F} = 39"}, {}),
    "a good value and then one out of range": ({ETC + "50-x.conf": "{P} = 4", ETC + "60-y.conf": "{P} = 300"}, {}),
    "a word for a number": ({ETC + "50-x.conf": "{T} = ten\n{F} = 60s\n{S} = 0x400\n{I} = 010"}, {}),
    "half a port range": ({ETC + "50-x.conf": "{R} = 20000"}, {}),
    "a port range in the wrong order": ({ETC + "50-x.conf": "{R} = 60000 20000\n{F} = 40"}, {}),
    "a port range below 1024": ({ETC + "50-x.conf": "{R} = 1 65535\n{F} = 41"}, {}),
    "reserved ports in disorder": ({ETC + "50-x.conf": "{V} = 9001,8080,9000,9002-9010"}, {}),
    "reserved ports with blanks": ({ETC + "50-x.conf": "{V} = 8080, 9000\n{F} = 45"}, {}),
    "a value above somaxconn's range": ({ETC + "50-x.conf": "{S} = 4294967296\n{F} = 42"}, {}),
    # patterns and exclusions
    "a pattern": ({ETC + "50-x.conf": "net.ipv4.tcp_keepalive_* = 77"}, {}),
    "a pattern and an exclusion after it": ({ETC + "50-x.conf": "net.ipv4.tcp_keepalive_t* = 106\n-{T}"}, {}),
    "a pattern and an exclusion before it": ({ETC + "10-x.conf": "-{P}", ETC + "50-x.conf": "net.ipv4.tcp_keepalive_* = 78"}, {}),
    "a line and a pattern after it": ({ETC + "50-x.conf": "{T} = 5\nnet.ipv4.tcp_keepalive_* = 79"}, {}),
    "two patterns": ({ETC + "50-x.conf": "net.ipv4.tcp_keepalive_* = 80\nnet.ipv4.tcp_keepalive_[tp]* = 81"}, {}),
    "two patterns, the first once more": (
        {ETC + "50-x.conf": "net.ipv4.tcp_keepalive_* = 80\nnet.ipv4.tcp_keepalive_[tp]* = 81\nnet.ipv4.tcp_keepalive_* = 80"}, {}),
    "a line and its exclusion": ({ETC + "50-x.conf": "{T} = 113\n-{T}\n{F} = 43"}, {}),
    "an exclusion and then the line": ({ETC + "50-x.conf": "-{T}\n{T} = 114"}, {}),
    "a pattern that matches nothing": ({ETC + "50-x.conf": "net.ipv4.nothing_* = 1\n{F} = 44"}, {}),
    "a pattern over interfaces": ({ETC + "90-x.conf": "net.ipv4.conf.*.rp_filter = 1\n-net.ipv4.conf.all.rp_filter"}, {}),
}  # fmt: skip
"""Name: (files, links)."""


def filled(text):
    """The text with its keys."""
    for letter, key in KEYS.items():
        text = text.replace("{" + letter + "}", key)
    return text
