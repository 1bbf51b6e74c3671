"""The age and gender classifiers that come with dlib's networks, used without training.

The age network predicts the probability of each year of age. The probability of an age
group is the sum over its years. Years between two groups are left out and the sums are
divided by their total, because each face in a comparison belongs to one of the groups.
"""

from featurekit.data.targets import AGE, AGE_GROUP, GENDER, Target
from featurekit.errors import TargetError
from featurekit.estimators import Classifier, classifier

# Target → the feature that predicts it.
HEADS = {
    AGE.name: "dlib_age:probabilities",
    AGE_GROUP.name: "dlib_age:probabilities",
    GENDER.name: "dlib_gender:probabilities",
}


@classifier(
    "off_the_shelf",
    about="the classifiers that come with dlib_age and dlib_gender, without training",
    features=lambda target: HEADS.get(target.name),
    is_baseline=True,
    trusted_types=("featurekit.estimators._off_the_shelf.OffTheShelf",),
)
def make_off_the_shelf(target: Target, random_state: int, n_jobs: int) -> Classifier:
    """Return an estimator that turns the probabilities of a dlib network into predictions of the target.

    Raises:
        TargetError: dlib's networks do not predict the target.
    """
    from featurekit.estimators._off_the_shelf import OffTheShelf

    if target.name not in HEADS:
        raise TargetError(
            f"off_the_shelf cannot predict {target.name}, because dlib's networks predict"
            f" {', '.join(HEADS)}. Choose another model for it."
        )
    return OffTheShelf(target_name=target.name, random_state=random_state, n_jobs=n_jobs)
