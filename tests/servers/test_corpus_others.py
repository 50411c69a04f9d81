"""Configurations that people published: Envoy, Caddy, Traefik and gunicorn. Skipped where the corpus is absent."""

import time
from pathlib import Path

import pytest

from audit_tcp.probe import caddy, envoy, gunicorn, traefik
from audit_tcp.probe.host import Host
from trees import grow

CORPUS = Path(__file__).parents[3] / "shared" / "corpus" / "others"
if not CORPUS.is_dir():
    pytest.skip("../shared/corpus is absent", allow_module_level=True)

PLACES = [
    # part of the name, where such a file stands, its collector
    ("envoy", "/etc/envoy/envoy.yaml", envoy),
    ("traefik.yml", "/etc/traefik/traefik.yml", traefik),
    (".toml", "/etc/traefik/traefik.toml", traefik),
    ("gunicorn", "/app/gunicorn.conf.py", gunicorn),
    ("Caddyfile", "/etc/caddy/Caddyfile", caddy),
    ("global_server_options", "/etc/caddy/Caddyfile", caddy),
]

EXPECTED = {
    # begin of the name: (how many are told as unreadable, servers, idle timeouts that are stated, upstreams)
    "02": (1, 1, [], 0), "03": (4, 1, [], 0), "04": (0, 2, [], 1), "05": (0, 2, [], 1), "06": (0, 1, [], 1), "07": (0, 1, [], 1),
    "08": (0, 1, [], None), "09": (0, 1, [], 2), "10": (1, 1, [2], 0), "11": (0, 1, [3600], 1), "12": (1, 1, [], 1),
    "13": (0, 1, [30], 0), "14": (0, 1, [], 1), "15": (0, 3, [30, 60, 90], 0),
}  # fmt: skip
"""02 and 03 compute their workers and timers without a process whose environment says more, 10 its address, and 12
is a template. 08 is a site after a snippet."""

FILES = sorted(path.name for path in CORPUS.iterdir() if any(part in path.name for part, _, _ in PLACES))


@pytest.mark.parametrize("name", FILES)
def test_a_published_configuration(tmp_path, name, record_property):
    _, place, module = next(one for one in PLACES if one[0] in name)
    text = (CORPUS / name).read_text()
    if name.endswith(".txt"):
        text = text.partition("----------")[0]  # what follows is the JSON that Caddy makes of it
    host = Host(str(grow(tmp_path, {place: text})))
    took = []
    for _ in range(3):
        begin = time.process_time()
        found = list(module.collect(host))
        took.append(time.process_time() - begin)
    record_property("milliseconds", round(min(took) * 1000, 2))
    assert min(took) < 2
    (config,) = [facts for kind, _, facts in found if kind == "config"]
    servers = [facts for kind, _, facts in found if kind == "server"]
    told, count, idle, upstreams = EXPECTED[name[:2]]
    stated = sorted(one["idle_timeout_s"]["value"] for one in servers if "idle_timeout_s" in one)
    assert (len(config["unreadable"]["value"]), len(servers), stated) == (told, count, idle), config["unreadable"]
    if upstreams is not None:
        assert sum(kind == "upstream" for kind, _, _ in found) == upstreams


def test_the_json_that_caddy_makes_of_a_caddyfile_says_the_same(tmp_path):
    """The corpus has both: the JSON is what the adapter of Caddy gives for the text above it."""
    for number, path in enumerate(sorted(CORPUS.glob("*global_server_options*.txt"))):
        text, _, adapted = path.read_text().partition("----------")
        seen = []
        for folder, place, content in (("a", "/etc/caddy/Caddyfile", text), ("b", "/etc/caddy/caddy.json", adapted)):
            host = Host(str(grow(tmp_path / f"{number}{folder}", {place: content})))
            servers = [facts for kind, _, facts in caddy.collect(host) if kind == "server"]
            seen.append(sorted(
                (facts["listen"]["value"], sorted((name, fact["value"]) for name, fact in facts.items() if name.endswith("_s")))
                for facts in servers
            ))  # fmt: skip
        assert seen[0] == seen[1]
        assert seen[0]
