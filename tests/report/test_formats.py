"""What holds for every format: nothing of a host gets out raw, nothing is left out, reports are not hoarded."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from markdown_it import MarkdownIt
from prometheus_client.parser import text_string_to_metric_families

from audit_tcp.errors import UsageError
from audit_tcp.model import VERDICTS, Fix, Profile, Report, Unread
from audit_tcp.report import formats, renderer
from report.made import BACKLOG, EVERYTHING, failed, finding, report

FORMATS = ["json", "junit", "markdown", "prometheus", "sarif", "text"]
PARSERS: dict[str, Callable[[str], Any]] = {
    "json": json.loads,
    "junit": lambda text: list(JUnitXml.fromstring(text.encode())),
    "markdown": MarkdownIt("commonmark").enable("table").render,
    "prometheus": lambda text: list(text_string_to_metric_families(text)),
    "sarif": json.loads,
    "text": str,
}
HOSTILE = {
    "terminal": "\x1b]0;owned\x07\x1b[31mred\x1b[0m\x9b2J",
    "html": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "markdown": "`x` [click](javascript:alert(1)) ![i](http://e/i) | cell |\\| **b** <http://evil.example> ``` ~~~",
    "lines": "first\r\nsecond\n# heading\n\n<testcase/>\u2028third\x85",
    "nul": "a\0b\x7f",
    "bidi": "\u202egnp.exe\u2066\u200f\ufeff",
    "surrogate": "a\ud800b\udcffc",
    "not XML": "\ufffe\uffff\x0b ]]> &amp; <![CDATA[",
    "labels": '"} 1\naudit_tcp_up{host="other"} 1 \\',
    "braces": "{0} {1} {{",
    "long": "A" * 1_000_000,
    "long lines": "\u202e<b>\n" * 50_000,
    "wide": "漢字" * 300,
    "empty": "",
}
RAW = re.compile(
    "[\0-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufffe\uffff]"
)


def rendered(name: str, *reports: Report, **options: Any) -> str:
    return "".join(renderer(name)(reports, **options))


def saying(text: str) -> list[Report]:
    """A report and a failure that say `text` wherever a host, and a profile, may say something."""
    told = text[:5000]
    fix = Fix(told, True, {told: told})
    rule = replace(BACKLOG, id=told, title=told, of=told, why=told, cite=(told,), proof=(told,), fix=fix)
    said = {"kind": text, "name": text, "actual": text, "wanted": text, "origin": text, "note": text}
    found = [finding(rule, verdict, **said) for verdict in VERDICTS]
    found += [finding(name=f"{text}{number}", kind=text, actual=(text, 1), origin=f"/{text}:3") for number in range(7)]
    unread = tuple(Unread(text, text) for _ in range(12))
    page = report(*found, host=text, kernel=text, os=text, taken=text, errors=unread)
    return [replace(page, profile=Profile(told, told, ())), failed(text, text)]


def as_read(name: str, page: str) -> str:
    """A document with the escapes undone that hide from us what a viewer shows; json hands on what the host said."""
    return json.dumps(json.loads(page), ensure_ascii=False) if name == "sarif" else page


def test_the_file_name_is_the_format() -> None:
    assert formats() == FORMATS


def test_an_unknown_format_is_refused_with_the_legal_ones() -> None:
    with pytest.raises(UsageError, match=r"no report format 'pdf'.*json, junit, markdown, prometheus, sarif, text"):
        renderer("pdf")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_a_host_says_is_made_harmless(name: str, text: str) -> None:
    page = rendered(name, *saying(text))
    assert not RAW.search(as_read(name, page))
    PARSERS[name](page.encode().decode())


@pytest.mark.parametrize("name", ["junit", "markdown"])
def test_no_html_of_a_host_survives(name: str) -> None:
    page = rendered(name, *saying(HOSTILE["html"]))
    assert "alert(1)" in page
    assert not re.search("<(script|img)", page)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=())))
def test_any_text_leaves_a_document_that_parses(name: str, text: str) -> None:
    page = rendered(name, *saying(text))
    assert not RAW.search(as_read(name, page))
    PARSERS[name](page)


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "json"])
def test_size_is_bounded_where_the_document_is_for_reading(name: str) -> None:
    assert len(rendered(name, *saying(HOSTILE["long"]))) < 200_000


@pytest.mark.parametrize("name", ["junit", "markdown", "sarif", "text"])
def test_values_are_written_for_people(name: str) -> None:
    assert "1024 65535" in rendered(name, report(finding(actual=(1024, 65535))))


SHOWN = {
    "a failing subject": "docker:nginx",
    "its rule": "somaxconn-low",
    "an expired waiver": "waiver expired on 2025-01-31",
    "a waived subject": "docker:batch",
    "the reason of a waiver": "batch jobs wait (OPS-7)",
    "a check without verdict": "many is not a number",
    "a thing unread": "/etc/nginx/secret.conf",
    "why it was unread": "Permission denied",
    "a host not audited": "db-1",
    "why it was not": "Connection refused",
}
NO_NUMBERS = ["a failing subject", "its rule", "a host not audited"]


@pytest.mark.parametrize(
    ("name", "what"),
    [(name, what) for name in FORMATS for what in (NO_NUMBERS if name == "prometheus" else SHOWN)],
)
def test_nothing_is_left_out(name: str, what: str) -> None:
    page = " ".join(rendered(name, EVERYTHING, failed()).split())
    assert SHOWN[what] in page


@pytest.mark.parametrize("name", FORMATS)
def test_no_reports_still_make_a_document(name: str) -> None:
    PARSERS[name](rendered(name))


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "prometheus"])
def test_the_first_chunk_comes_before_the_last_report(name: str) -> None:
    taken: list[int] = []

    def reports() -> Iterator[Report]:
        for number in range(100):
            taken.append(number)
            yield EVERYTHING

    next(renderer(name)(reports()))
    assert len(taken) <= 2


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "prometheus"])
def test_memory_does_not_grow_with_the_reports(name: str) -> None:
    def peak(hosts: int) -> int:
        made = (report(*saying("x")[0].findings * 3, host=f"web-{number}") for number in range(hosts))
        tracemalloc.start()
        for _ in renderer(name)(made):
            pass
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return used

    peak(2)
    assert peak(120) < 2 * peak(12) + 100_000


def test_plain_text_loads_no_rich_and_no_other_format() -> None:
    program = (
        "import sys; from audit_tcp.report import renderer; renderer('text')\n"
        "print([name for name in sys.modules if name.startswith(('rich', 'audit_tcp.report.'))])"
    )
    told = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": "audit"},
        cwd=Path(__file__).parents[2],
    )
    assert told.stdout.strip() == "['audit_tcp.report.text']"
