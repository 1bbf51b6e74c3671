"""Registries of what users choose by name, e.g. backbones, estimators and detectors.

A registry has members, e.g. all backbones. They come from featurekit, from installed packages (plug-ins), or
from the user's own program.

Each registry has a folder in featurekit. Every module in that folder registers its members when it is
imported, unless its name starts with an underscore. These modules are imported when a member is first looked
up. So a new member needs only a new file, and ``featurekit --help`` imports no member.

An installed package adds members by entry points in its pyproject.toml. An entry point names a module, which
registers members when it is imported, with ``fk.register_backbone`` or a similar function
(featurekit.api.register):

    [project.entry-points."featurekit.backbones"]
    histogram = "featurekit_histogram.backbone"

The groups of entry points are featurekit.backbones, .estimators, .datasets, .detectors and .checks. An entry
point may also name the member itself, as "module:name". Entry points are read when the names of all members
are needed, or when a name is looked up that featurekit itself does not have. Nothing about them is stored on
the disk.

If a package cannot be loaded, featurekit logs one warning with its name and goes on without it. If a module
fails after it has registered a member, that member is removed again. A package cannot register a name that is
taken: featurekit's own members are registered first, then the members of the packages in alphabetical order.
"""

import importlib
import logging
import pkgutil
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import metadata
from traceback import walk_stack
from types import ModuleType
from typing import Any, Generic, Protocol, TypeVar

from featurekit.errors import RegistrationError, UnknownNameError
from featurekit.version import __version__

# The groups of entry points that packages can declare.
GROUPS = (
    "featurekit.backbones",
    "featurekit.estimators",
    "featurekit.datasets",
    "featurekit.detectors",
    "featurekit.checks",
)
_LOG = logging.getLogger("featurekit")


class Named(Protocol):
    """Protocol for objects that can be registered, which must have a name."""

    @property
    def name(self) -> str:
        """Name by which users choose the object."""


Member = TypeVar("Member", bound=Named)


@dataclass(frozen=True)
class Package:
    """The package that a registered member comes from.

    Attributes:
        name: name of the installed package.
        version: version of the package; "" for members that the user's own program or notebook has
            registered.
    """

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}".rstrip()


BUILTIN = Package("featurekit", __version__)
SESSION = Package("this session", "")


@dataclass(frozen=True)
class Problem:
    """Why an entry point of an installed package is not used.

    Attributes:
        package: the package that declares the entry point.
        reason: what is wrong with it, as a clause that follows "because".
    """

    package: Package
    reason: str

    def __str__(self) -> str:
        return (
            f"The plug-in {self.package} is not used, because {self.reason}."
            f" Update it or remove it: pip uninstall {self.package.name}"
        )


@dataclass
class _Loading:
    """An entry point that is being loaded, and what it has registered so far.

    Attributes:
        package: the package that declares it.
        added: for each member the registry, the name, and what had the name before (None for nothing).
    """

    package: Package
    added: "list[tuple[Registry[Any], str, tuple[Any, tuple[Package, str]] | None]]"


# The entry points that are being loaded; several, if one imports what another registry has to load first.
_loading: list[_Loading] = []
_problems: dict[Problem, None] = {}


def problems() -> list[Problem]:
    """Return the problems with the plug-ins that have been loaded so far, in the order of loading."""
    return list(_problems)


