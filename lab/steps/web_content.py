"""The sites' content: copied to the new server, and compared with the old one's."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Final

from lab.operator import web_compare
from lab.operator.carry import Place
from lab.operator.web_client import Page, Url
from lab.operator.web_data import Site
from lab.parallel import side_by_side
from lab.steps.base import StepCheckError
from lab.steps.web_move import Move

_MOST_TOLD: Final = 5


def pages(move: Move) -> dict[Url, Page]:
    """Return every page that the old server has, as it answers itself."""
    files = {
        site.name: move.apache.files(site.source, without=site.data) if site.source else ()
        for site in move.sites
    }
    return web_compare.crawl(move.at_old(), move.sites, web_compare.urls(move.sites, files))


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

    Pages that programs make of data change all the time: their bodies are compared by
    :func:`compare_data`, while nobody writes.

    Raises:
        StepCheckError: it has not.
    """
    for site in move.with_data:
        old_data, new_data = move.data_at_old(site), move.data_at_new(site)
        move.carrier.carry(old_data, new_data, like=f"{site.home}/shared")
    old = pages(move)
    new = move.at_new().fetch(old)
    _refuse(move, web_compare.differences(move.sites, old, new, data=False))
    move.op.report.say(f"{len(old)} addresses answer alike")


def compare_data(move: Move, site: Site) -> None:
    """See that the programs of a site make the same pages of the same data on both servers.

    Raises:
        StepCheckError: they do not.
    """
    files = {site.name: move.apache.files(site.source, without=site.data)}
    urls = web_compare.urls([site], files)
    old, new = side_by_side(lambda server: server.fetch(urls), (move.at_old(), move.at_new()))
    _refuse(move, web_compare.differences([site], old, new))


def _refuse(move: Move, wrong: Sequence[str]) -> None:
    if wrong:
        more = f" and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise StepCheckError(
            f"the new server answers otherwise: {'; '.join(wrong[:_MOST_TOLD])}{more}",
            where=move.new.name,
            remedy="puppet/data/web.yaml describes the sites; visitors have noticed nothing",
        )
