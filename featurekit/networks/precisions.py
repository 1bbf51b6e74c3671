"""The precision that is faster on each kind of processor, as it was measured.

A processor is described by its vendor and its instruction sets. The first entry of FASTEST that fits it
counts. A processor that fits no entry computes in fp32. The speeds were measured outside of this project, on
one thread with OpenVINO 2026.4, for dlib_age, dlib_gender, mobilenet_v2, resnet50 and vgg16. What bf16 and
int8 cost in balanced accuracy is measured by `python benchmarks/precision.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from featurekit.errors import EngineError

_CPUINFO = Path("/proc/cpuinfo")
# Precision → the instruction sets one of which a processor needs for it.
_NEEDED = {"bf16": ("amx_bf16", "avx512_bf16"), "int8": ("amx_int8", "avx512_vnni", "avx_vnni")}


@dataclass(frozen=True)
class Processor:
    """What decides the fastest precision of a processor.

    Attributes:
        name: name of the model, such as "AMD EPYC 9R14"; "" if it is not known.
        vendor: vendor, as Linux names it, such as "AuthenticAMD"; "" if it is not known.
        flags: instruction sets, such as "avx512_bf16"; empty if they are not known.
    """

    name: str
    vendor: str
    flags: frozenset[str]

    def computes_in(self, precision: str) -> bool:
        """Whether the processor has instructions for a precision."""
        return precision not in _NEEDED or any(flag in self.flags for flag in _NEEDED[precision])

    @property
    def is_known(self) -> bool:
        """Whether the system says anything about the processor."""
        return bool(self.name or self.flags)


@dataclass(frozen=True)
class Fastest:
    """The precision that is faster on one kind of processor.

    Attributes:
        kind: the kind of processor, in words.
        vendor: vendor of the processors; "" for any.
        needs: instruction set that the processors have.
        precision: "fp32" or "bf16".
        measured: the speed of bf16 in comparison with fp32, and on which processor it was measured.
    """

    kind: str
    vendor: str
    needs: str
    precision: str
    measured: str

    def fits(self, processor: Processor) -> bool:
        """Whether a processor is of this kind."""
        return self.vendor in ("", processor.vendor) and self.needs in processor.flags


FASTEST = (
    Fastest(
        "processors with AMX",
        "",
        "amx_bf16",
        "bf16",
        "5 to 19 times as fast as fp32 on an Intel Xeon with AMX",
    ),
    Fastest(
        "AMD processors with AVX-512 bf16 (Zen 4 and later)",
        "AuthenticAMD",
        "avx512_bf16",
        "bf16",
        "1.1 to 2.0 times as fast as fp32 on an AMD EPYC of family 25, model 17 (Zen 4)",
    ),
    Fastest(
        "Intel processors with AVX-512 bf16 and without AMX",
        "GenuineIntel",
        "avx512_bf16",
        "fp32",
        "bf16 takes 1.2 to 1.8 times as long as fp32 on an Intel Xeon without AMX",
    ),
)


@dataclass(frozen=True)
class Loss:
    """How much balanced accuracy an SVM loses with the vectors of a network in int8 instead of fp32.

    Attributes:
        points: the loss, in percentage points.
        upper: the upper end of its 95 % interval over subjects.
    """

    points: float
    upper: float

    @property
    def is_small(self) -> bool:
        """Whether int8 is offered with this loss."""
        return self.points <= MOST_POINTS and self.upper <= MOST_UPPER


# The largest loss with which int8 is offered, in percentage points, and the largest upper end of its
# interval.
MOST_POINTS, MOST_UPPER = 0.3, 1.0
# Measured by benchmarks/precision.py: network → target → loss. Networks without an entry were not measured.
INT8_LOSSES: Mapping[str, Mapping[str, Loss]] = {
    "dlib_age": {"age_group": Loss(-0.17, 0.29), "gender": Loss(-0.07, 0.22)},
    "dlib_gender": {"age_group": Loss(0.31, 0.70), "gender": Loss(0.11, 0.25)},
    "mobilenet_v2": {"age_group": Loss(-0.30, 0.46), "gender": Loss(-0.65, -0.30)},
    "dlib_face": {"age_group": Loss(-0.84, -0.29), "gender": Loss(0.12, 0.30)},
}


def in_int8() -> list[str]:
    """Return the names of the networks for which int8 is offered."""
    return [name for name, losses in INT8_LOSSES.items() if all(loss.is_small for loss in losses.values())]


def check_int8(network: str, processor: Processor | None = None) -> None:
    """Raise EngineError unless int8 is offered for a network on a processor.

    Args:
        network: name of the backbone.
        processor: the processor; None for the processor of this machine.
    """
    processor = processor or this_processor()
    if not processor.computes_in("int8"):
        raise EngineError(
            f"int8 needs a processor with VNNI or AMX, and {processor.name or 'this processor'} has neither."
            " Use --precision auto."
        )
    losses = INT8_LOSSES.get(network)
    offered = f", or only networks for which int8 is offered: {', '.join(in_int8())}" if in_int8() else ""
    otherwise = f"Use another precision{offered}."
    if losses is None:
        raise EngineError(
            f"int8 was not measured for {network}; `python benchmarks/precision.py` measures it. {otherwise}"
        )
    for target, loss in losses.items():
        if not loss.is_small:
            raise EngineError(
                f"int8 is not offered for {network}: an SVM for {target} loses {loss.points:.2f} points of"
                f" balanced accuracy (at most {loss.upper:.2f}), and {MOST_POINTS:g} (at most {MOST_UPPER:g})"
                f" are allowed. {otherwise}"
            )


def this_processor(cpuinfo: Path = _CPUINFO) -> Processor:
    """Return the processor of this machine, from a file as Linux writes it."""
    text = cpuinfo.read_text() if cpuinfo.is_file() else ""

    def entry(name: str) -> str:
        found = re.search(rf"^{name}\s*:\s*(.+)$", text, re.MULTILINE)
        return found[1].strip() if found else ""

    return Processor(entry("model name"), entry("vendor_id"), frozenset(entry("flags").split()))


def fastest_on(processor: Processor) -> Fastest | None:
    """Return the entry of FASTEST that counts for a processor, or None if no entry fits."""
    return next((entry for entry in FASTEST if entry.fits(processor)), None)


def fastest_precision(processor: Processor | None = None) -> str:
    """Return "fp32" or "bf16", whichever is faster on a processor; None for the processor of this machine.

    Example:
        >>> fastest_precision(Processor("", "AuthenticAMD", frozenset({"avx512_bf16"})))
        'bf16'
        >>> fastest_precision(Processor("", "", frozenset()))
        'fp32'
    """
    entry = fastest_on(processor or this_processor())
    return entry.precision if entry else "fp32"
