"""Train a network end to end, so that a killed training goes on where it was.

Everything that chance decides is drawn from the seed, the epoch and the step:
which faces come when, what is done to them, what dropout leaves out. So a
training that goes on from the last whole epoch ends, on a CPU, with the same
weights as one that was never stopped. Which epoch's weights are kept is decided
on faces of subjects that the training never sees.
"""

import json
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError, ModelError
from featurekit.estimators._augmentation import NOTHING, Augmentation, Change, changed, changed_together
from featurekit.estimators._heads import Head, class_weights
from featurekit.files import whole_file
from featurekit.networks.engines import Achieved

if TYPE_CHECKING:
    import torch

# Parts that a pretrained network's weights are counted in, from the pixels to the features; each has a
# learning rate of its own.
PARTS = 4
AHEAD = 3  # batches that are being prepared while one is learned from
EVALUATED_AT_ONCE = {"cpu": 64, "cuda": 512}
# A GPU's epochs may be shorter than writing a checkpoint takes: seconds from one to the next.
SAVE_EVERY = {"cpu": 0.0, "cuda": 10.0}
# After an epoch, and after so many seconds within one, somebody who watches is told.
TELL_EVERY = 2.0

_TOO_LARGE = (
    "The network does not fit into the memory of the GPU. Close what else runs on it, or use --device cpu."
)

Watch = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class Faces:
    """Faces to learn from or to be measured on.

    Attributes:
        crops: uint8, shape (n_crops, s, s, 3); a tensor where they lie on a GPU.
        rows: numbers of the crops that are meant, shape (n,); crops are large, and are not copied.
        labels: target → class numbers, -1 without one, or years, NaN without; each of shape (n,).
    """

    crops: "NDArray[np.uint8] | torch.Tensor"
    rows: NDArray[np.intp]
    labels: Mapping[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.rows)

    def some(self, which: NDArray[np.intp]) -> "Faces":
        """Return some of the faces."""
        labels = {name: values[which] for name, values in self.labels.items()}
        return Faces(crops=self.crops, rows=self.rows[which], labels=labels)

    def on_gpu(self) -> "Faces":
        """Return the same faces on the GPU, or as they are where they would take half of its free memory."""
        import torch

        side = self.crops.shape[1]
        if len(self) * side * side * 3 > torch.cuda.mem_get_info()[0] / 2:
            return self
        there = torch.empty((len(self), side, side, 3), dtype=torch.uint8, device="cuda")
        for start in range(0, len(self), 1024):
            there[start : start + 1024] = torch.from_numpy(self.crops[self.rows[start : start + 1024]])
        return Faces(crops=there, rows=np.arange(len(self)), labels=self.labels)


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How a network is trained.

    Attributes:
        epochs: passes over the faces at most.
        batch_size: faces that a step learns from.
        learning_rate: of the heads, at its highest; it rises over warm_up and falls along a cosine.
        decay: factor from each of the PARTS of the network to the one below it; 1 for one rate.
        weight_decay: AdamW's, of the weights that are matrices.
        warm_up: share of all steps in which the rate rises.
        head_epochs: epochs in which only the heads learn.
        last_epochs: epochs after those in which the last two of the PARTS learn too; then all does.
        smoothing: share of the truth that is spread over all classes.
        mixup: parameter of the beta distribution that two faces are mixed by; 0 for no mixing.
        balance: "none", "loss" (rare classes weigh more) or "sampler" (they come more often).
        patience: epochs without a better held-out loss after which it stops.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    decay: float
    weight_decay: float
    warm_up: float
    head_epochs: int
    last_epochs: int
    smoothing: float
    mixup: float
    balance: Literal["none", "loss", "sampler"]
    patience: int

    def stage(self, epoch: int) -> Literal["heads", "last", "all"]:
        """Return what learns in an epoch, counted from 0."""
        if epoch < self.head_epochs:
            return "heads"
        return "last" if epoch < self.head_epochs + self.last_epochs else "all"


