"""UTKFace: face chips whose file names are their labels.

A name is ``age_gender_ethnicity_time.jpg.chip.jpg``, gender 0 for male and 1 for
female. The label 1 stands for everybody in the first two years of life, so "age
1" means 0 to 1 years. The data set has no subjects, and the ethnicity is not
read: nothing here learns or reports it.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from featurekit.data.datasets import RawRows, dataset
from featurekit.data.find import find_pictures, part_of

# The full pattern or nothing: in 61_1_20170109142408075.jpg.chip.jpg a field is missing, and nobody can say
# whether the 1 is a gender. A space or a missing dot before "jpg" leaves no doubt about the fields, nor does
# any other ending: what kind of file it is, its content says.
_NAME = re.compile(
    r"(?P<age>\d{1,3})_(?P<gender>[01])_[0-4]_\d{8,}\s*(?:\.?[a-z]\w{1,4})?(?:\.chip\.\w{2,5})?", re.I
)


@dataset(
    "utkface",
    about="UTKFace: 200 × 200 face chips labelled with age in years and gender in the file name",
    licence="UTKFace: non-commercial research only",
)
def utkface(path: Path) -> RawRows:
    """Return every picture of UTKFace, by name.

    Args:
        path: the folder of the pictures, or the one with "UTKFace" in it.
    """
    root = part_of(path, "UTKFace") if (path / "UTKFace").is_dir() else path
    found = find_pictures(root)
    table = found.table
    fields = [_NAME.fullmatch(image.rpartition("/")[2]) for image in table["image_path"]]
    table["age"] = [float(found["age"]) if found else np.nan for found in fields]
    table["gender"] = [("male", "female")[int(found["gender"])] if found else "" for found in fields]
    is_parsed = pd.Series([found is not None for found in fields])
    table["reason"] = table["reason"].mask(~is_parsed & (table["reason"] == ""), "unparsable_name")
    return RawRows(table, root, counts=found.counts, notes=[found.note] if found.note else [])
