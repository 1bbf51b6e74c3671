"""UTKFace: cropped face images with the labels in the file names.

File names have the form ``age_gender_ethnicity_time.jpg.chip.jpg``, with gender 0 for male and 1 for female.
The age 1 means 0 or 1 years. The data set does not name subjects. featurekit does not read the ethnicity and
neither predicts nor reports it.
"""

import re
from pathlib import Path

import numpy as np

from featurekit.data.datasets import RawRows, dataset
from featurekit.data.find import find_images, part_of
from featurekit.files import is_folder

# The whole pattern must match: in 61_1_20170109142408075.jpg.chip.jpg a field is missing, and it is not clear
# whether the 1 is a gender. A space or a missing dot before "jpg" leaves the fields clear, and so
# does another ending, because the kind of a file is found out from its content.
_NAME = re.compile(
    r"(?P<age>\d{1,3})_(?P<gender>[01])_[0-4]_\d{8,}\s*(?:\.?[a-z]\w{1,4})?(?:\.chip\.\w{2,5})?", re.I
)


@dataset(
    "utkface",
    about="UTKFace: face crops of 200 × 200 pixels with the age in years and the gender in the file names",
    licence="UTKFace: non-commercial research only",
)
def utkface(path: Path) -> RawRows:
    """Return every image of UTKFace, in alphabetical order.

    Args:
        path: folder of the images, or the folder that contains the folder "UTKFace".
    """
    root = part_of(path, "UTKFace") if is_folder(path / "UTKFace") else path
    found = find_images(root)
    table = found.table
    fields = [_NAME.fullmatch(image.rpartition("/")[2]) for image in table["image_path"]]
    table["age"] = [float(match["age"]) if match else np.nan for match in fields]
    table["gender"] = [("male", "female")[int(match["gender"])] if match else "" for match in fields]
    table["reason"] = np.where(
        table["age"].isna() & (table["reason"] == ""), "unparsable_name", table["reason"]
    )
    return RawRows(table, root, counts=found.counts, notes=[found.note] if found.note else [])
