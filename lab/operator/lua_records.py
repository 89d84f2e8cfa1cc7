"""Record sets whose answer a name server computes: PowerDNS's type LUA.

Such a record says of which type the answer is, and by what program it is found::

    www 30 IN LUA A "ifurlup('http://www.example/healthz', {'192.0.2.1', '192.0.2.2'})"

The type's number is one for private use (RFC 6895), so it is made known here; whoever reads or
writes zones imports this module. Between servers a record is the type of the answer in two bytes,
and the program as strings of at most 255 bytes, like those of TXT.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Final, Self

import dns.exception
import dns.immutable
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.txtbase
import dns.tokenizer
import dns.wire

TYPE: Final = "LUA"
NUMBER: Final = 65402
"""Mnemonic and number of the type, as PowerDNS has them."""

_QUOTED: Final = re.compile(r"""'([0-9A-Fa-f.:]+)'""")
_FIRST_GROUP: Final = re.compile(r"\{\s*\{([^{}]*)\}")
"""Of addresses in groups the first: others are answered only when none of it is well."""

_VERSIONS: Final = {"A": 4, "AAAA": 6}


@dns.immutable.immutable
class LuaRdata(dns.rdtypes.txtbase.TXTBase):
    """One LUA record.

    Attributes:
        covers_type: the type of the answers.
        strings: the program, in pieces.
    """

    __slots__ = ["covers_type"]

    def __init__(
        self,
        rdclass: dns.rdataclass.RdataClass,
        rdtype: dns.rdatatype.RdataType,
        covers_type: dns.rdatatype.RdataType,
        strings: Iterable[bytes | str],
    ) -> None:
        super().__init__(rdclass, rdtype, strings)
        self.covers_type = covers_type

    def to_styled_text(self, style: dns.rdata.RdataStyle) -> str:
        """Return it as in a master file."""
        return f"{dns.rdatatype.to_text(self.covers_type)} {super().to_styled_text(style)}"

    @classmethod
    def from_text(  # noqa: PLR0917 - dnspython's
        cls,
        rdclass: dns.rdataclass.RdataClass,
        rdtype: dns.rdatatype.RdataType,
        tok: dns.tokenizer.Tokenizer,
        origin: dns.name.Name | None = None,
        relativize: bool = True,  # noqa: FBT001, FBT002 - dnspython's
        relativize_to: dns.name.Name | None = None,
    ) -> Self:
        """Read one of a master file."""
        covered = dns.rdatatype.from_text(tok.get_identifier())
        program = dns.rdtypes.txtbase.TXTBase.from_text(
            rdclass, rdtype, tok, origin, relativize, relativize_to
        )
        return cls(rdclass, rdtype, covered, program.strings)

    def _to_wire(self, file: Any, *rest: Any, **more: Any) -> None:  # noqa: ANN401 - dnspython's
        file.write(int(self.covers_type).to_bytes(2))
        super()._to_wire(file, *rest, **more)  # type: ignore[no-untyped-call]

    @classmethod
    def from_wire_parser(
        cls,
        rdclass: dns.rdataclass.RdataClass,
        rdtype: dns.rdatatype.RdataType,
        parser: dns.wire.Parser,
        origin: dns.name.Name | None = None,  # noqa: ARG003 - dnspython's
    ) -> Self:
        """Read one of a message."""
        covered = dns.rdatatype.RdataType.make(parser.get_uint16())
        strings = []
        while parser.remaining() > 0:
            strings.append(parser.get_counted_bytes())
        return cls(rdclass, rdtype, covered, strings)


dns.rdata.register_type(LuaRdata, NUMBER, TYPE)
# Once more: what the first call keeps was made before the name was known.
dns.rdatatype.register_type(dns.rdatatype.RdataType.make(NUMBER), TYPE)


def answers(values: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return what a LUA record set may answer: type -> the addresses that its programs list.

    Whichever of them are well at the moment are the answer; never none of them.

    Args:
        values: of the record set, as in a master file.
    """
    found: dict[str, tuple[str, ...]] = {}
    for value in values:
        rdtype, _, program = value.partition(" ")
        listed = (each for each in _QUOTED.findall(program) if _is_address(each, rdtype))
        found[rdtype] = tuple(sorted({*found.get(rdtype, ()), *listed}))
    return found


def preferred(values: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the same, of programs that list groups the first one: the answer while all are well.

    Args:
        values: as for :func:`answers`.
    """
    return answers(
        f"{value.partition(' ')[0]} {first[1]}" if (first := _FIRST_GROUP.search(value)) else value
        for value in values
    )


def _is_address(text: str, rdtype: str) -> bool:
    try:
        return ip_address(text).version == _VERSIONS.get(rdtype)
    except ValueError:
        return False
