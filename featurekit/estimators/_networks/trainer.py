"""Train a network end to end, so that an interrupted training can continue.

All random numbers depend only on the seed, the epoch and the step: the order of the
faces, their changes, and what dropout leaves out. A training that continues after the
last whole epoch therefore ends, on a CPU, with the same weights as one that was never
interrupted. The weights of one epoch are kept; it is chosen on faces of held-out subjects.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featurekit.errors import EngineError, ModelError
from featurekit.estimators._networks.augmentation import Augmentation
from featurekit.estimators._networks.checkpoint import ForeignError, Progress, resume, save
from featurekit.estimators._networks.frozen import WORTHWHILE, Frozen, open_frozen_half
from featurekit.estimators._networks.heads import Head, class_weights
from featurekit.estimators._networks.reading import Tally, measure, torch_threads
from featurekit.estimators._networks.sampler import Faces, batches, epoch_order, on_device
from featurekit.estimators._networks.schedule import Schedule, make_optimizer, rate_at, set_stage

# The least seconds between two checkpoints: an epoch on a GPU may be shorter than writing one takes.
SAVE_EVERY = {"cpu": 0.0, "cuda": 10.0}
# Seconds after which progress is reported within an epoch; it is also reported after each epoch.
TELL_EVERY = 2.0

_TOO_LARGE = (
    "The network does not fit into the memory of the GPU. Close other programs that use the GPU, or"
    " use --device cpu."
)

Watch = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Where and with what a network is trained.

    Attributes:
        side: side of the network's input, in pixels.
        seed: seed of the random number generators.
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        threads: number of threads.
        balanced_by: target whose classes, or decades of age, are drawn equally often if the schedule's
            balance is "sampler"; "" for the target of the first head.
        checkpoint: file from which the training continues and which it writes after each epoch, on a GPU
            after an epoch that ends SAVE_EVERY seconds after the last; None for none.
        watch: called with a short message about the progress, and the share that is done.
    """

    side: int
    seed: int
    device: str
    precision: str
    threads: int
    balanced_by: str = ""
    checkpoint: Path | None = None
    watch: Watch | None = None


