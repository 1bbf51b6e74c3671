"""How long a GPU computes, what it waits for, which GPU it is, and how fast it can be."""

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from typing import Any

# The share of the time in which a GPU should compute.
BUSY_WANTED = 0.7
# What an extraction's workers do, while one thread feeds the GPU.
WORKER_STEPS = ("read", "decode", "detect", "align")


class Meter:
    """Measures how long networks compute, by marks before and after each call of a module.

    On a GPU the marks are events, which the GPU notes when it gets there. Calls inside a module count as part
    of it, and calls in other threads do not count.

    Args:
        device: "cuda" or "cpu".
    """

    def __init__(self, device: str) -> None:
        self._device, self._depth, self._thread = device, 0, 0
        self._marks: list[Any] = []
        self._hooks = ExitStack()

    def __enter__(self) -> "Meter":
        from torch.nn.modules import module

        self._thread = threading.get_ident()
        before = module.register_module_forward_pre_hook(self._begin)
        after = module.register_module_forward_hook(self._end, always_call=True)
        self._hooks.callback(before.remove)
        self._hooks.callback(after.remove)
        return self

    def __exit__(self, *raised: object) -> None:
        self._hooks.close()

    @property
    def seconds(self) -> float:
        """Seconds that the networks computed."""
        pairs = list(zip(self._marks[::2], self._marks[1::2], strict=False))
        if self._device != "cuda":
            return float(sum(end - begin for begin, end in pairs))
        import torch

        torch.cuda.synchronize()
        return sum(begin.elapsed_time(end) for begin, end in pairs) / 1000

    def _begin(self, module: Any, inputs: Any) -> None:
        if threading.get_ident() == self._thread:
            self._depth += 1
            if self._depth == 1:
                self._mark()

    def _end(self, module: Any, inputs: Any, output: Any) -> None:
        if threading.get_ident() == self._thread:
            self._depth -= 1
            if self._depth == 0:
                self._mark()

    def _mark(self) -> None:
        if self._device != "cuda":
            self._marks.append(time.perf_counter())
            return
        import torch

        event = torch.cuda.Event(enable_timing=True)
        event.record()
        self._marks.append(event)


@contextmanager
def samples_of_nvidia_smi() -> Iterator[list[str]]:
    """Let nvidia-smi note every 0.1 s how busy the first GPU is; after the block the list has its lines."""
    lines: list[str] = []
    query = [
        "--query-gpu=timestamp,utilization.gpu",
        "--format=csv,noheader,nounits",
        "-i",
        "0",
        "-lms",
        "100",
    ]
    try:
        smi = subprocess.Popen(
            ["nvidia-smi", *query], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    except OSError:  # no driver
        yield lines
        return
    try:
        yield lines
    finally:
        smi.terminate()
        try:
            lines += smi.communicate(timeout=5)[0].splitlines()
        except subprocess.TimeoutExpired:
            smi.kill()


def sampled_share(lines: Sequence[str], since: datetime, until: datetime) -> float | None:
    """Return the mean of the samples between two times, as a share; None if there is none.

    >>> lines = ["2026/11/28 23:10:46.100, 40", "2026/11/28 23:10:46.200, 80", "broken off"]
    >>> sampled_share(lines, datetime(2026, 11, 28, 23, 10, 46), datetime(2026, 11, 28, 23, 10, 47))
    0.6
    """
    found = []
    for line in lines:
        when, _, share = line.partition(", ")
        try:
            noted, number = datetime.strptime(when, "%Y/%m/%d %H:%M:%S.%f"), float(share)
        except ValueError:
            continue
        if since <= noted <= until:
            found.append(number / 100)
    return round(statistics.mean(found), 4) if found else None


def limit_of(
    parts: Mapping[str, float], network: str, threads: int, seconds: float, busy: float, n: int
) -> str:
    """Return what an extraction waited for, in words.

    Args:
        parts: step → seconds, those of the workers added up.
        network: name of the network that ran.
        threads: number of workers.
        seconds: how long the extraction took.
        busy: share of it in which the GPU computed.
        n: number of pictures.

    >>> limit_of({"decode": 1.0, "detect": 6.0, "vgg16": 1.0}, "vgg16", 2, 4.0, 0.2, 1000)
    'detect on the CPU (6.00 ms a picture; 2 workers were 88% busy)'
    >>> limit_of({"decode": 1.0, "vgg16": 3.0, "write": 0.4}, "vgg16", 2, 4.0, 0.2, 1000)
    'the thread that feeds the GPU (copying crops and vectors 55%, computing 20%, writing 10% of the time)'
    """
    if busy >= BUSY_WANTED:
        return f"the GPU, which was {busy:.0%} busy"
    steps = {name: parts.get(name, 0.0) for name in WORKER_STEPS}
    workers = sum(steps.values()) / (threads * seconds)
    copying, writing = max(parts.get(network, 0.0) / seconds - busy, 0.0), parts.get("write", 0.0) / seconds
    if workers >= copying + busy + writing:
        step = max(steps, key=lambda name: steps[name])
        each = 1000 * steps[step] / n
        return f"{step} on the CPU ({each:.2f} ms a picture; {threads} workers were {workers:.0%} busy)"
    return (
        f"the thread that feeds the GPU (copying crops and vectors {copying:.0%}, computing {busy:.0%},"
        f" writing {writing:.0%} of the time)"
    )


def about_gpu() -> dict[str, str]:
    """Return the name of the GPU, its driver and CUDA's version."""
    import torch

    driver = ""
    with suppress(OSError):
        asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "-i", "0"]
        driver = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    memory = torch.cuda.get_device_properties(0).total_memory / 1e9
    words = [torch.cuda.get_device_name(0), f"{memory:.0f} GB", f"CUDA {torch.version.cuda}"]
    return {"gpu": ", ".join([*words, *([f"driver {driver}"] if driver else [])])}


def operations(module: Any, side: int) -> int:
    """Return how many multiplications and additions a network takes for one picture."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(torch.zeros(1, 3, side, side))
    return int(counter.get_total_flops())


def peak_flops(device: str) -> float:
    """Return the operations a second that a product of two large bf16 matrices reaches."""
    import torch

    n = 8192 if device == "cuda" else 64
    left, right = (torch.randn(n, n, dtype=torch.bfloat16, device=device) for _ in range(2))
    for repeats in (3, 20):
        if device == "cuda":
            torch.cuda.synchronize()
        started = time.perf_counter()
        for _ in range(repeats):
            left @ right
        if device == "cuda":
            torch.cuda.synchronize()
    return repeats * 2 * n**3 / (time.perf_counter() - started)
