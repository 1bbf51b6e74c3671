"""Compare ways of reading age, gender, or any label, from face photographs.

This module has everything that a notebook or a script needs. Each name is imported when it is first used.

    import featurekit as fk

    data = fk.load_dataset("utkface", "UTKFace")
    X = fk.embed(data, "dlib_age+dlib_face")
    results = fk.evaluate(data, X, ["svm", "xgboost"], target="gender")
    results.report("report.html")
    model = results.best().fit(data, X)
    model.predict(["photo.jpg"])
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

from featurekit.version import __version__

if TYPE_CHECKING:
    from featurekit.api.data import Dataset, load_dataset
    from featurekit.api.embed import Embeddings, embed
    from featurekit.api.evaluate import ensemble, evaluate
    from featurekit.api.face_embedder import FaceEmbedder
    from featurekit.api.faces import FoundFaces, find_faces
    from featurekit.api.listing import list_backbones, list_layers
    from featurekit.api.model import Model, load_model, predict
    from featurekit.api.parts import predict_in_parts
    from featurekit.api.project import Project
    from featurekit.api.register import (
        register_backbone,
        register_check,
        register_dataset,
        register_detector,
        register_estimator,
    )
    from featurekit.api.results import Result, Results, load_results
    from featurekit.api.tune import tune
    from featurekit.api.upkeep import audit, doctor, log_mlflow, merge_caches, purge, verify
    from featurekit.api.weights import add_network, add_weights
    from featurekit.embeddings.executors.ray import RayExecutor
    from featurekit.errors import FeaturekitError


# Read while onnxruntime is imported, by whichever module comes first; without it onnxruntime 1.29 and newer
# tells its makers which networks are run, and keeps a database for that below the user's home.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Name → the module that has it.
_ROOMS = {
    "Dataset": "featurekit.api.data",
    "load_dataset": "featurekit.api.data",
    "Embeddings": "featurekit.api.embed",
    "embed": "featurekit.api.embed",
    "ensemble": "featurekit.api.evaluate",
    "evaluate": "featurekit.api.evaluate",
    "FaceEmbedder": "featurekit.api.face_embedder",
    "FoundFaces": "featurekit.api.faces",
    "find_faces": "featurekit.api.faces",
    "list_backbones": "featurekit.api.listing",
    "list_layers": "featurekit.api.listing",
    "Model": "featurekit.api.model",
    "load_model": "featurekit.api.model",
    "predict": "featurekit.api.model",
    "predict_in_parts": "featurekit.api.parts",
    "add_network": "featurekit.api.weights",
    "add_weights": "featurekit.api.weights",
    "Project": "featurekit.api.project",
    "register_backbone": "featurekit.api.register",
    "register_check": "featurekit.api.register",
    "register_dataset": "featurekit.api.register",
    "register_detector": "featurekit.api.register",
    "register_estimator": "featurekit.api.register",
    "Result": "featurekit.api.results",
    "Results": "featurekit.api.results",
    "load_results": "featurekit.api.results",
    "tune": "featurekit.api.tune",
    "audit": "featurekit.api.upkeep",
    "doctor": "featurekit.api.upkeep",
    "log_mlflow": "featurekit.api.upkeep",
    "merge_caches": "featurekit.api.upkeep",
    "purge": "featurekit.api.upkeep",
    "verify": "featurekit.api.upkeep",
    "RayExecutor": "featurekit.embeddings.executors.ray",
    "FeaturekitError": "featurekit.errors",
}

__all__ = [
    "Dataset",
    "Embeddings",
    "FaceEmbedder",
    "FeaturekitError",
    "FoundFaces",
    "Model",
    "Project",
    "RayExecutor",
    "Result",
    "Results",
    "__version__",
    "add_network",
    "add_weights",
    "audit",
    "doctor",
    "embed",
    "ensemble",
    "evaluate",
    "find_faces",
    "list_backbones",
    "list_layers",
    "load_dataset",
    "load_model",
    "load_results",
    "log_mlflow",
    "merge_caches",
    "predict",
    "predict_in_parts",
    "purge",
    "register_backbone",
    "register_check",
    "register_dataset",
    "register_detector",
    "register_estimator",
    "tune",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Import what is asked for, the first time that it is."""
    if name not in _ROOMS:
        raise AttributeError(f"module 'featurekit' has no attribute '{name}'")
    found = getattr(importlib.import_module(_ROOMS[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
