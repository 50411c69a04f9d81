from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from audit_tcp.model import Report, Unread
from audit_tcp.report.text import render
from audit_tcp.wording import columns
from report.made import BACKLOG, EVERYTHING, RETRIES, failed, finding, report

PAGE = """\
audit-tcp 0.1.0  web-1  Debian GNU/Linux 12, kernel 6.1.0-18-amd64, profile web

HIGH    The accept queue is capped below what servers ask for [somaxconn-low]
  netns host:         net.core.somaxconn = 128, wanted >= 4096
  netns docker:nginx: net.core.somaxconn = 128, wanted >= 4096
      (/etc/sysctl.d/60-web.conf:12)
  why   listen() cuts its backlog to net.core.somaxconn without a word. When the
        queue is full, the kernel drops the client's last ACK, and the client
        retries after 1 s.
  fix   Set net.core.somaxconn to 4096 and restart the servers. (safe)
  see   proof E5; more: audit-tcp explain somaxconn-low

MEDIUM  TIME_WAIT ports toward backends are not reused [reuse-off]
  netns docker:api: net.core.somaxconn = 2, wanted = 1
      (/proc/sys/net/ipv4/tcp_tw_reuse)
  why   Each closed connection keeps its local port for 60 s.
  fix   Set net.ipv4.tcp_tw_reuse to 1 where timestamps are on at both ends.
        (needs care)
  see   proof E4; more: audit-tcp explain reuse-off

LOW     Dead peers are noticed late [retries2]
  server nginx :443: net.core.somaxconn = 128, wanted >= 4096
      waiver expired on 2025-01-31: until the move is done
  why   listen() cuts its backlog to net.core.somaxconn without a word. When the
        queue is full, the kernel drops the client's last ACK, and the client
        retries after 1 s.
  fix   Set net.core.somaxconn to 4096 and restart the servers. (safe)
  see   proof E5; more: audit-tcp explain retries2

waived: retries2 on netns docker:batch: waived until 2026-01-01: batch jobs wait
  (OPS-7)
could not be judged: retries2 on netns docker:odd: many is not a number
could not be read: /etc/nginx/secret.conf: Permission denied
could not be read: netns of pid 77: No such process

2 checks passed; 1 not applicable here (fact absent)
4 findings failed, 3 at medium or worse. 3 rules to mend: 2 safely, 1 with care.
Next: audit-tcp explain RULE; --save FILE keeps this state for later comparing.
"""


def page(*reports: Report, colour: bool = False, width: int = 80) -> str:
    return "".join(render(reports, colour=colour, width=width))


def test_a_page() -> None:
    assert page(EVERYTHING) == PAGE


PASS, WAIVED, ERROR, ABSENT = (finding(verdict=verdict, note="so") for verdict in ("pass", "waived", "error", "absent"))


@pytest.mark.parametrize(
    ("said", "end"),
    [
        (report(PASS), "Nothing fails. --save FILE keeps this state for later comparing."),
        (report(WAIVED), "Nothing fails. --save FILE keeps this state for later comparing."),
        (report(PASS, ERROR), "Nothing fails of what could be judged; what could not be stands above."),
        (
            report(PASS, errors=(Unread("f", "denied"),)),
            "Nothing fails of what could be judged; what could not be stands above.",
        ),
        (report(ABSENT), "Nothing could be judged: the host has none of what this profile looks at."),
        (report(), "Nothing could be judged: the host has none of what this profile looks at."),
    ],
)
def test_where_nothing_fails_it_says_how_far_that_goes(said: Report, end: str) -> None:
    assert page(said).splitlines()[-1] == end


def test_a_host_that_could_not_be_audited() -> None:
    assert page(failed(reason="no route")).splitlines() == [
        "audit-tcp 0.1.0  db-1  profile web",
        "",
        "FAILED  could not be audited: no route",
        "",
        "Nothing was judged: mend what the reason says and run again.",
    ]


@pytest.mark.parametrize(
    ("subjects", "more"),
    [
        (5, ""),
        (6, "and 1 more: netns c5"),
        (8, "and 3 more: netns c5, c6, c7"),
    ],
)
def test_five_subjects_stand_on_lines_of_their_own(subjects: int, more: str) -> None:
    text = page(report(*(finding(name=f"c{number}") for number in range(subjects))))
    assert len(re.findall(r"^  netns c\d: net\.core\.somaxconn = 128, wanted", text, re.MULTILINE)) == min(subjects, 5)
    assert re.findall(r"^  (and .*)", text, re.MULTILINE) == ([more] if more else [])


def test_of_very_many_subjects_the_unnamed_are_counted() -> None:
    text = " ".join(page(report(*(finding(name=f"docker:{number:012x}") for number in range(500)))).split())
    listed = re.search(r"and 495 more: netns (.*) and (\d+) not named here", text)
    assert listed
    assert len(listed[1].split(", ")) + int(listed[2]) == 495


