"""Turn faces into vectors once.

One pass over the photographs serves every backbone and every layer of a run:
a picture is decoded, its face found and turned upright once, and each network
gets its own crop of it. On a CPU a thread does all of that for one picture, and
there are as many pictures under way as threads, so that no core waits for a
slower step; on a GPU the threads cut faces out while it works.

What was computed is remembered by content, so a renamed or repeated photograph
costs nothing, a killed run goes on where it stopped, and a second run opens no
picture at all.
"""

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit import weights
from featurekit.backbones import BACKBONES, split_feature
from featurekit.engines import Session, resolve, usable_cores
from featurekit.errors import EmbeddingError, ImageError, WorkspaceError
from featurekit.faces import STATUSES, CropKind, Face, FaceSettings, open_finder, see_faces
from featurekit.manifest import Manifest
from featurekit.store import Shelf, Store, recipe_key
from featurekit.workspace import whole_file, write_text

# Raise whenever this module starts to compute different numbers: old cache files then go unused.
EXTRACTION_VERSION = 2

# A shard is written after so many pictures or so many seconds; a kill costs no more than that.
SHARD_ROWS, SHARD_SECONDS = 512, 20.0
Progress = Callable[[int, int], None]


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
        vectors: float32, shape (n_faces, dim), every number finite.
        blocks: length of each part where several backbones are joined; their sum is dim.
        recipes: what each part was made from.
    """

    rows: NDArray[np.intp]
    face_ids: NDArray[np.str_]
    vectors: NDArray[np.float32]
    blocks: tuple[int, ...]
    recipes: tuple[Recipe, ...]

    def __post_init__(self) -> None:
        if not len(self.rows) == len(self.face_ids) == len(self.vectors):
            raise EmbeddingError(f"{len(self.vectors)} vectors for {len(self.face_ids)} faces.")
        if sum(self.blocks) != self.vectors.shape[1]:
            raise EmbeddingError(f"Parts of {self.blocks} numbers do not make {self.vectors.shape[1]}.")
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
        parts: seconds that the threads spent in "read", "decode", "detect", "align", "write" and in each
            network, summed over the threads.
        threads: how many there were.
    """

    statuses: Mapping[str, int]
    n_read: int
    n_detected: int
    seconds: float
    recipes: Mapping[str, Recipe]
    achieved: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    unread: tuple[tuple[str, str], ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    threads: int = 1

    @property
    def network_seconds(self) -> dict[str, float]:
        """Network → its part of the time on the clock; the rest served all networks alike."""
        busy = sum(self.parts.values())
        return {name: self.seconds * self.parts[name] / busy for name in self.achieved}


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
                mirrored=mirrored,
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


def describe_weights(recipes: Sequence[Recipe], settings: FaceSettings) -> list[dict[str, Any]]:
    """Return name, file, sha256, source and the three licences of every weight file that took part."""
    detector = [weights.describe_by_hash(settings.weights_sha256)] if settings.weights_sha256 else []
    names = [BACKBONES[recipe.backbone].weights for recipe in recipes]
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
        WorkspaceError: the cache cannot be written.
    """
    started = time.perf_counter()
    keys = row_keys(manifest, settings)
    faces = store.shelf("faces", settings.recipe())
    shelves = {recipe.feature: store.shelf("embeddings", asdict(recipe)) for recipe in recipes.values()}
    todo = _pictures_to_read(keys, faces, list(shelves.values()))
    threads = threads or usable_cores()
    one_pass = None
    if len(todo):
        one_pass = _Pass(manifest, keys, recipes, settings, faces, shelves, threads)
        try:
            one_pass.run(todo, progress)
        finally:
            one_pass.flush()  # whatever stopped it, what was computed is kept
    counts = np.bincount(row_statuses(manifest, keys, faces), minlength=len(STATUSES))
    return Extraction(
        statuses={status: int(n) for status, n in zip(STATUSES, counts, strict=True) if n},
        n_read=len(todo),
        n_detected=one_pass.n_detected if one_pass else 0,
        seconds=time.perf_counter() - started,
        recipes=recipes,
        achieved=one_pass.achieved if one_pass else {},
        unread=tuple(one_pass.unread) if one_pass else (),
        parts=one_pass.clock.seconds if one_pass else {},
        threads=threads,
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
        shelf = store.shelf("embeddings", asdict(recipe))
        missing = shelf.missing(keys[rows])
        if len(rows) == len(missing):
            raise WorkspaceError(
                f"No vectors of {recipe.feature} yet."
                f" Make them: featurekit extract --backbone {recipe.backbone}"
            )
        if len(missing):
            raise WorkspaceError(
                f"{len(missing)} of {len(rows)} faces have no vector of {recipe.feature} yet."
                f" Finish: featurekit extract --backbone {recipe.backbone}"
            )
        parts.append(shelf.read(keys[rows], ["vectors"])["vectors"])
    return Embeddings(
        rows=rows,
        face_ids=manifest.table["face_id"].to_numpy(dtype=str)[rows],
        vectors=np.hstack(parts) if len(parts) > 1 else parts[0],
        blocks=tuple(part.shape[1] for part in parts),
        recipes=tuple(recipes),
    )


def export_embeddings(embeddings: Embeddings, path: Path) -> list[Path]:
    """Write vectors for other programs and return the files written.

    Args:
        embeddings: what to write.
        path: .parquet (columns face_id and vectors) or .npy (vectors; the ids go to a .csv beside).

    Raises:
        EmbeddingError: another ending.
    """
    if path.suffix == ".parquet":
        import pyarrow as pa
        from pyarrow import parquet

        numbers = pa.array(embeddings.vectors.ravel())
        vectors = pa.FixedSizeListArray.from_arrays(numbers, embeddings.vectors.shape[1])
        with whole_file(path) as file:
            parquet.write_table(pa.table({"face_id": embeddings.face_ids, "vectors": vectors}), file)
        return [path]
    if path.suffix == ".npy":
        with whole_file(path) as file:
            np.save(file, embeddings.vectors, allow_pickle=False)
        ids = path.with_suffix(".csv")
        write_text(ids, "\n".join(["face_id", *embeddings.face_ids]) + "\n")
        return [path, ids]
    raise EmbeddingError(f"Vectors are written as .parquet or .npy. Got '{path.name}' instead.")


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


class _Clock:
    """Adds up the seconds that threads spend in the parts of their work."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._adding = threading.Lock()

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        """Count the time inside for a part."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            with self._adding:
                self.seconds[part] = self.seconds.get(part, 0.0) + spent


@dataclass
class _Looked:
    """What became of one picture: a status, and for a face its vectors, or crops that still wait for them."""

    row: int
    face: Face
    detected: bool = False
    why: str = ""
    size: tuple[int, int] = (0, 0)
    crops: Mapping[CropKind, NDArray[np.uint8]] = field(default_factory=dict)
    aligned_by: Mapping[CropKind, str] = field(default_factory=dict)
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)


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
    ) -> None:
        self._root, self._keys, self._settings, self._threads = manifest.root, keys, settings, threads
        self._face_ids, self._paths, self._contents, self._boxes = (
            manifest.table[name].to_list() for name in ("face_id", "image_path", "content", "box")
        )
        self._faces, self._shelves = faces, shelves
        self._finder = open_finder(settings, threads=threads)
        networks = open_networks(list(recipes.values()), threads)
        self._kinds = list(dict.fromkeys(network.crop for network in networks))
        # What takes one picture at a time is run by the thread that looks at it.
        self._single = [network for network in networks if network.session.batch == 1]
        self._batched = [network for network in networks if network.session.batch > 1]
        self.achieved = {network.name: asdict(network.session.achieved) for network in networks}
        self.n_detected = 0
        self.unread: list[tuple[str, str]] = []
        self.clock = _Clock()
        self._looked: list[_Looked] = []
        self._embedded = 0

    def run(self, todo: NDArray[np.intp], progress: Progress | None) -> None:
        """Look at each of these rows' pictures."""
        known = self._known_faces(todo)
        batch = max((network.session.batch for network in self._batched), default=1)
        under_way = 8 * self._threads + batch * (batch > 1)
        flushed = time.monotonic()
        with ThreadPoolExecutor(self._threads) as pool:
            rows = iter(todo)
            waiting: deque[Future[_Looked]] = deque()
            for done in range(len(todo)):
                for row in islice(rows, under_way - len(waiting)):
                    waiting.append(pool.submit(self._look, int(row), known.get(int(row))))
                looked = waiting.popleft().result()
                self.n_detected += looked.detected
                if looked.face.status == "not_extracted":
                    self.unread.append((str(self._face_ids[looked.row]), looked.why))
                else:
                    self._looked.append(looked)
                if len(self._looked) - self._embedded >= batch:
                    self._embed()
                if len(self._looked) >= SHARD_ROWS or time.monotonic() - flushed > SHARD_SECONDS:
                    self.flush()
                    flushed = time.monotonic()
                if progress:
                    progress(done + 1, len(todo))

    def _known_faces(self, todo: NDArray[np.intp]) -> dict[int, Face]:
        """Return the faces that an earlier pass has found already, by row."""
        rows = np.delete(todo, self._faces.missing(self._keys[todo]))
        if not len(rows):
            return {}
        columns = self._faces.read(self._keys[rows])
        return {int(row): _face_from(columns, i) for i, row in enumerate(rows)}

    def _look(self, row: int, known: Face | None) -> _Looked:
        """Decode one picture, find its face unless it is known, cut it out, and run what runs alone."""
        with self.clock("read"):
            try:
                data = (self._root / self._paths[row]).read_bytes()
            except OSError as error:
                return _Looked(row, Face("not_extracted"), why=f"{error.strerror}")
            if sha256(data).hexdigest() != self._contents[row]:
                return _Looked(row, Face("not_extracted"), why="changed since `featurekit prepare`")
        corners = np.array(self._boxes[row].split(), np.float32) if self._boxes[row] else None
        try:
            seen, size = see_faces(
                data, self._finder, self._settings, self._kinds, box=corners, known=known, clock=self.clock
            )
        except ImageError as error:
            return _Looked(row, Face(error.status))
        one = seen[0]
        looked = _Looked(row, one.face, known is None, "", size, one.crops, one.aligned_by)
        if one.face.status == "ok":
            for network in self._single:
                with self.clock(network.name):
                    of_one = network.vectors(one.crops[network.crop][None])
                looked.vectors |= {feature: vectors[0] for feature, vectors in of_one.items()}
            if not self._batched:
                looked.crops = {}
        return looked

    def _embed(self) -> None:
        """Send the crops that wait through the networks that take many at a time."""
        fresh = [looked for looked in self._looked[self._embedded :] if looked.face.status == "ok"]
        self._embedded = len(self._looked)
        if not fresh:
            return
        for network in self._batched:
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
                self._keys[[looked.row for looked in self._looked]],
                _face_columns([(looked.face, looked.size) for looked in self._looked]),
            )
            with_face = [looked for looked in self._looked if looked.face.status == "ok"]
            keys = self._keys[[looked.row for looked in with_face]]
            for feature, shelf in self._shelves.items():
                backbone, _ = split_feature(feature)
                kind = (backbone.template, backbone.input_size)
                if with_face:
                    by = np.array([looked.aligned_by[kind] == "landmarks" for looked in with_face])
                    vectors = np.stack([looked.vectors[feature] for looked in with_face])
                    shelf.append(keys, {"vectors": vectors, "by_landmarks": by})
        self._looked.clear()
        self._embedded = 0


def _face_columns(looked: Sequence[tuple[Face, tuple[int, int]]]) -> dict[str, NDArray[Any]]:
    """Return faces as columns, one row a picture; size is the picture's width and height in pixels."""
    faces = [face for face, _ in looked]
    return {
        "status": np.array([STATUSES.index(face.status) for face in faces], np.uint8),
        "box": np.stack([face.box for face in faces]).astype(np.float32),
        "landmarks": np.stack([face.landmarks for face in faces]).astype(np.float32),
        "confidence": np.array([face.confidence for face in faces], np.float32),
        "n_found": np.array([face.n_found for face in faces], np.int32),
        "attempt": np.array([face.attempt for face in faces], np.int8),
        "size": np.array([size for _, size in looked], np.int32),
    }


def _face_from(columns: Mapping[str, NDArray[Any]], row: int) -> Face:
    """Return one row of _face_columns() as a face."""
    return Face(
        status=STATUSES[int(columns["status"][row])],
        box=columns["box"][row],
        landmarks=columns["landmarks"][row],
        confidence=float(columns["confidence"][row]),
        n_found=int(columns["n_found"][row]),
        attempt=int(columns["attempt"][row]),
    )


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
    if extraction.n_detected or not spent:
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
