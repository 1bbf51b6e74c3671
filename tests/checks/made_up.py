"""A data set without a fault, and what is planted in it."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
from PIL import Image

from featurekit.checks.audit import audit
from featurekit.data.manifest import COLUMNS, Manifest
from featurekit.data.splits import FoldSet
from featurekit.embeddings.vectors import Vectors

N = 400  # faces, two of each subject
CHECKS = (
    "subjects_across_folds",
    "identities_across_folds",
    "exact_duplicates",
    "label_conflicts",
    "near_duplicates",
    "suspiciously_close",
    "label_suspects",
    "class_balance",
    "inflation",
)


def a_table(n=N):
    numbers = np.arange(n)
    table = pd.DataFrame(dict.fromkeys(COLUMNS, [""] * n))
    table["face_id"] = [f"f{number:03}" for number in numbers]
    table["subject_id"] = [f"s{number // 2:03}" for number in numbers]
    table["image_path"] = [f"{number}.png" for number in numbers]
    table["content"] = [f"{number:064x}" for number in numbers]
    table["gender"] = np.where(numbers // 2 % 2, "female", "male")
    table["age_group"] = np.array(["0-2", "25-32", "60-100"])[numbers // 4 % 3]
    table["age"] = np.array([1.0, 30.0, 70.0])[numbers // 4 % 3]
    table["official_fold"] = -1
    return table


def changed(manifest, **columns):
    """The same faces with other columns."""
    return Manifest(manifest.table.assign(**columns), manifest.root)


def folds_of(manifest, numbers=None, kind="made"):
    """Folds: five, by subject, or as given by row."""
    numbers = np.arange(len(manifest)) // 2 % 5 if numbers is None else numbers
    ids = manifest.table["face_id"].to_numpy(dtype=str)
    return FoldSet("test", kind, 0, ids, np.asarray(numbers, np.intp))


def vectors(manifest, values, *, blocks=None):
    """Embeddings of all rows."""
    values = np.asarray(values, np.float32)
    blocks = blocks or (values.shape[1],)
    recipes = tuple(SimpleNamespace(feature=f"network{i}:end") for i in range(len(blocks)))
    ids = manifest.table["face_id"].to_numpy(dtype=str)
    return Vectors(np.arange(len(ids)), ids, values, blocks, recipes)


def strangers(n=N, dim=64, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dim))


def said(manifest, target, proba, folds=None):
    """What a run says of all faces, as a comparison keeps it."""
    classes = np.array(target.classes)
    columns = {
        "face_id": manifest.table["face_id"],
        "subject": np.arange(len(manifest)) // 2,
        "fold": folds_of(manifest).numbers if folds is None else folds.numbers,
        "true": manifest.table[target.name],
        "predicted": classes[proba.argmax(axis=1)],
    }
    return pd.DataFrame(columns | {f"p_{label}": proba[:, i] for i, label in enumerate(classes)})


def sure(manifest, target, share=0.9):
    """Probabilities of a model that is right about every face."""
    true = target.encode(list(manifest.table[target.name]))
    n = len(target.classes)
    return np.full((len(true), n), (1 - share) / (n - 1)) + np.eye(n)[true] * (share - (1 - share) / (n - 1))


def found(manifest, name, *, folds=None, embeddings=None, predictions=None, pictures=False, **options):
    """One finding; folds are made by subject where none are given."""
    folds = folds_of(manifest) if folds is None else folds
    return audit(manifest, folds, embeddings, predictions or {}, pictures=pictures, **options)[name]


def people(folder, n, *, of_one_hash=False, side=64):
    """Write 0.png, 1.png and so on: n different faces that have much in common, as aligned ones have."""
    rng = np.random.default_rng(0)
    waves = [(u, v) for u in range(20) for v in range(20) if 0 < u + v < 20]
    cosines = np.cos(np.outer(np.arange(20), (np.arange(side) + 0.5) * np.pi / side))
    bases = np.stack([np.outer(cosines[u], cosines[v]).astype(np.float32).ravel() for u, v in waves])
    frequency = np.array([u + v for u, v in waves])
    shared = rng.choice([-1, 1], len(waves)) / frequency
    for number in range(n):
        own = rng.normal(size=len(waves))
        # A hash is made of the signs of the lower half.
        like = shared * np.exp(0.5 * own) if of_one_hash else shared + 0.6 * own / frequency
        amounts = np.where(frequency < 11, like, 0.3 * own / frequency)
        grey = (amounts.astype(np.float32) @ bases).reshape(side, side, 1)
        pixels = np.clip(128 + 30 * grey + np.array([20, 0, -20]), 0, 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number}.png", compress_level=0)
