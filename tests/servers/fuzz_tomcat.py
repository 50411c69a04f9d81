"""Mutates server.xml files and reads them. `python tests/servers/fuzz_tomcat.py 100000` runs many."""

import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "audit"), str(Path(__file__).resolve().parents[1])]

import trees
from audit_tcp.probe import tomcat
from audit_tcp.probe.host import Host

LONGEST = 1.0
"""Seconds that no input may take."""

PLACE = "/opt/tomcat/conf/"
INCLUDED = "<?xml version='1.0'?><Connector port='${p:-7}' keepAliveTimeout='&t;'/>&b;"
SAMPLES = (
    b"<?xml version='1.0' encoding='UTF-8'?>\n<!DOCTYPE Server [<!ENTITY t '5000'><!ENTITY b '&t;&t;'>"
    b"<!ENTITY i SYSTEM 'i.xml'>]>\n<Server port='-1' portOffset='3'><Service name='x'>&i;&b;\n"
    b"<Connector port='${p:-${q}}' keepAliveTimeout='&t;'\n connectionTimeout='${a}'/></Service></Server>\n",
    b"<Server><Service><Connector port='8009' protocol='AJP/1.3' secret='x' maxKeepAliveRequests='1'/>"
    b"<Connector port='8443' SSLEnabled='true' scheme='https' keepAliveTimeout='60' disableUploadTimeout='false'>"
    b"<UpgradeProtocol className='org.apache.coyote.http2.Http2Protocol' keepAliveTimeout='-1'/>"
    b"<SSLHostConfig/></Connector><Engine><Valve className='org.apache.catalina.valves.RemoteIpValve'/>"
    b"<Host name='l'/></Engine></Service></Server>",
)
PIECES = (
    b"<", b">", b"/>", b"</", b"&", b";", b"'", b'"', b"<!--", b"-->", b"<![CDATA[", b"]]>", b"<?", b"?>", b"\n", b"\0",
    b"\xff", b"\xef\xbb\xbf", b"${", b"}", b":-", b"&t;", b"&b;", b"&i;", b"&lt;", b"&#0;", b"&#x110000;", b"%p;",
    b"<!DOCTYPE Server [", b"]>", b"<!ENTITY % p 'x'>", b"<!ENTITY t '&b;&b;'>", b"<!ATTLIST a b CDATA 'c'>",
    b"<!ENTITY i SYSTEM '../x'>", b"<Connector port='1'/>", b"<Service>", b"</Service>", b"<Server>", b"</Server>",
    b"-1", b"0", b"99999999999999999999", b"1e3", b" encoding='utf-16'", b" xmlns:a='b'", b"<a:b/>", b"<a>" * 30,
)  # fmt: skip


def seeds():
    """The samples, and the corpus where it is at hand."""
    corpus = Path(__file__).resolve().parents[3] / "shared" / "corpus" / "tomcat"
    return [*SAMPLES, *(path.read_bytes() for path in sorted(corpus.glob("*.xml")))]


SEEDS = seeds()


def mutate(chance: random.Random) -> bytes:
    """A seed with a few changes: pieces put in, cut out, doubled, swapped, bytes changed."""
    data = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(1, 8)):
        place = chance.randrange(len(data) + 1)
        end = min(len(data), place + chance.choice((1, 4, 30, 400)))
        kind = chance.randrange(5)
        if kind == 0:
            data[place:place] = chance.choice(PIECES)
        elif kind == 1:
            del data[place:end]
        elif kind == 2:
            data[place:place] = data[place:end] * chance.choice((1, 2, 50))
        elif kind == 3 and place < len(data):
            data[place] = chance.randrange(256)
        else:
            other = chance.choice(SEEDS)
            start = chance.randrange(len(other))
            data[place:end] = other[start : start + chance.choice((10, 200))]
    return bytes(data)


class Reader:
    """A tree with one Tomcat in a folder of its own, whose server.xml is written anew for each input."""

    def __init__(self, folder):
        properties = "a=1000\nq=${p}\np=${q}x\n"
        self.root = trees.grow(
            Path(folder),
            {PLACE + "i.xml": INCLUDED, PLACE + "server.xml": "", PLACE + "catalina.properties": properties},
        )

    def parse(self, data: bytes) -> list:
        """What the collector yields of these bytes; it must be whole and free of exceptions."""
        (self.root / (PLACE + "server.xml").lstrip("/")).write_bytes(data)
        found = list(tomcat.collect(Host(str(self.root))))
        names = [name for _, name, _ in found]
        assert len(names) == len(set(names))
        assert found[0][0] == "config"
        assert all("value" in fact and "origin" in fact for _, _, facts in found for fact in facts.values())
        return found


def run(count: int, seed: int) -> tuple:
    """Reads `count` mutations. Gives the seconds of all, the seconds of the slowest, and how many had a server."""
    folder = tempfile.mkdtemp()
    try:
        reader, chance = Reader(folder), random.Random(seed)
        slowest, useful, began = 0.0, 0, time.monotonic()
        for number in range(count):
            data = mutate(chance)
            before = time.monotonic()
            try:
                useful += len(reader.parse(data)) > 1
            except Exception as error:
                raise AssertionError(f"seed {seed}, input {number}: {data!r}") from error
            slowest = max(slowest, time.monotonic() - before)
        return time.monotonic() - began, slowest, useful
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    many = int(sys.argv[1]) if len(sys.argv) > 1 else 20000
    seconds, slowest, useful = run(many, int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(f"{many} inputs, {useful} with connectors, {seconds:.1f} s, slowest {slowest * 1000:.1f} ms")  # noqa: T201