def train(
    network: torch.nn.Module,
    heads: Sequence[Head],
    faces: Faces,
    held_out: Faces | None,
    schedule: Schedule,
    augmentation: Augmentation | None,
    setting: Setting,
) -> Progress:
    """Train a network; afterwards it has the weights of the epoch with the least loss on the held-out faces.

    Args:
        network: pixels (n, 3, side, side) from 0 to 255 → name of the target → outputs; its parts are
            `body` and `heads`.
        heads: the heads of the network.
        faces: the training faces.
        held_out: faces of other subjects, on which the epoch is chosen; None to keep the last epoch.
        schedule: how it is trained.
        augmentation: random changes of the training faces; None for none.
        setting: where and with what it is trained.

    Raises:
        EngineError: not even a batch of two faces fits into the memory of the GPU.
        ModelError: the training diverged: the loss is infinite or not a number.
    """
    try:
        network.to(device=setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    except torch.OutOfMemoryError as error:
        raise EngineError(_TOO_LARGE) from error
    if setting.device == "cuda":
        faces = faces.on_gpu()
        held_out = None if held_out is None else held_out.on_gpu()
    at, best, optimizer = _where_it_was(network, schedule, setting)
    with torch_threads(setting.threads), ThreadPoolExecutor(max(setting.threads, 1)) as pool:
        trainer = _Trainer(network, optimizer, heads, faces, held_out, schedule, augmentation, setting, pool)
        while not at.finished:
            started = time.perf_counter()
            line, loss = trainer.epoch(at.epoch), None
            at.frozen_engine = trainer.frozen_engine or at.frozen_engine
            at.frozen_failed = trainer.frozen_failed or at.frozen_failed
            if held_out is not None:
                loss, scores = trainer.measure(held_out)
                line |= {"held_out_loss": loss, **{f"held_out_{k}": v for k, v in scores.items()}}
            if _enter(line, loss, at, schedule):
                best = deepcopy(network.state_dict())
            at.seconds += time.perf_counter() - started
            trainer.save_and_tell(at, best)
    network.load_state_dict(best)
    network.requires_grad_(False).eval()
    return at


def _where_it_was(
    network: torch.nn.Module, schedule: Schedule, setting: Setting
) -> tuple[Progress, dict[str, torch.Tensor], torch.optim.Optimizer]:
    """Return the progress, the best weights and the optimizer of a training; set the network accordingly."""
    optimizer = make_optimizer(network, schedule)
    at, best, checkpoint = Progress(), deepcopy(network.state_dict()), setting.checkpoint
    if checkpoint is not None and checkpoint.is_file():
        try:
            at, best = resume(checkpoint, network, optimizer)
        except ForeignError as error:
            aside = checkpoint.with_suffix(".damaged")
            checkpoint.replace(aside)
            if setting.watch:
                setting.watch(
                    f"starting from the beginning: {checkpoint.name} {error}; it was renamed to {aside.name}",
                    0.0,
                )
            network.load_state_dict(best)
            optimizer = make_optimizer(network, schedule)
    return at, best, optimizer


def _enter(line: dict[str, Any], held_out_loss: float | None, at: Progress, schedule: Schedule) -> bool:
    """Add a finished epoch to the progress; return whether it is the best so far.

    Raises:
        ModelError: its loss is infinite or not a number.
    """
    loss = line["loss"] if held_out_loss is None else held_out_loss
    if not np.isfinite([line["loss"], loss]).all():
        raise ModelError(
            f"The training diverged in epoch {at.epoch + 1}: the loss is not a number. The learning rate is"
            " too high for this network. Try a third of it: --set"
            f" learning_rate={schedule.learning_rate / 3:.1g}"
        )
    at.epoch += 1
    at.history.append(line)
    is_best = held_out_loss is None or loss < at.best_loss
    if is_best:
        at.best_loss, at.best_epoch = loss, at.epoch
    at.finished = at.epoch >= schedule.epochs or (
        # Patience counts only while the whole network is trained.
        line["stage"] == "all" and at.epoch - at.best_epoch >= schedule.patience
    )
    return is_best


@dataclass
class _Trainer:
    """Trains single epochs; remembers how many faces fit into memory."""

    network: torch.nn.Module
    optimizer: torch.optim.Optimizer
    heads: Sequence[Head]
    faces: Faces
    held_out: Faces | None
    schedule: Schedule
    augmentation: Augmentation | None
    setting: Setting
    pool: ThreadPoolExecutor

    def __post_init__(self) -> None:
        self.frozen_engine = self.frozen_failed = ""
        self._frozen: Frozen | None = None
        self._is_opened = False
        self._micro = self.schedule.batch_size
        self._told = self._saved = time.monotonic()
        self._weights = {
            head.target.name: class_weights(self.faces.labels[head.target.name], len(head.target.classes)).to(
                self.setting.device
            )
            for head in self.heads
            if self.schedule.balance == "loss" and head.kind != "years"
        }

    def epoch(self, number: int) -> dict[str, Any]:
        """Train on every face once; return a line of the history. Epochs are counted from 0."""
        schedule, setting, started = self.schedule, self.setting, time.perf_counter()
        stage = schedule.stage(number)
        self._prepare_frozen(number)
        set_stage(self.network, stage)
        self._reseed(number)
        order = epoch_order(
            self.faces,
            schedule,
            np.random.default_rng([setting.seed, number]),
            balanced_by=setting.balanced_by or self.heads[0].target.name,
        )
        n_steps = -(-len(order) // schedule.batch_size)
        # Sums stay on the device, because reading a number from a GPU means waiting for it.
        total: Any = 0.0
        done, right, rate = 0, Tally(self.heads), 0.0
        given = batches(
            self.faces,
            order,
            schedule.batch_size,
            self.augmentation,
            setting.side,
            [setting.seed, number],
            self.pool,
            schedule.mixup,
            setting.device,
            schedule.view(number),
            self._frozen.read if self._frozen else None,
        )
        for step, (inputs, labels, mixed) in enumerate(given):
            rate = rate_at(schedule, number * n_steps + step, schedule.epochs * n_steps)
            loss, outputs = self._step(rate, inputs, labels, mixed)
            total, done = total + loss * len(inputs[0]), done + len(inputs[0])
            right.add(outputs, labels)
            if setting.watch and time.monotonic() - self._told > TELL_EVERY:
                self._told = time.monotonic()
                speed = done / (time.perf_counter() - started)
                said = f"epoch {number + 1} of {schedule.epochs}, loss {float(total) / done:.3f}"
                setting.watch(f"{said}, {speed:.0f} faces/s", (number + done / len(order)) / schedule.epochs)
        return {
            "loss": float(total) / done,
            **right.means(),
            "rate": round(done / (time.perf_counter() - started), 1),
            "learning_rate": rate,
            "stage": stage,
        }

    def measure(self, held_out: Faces) -> tuple[float, dict[str, float]]:
        """Return the loss and the scores on the held-out faces after an epoch."""
        setting, frozen = self.setting, self._frozen
        return measure(
            frozen.rest if frozen else self.network,
            self.heads,
            held_out,
            setting.side,
            setting.device,
            setting.precision,
            frozen.read_held_out if frozen else None,
        )

    def _prepare_frozen(self, number: int) -> None:
        """Open the frozen half of the network for the epochs that do not train it; forget it afterwards."""
        schedule, setting = self.schedule, self.setting
        if number >= schedule.n_frozen:
            self._frozen = None
            return
        if self._is_opened or setting.device != "cpu" or len(self.faces) * schedule.n_frozen < WORTHWHILE:
            return
        self._is_opened = True
        # The half that is frozen in the last of these epochs is frozen in all of them.
        set_stage(self.network, schedule.stage(schedule.n_frozen - 1))
        first: Any = self.faces.crops[self.faces.rows[0]]
        try:
            half = open_frozen_half(
                self.network, first, setting.side, setting.precision, max(setting.threads, 1)
            )
        except EngineError as error:
            self.frozen_failed = str(error)
            return
        if half is not None:
            self.frozen_engine = half.engine
            self._frozen = Frozen(half, self.faces, self.held_out, schedule, self.augmentation, setting.seed)

    def save_and_tell(self, at: Progress, best: Mapping[str, torch.Tensor]) -> None:
        """Write the checkpoint if it is due, and report the progress."""
        path = self.setting.checkpoint
        if path is not None and (
            at.finished or time.monotonic() - self._saved >= SAVE_EVERY[self.setting.device]
        ):
            save(path, at, self.network, self.optimizer, best)
            self._saved = time.monotonic()
        if self.setting.watch:
            line = at.history[-1]
            held_out = f", held out {line['held_out_loss']:.3f}" if "held_out_loss" in line else ""
            self.setting.watch(
                f"epoch {at.epoch} of {self.schedule.epochs}, loss {line['loss']:.3f}{held_out},"
                f" {line['rate']:.0f} faces/s",
                at.epoch / self.schedule.epochs,
            )

    def _reseed(self, number: int) -> None:
        """Set the seed of every layer with random numbers for this epoch."""
        for place, module in enumerate(self.network.modules()):
            if hasattr(module, "reseed"):
                # The seeds are far apart, because each call within an epoch adds one.
                reseed: Any = module.reseed
                reseed(((self.setting.seed * 10_007 + number) * 1009 + place) << 24)

    def _step(
        self,
        rate: float,
        inputs: Sequence[torch.Tensor],
        labels: Mapping[str, torch.Tensor],
        mixed: "tuple[float, NDArray[np.intp]] | None",
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Train on one batch; return its mean loss, as float64, and the outputs."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        while True:
            try:
                found = _learn(
                    self._frozen.rest if self._frozen else self.network,
                    self.heads,
                    inputs,
                    labels,
                    mixed,
                    self._micro,
                    self._weights,
                    self.schedule,
                    self.setting.device,
                    self.setting.precision,
                )
                break
            except torch.OutOfMemoryError as error:
                if self._micro <= 2:
                    raise EngineError(_TOO_LARGE) from error
                # The step still uses the whole batch, but fewer faces at a time. The gradients so far are
                # discarded.
                self._micro //= 2
                self.optimizer.zero_grad(set_to_none=True)
                torch.cuda.empty_cache()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return found


def _learn(
    network: torch.nn.Module,
    heads: Sequence[Head],
    inputs: Sequence[torch.Tensor],
    labels: Mapping[str, torch.Tensor],
    mixed: "tuple[float, NDArray[np.intp]] | None",
    micro: int,
    weights: Mapping[str, torch.Tensor],
    schedule: Schedule,
    device: str,
    precision: str,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Add up the gradients of one batch, some faces at a time; return its mean loss, and the outputs."""
    total: Any = 0.0
    outputs = []
    pairs = [(1.0, labels)]
    if mixed is not None:
        share, partners = mixed
        inputs = [share * one.float() + (1 - share) * one[partners].float() for one in inputs]
        pairs = [
            (share, labels),
            (1 - share, {name: values[partners] for name, values in labels.items()}),
        ]
    n = len(inputs[0])
    for start in range(0, n, micro):
        rows = slice(start, start + micro)
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            found = network(*(on_device(one[rows], device) for one in inputs))
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
        part = min(micro, n - start) / n
        (loss * part).backward()  # type: ignore[union-attr]  # there is at least one head
        total = total + loss.detach().double() * part  # type: ignore[union-attr]
        outputs.append({name: values.detach() for name, values in found.items()})
    return total, {name: torch.cat([one[name] for one in outputs]) for name in outputs[0]}
