"""The same audit on a host that has nginx, Apache and HAProxy configured, 2,000 lines in all, in a mount namespace of
its own: what the machine has in /etc stays as it is."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

LINES = 667

MOUNT = (
    'for one in "$0"/*; do mount --bind "$one" "/etc/${one##*/}" || exit 1; done; '
    'for one in /etc/tomcat1* /var/lib/tomcat1*; do [ ! -d "$one" ] || mount -t tmpfs none "$one" || exit 1; done; '
    'exec "$@"'
)
"""The shell that puts the folders of $0 over those of /etc, hides what other servers are installed, and becomes the
command."""


def _nginx() -> list[str]:
    lines = ["events { }", "http {", "    keepalive_timeout 65;"]
    number = 0
    while len(lines) < LINES - 1:
        number += 1
        lines += [
            f"    upstream app{number} {{",
            f"        server 127.0.0.1:{8000 + number};",
            "        keepalive 16;",
            "        keepalive_timeout 30s;",
            "    }",
            "    server {",
            f"        listen {10000 + number};",
            f"        server_name shop{number}.example www.shop{number}.example;",
            "        # what this shop is for",
            "        client_max_body_size 10m;",
            "        location / {",
            f"            proxy_pass http://app{number};",
            "            proxy_http_version 1.1;",
            '            proxy_set_header Connection "";',
            "            proxy_set_header Host $host;",
            "        }",
            "        location /static/ {",
            f"            root /srv/shop{number};",
            "            keepalive_timeout 15;",
            "        }",
            "    }",
        ]
    return [*lines, "}"]


def _apache() -> list[str]:
    lines = ['ServerRoot "/etc/apache2"', "Timeout 300", "KeepAlive On", "KeepAliveTimeout 5"]
    number = 0
    while len(lines) < LINES:
        number += 1
        lines += [
            f"Listen {20000 + number}",
            f"<VirtualHost *:{20000 + number}>",
            f"    ServerName shop{number}.example",
            "    KeepAliveTimeout 15",
            "    # what this shop is for",
            f"    DocumentRoot /srv/shop{number}",
            f"    <Directory /srv/shop{number}>",
            "        Require all granted",
            "    </Directory>",
            "    <IfModule mod_proxy.c>",
            f"        ProxyPass /api http://127.0.0.1:{8000 + number}/ ttl=4",
            "    </IfModule>",
            "</VirtualHost>",
        ]
    return lines


def _haproxy() -> list[str]:
    lines = ["defaults", "    mode http", "    timeout connect 5s", "    timeout client 50s", "    timeout server 50s"]
    number = 0
    while len(lines) < LINES:
        number += 1
        lines += [
            f"frontend shop{number}",
            f"    bind 127.0.0.1:{30000 + number}",
            "    timeout http-keep-alive 10s",
            "    # what this shop is for",
            "    option forwardfor",
            f"    default_backend app{number}",
            "",
            f"backend app{number}",
            "    option httpchk",
            f"    server a 127.0.0.1:{8000 + number} check",
            f"    server b 127.0.0.1:{9000 + number} check",
            "",
        ]
    return lines


FILES = {"nginx/nginx.conf": _nginx, "apache2/apache2.conf": _apache, "haproxy/haproxy.cfg": _haproxy}


def missing() -> str:
    """Why this cannot run here; empty where it can."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return "root and unshare are needed"
    gone = [name.partition("/")[0] for name in FILES if not Path("/etc", name).parent.is_dir()]
    return f"not installed: {', '.join(gone)}" if gone else ""


@contextlib.contextmanager
def on_host(command: Sequence[str]) -> Iterator[Sequence[str]]:
    """The command as it runs on a host with these configurations."""
    with tempfile.TemporaryDirectory() as folder:
        for name, made in FILES.items():
            place = Path(folder, name)
            place.parent.mkdir()
            place.write_text("\n".join(made()) + "\n")
        yield ("unshare", "-m", "sh", "-c", MOUNT, folder, *command)
