"""fk.list_backbones() and fk.list_layers(): tables of the backbones and of the layers that can be used."""

from typing import TYPE_CHECKING

from featurekit.checked import checked
from featurekit.errors import UnknownNameError

if TYPE_CHECKING:
    import pandas as pd


def list_backbones() -> "pd.DataFrame":
    """Return a table of all backbones, in groups.

    The groups are networks that were trained on faces, networks that were trained on ImageNet, hand-crafted
    features, which are computed without training, networks by reference that have been added with
    fk.add_network, others, and the backbones of plug-ins. The command
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


@checked()
def list_layers(backbone: str) -> "pd.DataFrame":
    """Return a table of the layers of a backbone that can be read.

    A feature map or the tokens of a network by reference are averaged over their places. Other vectors can be
    read with "+max", the largest values, and of a transformer with "+cls", its class token, and "+cls+mean",
    both. The command `featurekit list layers NAME` prints the same table.

    Args:
        backbone: name of the backbone, e.g. "dlib_age", or a reference, e.g. "timm:resnet18".

    Returns:
        A row for each layer, the default one first, with the columns feature (its full name), length (of the
        vector) and kind ("vector", "feature map" or "tokens").

    Raises:
        UnknownNameError: there is no backbone of this name.
        WeightsError: the network by reference has not been added.

    Example:
        >>> import featurekit as fk
        >>> fk.list_layers("dlib_age")["feature"].tolist()
        ['dlib_age:pooled', 'dlib_age:middle', 'dlib_age:probabilities']
    """
    import pandas as pd

    from featurekit.estimators.fitted_features import FITTED_FEATURES, is_fitted
    from featurekit.networks.backbones import BACKBONES
    from featurekit.networks.feature_names import feature_name

    if is_fitted(backbone):
        raise UnknownNameError(
            f"{backbone} is fitted per fold and has no layers. It starts from"
            f" {FITTED_FEATURES[backbone].reads}."
        )
    one = BACKBONES[backbone]
    kinds = one.kinds_of_layers
    rows = [
        {
            "feature": feature_name(one.name, layer),
            "length": length,
            "kind": kinds.get(layer, "vector"),
        }
        for layer, length in one.layers.items()
    ]
    return pd.DataFrame(rows)
