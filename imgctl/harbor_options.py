"""What the `harbor` commands share: which Harbor, which project, and the way to its API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from imgctl.options import RegistryFlags, format_option, registry_options
from imgctl.push_options import DEFAULT_PROJECT, harbor_host
from registry.errors import BadInput

if TYPE_CHECKING:
    from registry.harbor.api import HarborApi
    from registry.harbor.steps import Step

Command = Callable[..., Any]


def harbor_options(function: Command) -> Command:
    """Add --harbor, --project, --format and the options on reaching registries.

    The command gets them as `harbor`, `project`, `output_format` and `registry`.
    """
    function = registry_options(format_option(function))
    function = click.option("--project", metavar="NAME", default=DEFAULT_PROJECT, show_default=True,
                            help="The project.")(function)  # fmt: skip
    return click.option("--harbor", metavar="HOST", help="The Harbor.")(function)


class Days(click.IntRange):
    """The life of an account in days; -1 for no end. No account lives for 0, whatever some
    versions of Harbor make of that."""

    def __init__(self) -> None:
        super().__init__(-1, 36_500)

    def convert(self, value: Any, param: Any, ctx: Any) -> int:
        """The number; fails for one that is out of range."""
        days: int = super().convert(value, param, ctx)
        if days == 0:
            self.fail("0 is not in the range x>=1, nor -1 for no end", param, ctx)
        return days


def dry_run_option(function: Command) -> Command:
    """Add --dry-run; the command gets it as `dry_run`."""
    option = click.option("--dry-run", is_flag=True, help="Look at everything, change nothing.")
    return option(function)


@contextmanager
def open_harbor(
    harbor: str | None, registry: RegistryFlags, *, login: bool = True
) -> Iterator[HarborApi]:
    """The API of the Harbor meant; login: with a checked login.

    Raises BadInput when none is named, NotHarbor when it is none, Unauthorized without a login.
    """
    from imgctl.progress import progress as shown
    from registry.client import RegistryClient
    from registry.errors import Unauthorized
    from registry.harbor.api import HarborApi

    if not harbor:
        raise BadInput("which Harbor?", "", "add --harbor HOST, or `harbor: HOST` in imgctl.yaml")
    harbor = harbor_host(harbor)
    with shown() as progress, RegistryClient(registry.options(harbor), progress) as client:
        api = HarborApi(client, harbor)
        if login:
            api.system()
            if not api.user:
                raise Unauthorized(
                    f"there is no login for {harbor}",
                    "",
                    f"run: imgctl login {harbor}; or give --username and --password-stdin",
                )
            api.check_login()
        yield api


def echo_step(step: Step, *, dry_run: bool = False, err: bool = False) -> None:
    """A line of a step: how it ended, what it is, how it is now. err: on stderr."""
    would = {"made": "would make", "changed": "would change", "deleted": "would delete"}
    state = would.get(step.state, str(step.state)) if dry_run else str(step.state)
    before = f"  (was {step.before})" if step.before else ""
    width = 12 if dry_run else 8
    click.echo(f"{state:<{width}}  {step.what:<27}  {step.detail}{before}".rstrip(), err=err)
