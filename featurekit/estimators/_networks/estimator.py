"""Networks trained end to end as a classifier that reads the face crops themselves.

A new network is a file in featurekit/estimators with two functions: one that makes the
network up to its features, and a registered one that says how it is trained. Heads,
training, checkpoints and predictions are here and are the same for all.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from featurekit.data.splits import subject_exclusive_folds
from featurekit.data.targets import Target
from featurekit.errors import FoldError, ModelError
from featurekit.estimators import Crops, Resources
from featurekit.estimators._estimator import Estimator, most_probable, tags_of
from featurekit.estimators._networks.augmentation import VIEWS, Augmentation
from featurekit.estimators._networks.schedule import FROZEN_VIEWS, Schedule
from featurekit.estimators._parameters import SHOWN_AS, Allowed, Within
from featurekit.estimators._scaling import adding_to_one
from featurekit.networks.engines import resolve

if TYPE_CHECKING:
    import torch

    from featurekit.estimators._networks.checkpoint import Progress
    from featurekit.estimators._networks.sampler import Faces

MAX_SIDE = 1024  # the greatest side of a network's input, in pixels
HELD_OUT = 10  # a tenth of the subjects decides which epoch is kept
# Increase it if the same faces and parameters train another network than before, so that old checkpoints are
# not used.
TRAINING_VERSION = 3


@dataclass(eq=False, repr=False, kw_only=True)
class CNN(Estimator):
    """A network trained end to end on faces, for one target or for several together.

    The number of epochs is chosen on held-out subjects: the weights of the epoch with the least loss on them
    are kept.

    Attributes:
        target: the target that it predicts.
        make_body: makes, from this estimator, the network up to its features: pixels (n, 3, side, side) from
            0 to 255 → (n, dim). The network has the attribute `dim`.
        side: side of the network's input, in pixels.
        networks: names of the pretrained networks that it starts from; empty if it is trained from scratch.
        ages: kind of head for ordered classes: "classes" or "ordered".
        gender_to_age: whether the heads of the ages receive the predicted gender.
        dropout: share of the features that is left out at random during training.
        views: number of views of a face whose predictions are averaged: 1, 2 (with its mirror image), or 10.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32" or "bf16".
        epochs, batch_size, learning_rate, decay, weight_decay, warm_up, head_epochs, last_epochs,
            frozen_views, smoothing, mixup, balance, patience: see Schedule.
        augment: whether the training faces are changed at random.
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
    frozen_views: int = FROZEN_VIEWS
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

    # What it may use. It is not a parameter, because it does not change what is learned.
    _resources: ClassVar[Resources] = Resources()

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags."""
        return tags_of(super().__sklearn_tags__(), is_regression=self.target.is_regression)

    def __getstate__(self) -> dict[str, Any]:
        """Return the content of a pickle or a copy: the network as arrays, without the resources."""
        state: dict[str, Any] = {**super().__getstate__()}
        state.pop("_resources", None)
        if "network_" in state:
            state["network_"] = self._tensors()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what __getstate__() returned."""
        super().__setstate__(state)
        if "network_" in state:
            self._load(state["network_"])

    def shown_parameters(self) -> dict[str, Any]:
        """Return the parameters that decide the training, as plain values."""
        shown = super().shown_parameters()
        return {name: shown[name] for name in shown if name not in ("target", "make_body", "feature_blocks")}

    def use(self, resources: Resources) -> Self:
        """Set threads, device, the folder of the checkpoints and the function that reports progress."""
        self._resources = resources  # type: ignore[misc]  # its own, instead of the class's
        return super().use(resources)

    def fit(
        self,
        X: Crops | NDArray[Any],
        y: NDArray[Any],
        groups: Any = None,
        *,
        also: Mapping[Target, NDArray[Any]] | None = None,
    ) -> Self:
        """Learn from faces, class numbers or years, and subjects.

        Args:
            X: faces, or uint8 of shape (n, s, s, 3) or (n, s · s · 3).
            y: class numbers, -1 for no label, or years, NaN for no label; shape (n,).
            groups: the subject of each face, shape (n,); some subjects are held out. None if each face is
                another subject.
            also: labels that are learned together with y, in the same form; None for none.

        Raises:
            EngineError: the device or the precision is not available.
            ModelError: the training diverged; the message says what to try.
            WeightsError: the weight file of a network that it starts from is missing.
        """
        from featurekit.estimators._networks.trainer import Setting, train

        self.validate()
        device, precision = resolve(self.device, self.precision)
        schedule = Schedule(**{one.name: getattr(self, one.name) for one in fields(Schedule)})
        self.summary_: dict[str, Any] = {"notes": self._without_effect(schedule)}
        self._draw_seed()
        faces, held_out = self._faces(X, {self.target: y, **(also or {})}, groups)
        checkpoints = self._resources.checkpoints
        self.network_ = self._fresh_network()
        at = train(
            self.network_,
            self.heads_,
            faces,
            held_out,
            schedule,
            Augmentation(**{one.name: getattr(self, one.name) for one in fields(Augmentation)})
            if self.augment
            else None,
            Setting(
                side=self.side,
                seed=self._seed,
                device=device,
                precision=precision,
                threads=self._threads,
                balanced_by=self.target.name,
                checkpoint=None
                if checkpoints is None
                else checkpoints / f"{self._key(faces, held_out, device, precision)}.safetensors",
                watch=self._resources.progress,
            ),
        )
        self._runs_in = precision
        self._describe(at, faces, held_out)
        return self

    def _without_effect(self, schedule: Schedule) -> list[str]:
        """Return a note for a parameter that was given and changes nothing."""
        if self.frozen_views == FROZEN_VIEWS or schedule.n_frozen:
            return []
        why = (
            "mixup makes new images in each epoch"
            if self.mixup
            else "head_epochs and last_epochs are 0, so that every epoch trains the whole network"
        )
        return [f"frozen_views={self.frozen_views} has no effect, because {why}."]

    def _faces(
        self, X: Crops | NDArray[Any], labels: Mapping[Target, NDArray[Any]], groups: Any
    ) -> "tuple[Faces, Faces | None]":
        """Return the training faces and the held-out faces that choose the epoch; set heads and classes."""
        from featurekit.estimators._networks.heads import head_for
        from featurekit.estimators._networks.sampler import Faces

        crops, rows = _pixels_and_rows(X)
        labels = {target: np.asarray(own) for target, own in labels.items()}
        groups = np.arange(len(rows)) if groups is None else np.asarray(groups)
        # Sorted, because their order decides the rounding of the sum of their losses.
        targets = sorted(labels, key=lambda target: target.name)
        self.heads_ = tuple(head_for(target, ages=self.ages) for target in targets)
        if not self.target.is_regression:
            self.classes_ = np.unique(labels[self.target][labels[self.target] >= 0])
        faces = Faces(
            crops=crops,
            rows=rows,
            labels={
                target.name: labels[target].astype(np.float32 if target.is_regression else np.int64)
                for target in targets
            },
        )
        try:
            fold = subject_exclusive_folds(_strata(labels), groups, n_folds=HELD_OUT, seed=self._seed)[0]
        except FoldError as error:
            self.summary_["notes"].append(f"The last epoch was used instead of the best one: {error}")
            return faces, None
        return faces.some(fold.train), faces.some(fold.test)

    def _describe(self, at: "Progress", faces: "Faces", held_out: "Faces | None") -> None:
        """Keep what a reader should know about the training."""
        from featurekit.estimators._networks.reading import achieved

        got = achieved(self.network_, self._runs_in)
        self.seconds_ = at.seconds
        self.training_: dict[str, Any] = {
            "epochs": at.epoch,
            "best_epoch": at.best_epoch,
            "seconds": at.seconds,
            "faces": len(faces),
            "held_out_faces": 0 if held_out is None else len(held_out),
            "engine": got.engine + (f" (frozen half: {at.frozen_engine})" if at.frozen_engine else ""),
            "device": got.device,
            "precision": got.precision,
            "history": at.history,
        }
        if at.frozen_failed:
            self.summary_["notes"].append(
                f"torch computed the frozen half of the network in every epoch. {at.frozen_failed}."
            )
        best, last = (at.history[epoch - 1]["stage"] for epoch in (at.best_epoch, at.epoch))
        if best == "heads" and last != "heads":
            self.summary_["notes"].append(
                f"No epoch was better than epoch {at.best_epoch}, in which only the heads were trained. The"
                f" learning rate may be too high for this network ({self.learning_rate:g})."
            )
        self.summary_ |= {
            "weights_learned": sum(weight.numel() for weight in self.network_.parameters()),
            "precision": self._runs_in,
            "device": got.device,
        }
        if len(self.heads_) > 1:
            n_faces = self.training_["faces"] + self.training_["held_out_faces"]
            self.summary_["notes"].append(
                f"One network for {', '.join(head.target.name for head in self.heads_)}, trained together"
                f" on all {n_faces:,} faces that have a label of at least one of these targets."
            )

    def _fresh_network(self) -> "torch.nn.Module":
        """Return the untrained network, the same for the same seed."""
        from featurekit.estimators._networks.heads import assembled

        return assembled(
            lambda: self.make_body(self),
            self.heads_,
            seed=self._seed if hasattr(self, "_seed") else self._draw_seed(),
            dropout=self.dropout,
            gender_to_age=self.gender_to_age,
        )

    def _key(self, faces: "Faces", held_out: "Faces | None", device: str, precision: str) -> str:
        """Return a key that differs for different trainings: parameters, faces, labels, versions."""
        import torch

        own = {**self.shown_parameters(), "seed": self._seed, "device": device, "precision": precision}
        del own["threads"]  # their number only changes the last bits of a sum
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
        return adding_to_one(self._ask(X)[:, self.classes_])

    def predict(self, X: Crops | NDArray[Any]) -> NDArray[Any]:
        """Return the most probable class number, or the years, of each row, shape (n,)."""
        return self._ask(X) if self.target.is_regression else most_probable(self, X)

    def _ask(self, X: Crops | NDArray[Any]) -> NDArray[np.float64]:
        """Return the mean prediction over the views of each face."""
        from featurekit.estimators._networks.reading import evaluate, torch_threads

        check_is_fitted(self)
        crops, rows = _pixels_and_rows(X)
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
        """Return what was learned as plain JSON values and arrays; see from_tensors()."""
        facts = {
            "parameters": self.shown_parameters(),
            "heads": [{"kind": head.kind, **vars(head.target)} for head in self.heads_],
            "classes": self.classes_.tolist() if not self.target.is_regression else None,
            "precision": self._runs_in,
        }
        return facts, self._tensors()

    def from_tensors(self, facts: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Self:
        """Restore what to_tensors() returned, on the processor of this machine.

        Raises:
            ModelError: the tensors or the parameters are not those of this network.
        """
        from featurekit.estimators._networks.heads import Head

        if strange := facts["parameters"].keys() - self.shown_parameters().keys():
            raise ModelError(f"A network of this kind has no parameter {min(strange)}.")
        # Device and threads belong to the machine that trained the network.
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
            raise ModelError("A tensor contains a value that is infinite or not a number.")
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
        """Make the network with these weights, on the processor.

        Raises:
            ModelError: the tensors are not those of this network.
        """
        import torch

        self.network_ = self._fresh_network()
        try:
            self.network_.load_state_dict({name: torch.tensor(array) for name, array in tensors.items()})
        except RuntimeError as error:
            raise ModelError(f"The tensors do not fit this network: {error}") from error
        # As in training, because sums are rounded differently with another order in memory.
        self.network_.to(memory_format=torch.channels_last)
        self.network_.requires_grad_(False).eval()


def _strata(labels: Mapping[Target, NDArray[Any]]) -> NDArray[np.intp]:
    """Return a class for each face, by which the held-out subjects are stratified."""
    joint = np.zeros(len(next(iter(labels.values()))), np.intp)
    for target in sorted(labels, key=lambda target: target.name):
        values = labels[target]
        if target.is_regression:
            values = np.digitize(np.nan_to_num(values, nan=-1.0), [0, 3, 13, 20, 30, 45, 60])
        joint = joint * 64 + values.astype(np.intp) + 1
    codes: NDArray[np.intp] = np.unique(joint, return_inverse=True)[1]
    # Classes that are too rare to be held out evenly count as the most frequent class.
    counts = np.bincount(codes)
    return np.where(counts[codes] < 2 * HELD_OUT, counts.argmax(), codes)


def _pixels_and_rows(X: Crops | NDArray[Any]) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Return pixels, shape (n_all, s, s, 3), and the row numbers of the selected faces."""
    return (as_crops(X.pixels), X.rows) if isinstance(X, Crops) else (as_crops(X), np.arange(len(X)))


def as_crops(X: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return faces as uint8 of shape (n, s, s, 3); each may be given as one row of numbers.

    Raises:
        ValueError: they are not square crops of bytes.
    """
    if X.dtype != np.uint8:
        raise ValueError(f"Face images must be of type uint8, not {X.dtype}.")
    side = round((math.prod(X.shape[1:]) / 3) ** 0.5)
    if X.shape[1:] not in ((side * side * 3,), (side, side, 3)):
        raise ValueError(f"Faces of shape {X.shape[1:]} are not square images with three colours.")
    return X.reshape(len(X), side, side, 3)
