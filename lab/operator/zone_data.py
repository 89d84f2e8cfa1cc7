"""Zones as data for Hiera: one line a record set, made to be read and edited by a person."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import asdict
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from lab.operator.zones import RecordSet, Soa, Zone, ZoneError, record_set

KEY = "profile::dns::content"
"""The parameter of Puppet's class that takes the content of zones."""

_HEAD = """\
# The fleet's zones: one line a record set. Values stand as in a master file, names in them with
# the last dot. Raise the serial with every change; Puppet loads what differs.
"""

# Hiera would take "%{" for the start of a variable, and SPF macros are written like that.
_VARIABLE, _LITERAL = "%{", "%{literal('%')}{"

_UInt31 = Annotated[int, Field(ge=0, le=2**31 - 1)]
_UInt32 = Annotated[int, Field(ge=0, le=2**32 - 1)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Records(_Part):
    name: str
    ttl: _UInt31
    type: str
    values: Annotated[list[str], Field(min_length=1)]


class _Soa(_Part):
    mname: str
    rname: str
    serial: _UInt32
    refresh: _UInt31
    retry: _UInt31
    expire: _UInt31
    minimum: _UInt31
    ttl: _UInt31


class _Zone(_Part):
    soa: _Soa
    records: list[_Records]


class _File(_Part):
    zones: dict[str, _Zone] = Field(alias=KEY)


def to_hiera(zones: Iterable[Zone]) -> str:
    """Return *zones* as a YAML file for Hiera."""
    content = CommentedMap()
    for zone in zones:
        content[zone.origin] = CommentedMap(
            soa=CommentedMap(asdict(zone.soa)),
            records=[
                _line(name=r.name, ttl=r.ttl, type=r.type, values=[_escape(v) for v in r.values])
                for r in zone.records
            ],
        )
    out = io.StringIO()
    _yaml().dump({KEY: content}, out)
    return f"---\n{_HEAD}{out.getvalue()}"


def from_hiera(text: str) -> dict[str, Zone]:
    """Return the zones of a YAML file for Hiera, by name.

    Raises:
        ZoneError: the file does not say what a zone is made of.
    """
    try:
        given = _File.model_validate(_yaml().load(text))
    except (YAMLError, ValidationError) as error:
        raise ZoneError(" ".join(str(error).split()), where="data of the zones") from error
    return {origin: _zone(origin, each) for origin, each in given.zones.items()}


def _zone(origin: str, given: _Zone) -> Zone:
    return Zone.of(origin, Soa(**given.soa.model_dump()), (_set(origin, r) for r in given.records))


def _set(origin: str, given: _Records) -> RecordSet:
    values = (_unescape(each) for each in given.values)
    return record_set(origin, name=given.name, ttl=given.ttl, rdtype=given.type, values=values)


def _line(**items: Any) -> CommentedMap:  # noqa: ANN401 - YAML takes anything
    """Return a mapping that is written on one line."""
    line = CommentedMap(items)
    line.fa.set_flow_style()
    return line


def _escape(value: str) -> str:
    return value.replace(_VARIABLE, _LITERAL)


def _unescape(value: str) -> str:
    return value.replace(_LITERAL, _VARIABLE)


def _yaml() -> YAML:
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 10_000
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
