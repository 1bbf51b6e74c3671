"""The made-up subjects who are painted, each drawn from a seed and a number."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featurekit.data.targets import AGE_GROUP


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One made-up subject.

    Attributes:
        group: number of the age group, as in AGE_GROUP.classes.
        gender: number of the gender, as in GENDER.classes.
        looks: years the subject looks, which need not lie in the group.
        manly: 0..1, how much of a man's shape, brows and beard the subject has.
        skin: mean color of the skin, RGB, 0..1.
        hair: color of the hair before it turns grey, RGB, 0..1.
        style: "fuzz", "short", "bob" or "long".
        hairline: y of the middle of the hairline on the canvas.
        beard: 0..1, from shaven to full.
        glasses: whether the subject wears them.
        clothes: their color, RGB, 0..1.
        build: how this head differs from others of the same age and gender, shape (12,), -1.5..1.5.
    """

    group: int
    gender: int
    looks: float
    manly: float
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    style: str
    hairline: float
    beard: float
    glasses: bool
    clothes: tuple[float, float, float]
    build: NDArray[np.float64]

    @property
    def childlike(self) -> float:
        """How childlike the face is: 1 for a newborn, about 0.5 at 6 years, nearly 0 for adults."""
        return float(np.exp(-max(self.looks, 0) / 9))

    @property
    def worn(self) -> float:
        """How much wrinkles, sagging and coarse skin there is: 0 up to 24 years, 1 from 70."""
        return float(np.clip((self.looks - 24) / 46, 0, 1))

    @property
    def grey(self) -> float:
        """Share of grey in the hair, half at 52 years."""
        return float(1 / (1 + np.exp((52 - self.looks + 3 * self.build[0]) / 5)))


def labels_of(number: int) -> tuple[int, int]:
    """Age group and gender of a subject: each pair comes once in sixteen."""
    return (number // 2) % len(AGE_GROUP.classes), number % 2


def draw_subject(seed: int, number: int) -> Subject:
    """Draw the subject with this number."""
    rng = np.random.default_rng([seed, number, 0])
    group, gender = labels_of(number)
    first, last = AGE_GROUP.years[group]
    years = rng.uniform(first, min(last, 82) + 1)
    # Subjects look older or younger than they are, and the more so the older they are.
    looks = years + rng.normal(0, 0.3 + 0.04 * min(years, 50))
    grown = 1 - np.exp(-max(looks, 0) / 9)
    manly = float(np.clip((0.4 + 0.6 * grown) * gender + rng.normal(0, 0.1), 0, 1))

    tones = np.array(
        [(0.93, 0.78, 0.69), (0.86, 0.68, 0.57), (0.76, 0.57, 0.44), (0.6, 0.42, 0.31), (0.46, 0.31, 0.23)]
    )
    darkness = rng.uniform(0, 3.3)
    # The tone between two neighbours in the row of tones.
    low = min(int(darkness), len(tones) - 2)
    skin = (tones[low] + (darkness - low) * (tones[low + 1] - tones[low])) * rng.normal(1, 0.02, 3)
    # Two dark colors of hair, and two light ones, which only subjects with light skin have.
    colors = np.array([(0.11, 0.08, 0.07), (0.28, 0.19, 0.12), (0.62, 0.48, 0.28), (0.5, 0.27, 0.15)])
    palette = colors if darkness < 1.6 else colors[:2]
    hair = palette[rng.integers(len(palette))] * rng.uniform(0.85, 1.15)

    has_long_hair = rng.random() < (0.04 if gender else 0.95)
    style = ("long" if rng.random() < (0.6 if looks < 45 else 0.2) else "bob") if has_long_hair else "short"
    if looks < 2.5 and rng.random() < (0.85 if gender else 0.15):
        style = "fuzz"
    hairline = rng.uniform(138, 182)
    if gender and looks > 30:  # receding
        hairline -= rng.uniform(0, 1) * min(looks - 30, 35) * 2.4
    beard = (
        float(rng.choice([0.06, 0.25, 0.5, 0.9], p=[0.3, 0.3, 0.2, 0.2])) * min((looks - 15) / 12, 1)
        if gender and looks > 17
        else 0.0
    )
    return Subject(
        group=group,
        gender=gender,
        looks=float(looks),
        manly=manly,
        skin=_color(skin),
        hair=_color(hair),
        style=style,
        hairline=float(hairline),
        beard=beard,
        glasses=bool(rng.random() < (0.04 if looks < 8 else 0.12 if looks < 40 else 0.35)),
        clothes=_color(rng.uniform(0.15, 0.75) + rng.normal(0, 0.12, 3)),
        build=np.clip(rng.normal(0, 0.7, 12), -1.5, 1.5),
    )


def _color(values: NDArray[Any]) -> tuple[float, float, float]:
    red, green, blue = np.clip(values, 0, 1)
    return float(red), float(green), float(blue)
