"""Configuration files of the world, from templates beside this module."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

# These are files for programs on machines of our own, not pages: nothing is escaped.
_TEMPLATES = Environment(  # noqa: S701
    loader=PackageLoader("lab.world"),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def render(template: str, /, **values: object) -> str:
    """Return a template, filled in.

    Args:
        template: its path below ``templates/``.
        **values: everything it names; a name left out is an error.
    """
    return _TEMPLATES.get_template(template).render(values)
