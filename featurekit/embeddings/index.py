"""The index of a workspace: what has been extracted, how, and what it cost."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from featurekit.cache.keys import recipe_key
from featurekit.embeddings.extractor import Extraction
from featurekit.embeddings.recipe import Recipe
from featurekit.errors import WorkspaceError
from featurekit.faces.settings import FaceSettings
from featurekit.files import write_text
from featurekit.records import read_record


@dataclass(frozen=True)
class Ledger:
    """What has been extracted in a workspace, for the later steps.

    Attributes:
        settings: how the faces were found.
        recipes: "backbone:layer" → recipe, in the order first extracted.
        costs: "shared" and each network → {"seconds", "pictures"}, summed over every pass.
        achieved: network → engine, device and precision, read back when it last ran.
        asked: the device and precision that were asked for.
    """

    settings: FaceSettings
    recipes: Mapping[str, Recipe]
    costs: Mapping[str, Mapping[str, int | float]]
    achieved: Mapping[str, Mapping[str, str]]
    asked: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> "Ledger | None":
        """Read what save() wrote; None if nothing has been extracted.

        Raises:
            WorkspaceError: the file is damaged.
        """
        if not path.is_file():
            return None
        try:
            return read_record(path, cls)
        except ValueError as error:
            raise WorkspaceError(
                f"{path} is damaged, or was not written by featurekit ({error}). Delete it, and run"
                " featurekit extract again: what is in the cache is not computed again."
            ) from error

    def save(self, path: Path) -> None:
        """Write it as JSON, whole."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")

    def seconds(self, features: Sequence[str]) -> float:
        """Return the seconds of the vectors of a feature set, with those shared by all networks once."""
        networks = sorted({feature.partition(":")[0] for feature in features})
        return sum(self.costs.get(name, {}).get("seconds", 0.0) for name in ("shared", *networks))


def enter(
    ledger: Ledger | None, extraction: Extraction, settings: FaceSettings, asked: Mapping[str, str]
) -> Ledger:
    """Return the ledger with one more extraction; a new ledger if the faces were found in another way."""
    faces = {recipe_key(recipe.faces) for recipe in extraction.recipes.values()}
    if (
        ledger is None
        or ledger.settings != settings
        or any(recipe_key(recipe.faces) not in faces for recipe in ledger.recipes.values())
    ):
        ledger = Ledger(settings, {}, {}, {}, asked)
    costs = {name: dict(cost) for name, cost in ledger.costs.items()}
    for feature, recipe in extraction.recipes.items():
        if ledger.recipes.get(feature, recipe) != recipe:
            costs.pop(recipe.backbone, None)  # those were the costs of other vectors of that name
    spent = extraction.network_seconds
    whole = sum(spent.values())
    if extraction.n_detected or not any(spent.values()):
        spent["shared"] = extraction.seconds - whole
    else:  # every face was known: the images were read again only for these networks
        spent = {name: extraction.seconds * seconds / whole for name, seconds in spent.items()}
    if extraction.n_read:
        for name, seconds in spent.items():
            cost = costs.setdefault(name, {"seconds": 0.0, "pictures": 0})
            cost["seconds"] += seconds
            cost["pictures"] += extraction.n_read
    return Ledger(
        settings,
        {**ledger.recipes, **extraction.recipes},
        costs,
        {**ledger.achieved, **extraction.achieved},
        asked,
    )
