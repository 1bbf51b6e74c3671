"""What the shell completes: names in the registries, the words of an option, comparisons, weight files.

Where a file or a folder is meant, nothing is listed here, and the shell completes file names. The registries
are read without anything heavy. What is wrong with a plug-in is not said in the middle of a command that is
being typed.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from featurekit.project import ProjectFolder

if TYPE_CHECKING:
    from featurekit.registry import Registry

# Pairs of a word and what it means; bash shows only the word.
Words = list[tuple[str, str]]


def words(*known: str) -> Callable[[str], Words]:
    """Return a function that completes one of a few words."""

    def complete(incomplete: str) -> Words:
        return _matching([(word, "") for word in known], incomplete)

    return complete


def _matching(known: Iterable[tuple[str, str]], incomplete: str) -> Words:
    return [(name, about) for name, about in known if name.startswith(incomplete)]


@contextmanager
def _in_silence() -> Iterator[None]:
    log = logging.getLogger("featurekit")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _members(registry: "Registry[Any]") -> Words:
    with _in_silence():
        return [(one.name, one.about) for one in registry]


def _backbones() -> Words:
    from featurekit.networks.backbones import BACKBONES

    return _members(BACKBONES)


def backbones(incomplete: str) -> Words:
    """Complete the name of a backbone."""
    return _matching(_backbones(), incomplete)


def features(incomplete: str) -> Words:
    """Complete the last of several backbones and fitted features that are joined by +."""
    from featurekit.estimators.fitted_features import FITTED_FEATURES

    before, plus, last = incomplete.rpartition("+")
    found = _matching([*_backbones(), *_members(FITTED_FEATURES)], last)
    return [(before + plus + name, about) for name, about in found]


def models(incomplete: str) -> Words:
    """Complete the name of a model that can be fitted."""
    from featurekit.estimators import CLASSIFIERS

    return _matching(_members(CLASSIFIERS), incomplete)


def detectors(incomplete: str) -> Words:
    """Complete the name of a face detector."""
    from featurekit.faces.detectors import DETECTORS

    return _matching(_members(DETECTORS), incomplete)


def datasets(incomplete: str) -> Words:
    """Complete a kind of data set."""
    from featurekit.data.datasets import DATASETS

    return _matching(_members(DATASETS), incomplete)


def targets(incomplete: str) -> Words:
    """Complete the name of a target; the label columns of a data set are not read."""
    from featurekit.data.targets import TARGETS

    return _matching([(name, "") for name in TARGETS], incomplete)


def weight_files(incomplete: str) -> Words:
    """Complete the name of a weight file."""
    from featurekit.networks.weights import WEIGHTS

    return _matching([(name, entry.about) for name, entry in WEIGHTS.items()], incomplete)


def weight_files_to_fetch(incomplete: str) -> Words:
    """Complete the name of a weight file, or builtin for all built-in ones."""
    return [*_matching([("builtin", "all built-in weight files")], incomplete), *weight_files(incomplete)]


def comparisons(context: typer.Context, incomplete: str) -> Words:
    """Complete the name of a comparison in the workspace."""
    given = context.find_root().params.get("workspace")
    reports = ProjectFolder(Path(given or ".")).reports
    found = sorted(path.name for path in reports.iterdir() if path.is_dir()) if reports.is_dir() else []
    return _matching([(name, "") for name in found], incomplete)
