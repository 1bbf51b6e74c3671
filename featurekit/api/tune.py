"""Parameters of a model, searched for on splits that never share a subject."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.api.arguments import as_list, threads_of
from featurekit.api.embed import Embeddings, features_of, joined_ledger
from featurekit.api.evaluate import kinds_of
from featurekit.data.manifest import Manifest
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import ModelError
from featurekit.estimators import Resources, candidates
from featurekit.evaluation.examples import examples_of
from featurekit.evaluation.planning import plan
from featurekit.evaluation.tuning import INNER_FOLDS, Search, search
from featurekit.networks.engines import usable_cores


def tune(
    data: Manifest,
    X: Embeddings,
    model: Any = "svm",
    *,
    target: str,
    grid: Mapping[str, Sequence[Any]] | None = None,
    folds: int = INNER_FOLDS,
    seed: int = 0,
    n_jobs: int | None = None,
) -> Search:
    """Try every combination of a model's parameters on splits that never share a subject.

    All faces take part in the choice, so its score flatters: `fk.evaluate(..., tune=True)` searches inside
    every training part anew, and its scores are honest. This shows which parameters matter.

    Args:
        data: whose labels.
        X: from `fk.embed`.
        model: a model's name, or an estimator of scikit-learn's kind with a grid.
        target: label to read.
        grid: parameter → values; None for the model's own.
        folds: how many splits.
        seed: of the random number generator.
        n_jobs: how many threads; None or -1 for one a core.

    Returns:
        The search: ``.best``, ``.score`` (accuracy, or minus the mean absolute error in years) and
        ``.frame()``, a row a combination.

    Raises:
        ModelError: the model has no parameters that are searched for, or a value is impossible.
        TargetError: there is no such label, or nobody has it.
        FoldError: too few subjects.

    Example:
        >>> import featurekit as fk
        >>> fk.tune(data, X, "svm", target="gender").frame()    # doctest: +SKIP
    """
    (kind,) = kinds_of([model])
    several = features_of(X)
    if len(several) > 1:
        raise ModelError("One search is on one set of features. Join them: fk.embed(data, 'a+b').")
    ledger = joined_ledger(several)
    names = ["+".join(several[0].features)]
    values = {name: as_list(value) for name, value in grid.items()} if grid else None
    # Names and values that the model cannot have raise an error before anything is fitted.
    tried = candidates(values) if values else ({},)
    plans = plan(data, ledger, models=[kind], targets=[target], features=names, variations=tried)
    one = next(one for one in plans if one.is_asked)
    if kind.reads != "embeddings" or (values is None and (kind.grid is None or not kind.grid(one.target))):
        raise ModelError(
            f"{kind.name} has no parameters that are searched for. Give some: grid={{'NAME': [VALUE, …]}}."
        )
    vectors = load_embeddings(
        data, [ledger.recipes[part] for part in one.reads], ledger.settings, several[0].store
    )
    examples = examples_of(data, one, vectors)
    return search(
        kind,
        one.target,
        examples.X,
        examples.y,
        examples.subjects,
        blocks=vectors.blocks,
        seed=seed,
        resources=Resources(threads=threads_of(n_jobs) or usable_cores()),
        grid=values,
        n_folds=folds,
    )
