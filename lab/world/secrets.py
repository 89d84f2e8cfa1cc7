"""What the lab's world must keep to itself: its zones' keys, a registrar's, an authority's.

They are made on the laptop, once for each lab. So the resolver's trust anchor, and each child's
DS in its parent, are known before any machine of the lab exists.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from lab.errors import CouldNotError
from lab.fleet import Fleet
from lab.world.authority import Authority
from lab.world.names import registry_zones
from lab.zone_key import ZoneKey

REGISTRAR_KEY: Final = "registrar"
"""Name of the TSIG key (RFC 8945, hmac-sha256) that signs a registrar's updates."""

_BYTES: Final = 32


class WorldSecretsError(CouldNotError):
    """The world's secrets could not be read or kept."""


@dataclass(frozen=True, kw_only=True)
class WorldSecrets:
    """All secrets of one lab's world.

    Attributes:
        keys: of the registry's zones, by absolute name.
        registrar: of the key called :data:`REGISTRAR_KEY`, in base64.
        authority: whose certificates all machines outside believe.
    """

    keys: Mapping[str, ZoneKey]
    registrar: str = field(repr=False)
    authority: Authority

    @classmethod
    def make(cls, fleet: Fleet) -> Self:
        """Make all that a lab of *fleet* needs."""
        return cls(
            keys={zone: ZoneKey.make(zone) for zone in registry_zones(fleet)},
            registrar=base64.b64encode(secrets.token_bytes(_BYTES)).decode(),
            authority=Authority.make(f"Authority of the lab {fleet.name}"),
        )

    @classmethod
    def at(cls, directory: Path, fleet: Fleet) -> Self:
        """Return the secrets kept in *directory*; they are made when there are none that fit.

        Raises:
            WorldSecretsError: they can be neither read nor kept.
        """
        path = directory / "world.json"
        try:
            if path.exists():
                kept = cls._from_json(path.read_text())
                if set(kept.keys) == set(registry_zones(fleet)):
                    return kept
            made = cls.make(fleet)
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            aside = path.with_suffix(".new")
            aside.touch(mode=0o600)
            aside.write_text(made._to_json())
            aside.replace(path)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise WorldSecretsError(
                f"neither readable nor writable: {error}",
                where=str(path),
                remedy="`./invoke lab-down` clears a lab's secrets away",
            ) from error
        return made

    @property
    def anchor(self) -> str:
        """Return the DS of the root's key: what whoever validates in this lab believes."""
        return self.keys["."].ds

    def _to_json(self) -> str:
        zones = {zone: key.private for zone, key in self.keys.items()}
        authority = {"root": self.authority.root, "key": self.authority.key}
        kept = {"registrar": self.registrar, "zones": zones, "authority": authority}
        return json.dumps(kept, indent=1) + "\n"

    @classmethod
    def _from_json(cls, text: str) -> Self:
        kept = json.loads(text)
        return cls(
            keys={zone: ZoneKey(zone=zone, private=key) for zone, key in kept["zones"].items()},
            registrar=kept["registrar"],
            authority=Authority(root=kept["authority"]["root"], key=kept["authority"]["key"]),
        )
