from __future__ import annotations

import dataclasses
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from audit_tcp.model import Report, Unread
from audit_tcp.report.markdown import render
from report.made import BACKLOG, EVERYTHING, failed, finding, report

NASTY = [
    "`code` `` and ```",
    "| a | b |",
    "\\| \\` \\",
    "[a](http://evil.example) ![b](x) <http://evil.example> https://evil.example @team #1",
    "<b>bold</b> <!-- --> <?x?> </code>",
    "**bold** _em_ ~~del~~ $x$",
    "a\n\n# heading\n- item\r\n",
    "   ",
]


def html(*reports: Report) -> str:
    return str(MarkdownIt("commonmark").enable("table").render("".join(render(reports))))


def outline(page: str) -> list[str]:
    """The tags of a page, without what stands between them."""
    return re.findall(r"</?\w+", page)


def saying(text: str) -> list[Report]:
    found = [
        finding(verdict=verdict, name=text, actual=text, wanted=text, origin=text, note=text)
        for verdict in ("fail", "waived", "error")
    ]
    said = report(*found, host=text, kernel=text, os=text, taken=text, errors=(Unread(text, text),))
    return [said, failed(text, text)]


@pytest.mark.parametrize("text", NASTY)
def test_what_a_host_says_adds_no_markup(text: str) -> None:
    assert outline(html(*saying(text))) == outline(html(*saying("plain")))


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(exclude_categories=()) | st.sampled_from("`|\\<>[]()*_~$!#@&\n "), min_size=1))
def test_nothing_that_a_host_says_adds_markup(text: str) -> None:
    assert outline(html(*saying(text))) == outline(html(*saying("plain")))


@pytest.mark.parametrize("text", ["a|b `c` <script>x</script> [l](http://e)", "**b** | ~~d~~ &lt; \\"])
def test_a_profile_adds_no_markup(text: str) -> None:
    def told(words: str) -> str:
        rule = dataclasses.replace(BACKLOG, id=words, title=words, why=words, cite=(words,), proof=(words,))
        return html(report(finding(dataclasses.replace(rule, fix=dataclasses.replace(rule.fix, text=words)))))

    assert outline(told(text)) == outline(told("plain"))


def test_values_survive() -> None:
    page = html(report(finding(actual="a < b", wanted="<= 10 & more", origin="/etc/x*y_z.conf:3")))
    for text in ("a &lt; b", "&lt;= 10 &amp; more", "/etc/x*y_z.conf:3"):
        assert f"<code>{text}</code>" in page


def test_the_table_has_the_worst_first() -> None:
    rows = re.findall(r"<tr>\n<td>(\w+)</td>\n<td><code>([\w-]+)</code>", html(EVERYTHING))
    assert rows == [("high", "somaxconn-low")] * 2 + [("medium", "reuse-off"), ("low", "retries2")]


def test_a_link_stays_a_link_in_our_own_sources() -> None:
    assert '<a href="https://docs.kernel.org/networking/ip-sysctl.html">' in html(EVERYTHING)


def test_a_heading_a_host() -> None:
    assert re.findall(r"<h2><code>(.*?)</code></h2>", html(EVERYTHING, failed())) == ["web-1", "db-1"]
