"""Search for the best parameters of a model on splits that never share a subject."""

from collections.abc import Mapping, Sequence
from typing import Any

from featurekit.api.arguments import as_list, threads_of
from featurekit.api.embed import Embeddings, features_of, joined_ledger
from featurekit.api.evaluate import kinds_of
from featurekit.checked import checked
from featurekit.data.manifest import Manifest
from featurekit.embeddings.vectors import load_embeddings
from featurekit.errors import FoldError, ModelError
from featurekit.estimators import Resources, candidates
from featurekit.evaluation.examples import examples_of
from featurekit.evaluation.planning import plan
from featurekit.evaluation.tuning import INNER_FOLDS, Search, search
from featurekit.networks.engines import usable_cores


@checked("X")
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

    Use the search to see which parameters matter. The score of the best combination is too optimistic,
    because the combination was chosen on the same faces. `fk.evaluate(..., tune=True)` repeats the search in
    each training part, so its scores have no such bias.

    Args:
        data: the data set, which has the labels.
        X: embeddings from `fk.embed`.
        model: name of a model, or a scikit-learn estimator with a grid.
        target: the label to predict.
        grid: mapping from parameter to a list of values; None for the grid of the model.
        folds: number of splits.
        seed: seed of the random number generator.
        n_jobs: number of threads; None or -1 for one per core.

    Returns:
        The search, which has ``.best`` (parameters), ``.score`` (accuracy, or minus the mean absolute error
        in years) and ``.frame()``, a table with one row for each combination.

    Raises:
        ModelError: the model has no parameters to search for, or cannot have one of the values.
        TargetError: the data set has no such label, or no face has a value of it.
        FoldError: there are fewer than two folds, or the data set has too few subjects.

    Example:
        >>> import featurekit as fk
        >>> fk.tune(data, X, "svm", target="gender").frame()    # doctest: +SKIP
    """
    if folds < 2:
        raise FoldError(f"The number of folds (--folds) must be at least 2. Got {folds} instead.")
    (kind,) = kinds_of([model])
    several = features_of(X)
    if len(several) > 1:
        raise ModelError("A search uses one feature set. Join the networks: fk.embed(data, 'a+b').")
    ledger = joined_ledger(several)
    names = ["+".join(several[0].features)]
    values = {name: as_list(value) for name, value in grid.items()} if grid else None
    # Names and values that the model cannot have raise an error before anything is fitted.
    tried = candidates(values) if values else ({},)
    plans = plan(data, ledger, models=[kind], targets=[target], features=names, variations=tried)
    one = next(one for one in plans if one.is_asked)
    if kind.reads != "embeddings" or (values is None and (kind.grid is None or not kind.grid(one.target))):
        raise ModelError(
            f"{kind.name} has no parameters to search for. Give some: grid={{'NAME': [VALUE, …]}}."
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
        fitted=one.fitted,
        seed=seed,
        resources=Resources(threads=threads_of(n_jobs) or usable_cores()),
        grid=values,
        n_folds=folds,
    )