class Registry(Generic[Member]):
    """All members of one kind by name, e.g. all backbones.

    Args:
        kind: word for a member in messages, e.g. "backbone".
        package: dotted name of the folder whose modules register the members.
        member: the class of the members.
        group: group of entry points (one of GROUPS) by which installed packages add members; "" if they
            cannot add any.
    """

    def __init__(self, kind: str, package: str, member: type[Member], group: str = "") -> None:
        self.kind = kind
        self.group = group
        self._package = package
        self._member = member
        self._members: dict[str, Member] = {}
        self._unlisted: set[str] = set()
        # For members that are not featurekit's own: the package and the module that registered them.
        self._origins: dict[str, tuple[Package, str]] = {}
        self._has_builtin = self._has_plugins = False

    def add(self, member: Member) -> Member:
        """Register a member and return it.

        A program may register a name again, which replaces its own member, e.g. when a cell of a notebook is
        run twice.

        Raises:
            RegistrationError: the name is taken by a member of featurekit or of an installed package, or is
                not a valid name, or the member has the wrong type.
        """
        origin = self.registrar()
        if origin[0] != BUILTIN:
            self._check(member)
            self._scan_builtin()
            if origin[0] == SESSION:
                self._scan()
            before = None
            if member.name in self._members:
                self._check_free(member.name, origin)
                before = (self._members[member.name], self._origins[member.name])
            if _loading:
                _loading[-1].added.append((self, member.name, before))
            self._origins[member.name] = origin
        elif member.name in self._members:
            raise ValueError(f"Two {self.kind}s are called {member.name}.")
        self._members[member.name] = member
        return member

    def add_alias(self, member: Member) -> Member:
        """Register a member under an older name, which can be looked up but is not listed."""
        self._unlisted.add(member.name)
        return self.add(member)

    def names(self) -> list[str]:
        """Return the names of all members, without their older names, in alphabetical order."""
        self._scan()
        return sorted(self._members.keys() - self._unlisted)

    def package_of(self, name: str) -> Package:
        """Return the package of a member: featurekit, an installed package, or SESSION for the user's own."""
        self[name]
        return self._origins.get(name, (BUILTIN, ""))[0]

    def is_installed(self, member: Member) -> bool:
        """Whether a member is featurekit's or a package's, so that another process has it by its name."""
        package, _ = self._origins.get(member.name, (BUILTIN, ""))
        return self._members.get(member.name) is member and package != SESSION

    def code_of(self, name: str, version: str) -> str:
        """Return the version of a member's code, as stored in a recipe (the settings of an embedding).

        Args:
            name: name of the member.
            version: the version that the member declares; "" if it declares none.

        Returns:
            The declared version, or else the version of the member's package; "" for a member of featurekit,
            because a recipe has the version of featurekit's own computations anyway.
        """
        return version or ("" if (package := self.package_of(name)) == BUILTIN else package.version)

    def unknown(self, name: str, others: Sequence[str] = ()) -> UnknownNameError:
        """Return the error for a name that no member has.

        Args:
            name: the name.
            others: names that the user could have given beside those of the members.
        """
        error = UnknownNameError(unknown(self.kind, name, sorted([*self.names(), *others])))
        error.name, error.kind, error.group = name, self.kind, self.group
        return error

    def __getitem__(self, name: str) -> Member:
        self._scan_builtin()
        if name not in self._members:
            self._scan()  # only now, so that a process that needs no plug-in imports none
        if name not in self._members:
            raise self.unknown(name)
        return self._members[name]

    def __iter__(self) -> Iterator[Member]:
        return (self[name] for name in self.names())

    # ---------------------------------------------------------------- who registers what

    def registrar(self) -> tuple[Package, str]:
        """Return the package and the module of the code that is calling a function to register a member."""
        module = _calling_module()
        if module.startswith(f"{self._package}."):
            return BUILTIN, module
        if _loading:
            return _loading[-1].package, module
        # A module of a plug-in may also be imported directly; its members still belong to the plug-in.
        for point in (point for group in GROUPS for point in metadata.entry_points(group=group)):
            if point.module.partition(".")[0] == module.partition(".")[0]:
                return _package_of(point), module
        return SESSION, module

    def _check(self, member: Any) -> None:
        """Raise RegistrationError unless the object is a member of this kind with a usable name."""
        if not isinstance(member, self._member):
            raise RegistrationError(
                f"An object of type {type(member).__name__} cannot be registered as a {self.kind}: it must be"
                f" a {self._member.__name__}."
            )
        if not isinstance(member.name, str) or not re.fullmatch(r"[A-Za-z][\w-]{0,99}", member.name):
            raise RegistrationError(
                f"{member.name!r} cannot be the name of a {self.kind}: a name must start with a letter,"
                " followed by letters, digits, _ or -."
            )
        about = getattr(member, "about", "")
        if not isinstance(about, str) or len(about.splitlines()) > 1:
            raise RegistrationError(
                f"The description of the {self.kind} {member.name} must be one line of text."
            )

    def _check_free(self, name: str, origin: tuple[Package, str]) -> None:
        """Raise RegistrationError unless a name that is in use is the registering module's own."""
        owner = self._origins.get(name, (BUILTIN, ""))
        now = {(registry.kind, taken) for registry, taken, _ in (_loading[-1].added if _loading else ())}
        is_own = origin[0] == SESSION if owner[0] == SESSION else owner == origin
        if not is_own or (self.kind, name) in now:
            raise RegistrationError(
                f"The name '{name}' is taken by a {self.kind} of {owner[0]}; choose another one."
            )

    # ---------------------------------------------------------------- finding members

    def _scan(self) -> None:
        self._scan_builtin()
        if self.group and not self._has_plugins:
            self._has_plugins = True
            points = metadata.entry_points(group=self.group)
            for point in sorted(points, key=lambda one: (_package_of(one).name, one.name)):
                self._load(point)

    def _scan_builtin(self) -> None:
        if not self._has_builtin:
            self._has_builtin = True
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
                if not module.name.startswith("_"):
                    importlib.import_module(f"{self._package}.{module.name}")

    def _load(self, point: metadata.EntryPoint) -> None:
        """Load one entry point; if that fails, take back what it registered and log the reason."""
        loading = _Loading(_package_of(point), [])
        _loading.append(loading)
        try:
            reason = self._registered_by(point)
        except RegistrationError as error:
            said = str(error).removesuffix(".")
            reason = said[:1].lower() + said[1:]
        except (Exception, SystemExit) as error:  # whatever a package raises while it is imported
            said = str(error).strip().partition("\n")[0].rstrip(".")
            reason = f"it cannot be imported: {': '.join(filter(None, (type(error).__name__, said)))}"
        finally:
            _loading.pop()
        if not reason:
            return
        for registry, name, before in reversed(loading.added):
            if before is None:
                del registry._members[name], registry._origins[name]
            else:
                registry._members[name], registry._origins[name] = before
        problem = Problem(loading.package, reason)
        if problem not in _problems:
            _problems[problem] = None
            _LOG.warning("%s", problem)

    def _registered_by(self, point: metadata.EntryPoint) -> str:
        """Import what an entry point names; return why it cannot be used, or "" if it can."""
        loaded = point.load()
        if isinstance(loaded, self._member) and not any(loaded is one for one in self._members.values()):
            self.add(loaded)
        elif not isinstance(loaded, (self._member, ModuleType)):
            return (
                f"its entry point '{point.name}' in {self.group} points to a {type(loaded).__name__}, which"
                f" is neither a module nor a {self._member.__name__}"
            )
        # The module may have been imported before, by another of the package's entry points.
        if all(package != _package_of(point) for package, _ in self._origins.values()):
            return f"its entry point '{point.name}' in {self.group} does not register a {self.kind}"
        return ""


