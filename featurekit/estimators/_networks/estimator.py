"""Networks trained end to end, as one more classifier: they read the faces themselves.

A new one is a file in featurekit/estimators: a function that makes the network up to its
features, and a registered one that says how it is trained. Heads, training,
checkpoints and reading faces are here and the same for all.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import ClassifierTags, RegressorTags
from sklearn.utils.validation import check_is_fitted

from featurekit.data.splits import subject_exclusive_folds
from featurekit.data.targets import Target
from featurekit.errors import FoldError, ModelError
from featurekit.estimators import Crops, Resources
from featurekit.estimators._estimator import Estimator
from featurekit.estimators._networks.assembly import assembled
from featurekit.estimators._networks.augmentation import Augmentation
from featurekit.estimators._networks.checkpoint import Progress
from featurekit.estimators._networks.crops import pixels_and_rows
from featurekit.estimators._networks.heads import Head, head_for
from featurekit.estimators._networks.reading import VIEWS, achieved, evaluate, torch_threads
from featurekit.estimators._networks.sampler import Faces
from featurekit.estimators._networks.schedule import Schedule
from featurekit.estimators._networks.trainer import Setting, train
from featurekit.estimators._parameters import SHOWN_AS, Allowed, Within
from featurekit.networks.engines import resolve

if TYPE_CHECKING:
    import torch

MAX_SIDE = 1024  # of the pictures that a saved network is given, in pixels
HELD_OUT = 10  # a tenth of the subjects decides which epoch is kept
# Raise when the same faces and parameters come to train another network: checkpoints then go unused.
TRAINING_VERSION = 2


@dataclass(eq=False, repr=False, kw_only=True)
class CNN(Estimator):
    """A network trained end to end on faces, of one target or of several together.

    How long it trains is chosen on held-out subjects: the weights kept are those of the epoch that read
    them with the least loss.

    Attributes:
        target: what it is asked for.
        make_body: this → the network up to its features, pixels (n, 3, side, side) of 0 to 255 → (n, dim),
            with the attribute `dim`.
        side: of the pictures it is given, in pixels.
        networks: names of the backbones that it starts from; empty where it starts from nothing.
        ages: how ordered classes are read: as "classes", or "ordered".
        gender_to_age: whether the age heads see what the gender head says; they learn together.
        dropout: share of the features left out at random while it learns.
        views: of each face that are averaged when it is read: 1, 2 (and its mirror image), or 10.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32" or "bf16".
        epochs, batch_size, learning_rate, decay, weight_decay, warm_up, head_epochs, last_epochs,
            smoothing, mixup, balance, patience: see Schedule.
        augment: whether faces are changed while it learns.
        flip, rotation, zoom, jitter, erasing: see Augmentation.
    """

    allowed: ClassVar[Allowed] = {
        "side": Within(8, MAX_SIDE),
        "ages": ("classes", "ordered"),
        "dropout": Within(0, 0.99),
        "views": tuple(VIEWS),
        "device": ("auto", "cpu", "cuda"),
        "precision": ("auto", "fp32", "bf16"),
        "epochs": Within(1),
        "batch_size": Within(2),
        "warm_up": Within(0, 1),
        "smoothing": Within(0, 1),
        "balance": ("none", "loss", "sampler"),
        "patience": Within(1),
        "rotation": Within(0, 180),
        "zoom": Within(0, 0.99),
        "jitter": Within(0, 1),
        "erasing": Within(0, 1),
    }

    target: Target
    make_body: Callable[["CNN"], "torch.nn.Module"]
    side: int = 128
    networks: tuple[str, ...] = ()
    ages: Literal["classes", "ordered"] = "classes"
    gender_to_age: bool = False
    dropout: float = 0.2
    views: int = 2
    device: str = "auto"
    precision: str = "auto"
    epochs: int = 12
    batch_size: int = 64
    learning_rate: float = 1e-3
    decay: float = 0.7
    weight_decay: float = 0.02
    warm_up: float = 0.1
    head_epochs: int = 1
    last_epochs: int = 0
    smoothing: float = 0.05
    mixup: float = 0.0
    balance: Literal["none", "loss", "sampler"] = "none"
    patience: int = 8
    augment: bool = True
    flip: bool = Augmentation.flip
    rotation: float = Augmentation.rotation
    zoom: float = Augmentation.zoom
    jitter: float = Augmentation.jitter
    erasing: float = Augmentation.erasing

    # What it may use; no parameter, for it changes nothing of what is asked.
    _resources: ClassVar[Resources] = Resources()

    def __sklearn_tags__(self) -> Any:
        """Return what scikit-learn asks of an estimator."""
        tags = super().__sklearn_tags__()
        if self.target.is_regression:
            tags.estimator_type, tags.regressor_tags = "regressor", RegressorTags()
        else:
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle, or a copy, holds: the network as arrays, and nothing of whoever watches."""
        state: dict[str, Any] = {**super().__getstate__()}
        state.pop("_resources", None)
        if "network_" in state:
            state["network_"] = self._tensors()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become what __getstate__() was asked of."""
        super().__setstate__(state)
        if "network_" in state:
            self._load(state["network_"])

    def shown_parameters(self) -> dict[str, Any]:
        """Return what decides the training, as plain values."""
        aside = ("target", "make_body", "feature_blocks")
        return {name: value for name, value in super().shown_parameters().items() if name not in aside}

    def use(self, resources: Resources) -> Self:
        """Take threads and a device, where checkpoints go, and who watches."""
        self._resources = resources  # type: ignore[misc]  # its own, in the place of the class's
        if resources.device is not None:
            self.device = resources.device
        return super().use(resources)

    def fit(
        self,
        X: Crops | NDArray[Any],
        y: NDArray[Any],
        groups: Any = None,
        *,
        also: Mapping[Target, NDArray[Any]] | None = None,
    ) -> Self:
        """Learn from faces, class numbers or years, and persons.

        Args:
            X: faces, or uint8 of shape (n, s, s, 3) or (n, s · s · 3).
            y: class numbers, -1 for a face without one, or years, NaN without; shape (n,).
            groups: the person on each face, shape (n,): some are held out; None for one a face.
            also: labels that are learned together with y, as y; None for none.

        Raises:
            EngineError: the device or the precision cannot be had.
            ModelError: the training came to nothing; the message says what to try.
            WeightsError: the weight file of a network that it starts from is missing.
        """
        self.validate()
        device, precision = resolve(self.device, self.precision)
        self.summary_: dict[str, Any] = {"notes": []}
        self._draw_seed()
        faces, held_out = self._faces(X, {self.target: y, **(also or {})}, groups)
        checkpoint = self._resources.checkpoints
        if checkpoint is not None:
            checkpoint = checkpoint / f"{self._key(faces, held_out, device, precision)}.safetensors"
        self.network_ = self._fresh_network()
        at = train(
            self.network_,
            self.heads_,
            faces,
            held_out,
            Schedule(**{one.name: getattr(self, one.name) for one in fields(Schedule)}),
            self._augmentation(),
            Setting(
                side=self.side,
                seed=self._seed,
                device=device,
                precision=precision,
                threads=self._threads,
                balanced_by=self.target.name,
                checkpoint=checkpoint,
                watch=self._resources.progress,
            ),
        )
        self._runs_in = precision
        self._describe(at, faces, held_out)
        return self

    def _faces(
        self, X: Crops | NDArray[Any], labels: Mapping[Target, NDArray[Any]], groups: Any
    ) -> tuple[Faces, Faces | None]:
        """Return the faces to learn from and those that choose the epoch; decide heads and classes."""
        crops, rows = pixels_and_rows(X)
        labels = {target: np.asarray(own) for target, own in labels.items()}
        groups = np.arange(len(rows)) if groups is None else np.asarray(groups)
        # Their order decides the sum of their losses, and must not depend on which was asked for.
        targets = sorted(labels, key=lambda target: target.name)
        self.heads_ = tuple(head_for(target, ages=self.ages) for target in targets)
        if not self.target.is_regression:
            self.classes_ = np.unique(labels[self.target][labels[self.target] >= 0])
        faces = Faces(
            crops=crops,
            rows=rows,
            labels={target.name: _as_labels(target, labels[target]) for target in targets},
        )
        try:
            fold = subject_exclusive_folds(_strata(labels), groups, n_folds=HELD_OUT, seed=self._seed)[0]
        except FoldError as error:
            self.summary_["notes"].append(f"The last epoch was used instead of the best one: {error}")
            return faces, None
        return faces.some(fold.train), faces.some(fold.test)

    def _describe(self, at: Progress, faces: Faces, held_out: Faces | None) -> None:
        """Keep what a reader should know of the training."""
        got = achieved(self.network_, self._runs_in)
        self.seconds_ = at.seconds
        self.training_ = {
            "epochs": at.epoch,
            "best_epoch": at.best_epoch,
            "seconds": at.seconds,
            "faces": len(faces),
            "held_out_faces": 0 if held_out is None else len(held_out),
            "engine": got.engine,
            "device": got.device,
            "precision": got.precision,
            "history": at.history,
        }
        best, last = (at.history[epoch - 1]["stage"] for epoch in (at.best_epoch, at.epoch))
        if best == "heads" and last != "heads":
            self.summary_["notes"].append(
                f"No epoch was better than epoch {at.best_epoch}, in which only the heads were trained. The"
                f" learning rate may be too high for this network ({self.learning_rate:g})."
            )
        n_weights = sum(weight.numel() for weight in self.network_.parameters())
        self.summary_ |= {"weights_learned": n_weights, "precision": self._runs_in, "device": got.device}
        if len(self.heads_) > 1:
            n_faces = len(faces) + (0 if held_out is None else len(held_out))
            self.summary_["notes"].append(
                f"One network for {', '.join(head.target.name for head in self.heads_)}, trained together"
                f" on all {n_faces:,} faces that have a label of at least one of them."
            )

    def _augmentation(self) -> Augmentation | None:
        if not self.augment:
            return None
        return Augmentation(**{one.name: getattr(self, one.name) for one in fields(Augmentation)})

    def _fresh_network(self) -> "torch.nn.Module":
        """Return the network before it has learned anything, the same for the same seed."""
        seed = self._seed if hasattr(self, "_seed") else self._draw_seed()
        return assembled(
            lambda: self.make_body(self),
            self.heads_,
            seed=seed,
            dropout=self.dropout,
            gender_to_age=self.gender_to_age,
        )

    def _key(self, faces: Faces, held_out: Faces | None, device: str, precision: str) -> str:
        """Return what no two different trainings share: parameters, faces, labels, versions."""
        import torch

        own = {**self.shown_parameters(), "seed": self._seed, "device": device, "precision": precision}
        del own["threads"]  # another number of them changes the last bits of a sum, and nothing else
        made_by = f"{self.make_body.__module__}.{self.make_body.__qualname__}"
        heads = [[head.kind, *vars(head.target).values()] for head in self.heads_]
        content: list[Any] = [TRAINING_VERSION, made_by, heads, own, torch.__version__]
        if self.balance == "sampler":
            content.append(self.target.name)
        digest = sha256(json.dumps(content, sort_keys=True, default=str).encode())
        for part in (faces, held_out):
            if part is not None:
                for row in part.rows:
                    digest.update(np.ascontiguousarray(faces.crops[row]).data)
                for name in sorted(part.labels):
                    digest.update(name.encode() + np.ascontiguousarray(part.labels[name]).tobytes())
        return digest.hexdigest()[:32]

    def predict_proba(self, X: Crops | NDArray[Any]) -> NDArray[np.float64]:
        """Return the probability of each class of classes_, shape (n, n_classes)."""
        shares = self._ask(X)[:, self.classes_]
        probabilities: NDArray[np.float64] = shares / shares.sum(axis=1, keepdims=True)
        return probabilities

    def predict(self, X: Crops | NDArray[Any]) -> NDArray[Any]:
        """Return the most probable class number, or the years, of each row, shape (n,)."""
        if self.target.is_regression:
            return self._ask(X)
        best = self.predict_proba(X).argmax(axis=1)
        numbers: NDArray[np.intp] = self.classes_[best]
        return numbers

    def _ask(self, X: Crops | NDArray[Any]) -> NDArray[np.float64]:
        """Return the mean answer over the views of each face."""
        check_is_fitted(self)
        crops, rows = pixels_and_rows(X)
        head = next(head for head in self.heads_ if head.target == self.target)
        device = next(self.network_.parameters()).device.type
        views = VIEWS[self.views]
        answers = np.zeros((len(rows), *(() if head.kind == "years" else (len(self.target.classes),))))
        with torch_threads(self._threads):
            for start, outputs in evaluate(
                self.network_, crops, rows, self.side, device, self._runs_in, views
            ):
                said = head.answer(outputs[self.target.name]).cpu().numpy()
                answers[start : start + len(said)] += said / len(views)
        return answers

    def to_tensors(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Return what was learned: plain JSON values and arrays; see from_tensors()."""
        facts = {
            "parameters": self.shown_parameters(),
            "heads": [{"kind": head.kind, **vars(head.target)} for head in self.heads_],
            "classes": self.classes_.tolist() if not self.target.is_regression else None,
            "precision": self._runs_in,
        }
        return facts, self._tensors()

    def from_tensors(self, facts: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Become what to_tensors() was asked of, on this machine's processor.

        Raises:
            ModelError: the tensors or the parameters are not those of this network.
        """
        strange = sorted(facts["parameters"].keys() - self.shown_parameters().keys())
        if strange:
            raise ModelError(f"A network of this kind has no parameter {strange[0]}.")
        # Device and threads were those of the machine that it was trained on.
        aside, inside = ("device", "threads"), {shown: name for name, shown in SHOWN_AS.items()}
        own = {
            inside.get(name, name): value for name, value in facts["parameters"].items() if name not in aside
        }
        if isinstance(own.get("networks"), list) and all(isinstance(one, str) for one in own["networks"]):
            own["networks"] = tuple(own["networks"])
        self.set_params(**own)
        self.validate()
        self.heads_ = tuple(
            Head(Target.from_json({k: v for k, v in head.items() if k != "kind"}), head["kind"])
            for head in facts["heads"]
        )
        if facts["classes"] is not None:
            self.classes_ = np.array(facts["classes"], np.intp)
        if not all(np.isfinite(array).all() for array in tensors.values()):
            raise ModelError("A tensor contains a value that is not a number.")
        self._load(tensors)
        self._runs_in = facts["precision"]
        self.summary_ = {"notes": []}
        return self

    def _tensors(self) -> dict[str, NDArray[Any]]:
        """Return the weights of the network."""
        return {
            name: tensor.detach().cpu().contiguous().numpy()
            for name, tensor in self.network_.state_dict().items()
        }

    def _load(self, tensors: Mapping[str, NDArray[Any]]) -> None:
        """Make the network anew, of these weights, on the processor.

        Raises:
            ModelError: the tensors are not those of this network.
        """
        import torch

        self.network_ = self._fresh_network()
        try:
            self.network_.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()})
        except RuntimeError as error:
            raise ModelError(f"The tensors do not fit this network: {error}") from error
        # As in training: with another order in memory, sums are rounded otherwise.
        self.network_.to(memory_format=torch.channels_last)
        self.network_.requires_grad_(False).eval()


def _as_labels(target: Target, values: NDArray[Any]) -> NDArray[Any]:
    return values.astype(np.float32 if target.is_regression else np.int64)


def _strata(labels: Mapping[Target, NDArray[Any]]) -> NDArray[np.intp]:
    """Return a class for each face that held-out subjects should have their share of."""
    joint = np.zeros(len(next(iter(labels.values()))), np.intp)
    for target in sorted(labels, key=lambda target: target.name):
        values = labels[target]
        if target.is_regression:
            values = np.digitize(np.nan_to_num(values, nan=-1.0), [0, 3, 13, 20, 30, 45, 60])
        joint = joint * 64 + values.astype(np.intp) + 1
    codes: NDArray[np.intp] = np.unique(joint, return_inverse=True)[1]
    # What is too rare to be held out evenly counts as one.
    counts = np.bincount(codes)
    rare = counts < 2 * HELD_OUT
    if rare.all():
        return np.zeros(len(codes), np.intp)
    return np.where(rare[codes], counts.argmax(), codes)
