"""The helper processes of one extraction, which start together; a process that dies is replaced.

Each helper process processes images in the same way as a thread (featurekit.embeddings.worker). It gets the
settings and recipes once, when the process starts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from featurekit.embeddings.helper import Helper, HelperDiedError, Message
from featurekit.embeddings.open_networks import open_networks
from featurekit.embeddings.recipe import Recipe
from featurekit.embeddings.worker import Looked, Looker, Task, unpacked
from featurekit.errors import EngineError
from featurekit.faces.align import CropKind
from featurekit.faces.detectors import DETECTORS
from featurekit.faces.find import open_finder
from featurekit.faces.settings import FaceSettings
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES
from featurekit.progress import Clock
from featurekit.registry import BUILTIN
from featurekit.urls import place_of

# Number of images that a helper gets at once.
CHUNK = 8
# Up to this size of all weight files, in bytes, a copy for each helper is cheap.
_SMALL_NETWORKS = 64 * 2**20
# Seconds after which a helper counts as stuck.
_PATIENCE = 120.0
# After so many crashes, something other than the images must be the cause.
_MOST_DEATHS = 20


def fit_for_helpers(recipes: Mapping[str, Recipe], settings: FaceSettings) -> bool:
    """Whether helper processes can compute the vectors of these recipes, and faster than threads."""
    backbones = [BACKBONES[name] for name in dict.fromkeys(recipe.backbone for recipe in recipes.values())]
    # A helper knows only the members that come with featurekit, not those that a program has registered.
    packages = {BACKBONES.package_of(backbone.name) for backbone in backbones}
    packages.add(DETECTORS.package_of(settings.detector))
    # What runs on a GPU stays in this process.
    theirs = {recipe.backbone for recipe in recipes.values() if recipe.engine == "cpu"}
    sizes = [
        weights.path_of(one.weights).stat().st_size for one in backbones if one.weights and one.name in theirs
    ]
    return packages == {BUILTIN} and sum(sizes) <= _SMALL_NETWORKS


class HelperPool:
    """Helper processes for the images of one extraction; several threads may use the pool at once.

    The helper processes start when the pool is created, and open their networks while this process continues.
    Call ready() before look().

    Args:
        root: folder that the images' paths are relative to; None for absolute paths.
        settings: how faces are found.
        recipes: recipes of the vectors that the helper processes compute.
        kept: template and side of the crops that they return, for networks that this process runs.
        n_helpers: number of helper processes.
        is_careful: whether an unexpected error with an image is part of its result instead of being raised.

    Attributes:
        clock: seconds that the helper processes spent in each step.

    Raises:
        EngineError: a helper process ended while it started.
    """

    def __init__(
        self,
        root: Path | None,
        settings: FaceSettings,
        recipes: Sequence[Recipe],
        kept: Sequence[CropKind],
        n_helpers: int,
        *,
        is_careful: bool = False,
    ) -> None:
        self._job = {
            "root": str(root.resolve()) if root else None,
            "settings": asdict(settings),
            "recipes": [asdict(recipe) for recipe in recipes],
            "kept": list(kept),
            "is_careful": is_careful,
        }
        self.clock = Clock()
        self._all: list[Helper] = []
        self._free: SimpleQueue[Helper] = SimpleQueue()
        self._deaths = 0
        try:
            for _ in range(n_helpers):
                self._all.append(self._start())
        except HelperDiedError as error:
            self.close()
            raise _not_ready(error) from error
        except BaseException:
            self.close()
            raise

    def ready(self) -> dict[str, dict[str, str]]:
        """Wait until every helper process is ready; return engine, device and precision of each network.

        Raises:
            FeaturekitError: a helper process cannot open the detector or a network.
            EngineError: a helper process ended before it was ready.
        """
        achieved: dict[str, dict[str, str]] = {}
        try:
            for helper in self._all:
                achieved |= helper.ready()
                self._free.put(helper)
        except HelperDiedError as error:
            raise _not_ready(error) from error
        return achieved

    def look(self, tasks: Sequence[Task]) -> list[Looked]:
        """Let a helper process work on some images; an image that crashes the process gets no face.

        The status of an image that crashes its process is "undecodable".

        Args:
            tasks: the images.

        Raises:
            EngineError: helper processes crashed so often that the images cannot be the cause.
        """
        if not tasks:  # e.g. all of them are copies of earlier images
            return []
        helper = self._free.get()
        try:
            return self._answered(helper, tasks)
        except HelperDiedError as of_all:
            helper = self._next(helper)
            found, n_alone = [], 0
            for task in tasks:  # one by one, to find the image that crashed it
                try:
                    found += self._answered(helper, [task])
                except HelperDiedError as error:
                    why = f"the process that decoded it {error}"
                    found.append(Looked.without_face(task.row, "undecodable", why))
                    n_alone += 1
                    self._count(error)
                    helper = self._next(helper)
            if not n_alone:  # a mistake in featurekit, or too little memory
                self._count(of_all)
            return found
        finally:
            self._free.put(helper)

    def close(self) -> None:
        """End the helper processes."""
        for helper in self._all:
            helper.close()

    def _answered(self, helper: Helper, tasks: Sequence[Task]) -> list[Looked]:
        looked, seconds = unpacked(helper.ask([task.to_json() for task in tasks], seconds=_PATIENCE))
        self.clock.add(seconds)
        return looked

    def _count(self, death: HelperDiedError) -> None:
        """Count a crash; raise EngineError after too many."""
        self._deaths += 1
        if self._deaths > _MOST_DEATHS:
            raise EngineError(
                f"Images crashed the process that read them {self._deaths} times (the last time, it {death})."
                " See `featurekit doctor`, or use --threads 1."
            ) from death

    def _start(self) -> Helper:
        return Helper("featurekit.embeddings.pool:look_for_another", self._job)

    def _next(self, dead: Helper) -> Helper:
        """Return a new helper that replaces a dead one."""
        dead.close()
        helper = self._start()
        self._all.append(helper)
        helper.ready()
        return helper


def _not_ready(error: HelperDiedError) -> EngineError:
    return EngineError(f"A process that reads images {error} before it was ready. Use --threads 1.")


def look_for_another(job: Mapping[str, Any]) -> tuple[Any, Callable[[Any], Message]]:
    """Open the networks in a helper process; return where they run, and the function that processes images.

    Args:
        job: settings and recipes as plain JSON values, from HelperPool.
    """
    settings = FaceSettings(**{**job["settings"], "attempts": tuple(map(tuple, job["settings"]["attempts"]))})
    finder = open_finder(settings, threads=1)
    networks = open_networks([Recipe(**recipe) for recipe in job["recipes"]], threads=1)
    side = settings.attempts[0][0]
    # This compiles the detector for the frame that nearly every image uses.
    finder(np.zeros((side, side, 3), np.uint8), side)
    kept = [(name, int(size)) for name, size in job["kept"]]
    root = place_of(job["root"]) if job["root"] else None
    looker = Looker(root, settings, finder, networks, kept, is_careful=job["is_careful"])
    return {network.name: asdict(network.session.achieved) for network in networks}, looker.answer
