"""Find options of a command that would have no effect.

If an option applies to none of the models, an error says what to type instead. If it applies only to some of
the models, a note names the other models, and the command continues.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from featurekit.data.manifest import names_ethnicity
from featurekit.errors import EngineError, WorkspaceError
from featurekit.evaluation.planning import Plan, has_curve, reads_features
from featurekit.faces.detectors import DETECTORS
from featurekit.inference.model import TrainedModel
from featurekit.networks.backbones import split_feature
from featurekit.networks.engines import DEVICES
from featurekit.networks.feature_names import backbone_of, split_features


def unused_options(
    plans: Sequence[Plan],
    *,
    features: Sequence[str] | None = None,
    join: bool = False,
    tune: bool = False,
    device: str = "auto",
    variations: Sequence[Mapping[str, Any]] = ({},),
    ethnicity: bool = False,
    learning_curve: bool = False,
) -> list[str]:
    """Return a sentence for each option of `featurekit fit` that does not apply to some of the models.

    Args:
        plans: plans that plan() made with these options.
        features: names of the feature sets in the option --features; None without this option.
        join: whether the option --join is given.
        tune: whether the option --tune is given.
        device: "auto", "cpu" or "cuda".
        variations: sets of parameters that the user gave.
        ethnicity: whether the option --allow-ethnicity is given.
        learning_curve: whether the option --learning-curve is given.

    Raises:
        WorkspaceError: an option applies to none of the models; the message says what to type instead.
        EngineError: a GPU is requested but no model uses one, or the name of the device is unknown.
    """
    if device not in DEVICES:
        raise EngineError(f"device must be one of {', '.join(DEVICES)}. Got '{device}' instead.")
    asked = [one for one in plans if one.is_asked]
    if ethnicity and not any(names_ethnicity(one.target.name) for one in asked):
        raise WorkspaceError(
            "--allow-ethnicity has no effect, because no target is named like an ethnicity. Name the label"
            " column with --target, or leave the option out."
        )
    notes = _of_features(asked, features, join)
    if tune:
        notes += _for_some(
            _names(asked),
            _names(one for one in asked if one.kind.grid is not None and one.kind.grid(one.target)),
            "--tune",
            "has parameters to search for",
            "Leave it out, or use a model that has some, for example --model svm.",
        )
    if learning_curve:
        notes += _of_learning_curve(asked)
    if device != "auto":
        notes += _of_device(asked, device)
    notes += _not_learned(asked, plans)
    for name in dict.fromkeys(name for changes in variations for name in changes):
        able = _names(one for one in asked if name in one.parameters)
        without = ", ".join(model for model in _names(asked) if model not in able)
        if without:
            notes.append(
                f"{without} is fitted once, with its default parameters: it has no parameter {name}."
            )
    return notes


def _of_features(asked: Sequence[Plan], features: Sequence[str] | None, join: bool) -> list[str]:
    """Return to which models --features and --join do not apply."""
    notes = []
    choose = [one for one in asked if one.kind.starts_from or reads_features(one.kind)]
    if features is not None:
        notes += _for_some(
            _names(asked),
            _names(choose),
            "--features",
            "can use the features of your choice",
            "Leave it out, or use a model that can, for example --model svm.",
        )
        notes += _not_started_from(asked, features)
    if join:
        _check_join(choose, features)
        notes += _for_some(
            _names(asked), _names(choose), "--join", "can use the features of your choice", "Leave it out."
        )
    return notes


def _of_learning_curve(asked: Sequence[Plan]) -> list[str]:
    """Return to which models --learning-curve does not apply."""
    return _for_some(
        _names(asked),
        _names(filter(has_curve, asked)),
        "--learning-curve",
        "is a trained model on vectors",
        "Networks that are trained end to end are not fitted on parts of the faces. Leave it out, or use a"
        " model on vectors, for example --model svm.",
    )


def _of_device(asked: Sequence[Plan], device: str) -> list[str]:
    """Return to which models --device cpu, or cuda, does not apply."""
    able = _names(one for one in asked if one.kind.uses_gpu)
    if device == "cpu":  # the others use it anyway
        return [] if able else ["--device cpu has no effect, because these models use no other device."]
    return _for_some(
        _names(asked),
        able,
        f"--device {device}",
        "can use a GPU",
        "Leave it out, or use a network that is trained end to end, for example --model multitask_cnn.",
    )


def _not_learned(asked: Sequence[Plan], plans: Sequence[Plan]) -> Iterator[str]:
    """Yield a note on the targets that models which give only classes, or only years, are not fitted for."""
    targets = dict.fromkeys(one.target for one in plans)
    for name, reads in {one.kind.name: one.kind.reads_target for one in asked}.items():
        left = [target for target in targets if reads is not None and not reads(target)]
        if left:
            what = "classes" if left[0].is_regression else "ages"
            yield (
                f"{name} is not fitted for {', '.join(one.name for one in left)}, because it predicts only"
                f" {what}."
            )


def _for_some(asked: Iterable[str], able: Collection[str], option: str, does: str, remedy: str) -> list[str]:
    """Return a note on the models to which an option does not apply; raise an error if these are all."""
    others = ", ".join(dict.fromkeys(name for name in asked if name not in able))
    if not able:
        raise WorkspaceError(f"{option} has no effect: none of {others} {does}. {remedy}")
    return [f"{option} does not apply to {others}."] if others else []


def _check_join(choose: Sequence[Plan], features: Sequence[str] | None) -> None:
    """Raise WorkspaceError if there are no two feature sets to be joined."""
    n_parts = max(
        (len(one.features) for one in choose if not (features is None and one.kind.starts_from)), default=0
    )
    if n_parts < 2 or (features is not None and len(set(features)) < 2):
        there = ", ".join(dict.fromkeys(one.feature_name for one in choose)) or "none"
        raise WorkspaceError(
            f"--join has no effect: there are no two feature sets to join (there is {there}). Give several"
            " with --features, or leave --join out."
        )


def _not_started_from(asked: Sequence[Plan], features: Sequence[str]) -> Iterator[str]:
    """Yield a note on the feature sets from which models that train networks further cannot start."""
    for kind in dict.fromkeys(one.kind.name for one in asked if one.kind.starts_from):
        used = {part for one in asked if one.kind.name == kind for part in one.networks}
        left = [text for text in features if not set(map(backbone_of, split_features(text))) <= used]
        if left:
            yield (
                f"{kind} does not start from {', '.join(left)}, because it trains networks up to their"
                " default layers."
            )


def _names(plans: Iterable[Plan]) -> list[str]:
    return list(dict.fromkeys(one.kind.name for one in plans))


def unused_of_extract(
    backbones: Sequence[str], detector: str, *, choose: str, device: str, precision: str, mirrored: bool
) -> list[str]:
    """Return a sentence for each option of `featurekit extract` that does not apply to some networks.

    Args:
        backbones: names of the networks, with or without a layer.
        detector: name of the face detector.
        choose: which face is used if an image contains several.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32", "bf16" or "int8".
        mirrored: whether mirror images of the faces are used, too.

    Raises:
        WorkspaceError: an option applies to nothing that is extracted; the message says what to type instead.
    """
    if not DETECTORS[detector].searches and choose in ("largest", "only"):
        raise WorkspaceError(
            f"--choose {choose} has no effect with --detector {detector}: the whole image counts as the face."
            " Leave it out."
        )
    found = [split_feature(name)[0] for name in backbones]
    networks = [one.name for one in found if one.is_network]
    mirrorable = [one.name for one in found if not one.is_picture]
    a_gpu = "is a network that a GPU can run"
    a_precision = "is a network that can be computed with another precision than fp32"
    a_mirror = "can use mirror images: the mean of a face and its mirror image is not a face"
    return [
        note
        for is_given, able, option, does in (
            (device == "cuda", networks, f"--device {device}", a_gpu),
            (precision not in ("auto", "fp32"), networks, f"--precision {precision}", a_precision),
            (mirrored, mirrorable, "--mirror", a_mirror),
        )
        if is_given
        for note in _for_some([one.name for one in found], able, option, does, "Leave it out.")
    ]


def unused_of_predict(
    models: Sequence[TrainedModel],
    *,
    sets: bool,
    abstain_above: float | None,
    probabilities: bool = False,
) -> list[str]:
    """Return a sentence for each option of `featurekit predict` that does not apply to some models.

    Args:
        models: models that make the predictions.
        sets: whether prediction sets are requested.
        abstain_above: largest share of wrong predictions that is allowed; None to allow any share.
        probabilities: whether the probabilities of all classes are requested.

    Raises:
        WorkspaceError: an option applies to none of the models; the message says what to type instead.
    """
    notes = []
    of_classes = [one for one in models if not one.target.is_regression]
    for option, able, why, remedy in (
        (
            "--probabilities" if probabilities else "",
            of_classes,
            "predict classes",
            "Leave it out, or add a model that predicts classes.",
        ),
        (
            "--sets" if sets else "",
            [one for one in models if one.calibration and (one.calibration.sets or one.calibration.ranges)],
            (
                "have prediction sets (because they were fitted on too few subjects, by an older version,"
                " or not at all)"
            ),
            "Name a model that was fitted on enough subjects with --model, or leave the option out.",
        ),
        (
            "--abstain-above" if abstain_above is not None else "",
            of_classes,
            "predict classes, and only classifiers can abstain",
            "Leave it out; --sets gives ranges of years.",
        ),
    ):
        without = [one.name for one in models if one not in able]
        others, do = ", ".join(without), "does" if len(without) == 1 else "do"
        if option and not able:
            raise WorkspaceError(f"{option} has no effect: {others} {do} not {why}. {remedy}")
        if option and others:
            notes.append(f"{option} does not apply to {others}, which {do} not {why}.")
    return notes
