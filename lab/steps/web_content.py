"""The sites' content: copied to the new server, and compared with the old one's."""

from __future__ import annotations

import shlex
from typing import Final

from lab.operator import web_compare
from lab.operator.carry import Place
from lab.operator.web_client import Page, Url
from lab.operator.web_data import Site
from lab.steps.base import StepCheckError
from lab.steps.web_move import Move

_MOST_TOLD: Final = 5
_TRIES: Final = 10


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

    Pages that programs make are compared as well, from a copy of the data: until one is made
    between two visits of somebody who writes, they differ.

    Raises:
        StepCheckError: it has not.
    """
    old = pages(move)
    new = move.at_new().fetch(old)
    wrong = web_compare.differences(move.sites, old, new)
    for _ in range(_TRIES):
        again = [url for url in old if any(each.startswith(f"{url}: ") for each in wrong)]
        if not again or not move.with_data:
            break
        for site in move.with_data:
            move.carrier.carry(
                move.data_at_old(site), move.data_at_new(site), like=f"{site.home}/shared"
            )
        new = move.at_new().fetch(again)
        wrong = web_compare.differences(move.sites, move.at_old().fetch(again), new)
    if wrong:
        more = f" and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise StepCheckError(
            f"the new server answers otherwise: {'; '.join(wrong[:_MOST_TOLD])}{more}",
            where=move.new.name,
            remedy="puppet/data/web.yaml describes the sites; nothing has been cut over yet",
        )
    move.op.report.say(f"{len(old)} addresses answer alike")
