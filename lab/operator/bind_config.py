"""BIND's configuration as ``named-checkconf -p`` prints it, read and changed as text.

However a configuration was laid out by hand, over however many files, that command prints it in
one and the same form: one statement a line, blocks indented by tabs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

# Made by Debian's package: zones that every server has for itself.
_LOCAL: Final = frozenset(
    ("localhost", "127.in-addr.arpa", "0.in-addr.arpa", "255.in-addr.arpa")
) | frozenset(
    ("10.in-addr.arpa", "168.192.in-addr.arpa", *(f"{n}.172.in-addr.arpa" for n in range(16, 32)))
)

_BLOCK: Final = re.compile(
    r'^(?P<indent>\t*)(?P<head>options|zone "(?P<zone>[^"]+)"(?: IN)?) \{\n'
    r"(?P<body>.*?)^(?P=indent)\};\n",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class ServedZone:
    """A zone of which the server is the primary.

    Attributes:
        name: without the last dot.
        file: its master file, as the configuration names it.
    """

    name: str
    file: str


def served(config: str) -> tuple[ServedZone, ...]:
    """Return the zones that the server is the primary of, without those that are only its own."""
    found = {}
    for block in _BLOCK.finditer(config):
        name, body = block["zone"], block["body"]
        if name is None or re.search(r"^\t+type (master|primary);$", body, re.MULTILINE) is None:
            continue
        file = re.search(r'^\t+file "(.+)";$', body, re.MULTILINE)
        if file is not None and name not in _LOCAL:
            found[name.lower()] = ServedZone(name=name.lower(), file=file[1])
    return tuple(found[name] for name in sorted(found))


def directory(config: str) -> str:
    """Return where relative names of files begin."""
    named = re.search(r'^\tdirectory "(.+)";$', config, re.MULTILINE)
    return named[1] if named else "/var/cache/bind"


def with_options(config: str, statements: Mapping[str, str]) -> str:
    """Return *config* with global options set: name -> everything after it."""
    return _BLOCK.sub(
        lambda block: _set(block, statements) if not block["zone"] else block[0], config
    )


def with_transfers(
    config: str, zones: Iterable[str], *, key: str, secret: str, to: Iterable[str]
) -> str:
    """Return *config* with zones that are transferred to whoever has a key, and counted.

    Whoever was let in by name before still is.

    Args:
        config: as ``named-checkconf -p`` prints it.
        zones: their names.
        key: name of the key.
        secret: the key itself, in base64, for HMAC-SHA256.
        to: addresses that are notified of a change.
    """
    chosen = frozenset(zones)
    options = next((b["body"] for b in _BLOCK.finditer(config) if not b["zone"]), "")
    notified = "".join(f"{address}; " for address in to)

    def change(block: re.Match[str]) -> str:
        if block["zone"] is None or block["zone"].lower() not in chosen:
            return block[0]
        allowed = _listed(block["body"], "allow-transfer") or _listed(options, "allow-transfer")
        statements = {
            "allow-transfer": "{ " + " ".join([f'key "{key}";', *allowed]) + " }",
            "also-notify": f"{{ {notified}}}",
            "notify": "explicit",
            "zone-statistics": "yes",
        }
        return _set(block, statements)

    block = f'key "{key}" {{\n\talgorithm "hmac-sha256";\n\tsecret "{secret}";\n}};\n'
    return block + _BLOCK.sub(change, config)


def _set(block: re.Match[str], statements: Mapping[str, str]) -> str:
    """Return a block with *statements* in the place of those it has of the same name."""
    indent, body = block["indent"] + "\t", block["body"]
    for name in statements:
        body = re.sub(_statement(name), "", body, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(f"{indent}{name} {rest};\n" for name, rest in statements.items())
    return f"{block['indent']}{block['head']} {{\n{lines}{body}{block['indent']}}};\n"


def _statement(name: str) -> str:
    """Return a pattern for a statement, on one line or as a block."""
    return rf"^(\t+){re.escape(name)} (?:[^\n{{]*;\n|[^\n]*\{{\n.*?^\1\}};\n)"


def _listed(body: str, name: str) -> list[str]:
    """Return the lines of a statement that is a block; none when it is not there."""
    found = re.search(_statement(name), body, flags=re.MULTILINE | re.DOTALL)
    return [line.strip() for line in found[0].splitlines()[1:-1]] if found else []
