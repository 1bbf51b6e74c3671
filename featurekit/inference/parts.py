"""Predict the labels of faces on many images with a Ray cluster; the table is a folder of parts.

A part has the rows of a range of the images. It is a Parquet file that a worker writes as a whole, and whose
name has a hash of everything that it depends on: the images, the models and the options. So a part is whole
or absent, and a second call computes only those that are absent.

    OUTPUT/part-00000-<hash>.parquet
    OUTPUT/part-00001-<hash>.parquet

pandas.read_parquet(OUTPUT) reads all parts as one table, in the order of the images.
"""

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from featurekit.checked import checked
from featurekit.cluster import connected
from featurekit.embeddings.executors.ray import RayExecutor, appears
from featurekit.errors import ModelError, WorkspaceError
from featurekit.faces.photographs import Photograph
from featurekit.files import is_file, make_folder, names_in, opened, write_bytes
from featurekit.inference.model import TrainedModel, off_the_shelf_models
from featurekit.inference.predict import Predictor
from featurekit.inference.table import SHOWN, readings_table
from featurekit.progress import Progress
from featurekit.text import counted, readable_name
from featurekit.urls import Bucket, UrlPath, is_in_memory, place_of
from featurekit.version import __version__

IMAGES = 256  # in a part
# Workers that may die of a part. A part takes long, so several workers that were killed by chance may have
# had it. An image that ends its worker ends all of them.
_TRIES = 12
_ENDING = ".parquet"


@checked()
@dataclass(frozen=True, kw_only=True)
class How:
    """How the labels are predicted; see featurekit.inference.predict.Predictor and readings_table().

    Attributes:
        models: folders of the models; empty for the off-the-shelf models.
    """

    models: tuple[str, ...] = ()
    choose: str = "all"
    device: str = "auto"
    precision: str = "auto"
    abstain_above: float | None = None
    sets: bool = False
    probabilities: bool = False

    def load(self) -> list[TrainedModel]:
        """Return the models.

        Raises:
            ModelError: a folder has no model that can be used.
        """
        return [TrainedModel.load(place_of(folder)) for folder in self.models] or off_the_shelf_models()


@dataclass(frozen=True)
class Part:
    """A part of the table.

    Attributes:
        path: path of the file.
        photographs: the images whose faces are in it.
    """

    path: Path
    photographs: tuple[Photograph, ...]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """A table of predictions in parts.

    Attributes:
        folder: the folder of the parts.
        paths: the parts, in the order of the images.
        n_read: number of images that were read by this call.
        n_images: number of all images.
        n_rows: number of rows of all parts.
        n_lost: number of workers that ended early.
        statuses: status → number of rows.
        without: name, status and message of the first images without a prediction.
    """

    folder: Path
    paths: tuple[Path, ...]
    n_read: int
    n_images: int
    n_rows: int
    n_lost: int
    statuses: Counter[str]
    without: list[tuple[str, str, str]]

    def frame(self) -> pd.DataFrame:
        """Return the whole table, in the order of the images; see fk.predict for its columns."""
        return pd.concat([_table(path) for path in self.paths], ignore_index=True)


def predict_in_parts(
    photographs: Sequence[Photograph],
    how: How,
    folder: Path,
    executor: RayExecutor,
    *,
    progress: Progress | None = None,
) -> Parts:
    """Predict the labels of the faces on images, and write a table of parts.

    Args:
        photographs: the images, which must be files in folders that all machines share, or in a bucket.
        how: how the labels are predicted.
        folder: folder for the parts, which all machines share, or its URL in a bucket.
        executor: the workers.
        progress: called with (images done, images to do); images of parts that are there count as done.

    Raises:
        WorkspaceError: the folder has other files, or a worker does not have one of the folders.
        FeaturekitError: the images cannot be predicted with these models.
    """
    if how.abstain_above is not None and not 0 <= how.abstain_above <= 1:
        raise ModelError(f"abstain_above must be between 0 and 1. Got {how.abstain_above} instead.")
    models = how.load()
    Predictor(photographs[:1], models, **_options(how), threads=1)  # says what is wrong with the models
    parts = _parts(photographs, how, models, folder, IMAGES)
    there = _names_in(folder)
    _refuse_other_files(folder, there, parts)
    todo = [part for part in parts if part.path.name not in there]
    n_todo = sum(len(part.photographs) for part in todo)

    def done(n_read: int) -> None:
        if progress:
            progress(len(photographs) - n_todo + n_read, len(photographs))

    n_lost = (
        _compute(todo, how, executor, any(_is_on_gpu(how, model) for model in models), done) if todo else 0
    )
    statuses, without = _statuses(parts)
    return Parts(
        folder=folder,
        paths=tuple(part.path for part in parts),
        n_read=n_todo,
        n_images=len(photographs),
        n_rows=sum(statuses.values()),
        n_lost=n_lost,
        statuses=statuses,
        without=without,
    )


