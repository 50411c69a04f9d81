"""`python -m audit_tcp`."""

import sys

from audit_tcp.cli import main

sys.exit(main())