@dataclass
class Progress:
    """How far a training has come; what a checkpoint holds beside tensors.

    Attributes:
        epoch: epochs that are done.
        best_epoch: the one whose weights are kept, counted from 1; 0 before the first.
        best_loss: its held-out loss.
        seconds: that the training took, over all its sittings.
        history: of each epoch: "loss", "held_out_loss", of each target "<target>" and
            "held_out_<target>" (share of right classes, or mean absolute error in years), "rate" (faces
            a second), "learning_rate", "stage".
        finished: whether there is nothing left to do.
    """

    epoch: int = 0
    best_epoch: int = 0
    best_loss: float = float("inf")
    seconds: float = 0.0
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: bool = False


def train(
    network: "torch.nn.Module",
    heads: Sequence[Head],
    faces: Faces,
    held_out: Faces | None,
    schedule: Schedule,
    augmentation: Augmentation | None,
    *,
    side: int,
    seed: int,
    device: str,
    precision: str,
    threads: int,
    balanced_by: str = "",
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> Progress:
    """Train a network; afterwards it holds the weights of the epoch that read the held-out faces best.

    Args:
        network: pixels (n, 3, side, side) of 0 to 255 → name of the target → outputs; its parts are
            `body` and `heads`.
        heads: what it reads.
        faces: what it learns from.
        held_out: faces of other subjects, that choose the epoch; None to keep the last one.
        schedule: how.
        augmentation: what happens to the faces first; None for nothing.
        side: of the pictures it is given.
        seed: what chance comes from.
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        threads: how many may be used.
        balanced_by: target whose classes, or ages by decade, come alike often where the schedule's balance
            is "sampler"; "" for the first head's.
        checkpoint: file to go on from and to write after each epoch, of a GPU's after SAVE_EVERY seconds of
            them; None for none.
        watch: told in a few words how it goes, and the share that is done.

    Raises:
        EngineError: not even a batch of two faces fits into the GPU's memory.
        ModelError: the loss became infinite or no number.
    """
    import torch

    try:
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    except torch.OutOfMemoryError as error:
        raise EngineError(_TOO_LARGE) from error
    if device == "cuda":
        faces = faces.on_gpu()
        held_out = None if held_out is None else held_out.on_gpu()
    optimizer = _optimizer(network, schedule, device)
    at, best = Progress(), deepcopy(network.state_dict())
    if checkpoint is not None and checkpoint.is_file():
        try:
            at, best = _resume(checkpoint, network, optimizer)
        except _ForeignError as error:
            aside = checkpoint.with_suffix(".damaged")
            checkpoint.replace(aside)
            if watch:
                watch(f"starting anew: {checkpoint.name} {error}; it is now {aside.name}", 0.0)
            network.load_state_dict(best)
            optimizer = _optimizer(network, schedule, device)
    weights = {
        head.target.name: class_weights(faces.labels[head.target.name], len(head.target.classes)).to(device)
        for head in heads
        if schedule.balance == "loss" and head.kind != "years"
    }
    with torch_threads(threads), ThreadPoolExecutor(max(threads, 1)) as pool:
        trainer = _Trainer(
            network=network,
            optimizer=optimizer,
            heads=heads,
            faces=faces,
            schedule=schedule,
            augmentation=augmentation,
            side=side,
            seed=seed,
            device=device,
            precision=precision,
            weights=weights,
            balanced_by=balanced_by or heads[0].target.name,
            pool=pool,
            watch=watch,
        )
        saved = time.monotonic()
        while not at.finished:
            started = time.perf_counter()
            line = trainer.epoch(at.epoch)
            loss = line["loss"]
            if held_out is not None:
                loss, scores = _measure(network, heads, held_out, side, device, precision)
                line |= {"held_out_loss": loss, **{f"held_out_{k}": v for k, v in scores.items()}}
            if not np.isfinite([line["loss"], loss]).all():
                raise ModelError(
                    f"The training came to nothing in epoch {at.epoch + 1}: its loss is no number any more."
                    " The learning rate is too high for this network. Try a third:"
                    f" --set learning_rate={schedule.learning_rate / 3:.1g}"
                )
            at.epoch += 1
            at.history.append(line)
            if held_out is None or loss < at.best_loss:
                at.best_loss, at.best_epoch = loss, at.epoch
                best = deepcopy(network.state_dict())
            at.finished = at.epoch >= schedule.epochs or (
                # Nothing can be said of patience before all has learned.
                line["stage"] == "all" and at.epoch - at.best_epoch >= schedule.patience
            )
            at.seconds += time.perf_counter() - started
            if checkpoint is not None and (at.finished or time.monotonic() - saved >= SAVE_EVERY[device]):
                _save(checkpoint, at, network, optimizer, best)
                saved = time.monotonic()
            if watch:
                watch(_told(at, schedule), at.epoch / schedule.epochs)
    network.load_state_dict(best)
    network.requires_grad_(False)
    network.eval()
    return at


@dataclass(kw_only=True)
class _Trainer:
    """What one epoch needs, and what the next one keeps of it: how many faces fit into memory."""

    network: "torch.nn.Module"
    optimizer: "torch.optim.Optimizer"
    heads: Sequence[Head]
    faces: Faces
    schedule: Schedule
    augmentation: Augmentation | None
    side: int
    seed: int
    device: str
    precision: str
    weights: "Mapping[str, torch.Tensor]"
    balanced_by: str
    pool: ThreadPoolExecutor
    watch: Watch | None

    def __post_init__(self) -> None:
        self._micro = self.schedule.batch_size
        self._told = time.monotonic()

    def epoch(self, number: int) -> dict[str, Any]:
        """Learn from every face once; return a line of the history. Epochs count from 0."""
        schedule, started = self.schedule, time.perf_counter()
        stage = schedule.stage(number)
        _set_stage(self.network, stage)
        for place, module in enumerate(self.network.modules()):
            if hasattr(module, "reseed"):
                # Far apart: each call within an epoch adds one.
                reseed: Any = module.reseed
                reseed(((self.seed * 10_007 + number) * 1009 + place) << 24)
        order = _order(
            self.faces, schedule, np.random.default_rng([self.seed, number]), balanced_by=self.balanced_by
        )
        n_steps = -(-len(order) // schedule.batch_size)
        # Sums stay on the device: to ask a GPU for a number is to wait for it.
        total: Any = 0.0
        done, right, rate = 0, _Tally(self.heads), 0.0
        batches = _batches(
            self.faces,
            order,
            schedule.batch_size,
            self.augmentation,
            self.side,
            [self.seed, number],
            self.pool,
            schedule.mixup,
            self.device,
        )
        for step, (pixels, labels, mixed) in enumerate(batches):
            rate = _rate(schedule, number * n_steps + step, schedule.epochs * n_steps)
            loss, outputs = self._step(rate, pixels, labels, mixed)
            total, done = total + loss * len(pixels), done + len(pixels)
            right.add(outputs, labels)
            if self.watch and time.monotonic() - self._told > TELL_EVERY:
                self._told = time.monotonic()
                speed = done / (time.perf_counter() - started)
                self.watch(
                    f"epoch {number + 1} of {schedule.epochs}, loss {float(total) / done:.3f},"
                    f" {speed:.0f} faces/s",
                    (number + done / len(order)) / schedule.epochs,
                )
        return {
            "loss": float(total) / done,
            **right.scores(),
            "rate": round(done / (time.perf_counter() - started), 1),
            "learning_rate": rate,
            "stage": stage,
        }

    def _step(
        self,
        rate: float,
        pixels: "torch.Tensor",
        labels: "Mapping[str, torch.Tensor]",
        mixed: "tuple[float, NDArray[np.intp]] | None",
    ) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
        """Learn from one batch; return its mean loss, as float64, and the outputs."""
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        while True:
            try:
                found = _learn(
                    self.network,
                    self.heads,
                    pixels,
                    labels,
                    mixed,
                    self._micro,
                    self.weights,
                    self.schedule,
                    self.device,
                    self.precision,
                )
                break
            except torch.OutOfMemoryError as error:
                if self._micro <= 2:
                    raise EngineError(_TOO_LARGE) from error
                # A step learns from as many faces as before, fewer at a time. What has been added up of it
                # counts no more.
                self._micro //= 2
                self.optimizer.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return found


def _told(at: Progress, schedule: Schedule) -> str:
    line = at.history[-1]
    held_out = f", held out {line['held_out_loss']:.3f}" if "held_out_loss" in line else ""
    where = f"epoch {at.epoch} of {schedule.epochs}"
    return f"{where}, loss {line['loss']:.3f}{held_out}, {line['rate']:.0f} faces/s"


def _learn(
    network: "torch.nn.Module",
    heads: Sequence[Head],
    pixels: "torch.Tensor",
    labels: Mapping[str, "torch.Tensor"],
    mixed: "tuple[float, NDArray[np.intp]] | None",
    micro: int,
    weights: Mapping[str, "torch.Tensor"],
    schedule: Schedule,
    device: str,
    precision: str,
) -> "tuple[torch.Tensor, dict[str, torch.Tensor]]":
    """Add up the slopes of one batch, some faces at a time; return its mean loss, and the outputs."""
    import torch

    total: Any = 0.0
    outputs = []
    pairs = [(1.0, labels)]
    if mixed is not None:
        share, partners = mixed
        pixels = share * pixels.float() + (1 - share) * pixels[partners].float()
        pairs = [
            (share, labels),
            (1 - share, {name: values[partners] for name, values in labels.items()}),
        ]
    for start in range(0, len(pixels), micro):
        rows = slice(start, start + micro)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            found = network(_on(pixels[rows], device))
        loss = sum(
            share
            * head.loss(
                found[head.target.name],
                own[head.target.name][rows],
                smoothing=schedule.smoothing,
                weights=weights.get(head.target.name),
            )
            for share, own in pairs
            for head in heads
        )
        part = min(micro, len(pixels) - start) / len(pixels)
        (loss * part).backward()  # type: ignore[union-attr]  # there is at least one head
        total = total + loss.detach().double() * part  # type: ignore[union-attr]
        outputs.append({name: values.detach() for name, values in found.items()})
    return total, {name: torch.cat([one[name] for one in outputs]) for name in outputs[0]}


def _as_given(
    crops: "NDArray[np.uint8] | torch.Tensor",
    rows: NDArray[np.intp],
    changes: Sequence[Change],
    side: int,
    device: str,
) -> "torch.Tensor":
    """Return faces as a network is given them, shape (n, 3, side, side): bytes, or on a GPU whole numbers."""
    import torch

    if isinstance(crops, torch.Tensor):
        return changed_together(
            crops[torch.from_numpy(rows).to(crops.device, non_blocking=True)], changes, side
        )
    if device == "cuda":
        return changed_together(torch.from_numpy(crops[rows]).to(device, non_blocking=True), changes, side)
    return torch.stack([changed(crops[row], one, side) for row, one in zip(rows, changes, strict=True)])


def _on(pixels: "torch.Tensor", device: str) -> "torch.Tensor":
    import torch

    return pixels.to(device).float().contiguous(memory_format=torch.channels_last)


def _batches(
    faces: Faces,
    order: NDArray[np.intp],
    size: int,
    augmentation: Augmentation | None,
    side: int,
    seed: Sequence[int],
    pool: ThreadPoolExecutor,
    mixup: float,
    device: str,
) -> "Iterator[tuple[torch.Tensor, dict[str, torch.Tensor], tuple[float, NDArray[np.intp]] | None]]":
    """Yield pixels (n, 3, side, side), labels and how they are to be mixed; the next ones are under way."""
    import torch

    def prepare(step: int) -> "tuple[NDArray[np.intp], list[Change], torch.Tensor | None]":
        rows = order[step * size : (step + 1) * size]
        rng = np.random.default_rng([*seed, step, 1])
        changes = [augmentation.draw(rng) if augmentation else NOTHING for _ in rows]
        if device == "cuda":  # it takes its orders from one thread
            return rows, changes, None
        return rows, changes, _as_given(faces.crops, faces.rows[rows], changes, side, device)

    n_steps = -(-len(order) // size)
    waiting: deque[Future[Any]] = deque(pool.submit(prepare, step) for step in range(min(AHEAD, n_steps)))
    for step in range(n_steps):
        rows, changes, pixels = waiting.popleft().result()
        if step + AHEAD < n_steps:
            waiting.append(pool.submit(prepare, step + AHEAD))
        if pixels is None:
            pixels = _as_given(faces.crops, faces.rows[rows], changes, side, device)
        labels = {name: torch.tensor(values[rows]) for name, values in faces.labels.items()}
        mixed = None
        if mixup and len(rows) > 1:
            rng = np.random.default_rng([*seed, step, 2])
            mixed = float(rng.beta(mixup, mixup)), rng.permutation(len(rows))
        yield pixels, labels, mixed


def _order(
    faces: Faces, schedule: Schedule, rng: np.random.Generator, *, balanced_by: str
) -> NDArray[np.intp]:
    """Return the row numbers of an epoch, in the order they are learned from."""
    n = len(faces)
    if schedule.balance != "sampler":
        order = rng.permutation(n)
    else:
        labels = faces.labels[balanced_by]
        known = np.isfinite(labels) if labels.dtype.kind == "f" else labels >= 0
        if labels.dtype.kind == "f":
            labels = np.digitize(np.where(known, labels, 0), np.arange(0, 81, 10))
        _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
        shares = 1 / counts[codes]
        # A face without a label comes as often as it would otherwise.
        shares[~known] = shares[known].mean() if known.any() else 1.0
        order = rng.choice(n, n, p=shares / shares.sum())
    # One face alone has no variance to be normalized by.
    return order[:-1] if n > 1 and n % schedule.batch_size == 1 else order


def _rate(schedule: Schedule, step: int, n_steps: int) -> float:
    """Return the learning rate of the heads at a step: up a straight line, down a cosine."""
    rising = max(round(schedule.warm_up * n_steps), 1)
    if step < rising:
        return schedule.learning_rate * (step + 1) / rising
    along = (step - rising) / max(n_steps - rising, 1)
    return schedule.learning_rate * 0.5 * (1 + float(np.cos(np.pi * along)))


def with_own_chance(network: "torch.nn.Module") -> "torch.nn.Module":
    """Return the network with dropout whose chance is its own, in the place of torch's.

    torch's draws from a generator that trainings side by side, in threads, would share. The method reseed()
    of one that stands here begins it anew.
    """
    import torch

    class Dropout(torch.nn.Module):
        """Leaves out a share of the numbers at random while it learns, and scales up the rest."""

        def __init__(self, share: float) -> None:
            super().__init__()
            self.share, self.seed, self.n_calls = share, 0, 0

        def reseed(self, seed: int) -> None:
            self.seed, self.n_calls = seed, 0

        def forward(self, numbers: torch.Tensor) -> torch.Tensor:
            if not self.training or not self.share:
                return numbers
            chance = torch.Generator(numbers.device).manual_seed(self.seed + self.n_calls)
            self.n_calls += 1
            drawn = torch.rand(numbers.shape, generator=chance, device=numbers.device)
            return numbers * (drawn >= self.share) / (1 - self.share)

    for parent in network.modules():
        for name, child in parent.named_children():
            if type(child) is torch.nn.Dropout:
                setattr(parent, name, Dropout(child.p))
    return network


def parts_of(body: "torch.nn.Module") -> "list[list[torch.nn.Parameter]]":
    """Return the weights of a network in PARTS parts of about as many tensors, those near the pixels first.

    A network that joins several, in its attribute `bodies`, has the parts of each side by side.
    """
    parts: list[list[torch.nn.Parameter]] = [[] for _ in range(PARTS)]
    for one in getattr(body, "bodies", [body]):
        own = list(one.parameters())
        for number, weight in enumerate(own):
            parts[number * PARTS // len(own)].append(weight)
    return parts


def _optimizer(
    network: "torch.nn.Module", schedule: Schedule, device: str = "cpu"
) -> "torch.optim.Optimizer":
    """Return AdamW with a group for each part and kind of weight."""
    import torch

    groups: list[dict[str, Any]] = []
    factors = [schedule.decay ** (PARTS - number) for number in range(PARTS)]
    sets = [*zip(parts_of(network.body), factors, strict=True), (list(network.heads.parameters()), 1.0)]  # type: ignore[arg-type,union-attr]
    for weights, factor in sets:
        for is_matrix in (True, False):
            # Offsets and the scales of normalizations are not pulled to zero.
            own = [weight for weight in weights if (weight.squeeze().dim() > 1) == is_matrix]
            if own:
                decay = schedule.weight_decay if is_matrix else 0.0
                groups.append({"params": own, "factor": factor, "weight_decay": decay})
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, fused=device == "cuda")


def _set_stage(network: "torch.nn.Module", stage: str) -> None:
    """Let only some of the network learn: the heads, also the last half of the body, or all."""
    network.train()
    body: Any = network.body
    parts = parts_of(body)
    for number, weights in enumerate(parts):
        for weight in weights:
            weight.requires_grad_(stage == "all" or (stage == "last" and number >= PARTS // 2))
    if stage != "all":
        body.eval()  # its statistics stay those of what it was trained on


class _Tally:
    """Counts how often, or how far, each head is right."""

    def __init__(self, heads: Sequence[Head]) -> None:
        self._heads = heads
        self._sums: dict[str, Any] = {head.target.name: 0.0 for head in heads}
        self._counts = {head.target.name: 0 for head in heads}

    def add(self, outputs: "Mapping[str, torch.Tensor]", labels: "Mapping[str, torch.Tensor]") -> None:
        for head in self._heads:
            name = head.target.name
            known = head.is_known(labels[name])
            said = head.answer(outputs[name])
            true = labels[name].to(said.device, non_blocking=True)
            each = (said - true).abs() if head.kind == "years" else said.argmax(dim=1) == true
            rows = known.nonzero().flatten().to(said.device, non_blocking=True)
            self._sums[name] = self._sums[name] + each[rows].sum().double()
            self._counts[name] += int(known.sum())

    def scores(self) -> dict[str, float]:
        """Return the share of right classes, or the mean absolute error in years, of each target."""
        return {name: float(self._sums[name]) / max(self._counts[name], 1) for name in self._sums}


def _measure(
    network: "torch.nn.Module", heads: Sequence[Head], faces: Faces, side: int, device: str, precision: str
) -> tuple[float, dict[str, float]]:
    """Return the mean loss on faces as they are, and the scores."""
    import torch

    tally = _Tally(heads)
    totals, counts = {head.target.name: 0.0 for head in heads}, {head.target.name: 0 for head in heads}
    for start, outputs in evaluate(network, faces.crops, faces.rows, side, device, precision):
        rows = slice(start, start + len(outputs[heads[0].target.name]))
        labels = {name: torch.tensor(values[rows]) for name, values in faces.labels.items()}
        for head in heads:
            name = head.target.name
            n_known = int(head.is_known(labels[name]).sum())
            totals[name] += float(head.loss(outputs[name], labels[name])) * n_known
            counts[name] += n_known
        tally.add(outputs, labels)
    return sum(totals[name] / max(counts[name], 1) for name in totals), tally.scores()


def evaluate(
    network: "torch.nn.Module",
    crops: "NDArray[np.uint8] | torch.Tensor",
    rows: NDArray[np.intp],
    side: int,
    device: str,
    precision: str,
    views: Sequence[Any] = (NOTHING,),
) -> "Iterator[tuple[int, Mapping[str, torch.Tensor]]]":
    """Yield the number of the first face of a batch, and the network's outputs, view after view.

    Args:
        network: as in train().
        crops: uint8, shape (n_crops, s, s, 3); a tensor where they lie on a GPU.
        rows: numbers of those that are meant, shape (n,).
        side: of the pictures it is given.
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        views: what is done to each face.
    """
    import torch

    network.eval()
    n_at_once = EVALUATED_AT_ONCE[device]
    with torch.inference_mode():
        for start in range(0, len(rows), n_at_once):
            some = rows[start : start + n_at_once]
            for view in views:
                pixels = _as_given(crops, some, [view] * len(some), side, device)
                with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
                    outputs = network(_on(pixels, device))
                yield start, {name: values.float() for name, values in outputs.items()}


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Let torch use so many threads in this thread while inside."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(max(threads, 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def achieved(network: "torch.nn.Module", precision: str) -> Achieved:
    """Return what a network runs on, read back from where its weights are."""
    import torch

    device = next(network.parameters()).device
    name = f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else device.type
    return Achieved(f"torch {torch.__version__}", name, precision)


def _save(
    path: Path,
    at: Progress,
    network: "torch.nn.Module",
    optimizer: "torch.optim.Optimizer",
    best: Mapping[str, "torch.Tensor"],
) -> None:
    """Write a checkpoint whole; of a training that is finished only what is kept."""
    from safetensors.torch import save

    tensors = {f"best.{name}": tensor for name, tensor in best.items()}
    if not at.finished:
        tensors |= {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": tensor for name, tensor in state.items()}
    # Copies, plain in memory: safetensors refuses tensors that share it, or are ordered otherwise.
    plain = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    content = json.dumps(vars(at) | {"best_loss": at.best_loss if at.best_epoch else None})
    with whole_file(path) as file:
        file.write(save(plain, {"progress": content}))


class _ForeignError(Exception):
    """A file is no checkpoint of this training; the message says why."""


def _resume(
    path: Path, network: "torch.nn.Module", optimizer: "torch.optim.Optimizer"
) -> "tuple[Progress, dict[str, torch.Tensor]]":
    """Bring network and optimizer to where the checkpoint was written; return how far that is.

    Raises:
        _ForeignError: the file is cut off, or was written by something else; network and optimizer may have
            changed.
    """
    import torch
    from safetensors import SafetensorError, safe_open

    groups: dict[str, dict[str, torch.Tensor]] = {"best": {}, "network": {}, "optimizer": {}}
    try:
        with safe_open(path, "pt") as file:
            content = json.loads((file.metadata() or {})["progress"])
            for name in file.keys():  # noqa: SIM118  # it is no dictionary
                group, _, own = name.partition(".")
                groups[group][own] = file.get_tensor(name)
        if content["best_loss"] is None:
            content["best_loss"] = float("inf")
        at = Progress(**content)
        network.load_state_dict(groups["best"])
        if at.finished:
            return at, groups["best"]
        network.load_state_dict(groups["network"])
        state: dict[int, dict[str, torch.Tensor]] = {}
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        for name, tensor in groups["optimizer"].items():
            number, _, own = name.partition(".")
            if tensor.dim():
                # In the order in memory that its weights have: one step over all needs that.
                tensor = torch.empty_like(weights[int(number)]).copy_(tensor)
            state.setdefault(int(number), {})[own] = tensor
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    except SafetensorError as error:
        raise _ForeignError("is cut off or no checkpoint") from error
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise _ForeignError("was written by another training") from error
    return at, groups["best"]
