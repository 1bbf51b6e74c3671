"""Models that need no fit: the heads that come with dlib's networks."""

import numpy as np

from featurekit.data.targets import AGE, AGE_GROUP, GENDER
from featurekit.embeddings.recipe import describe_weights, make_recipes
from featurekit.estimators import CLASSIFIERS
from featurekit.faces.settings import default_settings
from featurekit.inference.model import TrainedModel
from featurekit.networks.backbones import BACKBONES


def off_the_shelf_models() -> list[TrainedModel]:
    """Return the heads that come with dlib's networks as models of gender, age_group and age.

    Raises:
        WeightsError: the built-in weights are missing.
    """
    kind, settings = CLASSIFIERS["off_the_shelf"], default_settings()
    models = []
    for target in (GENDER, AGE_GROUP, AGE):
        feature = kind.features(target) if kind.features else None
        assert feature is not None
        recipe = make_recipes([feature], settings)[feature]
        estimator = kind.make(target, 0, 1)
        # This learns nothing: it only marks the estimator as fitted.
        nothing = np.zeros((1, BACKBONES[recipe.backbone].layers[recipe.layer]), np.float32)
        estimator.fit(nothing, np.zeros(1, np.intp), groups=np.array(["nobody"]))
        models.append(
            TrainedModel(
                name=f"{target.name}--off_the_shelf",
                target=target,
                classifier=kind.name,
                estimator=estimator,
                settings=settings,
                recipes=(recipe,),
                training={"dataset": "none of ours", "notes": [kind.about]},
                weights=tuple(describe_weights([recipe], settings)),
            )
        )
    return models
