"""What is on the old host alone, or still in use there: looked at, and put into words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from lab.operator.bind import Bind
from lab.operator.callers import Seen, Use
from lab.operator.carry import Place
from lab.operator.leftovers import Copied, Late, Leftovers
from lab.operator.old_mail import PASSING
from lab.operator.web_data import Site
from lab.steps.mail_move import Move as MailMove
from lab.steps.web_move import Move as WebMove

_MOST_FILES = 3


@dataclass(frozen=True, kw_only=True)
class Remains:
    """What was found on the old host.

    Attributes:
        mode: what its mail server does with what comes.
        queued: messages that wait there.
        late: mail that came into its mailboxes after they had moved.
        gone: messages there that the new server does not have any more.
        copies: name of a site, and of its data -> how they compare with the new server's.
        names: whether its name server runs.
        jobs: what people let run there.
    """

    mode: str = PASSING
    queued: int = 0
    late: tuple[Late, ...] = ()
    gone: int = 0
    copies: Mapping[str, Copied] = field(default_factory=dict)
    names: bool = False
    jobs: tuple[str, ...] = ()


def look(mail: MailMove, web: WebMove) -> Remains:
    """Look at everything on the old host; nothing is changed.

    Args:
        mail: from where the mail has moved, and whereto.
        web: the same of the sites.
    """
    op, host = mail.op, mail.old.name
    left = Leftovers(ssh=op.ssh, host=host)
    accounts = mail.directory.accounts
    return Remains(
        mode=mail.server.state().mode,
        queued=mail.server.queued(),
        late=tuple(left.late_mail(accounts)),
        gone=left.gone(accounts, mail.new.name),
        copies=dict(_copies(left, web)),
        names=Bind(ssh=op.ssh, dns=op.dns, host=host).state().active,
        jobs=tuple(left.jobs()),
    )


def _copies(left: Leftovers, web: WebMove) -> Iterator[tuple[str, Copied]]:
    for site in web.with_content:
        new = Place(host=web.new.name, path=f"{site.home}/current")
        # The link was set when the content had been copied, its directory when the data had been.
        yield (
            f"the content of {site.name}",
            left.compare(web.content_of(site), new, moved=new.path, without=site.data),
        )
        if site.data:
            yield (
                f"the data of {site.name}",
                left.compare(
                    web.data_at_old(site), web.data_at_new(site), moved=f"{site.home}/shared"
                ),
            )


def refusals(remains: Remains, host: str) -> Iterator[str]:
    """Yield what would be lost with *host*, or is in use there, and what to do."""
    if remains.names:
        yield f"a name server runs on {host}: stop it when nobody asks it any more"
    if remains.mode != PASSING:
        yield f"the mail server on {host} is {remains.mode}: `./invoke step mail` lets it pass on"
    if remains.queued:
        yield (
            f"{remains.queued} messages wait in the queue of {host}: `postqueue -p` there says why"
        )
    for each in remains.late:
        yield (
            f"{each.count} messages came into {each.directory} on {host} after the mail had moved, "
            f"such as {each.example}: find out who delivers there, and bring them to the new server"
        )
    for what, copied in remains.copies.items():
        if copied.late:
            more = f" and {len(copied.late) - _MOST_FILES} more" * (len(copied.late) > _MOST_FILES)
            yield (
                f"{what} was changed on {host} after it had moved: "
                f"{', '.join(copied.late[:_MOST_FILES])}{more}; bring it to the new server, or "
                "remove it"
            )


def in_use(seen: Seen, host: str, *, ignored: frozenset[str]) -> list[str]:
    """Return who used *host* while it was watched.

    Args:
        seen: what the watch has seen.
        host: the host.
        ignored: addresses of which a person has said that they do not count.
    """
    return [
        f"{each} on {host} in the last {seen.until - seen.since} s" for each in _of(seen, ignored)
    ]


def _of(seen: Seen, ignored: frozenset[str]) -> list[Use]:
    return [each for each in seen.uses if each.source not in ignored]


def told(remains: Remains, host: str) -> Iterator[str]:
    """Yield what a person should know, though it is no reason to stay."""
    alike = sum(each.alike for each in remains.copies.values())
    since = sum(each.since for each in remains.copies.values())
    yield f"{alike:,} files of the sites are the same on the new server"
    if since:
        yield f"{since:,} others were changed there since they moved"
    if (gone := remains.gone - sum(each.count for each in remains.late)) > 0:
        yield f"{gone:,} messages on {host} were deleted or moved by their owners since"
    if remains.jobs:
        yield f"[yellow]These run on {host} at certain times, and will no more:[/]"
        yield from (f"    {each}" for each in remains.jobs)


def sites_of(sites: tuple[Site, ...]) -> tuple[str, ...]:
    """Return all names that a visitor can call a site by."""
    return tuple(name.lower() for site in sites for name in site.names)
