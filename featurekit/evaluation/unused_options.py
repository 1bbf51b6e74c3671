"""Options of a command that would have no effect on anything that it is to do.

Where an option concerns no model at all the user meant something that will not happen: an error, with what
to type instead. Where it concerns some models only, the others are named, and the command goes on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.data.manifest import names_ethnicity
from featurekit.errors import EngineError, WorkspaceError
from featurekit.evaluation.planning import Plan
from featurekit.faces.detectors import DETECTORS
from featurekit.inference.model import TrainedModel
from featurekit.networks.backbones import split_feature
from featurekit.networks.engines import DEVICES


def unused_options(
    plans: Sequence[Plan],
    *,
    features: Sequence[str] | None = None,
    join: bool = False,
    tune: bool = False,
    device: str = "auto",
    variations: Sequence[Mapping[str, Any]] = ({},),
    ethnicity: bool = False,
) -> list[str]:
    """Return which models options do not concern, a sentence each.

    Args:
        plans: from plan(), with these options.
        features: feature sets that were named; None for none.
        join: whether features are to be joined.
        tune: whether parameters are to be searched for.
        device: "auto", "cpu" or "cuda".
        variations: parameters that were given.
        ethnicity: whether a label of ethnicities was allowed as a target.

    Raises:
        WorkspaceError: an option concerns none of the models; the message says what to type instead.
        EngineError: a GPU is asked for and no model uses one, or a word that is no device.
    """
    if device not in DEVICES:
        raise EngineError(f"device must be one of {', '.join(DEVICES)}. Got '{device}' instead.")
    asked = [one for one in plans if one.is_asked]
    if ethnicity and not any(names_ethnicity(one.target.name) for one in asked):
        raise WorkspaceError(
            "--allow-ethnicity has no effect: no target is named like an ethnicity. Name the label column"
            " with --target, or leave the option out."
        )
    notes = _of_features(asked, features, join)
    if tune:
        notes += _for_some(
            asked,
            [one for one in asked if one.kind.grid is not None and one.kind.grid(one.target)],
            "--tune",
            "has parameters to search for",
            "Leave it out, or use a model that has, for example --model svm.",
        )
    if device != "auto":
        notes += _of_device(asked, device)
    notes += _not_learned(asked, plans)
    for name in dict.fromkeys(name for changes in variations for name in changes):
        without = _names([one for one in asked if one.kind.name not in _with(asked, name)])
        if without:
            notes.append(
                f"{without} is fitted once, with its default parameters: it has no parameter {name}."
            )
    return notes


def _of_features(asked: Sequence[Plan], features: Sequence[str] | None, join: bool) -> list[str]:
    """Return which models --features and --join do not concern."""
    notes = []
    choose = [one for one in asked if _chooses_features(one)]
    if features is not None:
        notes += _for_some(
            asked,
            choose,
            "--features",
            "reads vectors of your choice",
            "Leave it out, or use a model that reads vectors, for example --model svm.",
        )
        notes += _not_started_from(asked, features)
    if join:
        _check_join(choose, features)
        notes += _for_some(asked, choose, "--join", "reads vectors of your choice", "Leave it out.")
    return notes


def _of_device(asked: Sequence[Plan], device: str) -> list[str]:
    """Return which models --device cpu, or cuda, does not concern."""
    able = [one for one in asked if one.kind.uses_gpu]
    if device == "cpu":  # which is what the others use anyway
        return [] if able else ["--device cpu has no effect, because these models use no other device."]
    return _for_some(
        asked,
        able,
        f"--device {device}",
        "can use a GPU",
        "Leave it out, or use a network that is trained end to end, for example --model multitask_cnn.",
    )


def _not_learned(asked: Sequence[Plan], plans: Sequence[Plan]) -> list[str]:
    """Return a note on the targets that models which give only classes, or only years, are not fitted for."""
    targets = dict.fromkeys(one.target for one in plans)
    notes = []
    for name, reads in {one.kind.name: one.kind.reads_target for one in asked}.items():
        left = [target for target in targets if reads is not None and not reads(target)]
        if left:
            what = "classes" if left[0].is_regression else "years"
            notes.append(f"{name} is not fitted for {', '.join(one.name for one in left)}: it gives {what}.")
    return notes


def _chooses_features(one: Plan) -> bool:
    return bool(one.kind.starts_from) or (
        one.kind.reads == "embeddings" and one.kind.features is None and not one.kind.is_baseline
    )


def _with(plans: Sequence[Plan], parameter: str) -> set[str]:
    return {one.kind.name for one in plans if parameter in one.parameters}


def _for_some(asked: Sequence[Plan], able: Sequence[Plan], option: str, does: str, remedy: str) -> list[str]:
    """Return a note on the models that an option does not concern; raise an error where that is all."""
    if not able:
        raise WorkspaceError(f"{option} has no effect: none of {_names(asked)} {does}. {remedy}")
    others = _names([one for one in asked if one.kind.name not in {other.kind.name for other in able}])
    return [f"{option} does not apply to {others}."] if others else []


def _check_join(choose: Sequence[Plan], features: Sequence[str] | None) -> None:
    """Raise WorkspaceError where there are no two feature sets to be joined."""
    n_parts = max(
        (len(one.features) for one in choose if not (features is None and one.kind.starts_from)), default=0
    )
    if n_parts < 2 or (features is not None and len(set(features)) < 2):
        there = ", ".join(dict.fromkeys(one.feature_name for one in choose)) or "none"
        raise WorkspaceError(
            f"--join has no effect: there are no two feature sets to join (there is {there}). Give several"
            " with --features, or leave --join out."
        )


def _not_started_from(asked: Sequence[Plan], features: Sequence[str]) -> list[str]:
    """Return a note on the feature sets that models which train networks further cannot start from."""
    notes = []
    for kind in dict.fromkeys(one.kind.name for one in asked if one.kind.starts_from):
        used = {part for one in asked if one.kind.name == kind for part in one.networks}
        left = [text for text in features if not {part.partition(":")[0] for part in text.split("+")} <= used]
        if left:
            notes.append(
                f"{kind} does not start from {', '.join(left)}, because it trains networks up to their"
                " default layers."
            )
    return notes


def _names(plans: Sequence[Plan]) -> str:
    return ", ".join(dict.fromkeys(one.kind.name for one in plans))


def unused_of_extract(
    backbones: Sequence[str], detector: str, *, choose: str, device: str, precision: str, mirrored: bool
) -> list[str]:
    """Return which networks options of `featurekit extract` do not concern, a sentence each.

    Args:
        backbones: names of the networks, with or without a layer.
        detector: how faces are found.
        choose: which of several faces.
        device: "auto", "cpu" or "cuda".
        precision: "auto", "fp32" or "bf16".
        mirrored: whether the mirror images are read too.

    Raises:
        WorkspaceError: an option concerns nothing that is extracted; the message says what to type instead.
    """
    if not DETECTORS[detector].searches and choose in ("largest", "only"):
        raise WorkspaceError(
            f"--choose {choose} has no effect with --detector {detector}: the whole image is the one face."
            " Leave it out."
        )
    found = [split_feature(name)[0] for name in backbones]
    notes = []
    for option, able, does in (
        (
            f"--device {device}" if device == "cuda" else "",
            [one for one in found if one.weights],
            "is a network that a GPU can run",
        ),
        (
            f"--precision {precision}" if precision not in ("auto", "fp32") else "",
            [one for one in found if one.weights],
            "is a network that can be computed with another precision than fp32",
        ),
        (
            "--mirror" if mirrored else "",
            [one for one in found if not one.is_picture],
            "can use mirror images: the mean of a face and its mirror image is not a face",
        ),
    ):
        others = ", ".join(dict.fromkeys(one.name for one in found if one not in able))
        if option and not able:
            raise WorkspaceError(f"{option} has no effect: none of {others} {does}. Leave it out.")
        if option and others:
            notes.append(f"{option} does not apply to {others}.")
    return notes


def unused_of_predict(
    models: Sequence[TrainedModel],
    *,
    sets: bool,
    abstain_above: float | None,
    probabilities: bool = False,
) -> list[str]:
    """Return which models options of `featurekit predict` do not concern, a sentence each.

    Args:
        models: who reads the photographs.
        sets: whether the answers that may be true are asked for.
        abstain_above: share of wrong answers that is allowed; None for any.
        probabilities: whether those of all classes are asked for.

    Raises:
        WorkspaceError: an option concerns none of the models; the message says what to type instead.
    """
    notes = []
    of_classes = [one for one in models if not one.target.is_regression]
    for option, able, why, remedy in (
        (
            "--probabilities" if probabilities else "",
            of_classes,
            "predict classes, but years",
            "Leave it out, or add a model of classes.",
        ),
        (
            "--sets" if sets else "",
            [one for one in models if one.calibration and (one.calibration.sets or one.calibration.ranges)],
            (
                "have prediction sets (they were fitted on too few subjects, or by an older version, or"
                " not at all)"
            ),
            "Fit them again on more subjects, or leave it out.",
        ),
        (
            "--abstain-above" if abstain_above is not None else "",
            of_classes,
            "predict classes, and a model cannot abstain from a prediction in years",
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
