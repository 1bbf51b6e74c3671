"""The licences of weights and the terms of data sets, as featurekit's tables have them today.

A run stores the terms that were known when it was made. If the table has been corrected
since, a page shows what `featurekit weights list` and `featurekit list datasets` show.
The terms stored in the run are used only for what is in no table.
"""

from collections.abc import Mapping
from typing import Any

from featurekit.data.datasets import DATASETS
from featurekit.networks import weights


def weights_terms(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run's entry of a weight file, with source and licences of the table if this file is in it."""
    known = weights.WEIGHTS.get(str(entry.get("name", "")))
    # A file with this name and another hash is another file.
    if known is None or not str(entry.get("sha256", "")).startswith(known.sha256):
        return dict(entry)
    licences = known.licences
    return {
        **entry,
        "source": known.source,
        "licence_code": licences.code,
        "licence_weights": licences.weights,
        "licence_training_data": licences.training_data,
    }


def dataset_terms(dataset: Mapping[str, Any]) -> str:
    """Return the terms of a run's data set, "" if they are not known."""
    name = str(dataset.get("name", ""))
    known = {one.name: one.licence for one in DATASETS}
    return str(known.get(name) or dataset.get("licence") or "").rstrip(".")