def _is_on_gpu(how: How, model: TrainedModel) -> bool:
    return how.device == "cuda" or any(recipe.engine == "cuda" for recipe in model.recipes)


def _compute(
    todo: Sequence[Part], how: How, executor: RayExecutor, on_gpu: bool, done: Callable[[int], None]
) -> int:
    """Let workers write parts, and return how many workers have died.

    Args:
        todo: the parts, at least one.
        how: how the labels are predicted.
        executor: the workers.
        on_gpu: whether networks run on GPUs.
        done: called with the number of images that are done.

    Raises:
        WorkspaceError: a part could not be written.
    """
    if not isinstance(todo[0].path, UrlPath):
        make_folder(todo[0].path.parent)
    n_read, given_up = 0, []
    with connected(executor.address) as cluster:
        n_workers, cpus, gpus = executor.places(cluster, on_gpu=on_gpu)
        answers = cluster.map(
            open_worker,
            {**asdict(how), "threads": max(int(cpus), 1)},
            todo,
            n_workers=n_workers,
            cpus=cpus,
            gpus=gpus,
            message=_message,
            smaller=lambda part: [part],
            tries=_TRIES,
        )
        with closing(answers):
            for one in answers:
                if one.answer is None:
                    given_up.append(one.piece)
                    continue
                _check(one.piece, one.answer)
                n_read += len(one.piece.photographs)
                done(n_read)
    if given_up:  # when all others are done
        first, last = given_up[0].photographs[0].name, given_up[0].photographs[-1].name
        raise WorkspaceError(
            f"{counted(len(given_up), 'part', 'parts')} could not be computed, because each worker that tried"
            f" ended: the images from {first} to {last}. The other parts are kept. `featurekit predict`"
            " without --executor ray says which image it is; without this image, give a new folder."
        )
    return cluster.n_lost


def _options(how: How) -> dict[str, Any]:
    """Return the keyword arguments of a Predictor."""
    return {
        "choose": how.choose,
        "device": how.device,
        "precision": how.precision,
        "risk": how.abstain_above,
    }


def _parts(
    photographs: Sequence[Photograph], how: How, models: Sequence[TrainedModel], folder: Path, images: int
) -> list[Part]:
    """Return the parts of a table, whose names say what is in them."""
    recipes = [sorted(recipe.key for recipe in model.recipes) for model in models]
    state = _States()
    folders = [place_of(one) for one in how.models]
    files = [state.of(folder / name) for folder in folders for name in sorted(names_in(folder))]
    common = json.dumps([__version__, asdict(replace(how, models=())), recipes, files])
    parts = []
    for number, start in enumerate(range(0, len(photographs), images)):
        some = tuple(photographs[start : start + images])
        told = json.dumps([common, [[one.name, state.of(one.path)] for one in some]])
        name = f"part-{number:05}-{sha256(told.encode()).hexdigest()[:16]}{_ENDING}"
        parts.append(Part(folder / name, some))
    return parts


class _States:
    """Tells the state of files; a folder of a bucket is listed once for all its files."""

    def __init__(self) -> None:
        self._listings: dict[Path, dict[str, tuple[int, int]]] = {}

    def of(self, path: Path | None) -> list[int | str]:
        """Return the name, size and time or version of a file; another file has others.

        Raises:
            WorkspaceError: the image is not a file, or its bucket cannot be listed.
        """
        if path is None or is_in_memory(path):
            raise WorkspaceError(
                "The workers of a cluster read files. An image in memory cannot be sent to them."
            )
        if isinstance(path, UrlPath):
            return [path.name, *self._listed(path.parent).get(path.name, (-1, 0))]
        try:
            state = path.stat()
        except (OSError, ValueError):
            return [readable_name(path.name), -1, 0]
        return [readable_name(path.name), state.st_size, state.st_mtime_ns]

    def _listed(self, folder: Path) -> dict[str, tuple[int, int]]:
        if folder not in self._listings:
            try:
                self._listings[folder] = Bucket(UrlPath(folder).scheme).listed(folder)[0]
            except OSError as error:
                raise WorkspaceError(f"Cannot read {folder}: {error.strerror}.") from None
        return self._listings[folder]