def test_subjects_of_another_kind_say_so() -> None:
    found = [finding(name=f"c{number}") for number in range(6)] + [finding(kind="server", name="nginx")]
    assert "and 2 more: netns c5; server nginx\n" in page(report(*found))


@pytest.mark.parametrize(("unread", "last"), [(10, "f9: denied"), (11, "1 more, all of them in --format json")])
def test_ten_unread_things_are_listed(unread: int, last: str) -> None:
    lines = page(report(errors=tuple(Unread(f"f{number}", "denied") for number in range(unread)))).splitlines()
    told = [line for line in lines if line.startswith("could not be read: ")]
    assert told[-1] == f"could not be read: {last}"
    assert len(told) == min(unread, 11)


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize(
    "name",
    ["/very/long/" * 20, "word " * 50, "漢" * 90, "x" * 79, "é" * 100],
    ids=["path", "words", "wide", "word", "accents"],
)
def test_no_line_is_too_wide(width: int, name: str) -> None:
    found = [finding(name=f"{name}{number}", origin=name, note=name, wanted=name) for number in range(9)]
    waived = finding(RETRIES, "waived", name, note=name)
    said = report(*found, waived, host=name, os=name, kernel=name, errors=(Unread(name, name),) * 12)
    text = page(said, *[failed(name, name)] * 21, width=width)
    assert max(map(cell_len, text.splitlines())) <= width
    assert re.sub(r"\s", "", name)[:40] in re.sub(r"\s", "", text)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=()), min_size=1), st.integers(40, 120))
def test_no_line_is_too_wide_whatever_is_said(text: str, width: int) -> None:
    said = report(finding(name=text, origin=text, note=text, actual=text), host=text)
    assert max(map(cell_len, page(said, failed(text, text), width=width).splitlines())) <= width


def test_no_character_counts_less_than_a_terminal_takes() -> None:
    characters = map(chr, [*range(0x20, 0xD800), *range(0xE000, 0x110000)])
    assert [character for character in characters if columns(character) < cell_len(character)] == []


@pytest.mark.parametrize(("text", "taken"), [("plain", 5), ("é…→€", 4), ("漢字", 4), ("䷀", 2), ("😀", 2)])
def test_what_we_write_ourselves_counts_as_it_is(text: str, taken: int) -> None:
    assert columns(text) == taken


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("", "more: audit-tcp explain somaxconn-low\n"),
        ("./mine.toml", "more: audit-tcp explain somaxconn-low --profile ./mine.toml\n"),
        ("my own.toml", "more: audit-tcp explain somaxconn-low --profile 'my own.toml'\n"),
    ],
)
def test_the_hint_names_the_file_of_ones_own_profile(path: str, hint: str) -> None:
    said = report(finding())
    said = dataclasses.replace(said, profile=dataclasses.replace(said.profile, path=path))
    assert hint in page(said, width=120)


@pytest.mark.parametrize(
    ("fail_on", "grave"),
    [
        ("info", ", 4 at info or worse"),
        ("medium", ", 3 at medium or worse"),
        ("high", ", 2 at high or worse"),
        ("never", ""),
    ],
)
def test_the_end_counts_what_the_exit_code_counts(fail_on: str, grave: str) -> None:
    assert f"4 findings failed{grave}. " in "".join(render([EVERYTHING], fail_on=fail_on))


def test_colour_changes_no_letter() -> None:
    coloured = page(EVERYTHING, failed(), colour=True)
    assert "\x1b[1;31mHIGH  " in coloured
    assert "\x1b[33mMEDIUM" in coloured
    assert re.sub("\x1b\\[[0-9;]*m", "", coloured) == page(EVERYTHING, failed())


def test_several_hosts_end_in_a_table_worst_first() -> None:
    fine = report(finding(verdict="pass"), host="ok-1")
    assert page(fine, EVERYTHING, failed(reason="no route")).split("\n\n")[-1].splitlines() == [
        "host     high  medium     low    info",
        "db-1   FAILED: no route",
        "web-1       2       1       1       0",
        "ok-1        0       0       0       0",
        "3 hosts: 2 high, 1 medium, 1 low, 0 info; 1 could not be audited",
    ]


def test_of_many_hosts_the_twenty_worst_are_listed() -> None:
    hosts = [
        report(*[finding(name=f"c{count}") for count in range(number)], host=f"h{number}") for number in range(1, 26)
    ]
    table = page(*hosts).split("\n\n")[-1].splitlines()
    assert [line.split()[:2] for line in table[1:21]] == [[f"h{number}", str(number)] for number in range(25, 5, -1)]
    assert table[21:] == [
        "and 5 hosts no worse than the last of these",
        f"25 hosts: {sum(range(26))} high, 0 medium, 0 low, 0 info; 0 could not be audited",
    ]


def test_text_of_a_profile_keeps_within_one_paragraph() -> None:
    rule = dataclasses.replace(BACKLOG, why="first line\n   second\x1b line")
    assert "  why   first line second\\x1b line\n" in page(report(finding(rule)))
