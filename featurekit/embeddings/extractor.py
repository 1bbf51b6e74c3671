"""Turn faces into vectors once.

One pass over the photographs serves every backbone and every layer of a run:
a picture is decoded, its face found and turned upright once, and each network
gets its own crop of it. On a CPU one worker does all of that for a picture, so
that no core waits for a slower step; on a GPU the workers cut faces out while it
works. Workers are threads of this process, or, where there are many pictures and
the networks are small, helper processes.

What was computed is remembered by content, so a renamed or repeated photograph
costs nothing, a killed run goes on where it stopped, and a second run opens no
picture at all.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from featurekit.cache.store import Shelf, Store, recipe_key
from featurekit.data.manifest import Manifest, csv_of
from featurekit.embeddings.pool import Helper, HelperDiedError, Message
from featurekit.embeddings.worker import Looked, Looker, Task, face_columns, face_from, unpacked
from featurekit.errors import EmbeddingError, EngineError, ManifestError, WorkspaceError
from featurekit.faces.detectors import DETECTORS
from featurekit.faces.find import BROKEN, STATUSES, CropKind, Face, FaceSettings, open_finder
from featurekit.files import whole_file, write_text
from featurekit.networks import weights
from featurekit.networks.backbones import BACKBONES, split_feature
from featurekit.networks.engines import Session, resolve, usable_cores
from featurekit.progress import Clock, Progress

# Raise whenever this module starts to compute different numbers: old cache files then go unused.
EXTRACTION_VERSION = 2

# A shard is written after so many pictures or so many seconds; a kill costs no more than that.
SHARD_ROWS, SHARD_SECONDS = 512, 20.0
# Pictures from which on helper processes are worth their start,
HELPERS_FROM = 400
# weight files, in bytes, up to which a copy for each helper is cheap and the work between networks counts,
_SMALL_NETWORKS = 64 * 2**20
# pictures that a helper is given at once, and seconds after which it counts as stuck.
_CHUNK, _PATIENCE = 8, 120.0
# Pictures that may end their helper before it is no longer the pictures' fault.
_MOST_DEATHS = 20


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides the numbers. Change one part and it is another embedding.

    Attributes:
        faces: how the picture was decoded and the face found (FaceSettings.recipe()).
        backbone: name of the network.
        layer: where it was read.
        weights: sha256 of its weight file, "" where it has none.
        input_size: side of the crop, in pixels.
        template: where the landmarks were put.
        normalization: what was done to the pixels first.
        mirrored: whether the vectors are the mean of the crop's and its mirror image's.
        precision: "fp32" or "bf16".
        engine: class of engine, whose members agree to the last bit: "cpu" or "cuda".
        extraction_version: version of this module's arithmetic.
    """

    faces: Mapping[str, Any]
    backbone: str
    layer: str
    weights: str
    input_size: int
    template: str
    normalization: Mapping[str, Any]
    precision: str
    engine: str
    mirrored: bool = False
    extraction_version: int = EXTRACTION_VERSION

    @property
    def key(self) -> str:
        """A name that two different recipes never share."""
        return recipe_key(asdict(self))

    @property
    def feature(self) -> str:
        """Name of the vectors, e.g. "dlib_age:pooled"."""
        return f"{self.backbone}:{self.layer}"


@dataclass(frozen=True)
class Embeddings:
    """One vector per face found, in the order of the manifest.

    Attributes:
        rows: row numbers in the manifest, shape (n_faces,), increasing.
        face_ids: shape (n_faces,).
        vectors: float32, or uint8 for pixels, shape (n_faces, dim), every number finite.
        blocks: length of each part where several backbones are joined; their sum is dim.
        recipes: what each part was made from.
    """

    rows: NDArray[np.intp]
    face_ids: NDArray[np.str_]
    vectors: NDArray[Any]
    blocks: tuple[int, ...]
    recipes: tuple[Recipe, ...]

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.face_ids) == len(self.vectors):
            raise EmbeddingError(f"{len(self.vectors)} vectors for {len(self.face_ids)} faces.")
        if sum(self.blocks) != self.vectors.shape[1]:
            raise EmbeddingError(f"Parts of {self.blocks} numbers do not make {self.vectors.shape[1]}.")
        if self.vectors.dtype.kind != "f":
            return
        finite = np.isfinite(self.vectors).all(axis=1)
        if not finite.all():
            raise EmbeddingError(f"The vector of {self.face_ids[np.argmin(finite)]} is not finite.")