def _names_in(folder: Path) -> set[str]:
    """Return the names of the files in the folder of the parts, which may not exist yet.

    Raises:
        WorkspaceError: it cannot be read, is a file, or is in the memory of this process.
    """
    if is_in_memory(folder):
        raise WorkspaceError(f"{folder} is in the memory of this process, where no worker can write.")
    try:
        return names_in(folder)
    except FileNotFoundError as error:
        if error.strerror != os.strerror(errno.ENOENT):  # there is no such bucket
            raise WorkspaceError(f"Cannot write {folder}: {error.strerror}.") from None
        return set()
    except NotADirectoryError:
        text = f"{folder} is a file. The workers of a cluster write a folder of parts."
        raise WorkspaceError(text) from None
    except OSError as error:
        raise WorkspaceError(f"Cannot write {folder}: {error.strerror}.") from None


def _refuse_other_files(folder: Path, there: Collection[str], parts: Sequence[Part]) -> None:
    """Raise WorkspaceError if a folder has other files than these parts.

    Args:
        folder: the folder.
        there: names of the files in it.
        parts: the parts.
    """
    others = {name for name in there if not name.startswith(".")} - {part.path.name for part in parts}
    if others:
        raise WorkspaceError(
            f"{folder} has {min(others)}, which is of other images, models or options. Give a new folder,"
            " or delete this one."
        )


def _message(part: Part, again: bool) -> dict[str, Any]:
    """Return what a worker is told of a part, as plain JSON values."""
    return {
        "path": str(part.path.absolute()),
        "names": [one.name for one in part.photographs],
        "images": [str(one.path.absolute()) for one in part.photographs if one.path],
    }


def open_worker(job: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Load the models in the process of a worker, and return the function that predicts a part."""
    told = dict(job)
    threads = int(told.pop("threads"))
    how = How(**{**told, "models": tuple(told["models"])})
    models = how.load()

    def predict(message: Mapping[str, Any]) -> dict[str, Any]:
        path = place_of(message["path"])
        if not is_file(path):  # another worker may have written it before it died
            given = zip(message["names"], message["images"], strict=True)
            photographs = [Photograph(name, place_of(image)) for name, image in given]
            predictor = Predictor(photographs, models, **_options(how), threads=threads)
            readings = [reading for of_image in predictor.each() for reading in of_image]
            table = readings_table(readings, models, sets=how.sets, probabilities=how.probabilities)
            data = BytesIO()
            table.to_parquet(data, index=False)
            write_bytes(path, data.getvalue())
        return {"path": str(path)}

    return predict


def _check(part: Part, receipt: Mapping[str, Any]) -> None:
    """Raise WorkspaceError unless a part has been written, and has the rows of its images."""
    if not appears(part.path):
        raise WorkspaceError(
            f"A worker has written {receipt['path']}, which is not there on this machine. The folder of the"
            " parts must be one that all machines of the cluster share."
        )
    written = [name for name, _ in groupby(_table(part.path, ["photograph"])["photograph"])]
    given = [name for name, _ in groupby(readable_name(one.name) for one in part.photographs)]
    if written != given:
        raise AssertionError(f"{part.path} has the rows of {len(written)} images instead of {len(given)}.")


def _statuses(parts: Sequence[Part]) -> tuple[Counter[str], list[tuple[str, str, str]]]:
    """Return the number of rows with each status, and the first images without a prediction."""
    statuses: Counter[str] = Counter()
    without: list[tuple[str, str, str]] = []
    for name, status, message in _rows(parts):
        statuses[status] += 1
        if status != "ok" and statuses[status] <= SHOWN:
            without.append((name, status, message))
    return statuses, without


def _rows(parts: Sequence[Part]) -> Iterator[tuple[str, str, str]]:
    for part in parts:
        table = _table(part.path, ["photograph", "status", "message"])
        yield from table.itertuples(index=False, name=None)


def _table(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Return columns of a part; all if None."""
    with opened(path) as file:
        return pd.read_parquet(file, columns=columns)
