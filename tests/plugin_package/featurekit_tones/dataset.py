"""Portraits whose file names say who they show: s3_0.png is a woman, s4_0.png a man."""

from pathlib import Path

import pandas as pd

import featurekit as fk


@fk.register_dataset("tones", about="portraits of even men and odd women", licence="public domain")
def tones(path: Path) -> pd.DataFrame:
    """Return every portrait of a folder, by name."""
    names = sorted(photograph.name for photograph in path.glob("*.png"))
    people = [name.partition("_")[0] for name in names]
    genders = [("male", "female")[int(person[1:]) % 2] for person in people]
    return pd.DataFrame({"image_path": names, "subject_id": people, "gender": genders})
