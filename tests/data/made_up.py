"""Made-up pictures, and what was said of them."""

import pandas as pd

from featurekit.data.cleaning import clean
from featurekit.data.datasets import RawRows


def pictures(folder, **contents):
    """Write files whose bytes are the given words, a.jpg and so on; nothing here decodes them."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (folder / f"{name}.jpg").write_bytes(content.encode())


def judged(folder, **columns):
    """The manifest that clean() makes of rows with these columns."""
    return clean(RawRows(pd.DataFrame(columns), folder))


def reasons_of(folder, **columns):
    return judged(folder, **columns).table["reason"].tolist()
