"""What visitors of the web ask for and write: carried to the outside in the users' plan.

Shipped to the outside machine: standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

VISIT: Final = "visit"
"""The kind of every operation that a web server has to answer with a page."""

VISIT_ANY: Final = "visit at any address"
VISIT_FIRST: Final = "visit at the first address"
"""The same, of those who try every address of a name, and of those who know only one."""

ENTRY: Final = "entry"
"""The kind of every operation that writes; what it writes is the operation's ``what``."""

Family = Literal["4", "6"]

Choice = Literal["lowest", "highest", "any"]
"""Which addresses of a name a user tries: one and the same each time, or one after the other in any
order until one answers, as browsers do (RFC 8305).

What is sent on a connection that was made may have arrived. So an entry is never tried again then;
a page is, when nothing was heard, as somebody who waits presses the button once more.
"""


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One page, and what a visitor must get.

    Attributes:
        url: whole address.
        status: of the answer; redirects are not followed.
        digest: SHA-256 of the body, in hexadecimal; any body when empty.
    """

    url: str
    status: int = 200
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """One user who asks for pages at a steady pace, each over a connection of its own.

    Attributes:
        name: the target of its operations.
        family: the only version of IP that it uses.
        resolver: what it looks names up with, each time.
        visits: asked in turn.
        cadence: seconds from one visit to the next.
        timeout: seconds until it gives up, the look-up included.
        choice: which addresses of a name it tries.
        kind: of its operations.
    """

    name: str
    family: Family
    resolver: str
    visits: tuple[Visit, ...]
    cadence: float = 0.1
    timeout: float = 20.0
    choice: Choice = "lowest"
    kind: str = VISIT


@dataclass(frozen=True, kw_only=True)
class Writer:
    """One user who writes into a guest book at a steady pace.

    Attributes:
        name: the target of its operations.
        family: the only version of IP that it uses.
        resolver: what it looks names up with, each time.
        url: of the form.
        cadence: seconds from one entry to the next.
        timeout: seconds until it gives up, the look-up included.
        choice: which addresses of a name it tries.
    """

    name: str
    family: Family
    resolver: str
    url: str
    cadence: float = 0.5
    timeout: float = 20.0
    choice: Choice = "lowest"
