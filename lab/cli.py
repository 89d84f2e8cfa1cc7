"""What every command of :mod:`lab.commands` has in common: options, errors, exit codes.

``@command`` makes an invoke task out of a function: it adds ``--debug``, turns an error of this
project into one line on standard error, and ends with an exit code that means something.
"""

from __future__ import annotations

import functools
import inspect
import json
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from invoke.context import Context
from invoke.tasks import Task, task
from rich.console import Console
from rich.markup import escape

from lab.console import TerminalReporter, console
from lab.errors import CouldNotError, Exit, GeneralproveError
from lab.fleet import Fleet
from lab.lab import Lab
from lab.operate import in_lab, in_production
from lab.operator import Operator


class UsageError(CouldNotError):
    """The command line makes no sense."""

    exit_code = Exit.USAGE


DEBUG = "show the whole traceback of an error"


def command(
    *,
    help: dict[str, str] | None = None,  # noqa: A002 - as invoke calls it
    **options: Any,  # noqa: ANN401 - invoke's own
) -> Callable[[Callable[..., None]], Task[Callable[..., None]]]:
    """Return a decorator that makes a function a command.

    Args:
        help: option -> what it does.
        options: anything else that ``invoke.task`` takes.
    """

    def decorate(body: Callable[..., None]) -> Task[Callable[..., None]]:
        @functools.wraps(body)
        def run(context: Context, *args: object, debug: bool = False, **kwargs: object) -> None:
            # Whoever is told to end heals what they broke, as after Ctrl-C.
            before = signal.signal(signal.SIGTERM, signal.default_int_handler)
            try:
                body(context, *args, **kwargs)
            except GeneralproveError as error:
                if debug:
                    traceback.print_exc()
                console(stderr=True).print(f"[red]✗[/] {escape(str(error))}")
                sys.exit(error.exit_code)
            except KeyboardInterrupt:
                if debug:
                    traceback.print_exc()
                console(stderr=True).print("interrupted; the same command goes on from here")
                sys.exit(Exit.INTERRUPTED)
            finally:
                signal.signal(signal.SIGTERM, before)

        signature = inspect.signature(body)
        extra = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False)
        shown = signature.replace(parameters=[*signature.parameters.values(), extra])
        run.__signature__ = shown  # type: ignore[attr-defined] # what invoke reads options from
        made: Task[Callable[..., None]] = task(help={**(help or {}), "debug": DEBUG}, **options)(
            run
        )
        return made

    return decorate


def the_lab(name: str, *, out: Console | None = None) -> Lab:
    """Return the lab called *name*, of the fleet in ``fleet.yaml``, reporting to the terminal."""
    return Lab(name=name, fleet=Fleet.load(), report=TerminalReporter(out=out))


@contextmanager
def the_operator(
    *, on: str, lab: str, command: str, dry_run: bool, locked: bool = True
) -> Iterator[Operator]:
    """Yield the operator of a site; a lab is locked meanwhile, production is a dry run first.

    Args:
        on: ``lab`` or ``production``.
        lab: name of the lab.
        command: what is being done, for whoever finds the lab locked.
        dry_run: for production, whether nothing may be changed.
        locked: whether a lab is locked; what has a lock of its own at the site needs none.

    Raises:
        UsageError: *on* is something else.
    """
    if on == "production":
        yield in_production(Fleet.load(), report=TerminalReporter(), dry_run=dry_run)
    elif on == "lab":
        it = the_lab(lab)
        with it.store.locked(command) if locked else nullcontext():
            yield in_lab(it)
    else:
        raise UsageError(f"there is no site {on!r}", remedy="Say --on lab or --on production")


def print_json(data: object) -> None:
    """Print *data* for a program."""
    print(json.dumps(data, indent=2, default=str))
