"""The sites' content: copied to the new server, and compared with the old one's."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from lab.operator import web_compare
from lab.operator.apache import Apache
from lab.operator.carry import Place
from lab.operator.web_client import Page, Server, Url
from lab.operator.web_data import Site
from lab.steps.base import StepCheckError
from lab.steps.web_move import Move

_MOST_TOLD: Final = 5
_TRIES: Final = 5


def pages(move: Move) -> dict[Url, Page]:
    """Return every page that the old server has, as it answers itself."""
    files = {
        site.name: move.apache.files(site.source, without=site.data) if site.source else ()
        for site in move.sites
    }
    return web_compare.crawl(move.at_old(), move.sites, web_compare.urls(move.sites, files))


def pages_of_new(move: Move) -> dict[Url, Page]:
    """Return every page that the new server has, as it answers behind its edge."""
    return pages_of(move, move.at_new(), move.new.name)


def pages_of(move: Move, server: Server, host: str) -> dict[Url, Page]:
    """Return every page that a host made by Puppet has.

    Args:
        move: whose sites it serves.
        server: who is asked for them.
        host: where they lie.
    """
    there = Apache(ssh=move.op.ssh, host=host)  # it only lists what is there
    files = {
        site.name: there.files(f"{site.home}/current", without=site.data) if site.source else ()
        for site in move.sites
    }
    return web_compare.crawl(server, move.sites, web_compare.urls(move.sites, files))


def release(move: Move, site: Site, version: str) -> None:
    """Put a version of a site's content beside the others, and make it the one in force."""
    target = Place(host=move.new.name, path=f"{site.home}/releases/{version}")
    move.carrier.carry(move.content_of(site), target, without=site.data)
    shared = f"ln -sfnT ../../shared/{site.data} {target.path}/{site.data}" if site.data else ""
    script = f"""
        {shared}
        cd {shlex.quote(site.home)}
        ln -sfnT releases/{version} current.new
        mv -T current.new current
        ls -1dt releases/* | tail -n +4 | xargs -r rm -rf
    """
    move.op.ssh.run(move.new.name, script)


def compare(move: Move) -> None:
    """See that the new server has every page that the old one has.

    Pages that programs make of data are compared from a copy of the data, again until nobody has
    written in between. Where somebody always has, their status and headers must do.

    Raises:
        StepCheckError: it has not.
    """
    _copy_data(move)
    old = pages(move)
    new = move.at_new().fetch(old)
    _refuse(move, web_compare.differences(move.sites, old, new, data=False))
    changing = {name for site in move.with_data for name in site.asked}
    made = [url for url in old if url.host in changing]
    if not any(_alike(move, made) for _ in range(_TRIES)):
        move.op.report.say(
            "[yellow]Somebody always wrote in between: of pages made of data only status and "
            "headers were compared[/]"
        )
    move.op.report.say(f"{len(old)} addresses answer alike")


def _alike(move: Move, urls: Sequence[Url]) -> bool:
    _copy_data(move)
    new, old = (server.fetch(urls) for server in (move.at_new(), move.at_old()))
    return not web_compare.differences(move.sites, old, new)


def _copy_data(move: Move) -> None:
    for site in move.with_data:
        old, new = move.data_at_old(site), move.data_at_new(site)
        move.carrier.carry(old, new, like=f"{site.home}/shared", in_use=True)


def _refuse(move: Move, wrong: Sequence[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise StepCheckError(
            f"the new server answers otherwise: {'; '.join(wrong[:_MOST_TOLD])}{more}",
            where=move.new.name,
            remedy="puppet/data/web.yaml describes the sites; visitors have noticed nothing",
        )
