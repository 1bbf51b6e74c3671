"""fk.list_backbones(): the table of the backbones that can be used."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def list_backbones() -> "pd.DataFrame":
    """Return a table of all backbones, in groups.

    The groups are networks that were trained on faces, networks that were trained on ImageNet, hand-crafted
    features, which are computed without training, others, and the backbones of plug-ins. The command
    `featurekit list backbones` prints the same table.

    Returns:
        A row for each backbone, with the columns name, group, about, layers (the first one is the default),
        ready (whether its weights and packages are installed) and package (the package that it comes from).

    Example:
        >>> import featurekit as fk
        >>> table = fk.list_backbones().set_index("name")
        >>> table.loc[["vgg16", "hog"], "group"].tolist()
        ['ImageNet', 'hand-crafted']
    """
    import pandas as pd

    from featurekit.networks import weights
    from featurekit.networks.backbones import BACKBONES, group_of, in_groups

    rows = [
        {
            "name": one.name,
            "group": group_of(one),
            "about": one.about,
            "layers": list(one.layers),
            "ready": one.is_installed and (one.weights is None or weights.present(one.weights)),
            "package": str(BACKBONES.package_of(one.name)),
        }
        for one in in_groups()
    ]
    return pd.DataFrame(rows)