def _package_of(point: metadata.EntryPoint) -> Package:
    """Return the package that declares an entry point."""
    found = point.dist
    return Package(found.name, found.version) if found else Package(point.module.partition(".")[0], "")


def _calling_module() -> str:
    """Return the name of the module whose code registers something by way of featurekit's functions."""
    for frame, _ in walk_stack(sys._getframe()):
        name = str(frame.f_globals.get("__name__", ""))
        # A file of featurekit registers while it is imported; its functions do so for their caller.
        if name.partition(".")[0] != "featurekit" or frame.f_code.co_name == "<module>":
            break
    return name


# How many names a message lists; if there are more, such as subjects, it lists only a few.
MOST_LISTED, A_FEW = 40, 5


def unknown(kind: str, name: str, known: list[str]) -> str:
    """Return the message for an unknown name, with the most similar name and the names that exist.

    >>> unknown("backbone", "vgg61", ["mean_color", "vgg16", "vgg19"])
    "Unknown backbone 'vgg61'. Did you mean 'vgg16'? Known: mean_color, vgg16, vgg19."
    >>> unknown("column", "image", ["age", "image_path"])
    "Unknown column 'image'. Did you mean 'image_path'? Known: age, image_path."
    >>> unknown("parameter", "c", ["C", "gamma"])
    "Unknown parameter 'c'. Did you mean 'C'? Known: C, gamma."
    """
    of_small = {one.casefold(): one for one in known}
    close = [of_small[match] for match in get_close_matches(name.casefold(), of_small, n=5)]
    # Of equally close names, one with the same letters was meant: two letters have changed places.
    best = min(close, key=lambda match: sorted(match) != sorted(name), default="")
    # The beginning of a single name stands for it: image for image_path.
    begun = [one for one in known if one.casefold().startswith(f"{name.casefold()}_")]
    best = begun[0] if len(begun) == 1 else best
    hint = f" Did you mean '{best}'?" if best else ""
    listed = known if len(known) <= MOST_LISTED else known[:A_FEW]
    more = f" and {len(known) - len(listed):,} more" if len(listed) < len(known) else ""
    return f"Unknown {kind} '{name}'.{hint} Known: {', '.join(listed)}{more}."
