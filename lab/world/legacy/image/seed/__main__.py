"""Fill the old server's disk: ``python3 -m seed DOMAIN MESSAGES ARTICLES``."""

from __future__ import annotations

import sys
from pathlib import Path

from .mailboxes import fill
from .site import publish

domain, messages, articles = sys.argv[1:4]
publish(Path("/var/www/nordlys"), articles=Path(articles), domain=domain)
fill(Path("/"), domain=domain, messages=int(messages))
