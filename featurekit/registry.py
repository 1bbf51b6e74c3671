"""The one way to plug something in.

A folder of the package is a choice: every module in it that does not start with
an underscore registers its members when it is imported, and nothing imports it
before somebody asks for a name. So a new member is one new file, and
``featurekit --help`` pays for none of them.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Generic, Protocol, TypeVar

from featurekit.errors import UnknownNameError


class Named(Protocol):
    """Whatever has a name can be registered."""

    @property
    def name(self) -> str:
        """What users call it."""


Member = TypeVar("Member", bound=Named)


class Registry(Generic[Member]):
    """The members of one kind, by name.

    Args:
        kind: what a member is called in messages, e.g. "backbone".
        package: dotted name of the folder whose modules register the members.
    """

    def __init__(self, kind: str, package: str) -> None:
        self.kind = kind
        self._package = package
        self._members: dict[str, Member] = {}
        self._aliases: dict[str, Member] = {}
        self._scanned = False

    def add(self, member: Member) -> Member:
        """Register a member and return it; two of one name are a programming error."""
        if member.name in self._members:
            raise ValueError(f"Two {self.kind}s are called {member.name}.")
        self._members[member.name] = member
        return member

    def add_alias(self, member: Member) -> Member:
        """Let an older name be understood; it is not listed."""
        if member.name in self._members or member.name in self._aliases:
            raise ValueError(f"Two {self.kind}s are called {member.name}.")
        self._aliases[member.name] = member
        return member

    def names(self) -> list[str]:
        """Every name that is listed, in alphabetical order."""
        self._scan()
        return sorted(self._members)

    def __getitem__(self, name: str) -> Member:
        self._scan()
        if name in self._aliases:
            return self._aliases[name]
        if name not in self._members:
            raise UnknownNameError(unknown(self.kind, name, self.names()))
        return self._members[name]

    def __iter__(self) -> Iterator[Member]:
        return (self[name] for name in self.names())

    def _scan(self) -> None:
        if self._scanned:
            return
        self._scanned = True
        folder = importlib.import_module(self._package)
        for module in pkgutil.iter_modules(folder.__path__):
            if not module.name.startswith("_"):
                importlib.import_module(f"{self._package}.{module.name}")


# Names that a message lists; of more, as subjects are, it lists a few.
MOST_LISTED, A_FEW = 40, 5


def unknown(kind: str, name: str, known: list[str]) -> str:
    """Say that a name is not known, which one may have been meant, and which there are.

    >>> unknown("backbone", "vgg61", ["mean_color", "vgg16", "vgg19"])
    "Unknown backbone 'vgg61'. Did you mean 'vgg16'? Known: mean_color, vgg16, vgg19."
    >>> unknown("parameter", "c", ["C", "gamma"])
    "Unknown parameter 'c'. Did you mean 'C'? Known: C, gamma."
    """
    of_small = {one.casefold(): one for one in known}
    close = [of_small[match] for match in get_close_matches(name.casefold(), of_small, n=5)]
    # Of equally near names the one with the same letters was meant: two of them changed places.
    close.sort(key=lambda match: sorted(match) != sorted(name))
    hint = f" Did you mean '{close[0]}'?" if close else ""
    more = ""
    if len(known) > MOST_LISTED:
        more = f" and {len(known) - A_FEW:,} more"
        known = known[:A_FEW]
    return f"Unknown {kind} '{name}'.{hint} Known: {', '.join(known)}{more}."
