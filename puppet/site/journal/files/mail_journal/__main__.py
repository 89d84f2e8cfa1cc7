"""``python3 -m mail_journal``: the commands."""

from __future__ import annotations

import sys

from mail_journal.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
