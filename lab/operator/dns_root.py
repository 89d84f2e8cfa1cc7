"""Where the real DNS begins: addresses of the root's servers, and the keys it is trusted by.

Both as IANA publishes them (https://www.iana.org/domains/root/files), state of 2026. A lab has
a root of its own and hands in other values.
"""

from __future__ import annotations

from typing import Final

ROOTS: Final[tuple[str, ...]] = (
    "198.41.0.4",
    "170.247.170.2",
    "192.33.4.12",
    "199.7.91.13",
    "192.203.230.10",
    "192.5.5.241",
    "198.97.190.53",
    "192.36.148.17",
    "192.58.128.30",
    "193.0.14.129",
    "199.7.83.42",
    "202.12.27.33",
)
"""IPv4 addresses of root name servers; any one that answers is enough."""

ANCHORS: Final[tuple[str, ...]] = (
    "20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
    "38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
)
"""DS of the root's keys, in presentation format."""
