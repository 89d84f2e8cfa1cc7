"""A new version of a site: what is refused, and what it is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hands import operator_in

from lab.operator import web_data
from lab.site_release import SiteRelease, SiteReleaseCheckError


def refused(tmp_path: Path, site: str, *files: str) -> str:
    directory = tmp_path / "public"
    directory.mkdir()
    for name in files:
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text(name)
    with pytest.raises(SiteReleaseCheckError) as told:
        SiteRelease.of(operator_in(tmp_path), site=site, directory=directory)
    return str(told.value)


def test_a_site_that_there_is_not_is_refused_and_those_that_there_are_named(tmp_path: Path) -> None:
    assert "There are nordlys, foreningen" in refused(tmp_path, "kort", "index.html")


def test_nothing_to_show_is_refused(tmp_path: Path) -> None:
    assert "not a directory with content" in refused(tmp_path, "nordlys")


def test_what_programs_write_is_no_part_of_it(tmp_path: Path) -> None:
    assert "leave that out" in refused(tmp_path, "foreningen", "index.php", "data/entries.txt")


def test_it_is_called_by_its_names_and_bytes_whenever_they_were_written(tmp_path: Path) -> None:
    operator = operator_in(tmp_path)
    site = web_data.read(operator.fleet.domain)[0]

    def version(**files: str) -> str:
        directory = tmp_path / "-".join([*files, *files.values()])
        directory.mkdir()
        for name, text in files.items():
            (directory / name).write_text(text)
        return SiteRelease(op=operator, site=site, directory=directory, hosts=("oslo",)).version

    assert version(a="1", b="2") == version(b="2", a="1")
    assert len({version(a="1"), version(a="2"), version(b="1"), version(a="1", c="")}) == 4
