"""What model.json may say; nothing else is read out of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Len, MaxLen, Predicate

from featurekit.data.targets import Target
from featurekit.embeddings.recipe import Recipe
from featurekit.faces.settings import FaceSettings
from featurekit.networks.weights import FACTS
from featurekit.records import FileName, Line, Word
from featurekit.uncertainty.calibration import Calibration

# Raise whenever what is written changes, or the names of types do that a file of skops holds: what an older
# version wrote is then refused in one line.
SCHEMA = 4


def _has_facts(weights: Mapping[str, str]) -> bool:
    if weights.keys() != set(FACTS):
        raise ValueError(f"must say {', '.join(FACTS)}")
    return True


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """What stands in model.json: everything of a TrainedModel but what was learned."""

    schema: int = SCHEMA
    name: FileName
    target: Target
    classifier: Word
    estimator: Mapping[str, Any]
    settings: FaceSettings
    recipes: Annotated[tuple[Recipe, ...], Len(1, 64)]
    training: Mapping[str, Any]
    weights: Annotated[tuple[Annotated[Mapping[str, Line], Predicate(_has_facts)], ...], MaxLen(128)]
    calibration: Calibration | None
