"""Where things live on the lab's internet: its ranges, its blocks, and what is reserved.

Every lab has a *block* of its own, so that several stand side by side on one laptop. The
addresses in ``fleet.yaml`` are those of block 0; block *n* is the same picture moved on.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict

BLOCKS: Final = 8
"""How many labs fit side by side: 198.18.0.0/15 (RFC 2544) has room for eight of a /18."""

BLOCK_V4: Final = IPv4Network("198.18.0.0/18")
"""Block 0: every lab address in ``fleet.yaml`` lies in here."""

BLOCK_V6: Final = IPv6Network("fd18::/32")
"""Block 0 for IPv6, out of the unique local addresses (RFC 4193)."""

WORLD_V4: Final = IPv4Network("198.18.0.0/24")
"""The part of block 0 kept for the world: router, resolver, registry and so on."""

WORLD_V6: Final = IPv6Network("fd18::/48")
"""The same for IPv6."""


def _text(value: object) -> object:
    """Refuse numbers: ``ipaddress`` would happily read 5 as 0.0.0.5."""
    if isinstance(value, str | IPv4Address | IPv6Address):
        return value
    raise ValueError(f"an address is text, not {type(value).__name__}")


def _v4(value: object) -> IPv4Address:
    try:
        return IPv4Address(_text(value))
    except ValueError as error:
        raise ValueError(f"not an IPv4 address: {error}") from None


def _v6(value: object) -> IPv6Address:
    try:
        return IPv6Address(_text(value))
    except ValueError as error:
        raise ValueError(f"not an IPv6 address: {error}") from None


V4 = Annotated[IPv4Address, BeforeValidator(_v4)]
"""An IPv4 address read from a file, refused with a sentence a person understands."""

V6 = Annotated[IPv6Address, BeforeValidator(_v6)]
"""The same for IPv6."""


class Address(BaseModel):
    """The two addresses of one machine.

    Attributes:
        v4: its only public IPv4 address.
        v6: its only public IPv6 address.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v4: V4
    v6: V6


def shifted(address: Address, *, block: int) -> Address:
    """Move an address of block 0 into another block.

    Args:
        address: as written in ``fleet.yaml``.
        block: 0 to 7.

    Returns:
        IPv4 moved by *block* times 2^14, IPv6 with *block* as its second group.

    Raises:
        ValueError: there is no such block.
    """
    if not 0 <= block < BLOCKS:
        raise ValueError(f"a lab's block is 0 to {BLOCKS - 1}, not {block}")
    return Address(
        v4=address.v4 + block * BLOCK_V4.num_addresses,
        v6=address.v6 + block * BLOCK_V6.num_addresses,
    )


def world_address(number: int, *, block: int = 0) -> Address:
    """Return the address of one of the world's machines.

    Args:
        number: 1 to 254, its last group. It is spelt alike in both families: 53 is
            198.18.0.53 and fd18::53.
        block: the lab's block.

    Raises:
        ValueError: the number or the block is out of range.
    """
    if not 1 <= number < WORLD_V4.num_addresses - 1:
        raise ValueError(f"a machine of the world is numbered 1 to 254, not {number}")
    own = Address(v4=WORLD_V4[number], v6=WORLD_V6[int(str(number), 16)])
    return shifted(own, block=block)


def block_networks(block: int = 0) -> tuple[IPv4Network, IPv6Network]:
    """Return all that a lab's block covers, in both families.

    Args:
        block: 0 to 7.
    """
    moved = shifted(Address(v4=BLOCK_V4[0], v6=BLOCK_V6[0]), block=block)
    return (
        IPv4Network((moved.v4, BLOCK_V4.prefixlen)),
        IPv6Network((moved.v6, BLOCK_V6.prefixlen)),
    )