@dataclass(frozen=True)
class Extraction:
    """What one extraction did.

    Attributes:
        statuses: status → rows of the manifest; every row is in exactly one.
        n_read: pictures opened.
        n_detected: pictures a detector looked at.
        seconds: wall-clock time.
        recipes: feature → recipe.
        achieved: network → engine, device and precision, read back; empty where nothing had to run.
        unread: face_id and reason of each picture that is not what the manifest says it is.
        broken: path in the manifest and status of each row whose picture cannot be read, now or before.
        parts: seconds that the threads spent in "read", "decode", "detect", "align", "write" and in each
            network, summed over the threads.
        threads: how many there were, or helper processes.
        seconds_to_open: of the time on the clock, until detector and networks were ready.
    """

    statuses: Mapping[str, int]
    n_read: int
    n_detected: int
    seconds: float
    recipes: Mapping[str, Recipe]
    achieved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unread: tuple[tuple[str, str], ...] = ()
    broken: tuple[tuple[str, str], ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    threads: int = 1
    seconds_to_open: float = 0.0

    @property
    def network_seconds(self) -> dict[str, float]:
        """Network → its part of the time on the clock; the rest served all networks alike."""
        busy = sum(self.parts.values())
        # A network that no face was found for has run for no time.
        return {name: self.seconds * self.parts.get(name, 0.0) / busy for name in self.achieved}


def make_recipes(
    features: Sequence[str],
    settings: FaceSettings,
    *,
    device: str = "auto",
    precision: str = "auto",
    mirrored: bool = False,
) -> dict[str, Recipe]:
    """Return the recipe of each feature and of the heads that come with its backbone.

    Args:
        features: "backbone" or "backbone:layer".
        settings: how faces are found.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32" or "bf16".
        mirrored: whether the vectors are the mean of the crop's and its mirror image's.

    Returns:
        "backbone:layer" → recipe, in the order asked.

    Raises:
        UnknownNameError: no such backbone or layer.
        WeightsError: a weight file is missing; the message says which and how to get it.
    """
    device, precision = resolve(device, precision)
    recipes: dict[str, Recipe] = {}
    for feature in features:
        backbone, layer = split_feature(feature)
        if backbone.weights and not weights.present(backbone.weights):
            weights.read(backbone.weights)  # says what is missing and how to get it
        for name in dict.fromkeys((layer, *backbone.heads)):
            recipe = Recipe(
                faces=settings.recipe(),
                backbone=backbone.name,
                layer=name,
                weights=weights.sha256_of(backbone.weights) if backbone.weights else "",
                input_size=backbone.input_size,
                template=backbone.template,
                # As JSON gives it back, lists for tuples, so that a recipe equals itself when it is read.
                normalization=json.loads(json.dumps(asdict(backbone.normalization))),
                precision=precision if backbone.weights else "fp32",
                engine=device if backbone.weights else "cpu",
                mirrored=mirrored and not backbone.is_picture,
            )
            recipes.setdefault(recipe.feature, recipe)
    return recipes


@dataclass(frozen=True)
class OpenBackbone:
    """A backbone that is ready to run.

    Attributes:
        name: of the backbone.
        layers: what is read.
        crop: what it wants cut out.
        session: crops in, one array a layer out.
        mirrored: whether the mirror images are read too, and the mean of both is given.
    """

    name: str
    layers: tuple[str, ...]
    crop: CropKind
    session: Session
    mirrored: bool

    def vectors(self, crops: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Return "backbone:layer" → vectors (n, dim) of crops (n, s, s, 3)."""
        outputs = self.session(crops)
        if self.mirrored:
            others = self.session(np.ascontiguousarray(crops[:, :, ::-1]))
            outputs = [(one + other) * np.float32(0.5) for one, other in zip(outputs, others, strict=True)]
        return {f"{self.name}:{layer}": out for layer, out in zip(self.layers, outputs, strict=True)}


def open_networks(recipes: Sequence[Recipe], threads: int) -> list[OpenBackbone]:
    """Make each backbone that the recipes need ready to run, once, with all its layers.

    Raises:
        WeightsError: a weight file is missing or is not the one it should be.
        EngineError: a device or precision cannot be had.
    """
    networks = []
    for name in dict.fromkeys(recipe.backbone for recipe in recipes):
        own = [recipe for recipe in recipes if recipe.backbone == name]
        backbone, layers = BACKBONES[name], tuple(recipe.layer for recipe in own)
        data = weights.read(backbone.weights) if backbone.weights else b""
        session = backbone.open(
            data, layers, device=own[0].engine, precision=own[0].precision, threads=threads
        )
        crop = (backbone.template, backbone.input_size)
        networks.append(OpenBackbone(name, layers, crop, session, own[0].mirrored))
    return networks


def describe_weights(
    recipes: Sequence[Recipe], settings: FaceSettings, trained: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return name, file, sha256, source and the three licences of every weight file that took part.

    Args:
        recipes: of the vectors.
        settings: how the faces were found.
        trained: names of further backbones, that a network trained end to end started from.
    """
    detector = [weights.describe_by_hash(settings.weights_sha256)] if settings.weights_sha256 else []
    names = [BACKBONES[name].weights for name in (*(recipe.backbone for recipe in recipes), *trained)]
    return detector + [weights.describe(name) for name in dict.fromkeys(names) if name]


def row_keys(manifest: Manifest, settings: FaceSettings) -> NDArray[np.uint8]:
    """Return what a row's face is remembered by, shape (n_rows, 32); zeros for a row without a picture.

    It is the picture's content, and the box where the box decides which face is meant.
    """
    keys = np.zeros((len(manifest), 32), np.uint8)
    boxes = manifest.table["box"] if settings.choose == "box" else [""] * len(manifest)
    for row, (content, box) in enumerate(zip(manifest.table["content"], boxes, strict=True)):
        if content:
            key = bytes.fromhex(content)
            keys[row] = np.frombuffer(sha256(key + box.encode()).digest() if box else key, np.uint8)
    return keys


def extract(
    manifest: Manifest,
    recipes: Mapping[str, Recipe],
    settings: FaceSettings,
    store: Store,
    *,
    threads: int = 0,
    progress: Progress | None = None,
) -> Extraction:
    """Find every face of a manifest and remember its vectors.

    Args:
        manifest: whose photographs.
        recipes: what to compute, from make_recipes().
        settings: how faces are found; the same as in the recipes.
        store: where it is remembered.
        threads: how many; 0 for one a core. They change the time and nothing else.
        progress: called with (pictures done, pictures to do).

    Raises:
        EngineError: a device or precision cannot be had.
        ManifestError: a box must say which face is meant, and no row has one.
        WorkspaceError: the cache cannot be written.
    """
    started = time.perf_counter()
    if settings.choose == "box" and not (manifest.table["box"] != "").any():
        raise ManifestError(
            "--choose box needs boxes, and the manifest's column 'box' is empty. Say which column of your"
            " table holds them as x1 y1 x2 y2 in pixels: featurekit prepare table FILE --column box=NAME (or"
            " four columns: --column x1=NAME --column y1=NAME --column x2=NAME --column y2=NAME)."
        )
    keys = row_keys(manifest, settings)
    faces = store.shelf("faces", settings.recipe())
    shelves = {recipe.feature: store.shelf("embeddings", asdict(recipe)) for recipe in recipes.values()}
    todo = _pictures_to_read(keys, faces, list(shelves.values()))
    threads = threads or usable_cores()
    one_pass = None
    if len(todo):
        helpers = len(todo) >= HELPERS_FROM and threads > 1 and _fit_for_helpers(recipes, settings)
        one_pass = _Pass(manifest, keys, recipes, settings, faces, shelves, threads, helpers=helpers)
        try:
            one_pass.run(todo, progress)
        finally:
            one_pass.close()
            one_pass.flush()  # whatever stopped it, what was computed is kept
    of_rows = row_statuses(manifest, keys, faces)
    counts = np.bincount(of_rows, minlength=len(STATUSES))
    broken = np.flatnonzero(np.isin(of_rows, [STATUSES.index(status) for status in BROKEN]))
    return Extraction(
        statuses={status: int(n) for status, n in zip(STATUSES, counts, strict=True) if n},
        n_read=len(todo),
        n_detected=one_pass.n_detected if one_pass else 0,
        seconds=time.perf_counter() - started,
        recipes=recipes,
        achieved=one_pass.achieved if one_pass else {},
        unread=tuple(one_pass.unread) if one_pass else (),
        broken=tuple((str(manifest.table["image_path"].iloc[row]), STATUSES[of_rows[row]]) for row in broken),
        parts=one_pass.clock.seconds if one_pass else {},
        threads=threads,
        seconds_to_open=one_pass.opened - started if one_pass else 0.0,
    )


def row_statuses(manifest: Manifest, keys: NDArray[np.uint8], faces: Shelf) -> NDArray[np.uint8]:
    """Return the status of every row as its number in STATUSES, shape (n_rows,)."""
    numbers = {status: number for number, status in enumerate(STATUSES)}
    statuses = np.full(len(manifest), numbers["not_extracted"], np.uint8)
    has_picture = keys.any(axis=1)
    # Only a row whose file could not be read when the manifest was made has no picture.
    for row in np.flatnonzero(~has_picture):
        reason = manifest.table["reason"].iloc[row]
        statuses[row] = numbers.get(reason, numbers["missing_file"])
    pictures = np.flatnonzero(has_picture)
    known = np.delete(pictures, faces.missing(keys[pictures]))
    if len(known):
        statuses[known] = faces.read(keys[known], ["status"])["status"]
    return statuses


def load_embeddings(
    manifest: Manifest, recipes: Sequence[Recipe], settings: FaceSettings, store: Store
) -> Embeddings:
    """Return the vectors of every face found, joined over recipes.

    Args:
        manifest: whose rows.
        recipes: parts to join side by side, in this order.
        settings: how the faces were found; the same as in the recipes.
        store: where the vectors are remembered.

    Raises:
        WorkspaceError: nothing was extracted by one of these recipes.
    """
    keys = row_keys(manifest, settings)
    statuses = row_statuses(manifest, keys, store.shelf("faces", settings.recipe()))
    rows = np.flatnonzero(statuses == STATUSES.index("ok"))
    parts = []
    for recipe in recipes:
        _check_vectors(recipe, keys[rows], store)
        parts.append(store.shelf("embeddings", asdict(recipe)).read(keys[rows], ["vectors"])["vectors"])
    return Embeddings(
        rows=rows,
        face_ids=manifest.table["face_id"].to_numpy(dtype=str)[rows],
        vectors=np.hstack(parts) if len(parts) > 1 else parts[0],
        blocks=tuple(part.shape[1] for part in parts),
        recipes=tuple(recipes),
    )


def without_vectors(manifest: Manifest, recipes: Sequence[Recipe], statuses: NDArray[np.uint8]) -> Embeddings:
    """Return the faces found with a zero for a vector: what a classifier is given that looks at none.

    Args:
        manifest: whose rows.
        recipes: what the vectors would have been made from.
        statuses: from row_statuses().
    """
    rows = np.flatnonzero(statuses == STATUSES.index("ok"))
    face_ids = manifest.table["face_id"].to_numpy(dtype=str)[rows]
    return Embeddings(rows, face_ids, np.zeros((len(rows), 1), np.float32), (1,), tuple(recipes))


def check_extracted(
    manifest: Manifest, recipe: Recipe, settings: FaceSettings, statuses: NDArray[np.uint8], store: Store
) -> None:
    """Raise WorkspaceError unless every face found has a vector by this recipe.

    Args:
        manifest: whose rows.
        recipe: what the vectors are made from.
        settings: how the faces were found.
        statuses: from row_statuses().
        store: where the vectors are remembered.
    """
    keys = row_keys(manifest, settings)
    _check_vectors(recipe, keys[statuses == STATUSES.index("ok")], store)


def _check_vectors(recipe: Recipe, keys: NDArray[np.uint8], store: Store) -> None:
    n_missing = len(store.shelf("embeddings", asdict(recipe)).missing(keys))
    if n_missing == len(keys):
        raise WorkspaceError(
            f"No vectors of {recipe.feature} yet. Make them: featurekit extract --backbone {recipe.backbone}"
        )
    if n_missing:
        raise WorkspaceError(
            f"{n_missing} of {len(keys)} faces have no vector of {recipe.feature} yet."
            f" Finish: featurekit extract --backbone {recipe.backbone}"
        )


def export_embeddings(embeddings: Embeddings, path: Path) -> list[Path]:
    """Write vectors for other programs and return the files written.

    Args:
        embeddings: what to write.
        path: .parquet (columns face_id and vectors) or .npy (vectors; the ids go to a .csv beside).

    Raises:
        EmbeddingError: another ending, or a folder.
    """
    check_export(path)
    if path.suffix.lower() == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        numbers = pa.array(embeddings.vectors.ravel())
        vectors = pa.FixedSizeListArray.from_arrays(numbers, embeddings.vectors.shape[1])
        with whole_file(path) as file:
            parquet.write_table(pa.table({"face_id": embeddings.face_ids, "vectors": vectors}), file)
        return [path]
    with whole_file(path) as file:
        np.save(file, embeddings.vectors, allow_pickle=False)
    ids = path.with_suffix(".csv")
    write_text(ids, csv_of(pd.DataFrame({"face_id": embeddings.face_ids})))
    return [path, ids]


def check_export(path: Path) -> None:
    """Raise EmbeddingError unless vectors can be written to a file of this name."""
    if path.is_dir():
        raise EmbeddingError(f"{path} is a folder. Name a file in it: {path / 'vectors.parquet'}")
    if path.suffix.lower() not in (".parquet", ".npy"):
        raise EmbeddingError(f"Vectors are written as .parquet or .npy. Got '{path.name}' instead.")
    taken = path if path.suffix.lower() == ".parquet" else path.with_suffix(".csv")
    if not _holds_export(taken):
        raise EmbeddingError(
            f"{taken} is there, and holds no exported vectors{' or their ids' if taken != path else ''}: it"
            " would be lost. Name another file, or move it away first."
        )


def _holds_export(path: Path) -> bool:
    """Whether a file is not there, or is one that export_embeddings() writes."""
    if not path.is_file():
        return True
    if path.suffix == ".csv":
        with path.open("rb") as file:
            return file.read(200).split(b"\n")[0].strip() == b"face_id"
    from pyarrow import parquet

    try:
        return list(parquet.read_schema(path).names) == ["face_id", "vectors"]
    except (OSError, ValueError):
        return False


def _pictures_to_read(keys: NDArray[np.uint8], faces: Shelf, shelves: Sequence[Shelf]) -> NDArray[np.intp]:
    """Return one row number for each picture that something is still missing of, increasing."""
    has_picture = np.flatnonzero(keys.any(axis=1))
    if not len(has_picture):
        return has_picture
    # A picture that several rows share is read once.
    _, first = np.unique(keys[has_picture], axis=0, return_index=True)
    pictures = has_picture[np.sort(first)]
    missing = np.zeros(len(pictures), bool)
    missing[faces.missing(keys[pictures])] = True
    known = np.flatnonzero(~missing)
    if len(known):
        found = faces.read(keys[pictures[known]], ["status"])["status"] == STATUSES.index("ok")
        with_face = known[found]
        for shelf in shelves:
            missing[with_face[shelf.missing(keys[pictures[with_face]])]] = True
    return pictures[missing]


def _fit_for_helpers(recipes: Mapping[str, Recipe], settings: FaceSettings) -> bool:
    """Whether helper processes can do the work, and are quicker at it than threads."""
    backbones = [BACKBONES[name] for name in dict.fromkeys(recipe.backbone for recipe in recipes.values())]
    # A helper knows the members that come with featurekit, and none that a program has registered by itself.
    makers: list[Any] = [backbone.load or backbone.compute for backbone in backbones]
    makers.append(DETECTORS[settings.detector].open)
    # What runs on a GPU stays in this process.
    theirs = {recipe.backbone for recipe in recipes.values() if recipe.engine == "cpu"}
    sizes = [
        weights.path_of(one.weights).stat().st_size for one in backbones if one.weights and one.name in theirs
    ]
    return sum(sizes) <= _SMALL_NETWORKS and all(
        getattr(maker, "__module__", "").startswith("featurekit.") for maker in makers
    )


def look_for_another(job: Mapping[str, Any]) -> tuple[Any, Callable[[Any], Message]]:
    """Be a helper of an extraction: open what it reads with, return what was got and what answers."""
    settings = settings_from(job["settings"])
    finder = open_finder(settings, threads=1)
    networks = open_networks([Recipe(**recipe) for recipe in job["recipes"]], threads=1)
    side = settings.attempts[0][0]
    # Compiled here for the frame that nearly every picture takes.
    finder(np.zeros((side, side, 3), np.uint8), side)
    kept = [(template, int(size)) for template, size in job["kept"]]
    looker = Looker(Path(job["root"]), settings, finder, networks, kept)
    return {network.name: asdict(network.session.achieved) for network in networks}, looker.answer


class _Pass:
    """One pass over photographs, a bounded number of which is under way, so that memory stays flat."""

    def __init__(
        self,
        manifest: Manifest,
        keys: NDArray[np.uint8],
        recipes: Mapping[str, Recipe],
        settings: FaceSettings,
        faces: Shelf,
        shelves: Mapping[str, Shelf],
        threads: int,
        *,
        helpers: bool,
    ) -> None:
        self._keys, self._threads = keys, threads
        self._face_ids, self._paths, self._contents, self._boxes = (
            manifest.table[name].to_list() for name in ("face_id", "image_path", "content", "box")
        )
        self._faces, self._shelves = faces, shelves
        self._helpers: SimpleQueue[Helper] = SimpleQueue()
        self._all_helpers: list[Helper] = []
        self._deaths = 0
        theirs = [recipe for recipe in recipes.values() if helpers and recipe.engine == "cpu"]
        ours = [recipe for recipe in recipes.values() if recipe not in theirs]
        self._job = {
            "root": str(manifest.root.resolve()),
            "settings": asdict(settings),
            "recipes": [asdict(recipe) for recipe in theirs],
            "kept": list(dict.fromkeys((recipe.template, recipe.input_size) for recipe in ours)),
        }
        self.achieved: dict[str, dict[str, str]] = {}
        self.clock = Clock()
        try:
            if helpers:  # they open what is theirs while this process opens what is ours
                for _ in range(threads):
                    self._all_helpers.append(self._start_helper())
            networks = open_networks(ours, threads)
            for helper in self._all_helpers:
                self.achieved |= helper.ready()
                self._helpers.put(helper)
        except HelperDiedError as error:
            self.close()
            raise EngineError(
                f"A process that reads pictures {error} before it was ready; use --threads 1."
            ) from error
        except BaseException:
            self.close()
            raise
        self.achieved |= {network.name: asdict(network.session.achieved) for network in networks}
        self._later = networks
        if not helpers:
            # What takes one picture at a time is run by the thread that looks at it.
            alone = [network for network in networks if network.session.batch == 1]
            self._later = [network for network in networks if network.session.batch > 1]
            kept = list(dict.fromkeys(network.crop for network in self._later))
            finder = open_finder(settings, threads=threads)
            self._looker = Looker(manifest.root, settings, finder, alone, kept)
            self.clock = self._looker.clock
        self.opened = time.perf_counter()
        self.n_detected = 0
        self.unread: list[tuple[str, str]] = []
        self._looked: list[Looked] = []
        self._embedded = 0

    def run(self, todo: NDArray[np.intp], progress: Progress | None) -> None:
        """Look at each of these rows' pictures."""
        known = self._known_faces(todo)
        batch = max((network.session.batch for network in self._later), default=1)
        chunk, look = (_CHUNK, self._ask) if self._all_helpers else (1, self._look)
        under_way = (8 * self._threads + batch * (batch > 1)) // chunk + self._threads
        flushed = time.monotonic()
        done = 0
        with ThreadPoolExecutor(self._threads) as pool:
            rows = iter(todo)
            waiting: deque[Future[list[Looked]]] = deque()
            try:
                while done < len(todo):
                    while len(waiting) < under_way and (some := list(islice(rows, chunk))):
                        tasks = [self._task(int(row), known.get(int(row))) for row in some]
                        waiting.append(pool.submit(look, tasks))
                    for looked in waiting.popleft().result():
                        self.n_detected += looked.detected
                        if looked.face.status == "not_extracted":
                            self.unread.append((str(self._face_ids[looked.row]), looked.why))
                        else:
                            self._looked.append(looked)
                        done += 1
                        if progress:
                            progress(done, len(todo))
                    if len(self._looked) - self._embedded >= batch:
                        self._embed()
                    if len(self._looked) >= SHARD_ROWS or time.monotonic() - flushed > SHARD_SECONDS:
                        self.flush()
                        flushed = time.monotonic()
            finally:
                for future in waiting:
                    future.cancel()

    def _task(self, row: int, known: Face | None) -> Task:
        return Task(row, self._paths[row], self._contents[row], self._boxes[row], known)

    def _known_faces(self, todo: NDArray[np.intp]) -> dict[int, Face]:
        """Return the faces that an earlier pass has found already, by row."""
        rows = np.delete(todo, self._faces.missing(self._keys[todo]))
        if not len(rows):
            return {}
        columns = self._faces.read(self._keys[rows])
        return {int(row): face_from(columns, i) for i, row in enumerate(rows)}

    def _look(self, tasks: Sequence[Task]) -> list[Looked]:
        """Look at pictures in this thread."""
        return [self._looker(task) for task in tasks]

    def _ask(self, tasks: Sequence[Task]) -> list[Looked]:
        """Let a helper look at pictures; one that ends its helper counts as undecodable."""
        helper = self._helpers.get()
        try:
            return self._answered(helper, tasks)
        except HelperDiedError:
            helper = self._next_helper(helper)
            found = []
            for task in tasks:  # one by one, to learn which it was
                try:
                    found += self._answered(helper, [task])
                except HelperDiedError as error:
                    found.append(Looked(task.row, Face("undecodable")))
                    self._deaths += 1
                    if self._deaths > _MOST_DEATHS:
                        raise EngineError(
                            f"{self._deaths} pictures ended the process that read them (the last one"
                            f" {error}). Look at `featurekit doctor`, or use --threads 1."
                        ) from error
                    helper = self._next_helper(helper)
            return found
        finally:
            self._helpers.put(helper)

    def _answered(self, helper: Helper, tasks: Sequence[Task]) -> list[Looked]:
        looked, seconds = unpacked(helper.ask([task.to_json() for task in tasks], seconds=_PATIENCE))
        self.clock.add(seconds)
        return looked

    def _start_helper(self) -> Helper:
        return Helper("featurekit.embeddings.extractor:look_for_another", self._job)

    def _next_helper(self, dead: Helper) -> Helper:
        """Return a helper in the place of one that has died."""
        dead.close()
        helper = self._start_helper()
        self._all_helpers.append(helper)
        helper.ready()
        return helper

    def close(self) -> None:
        """End the helpers."""
        for helper in self._all_helpers:
            helper.close()

    def _embed(self) -> None:
        """Send the crops that wait through the networks that take many at a time."""
        fresh = [looked for looked in self._looked[self._embedded :] if looked.face.status == "ok"]
        self._embedded = len(self._looked)
        if not fresh:
            return
        for network in self._later:
            with self.clock(network.name):
                crops = np.stack([looked.crops[network.crop] for looked in fresh])
                for feature, vectors in network.vectors(crops).items():
                    for looked, vector in zip(fresh, vectors, strict=True):
                        looked.vectors[feature] = vector
        for looked in fresh:
            looked.crops = {}

    def flush(self) -> None:
        """Write what has been computed, faces first: a face without vectors is only computed again."""
        self._embed()
        if not self._looked:
            return
        with self.clock("write"):
            self._faces.append(
                self._keys[[looked.row for looked in self._looked]], face_columns(self._looked)
            )
            with_face = [looked for looked in self._looked if looked.face.status == "ok"]
            keys = self._keys[[looked.row for looked in with_face]]
            by = np.array([looked.aligned_by == "landmarks" for looked in with_face])
            for feature, shelf in self._shelves.items():
                if with_face:
                    vectors = np.stack([looked.vectors[feature] for looked in with_face])
                    shelf.append(keys, {"vectors": vectors, "by_landmarks": by})
        self._looked.clear()
        self._embedded = 0


@dataclass(frozen=True)
class Ledger:
    """What has been extracted in a workspace, so that later steps need not be told again.

    Attributes:
        settings: how the faces were found.
        recipes: "backbone:layer" → recipe, in the order first extracted.
        costs: "shared" and each network → {"seconds", "pictures"}, summed over every pass.
        achieved: network → engine, device and precision, read back when it last ran.
        asked: the device and precision that were asked for.
    """

    settings: FaceSettings
    recipes: Mapping[str, Recipe]
    costs: Mapping[str, Mapping[str, float]]
    achieved: Mapping[str, Mapping[str, str]]
    asked: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> "Ledger | None":
        """Read what save() wrote; None where nothing has been extracted."""
        if not path.is_file():
            return None
        content = json.loads(path.read_text())
        return cls(
            settings=settings_from(content["settings"]),
            recipes={name: Recipe(**recipe) for name, recipe in content["recipes"].items()},
            costs=content["costs"],
            achieved=content["achieved"],
            asked=content["asked"],
        )

    def save(self, path: Path) -> None:
        """Write it as JSON, whole."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    def seconds(self, features: Sequence[str]) -> float:
        """Return the seconds that a feature set's vectors took, what all networks share included once."""
        networks = {feature.partition(":")[0] for feature in features}
        return sum(self.costs.get(name, {}).get("seconds", 0.0) for name in ("shared", *sorted(networks)))


def settings_from(content: Mapping[str, Any]) -> FaceSettings:
    """Return the settings whose fields were written as JSON, where a tuple is a list."""
    attempts = tuple((int(size), float(border)) for size, border in content["attempts"])
    return FaceSettings(**{**content, "attempts": attempts})


def settings_of(faces: Mapping[str, Any]) -> FaceSettings:
    """Return the settings that a recipe of faces was made by, as FaceSettings.recipe() says it."""
    content = {name: faces[name] for name in ("detector", "attempts", "choose", "min_face")}
    return settings_from({**content, "weights_sha256": faces["detector_weights"]})


def enter(
    ledger: Ledger | None, extraction: Extraction, settings: FaceSettings, asked: Mapping[str, str]
) -> Ledger:
    """Return the ledger with one more extraction in it; other settings open a new one."""
    if ledger is None or ledger.settings != settings:
        ledger = Ledger(settings, {}, {}, {}, asked)
    costs = {name: dict(cost) for name, cost in ledger.costs.items()}
    for feature, recipe in extraction.recipes.items():
        if ledger.recipes.get(feature, recipe) != recipe:
            costs.pop(recipe.backbone, None)  # what other vectors of that name took
    spent = extraction.network_seconds
    if extraction.n_detected or not any(spent.values()):
        spent["shared"] = extraction.seconds - sum(spent.values())
    else:
        # Every face was known: the pictures were read again for these networks alone.
        whole = sum(spent.values())
        spent = {name: extraction.seconds * seconds / whole for name, seconds in spent.items()}
    if extraction.n_read:
        for name, seconds in spent.items():
            cost = costs.setdefault(name, {"seconds": 0.0, "pictures": 0})
            cost["seconds"] += seconds
            cost["pictures"] += extraction.n_read
    return Ledger(
        settings,
        {**ledger.recipes, **extraction.recipes},
        costs,
        {**ledger.achieved, **extraction.achieved},
        asked,
    )
