"""What can be predicted for a face: the known targets and their classes."""

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
    """What is predicted: a column of the manifest and its classes.

    Attributes:
        name: name of the column.
        classes: labels in natural order; empty for a regression target.
        ordered: whether classes next to each other in that order are similar.
        years: first and last year of each class, if classes are age ranges.
    """

    name: Label
    classes: Annotated[tuple[Label, ...], MaxLen(_MAX_CLASSES)] = ()
    ordered: bool = False
    years: Annotated[tuple[tuple[_Age, _Age], ...], MaxLen(_MAX_CLASSES)] = ()

    @property
    def is_regression(self) -> bool:
        """Whether the target is a number of years instead of a class."""
        return not self.classes

    def encode(self, labels: Sequence[str]) -> NDArray[np.intp]:
        """Return the class number of each label.

        Raises:
            TargetError: a label is not one of the classes.
        """
        if strange := sorted(set(labels) - set(self.classes)):
            raise TargetError(f"{self.name} has labels {strange}, but only {list(self.classes)} are allowed.")
        numbers = {label: number for number, label in enumerate(self.classes)}
        return np.array([numbers[label] for label in labels], dtype=np.intp)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Target":
        """Return the target whose fields were written as JSON, in which a tuple is a list.

        Raises:
            ValueError: the content is not a target, or a known target with other classes.
        """
        target = record(cls, content)
        target.check_known()
        return target

    def check_known(self) -> None:
        """Raise ValueError if this is a known target with other classes, or two classes have one name."""
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
    """Return the age group that an age lies in, or "" between the groups.

    Adience's groups have gaps (3, 7, 13-14, 21-24, ...) on purpose: its faces are
    labelled with a group only if the group is certain. The gaps also hold for data sets that give
    years, so that accuracy, and accuracy within one group, mean the same everywhere.
    Everyone from 60 years is in the last group.

    >>> age_group_of(28), age_group_of(23), age_group_of(105), age_group_of(float("nan"))
    ('25-32', '', '60-100', '')
    """
    for label, (first, last) in zip(AGE_GROUP.classes, AGE_GROUP.years, strict=True):
        if first <= years < last + 1 or (label == AGE_GROUP.classes[-1] and years >= first):
            return label
    return ""
