"""The targets that can be predicted for a face (age, age_group, gender, gender3), and their classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, MaxLen
from numpy.typing import NDArray

from featurekit.errors import TargetError
from featurekit.records import Label, record

MAX_AGE = 116
_MAX_CLASSES = 10_000

_Age = Annotated[int, Interval(ge=0, le=MAX_AGE)]


@dataclass(frozen=True)
class Target:
    """A label that models predict: a column of the manifest, and its classes.

    Attributes:
        name: name of the column.
        classes: names of the classes in their natural order; empty for a regression target.
        ordered: whether neighbouring classes are similar, as age groups are.
        years: first and last year of each class if the classes are age groups, else empty.
    """

    name: Label
    classes: Annotated[tuple[Label, ...], MaxLen(_MAX_CLASSES)] = ()
    ordered: bool = False
    years: Annotated[tuple[tuple[_Age, _Age], ...], MaxLen(_MAX_CLASSES)] = ()

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number, such as the age in years, instead of a class."""
        return not self.classes

    def encode(self, labels: Sequence[str]) -> NDArray[np.intp]:
        """Return the number of the class of each label, counted from 0.

        Raises:
            TargetError: a label is not a class of the target.
        """
        if strange := sorted(set(labels) - set(self.classes)):
            raise TargetError(f"{self.name} has labels {strange}, but only {list(self.classes)} are allowed.")
        numbers = {label: number for number, label in enumerate(self.classes)}
        return np.array([numbers[label] for label in labels], dtype=np.intp)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Target":
        """Return the target whose attributes were saved as JSON.

        Raises:
            ValueError: the content is not a target, or the classes differ from those of the standard target
                with this name.
        """
        target = record(cls, content)
        target.check_known()
        return target

    def check_known(self) -> None:
        """Check the classes of a target that was read from a file.

        Raises:
            ValueError: the classes differ from those of the standard target with this name, or two classes
                have the same name.
        """
        if TARGETS.get(self.name, self) != self:
            raise ValueError(f"{self.name} has different classes in this version of featurekit.")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"{self.name} has two classes of the same name.")


GENDER = Target("gender", ("female", "male"))
GENDER3 = Target("gender3", ("female", "male", "undefined"))
AGE = Target("age", ordered=True)
# Adience's eight groups, in years; accuracy within one group accepts the groups next to the true one.
AGE_GROUP = Target(
    "age_group",
    ("0-2", "4-6", "8-12", "15-20", "25-32", "38-43", "48-53", "60-100"),
    ordered=True,
    years=((0, 2), (4, 6), (8, 12), (15, 20), (25, 32), (38, 43), (48, 53), (60, 100)),
)
TARGETS = {target.name: target for target in (GENDER, GENDER3, AGE_GROUP, AGE)}


def age_group_of(years: float) -> str:
    """Return the age group of an age in years, or "" for an age between two groups.

    The age groups are those of the Adience data set. They have gaps (3, 7, 13-14, 21-24, ...) because Adience
    labels a face only if its group is certain. featurekit keeps the gaps for data sets with ages in years, so
    that accuracy, and accuracy within one group, mean the same for all data sets. The last group contains all
    ages from 60 years.

    >>> age_group_of(28), age_group_of(23), age_group_of(105), age_group_of(float("nan"))
    ('25-32', '', '60-100', '')
    """
    for label, (first, last) in zip(AGE_GROUP.classes, AGE_GROUP.years, strict=True):
        if first <= years < last + 1 or (label == AGE_GROUP.classes[-1] and years >= first):
            return label
    return ""
