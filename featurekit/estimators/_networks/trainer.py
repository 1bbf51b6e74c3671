"""Train a network end to end, so that a killed training goes on where it was.

Everything that chance decides is drawn from the seed, the epoch and the step:
which faces come when, what is done to them, what dropout leaves out. So a
training that goes on from the last whole epoch ends, on a CPU, with the same
weights as one that was never stopped. Which epoch's weights are kept is decided
on faces of subjects that the training never sees.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from featurekit.errors import EngineError, ModelError
from featurekit.estimators._networks.augmentation import Augmentation
from featurekit.estimators._networks.checkpoint import ForeignError, Progress, resume, save
from featurekit.estimators._networks.heads import Head, class_weights
from featurekit.estimators._networks.reading import Tally, measure, torch_threads
from featurekit.estimators._networks.sampler import Faces, batches, epoch_order, on_device
from featurekit.estimators._networks.schedule import Schedule, make_optimizer, rate_at, set_stage

if TYPE_CHECKING:
    import torch

# A GPU's epochs may be shorter than writing a checkpoint takes: seconds from one to the next.
SAVE_EVERY = {"cpu": 0.0, "cuda": 10.0}
# After an epoch, and after so many seconds within one, somebody who watches is told.
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
        side: of the pictures it is given.
        seed: of the random number generator.
        device: "cpu" or "cuda".
        precision: "fp32" or "bf16".
        threads: how many may be used.
        balanced_by: target whose classes, or ages by decade, come alike often where the schedule's balance
            is "sampler"; "" for the first head's.
        checkpoint: file to go on from and to write after each epoch, of a GPU's after SAVE_EVERY seconds of
            them; None for none.
        watch: told in a few words how it goes, and the share that is done.
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
    network: "torch.nn.Module",
    heads: Sequence[Head],
    faces: Faces,
    held_out: Faces | None,
    schedule: Schedule,
    augmentation: Augmentation | None,
    setting: Setting,
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
        setting: where, and with what.

    Raises:
        EngineError: not even a batch of two faces fits into the GPU's memory.
        ModelError: the loss became infinite or no number.
    """
    import torch

    try:
        network.to(device=setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    except torch.OutOfMemoryError as error:
        raise EngineError(_TOO_LARGE) from error
    if setting.device == "cuda":
        faces = faces.on_gpu()
        held_out = None if held_out is None else held_out.on_gpu()
    at, best, optimizer = _where_it_was(network, schedule, setting)
    with torch_threads(setting.threads), ThreadPoolExecutor(max(setting.threads, 1)) as pool:
        trainer = _Trainer(network, optimizer, heads, faces, schedule, augmentation, setting, pool)
        while not at.finished:
            started = time.perf_counter()
            line, loss = trainer.epoch(at.epoch), None
            if held_out is not None:
                loss, scores = measure(
                    network, heads, held_out, setting.side, setting.device, setting.precision
                )
                line |= {"held_out_loss": loss, **{f"held_out_{k}": v for k, v in scores.items()}}
            if _enter(line, loss, at, schedule):
                best = deepcopy(network.state_dict())
            at.seconds += time.perf_counter() - started
            trainer.save_and_tell(at, best)
    network.load_state_dict(best)
    network.requires_grad_(False)
    network.eval()
    return at


def _where_it_was(
    network: "torch.nn.Module", schedule: Schedule, setting: Setting
) -> "tuple[Progress, dict[str, torch.Tensor], torch.optim.Optimizer]":
    """Return how far a training has come, its best weights and its optimizer; the network is as far."""
    optimizer = make_optimizer(network, schedule, setting.device)
    at, best, checkpoint = Progress(), deepcopy(network.state_dict()), setting.checkpoint
    if checkpoint is not None and checkpoint.is_file():
        try:
            at, best = resume(checkpoint, network, optimizer)
        except ForeignError as error:
            aside = checkpoint.with_suffix(".damaged")
            checkpoint.replace(aside)
            if setting.watch:
                setting.watch(
                    f"starting from the beginning: {checkpoint.name} {error}; it is now {aside.name}", 0.0
                )
            network.load_state_dict(best)
            optimizer = make_optimizer(network, schedule, setting.device)
    return at, best, optimizer


def _enter(line: dict[str, Any], held_out_loss: float | None, at: Progress, schedule: Schedule) -> bool:
    """Enter an epoch that was learned; return whether it is the best so far.

    Raises:
        ModelError: its loss is infinite or no number.
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
        # Nothing can be said of patience before all has learned.
        line["stage"] == "all" and at.epoch - at.best_epoch >= schedule.patience
    )
    return is_best


@dataclass
class _Trainer:
    """What one epoch needs, and what the next one keeps of it: how many faces fit into memory."""

    network: "torch.nn.Module"
    optimizer: "torch.optim.Optimizer"
    heads: Sequence[Head]
    faces: Faces
    schedule: Schedule
    augmentation: Augmentation | None
    setting: Setting
    pool: ThreadPoolExecutor

    def __post_init__(self) -> None:
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
        """Learn from every face once; return a line of the history. Epochs count from 0."""
        schedule, setting, started = self.schedule, self.setting, time.perf_counter()
        stage = schedule.stage(number)
        set_stage(self.network, stage)
        self._reseed(number)
        order = epoch_order(
            self.faces,
            schedule,
            np.random.default_rng([setting.seed, number]),
            balanced_by=setting.balanced_by or self.heads[0].target.name,
        )
        n_steps = -(-len(order) // schedule.batch_size)
        # Sums stay on the device: to ask a GPU for a number is to wait for it.
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
        )
        for step, (pixels, labels, mixed) in enumerate(given):
            rate = rate_at(schedule, number * n_steps + step, schedule.epochs * n_steps)
            loss, outputs = self._step(rate, pixels, labels, mixed)
            total, done = total + loss * len(pixels), done + len(pixels)
            right.add(outputs, labels)
            if setting.watch and time.monotonic() - self._told > TELL_EVERY:
                self._told = time.monotonic()
                speed = done / (time.perf_counter() - started)
                said = f"epoch {number + 1} of {schedule.epochs}, loss {float(total) / done:.3f}"
                setting.watch(f"{said}, {speed:.0f} faces/s", (number + done / len(order)) / schedule.epochs)
        return {
            "loss": float(total) / done,
            **right.scores(),
            "rate": round(done / (time.perf_counter() - started), 1),
            "learning_rate": rate,
            "stage": stage,
        }

    def save_and_tell(self, at: Progress, best: "Mapping[str, torch.Tensor]") -> None:
        """Write the checkpoint where it is time to, and say how far the training is."""
        path = self.setting.checkpoint
        if path is not None and (
            at.finished or time.monotonic() - self._saved >= SAVE_EVERY[self.setting.device]
        ):
            save(path, at, self.network, self.optimizer, best)
            self._saved = time.monotonic()
        if self.setting.watch:
            self.setting.watch(_told(at, self.schedule), at.epoch / self.schedule.epochs)

    def _reseed(self, number: int) -> None:
        """Begin the chance of every part anew, for this epoch."""
        for place, module in enumerate(self.network.modules()):
            if hasattr(module, "reseed"):
                # Far apart: each call within an epoch adds one.
                reseed: Any = module.reseed
                reseed(((self.setting.seed * 10_007 + number) * 1009 + place) << 24)

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
                    self._weights,
                    self.schedule,
                    self.setting.device,
                    self.setting.precision,
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
            found = network(on_device(pixels[rows], device))
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
