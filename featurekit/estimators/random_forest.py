"""A random forest: the mean of many trees, each grown on a random sample of faces and features.

The trees are grown on principal components, because each split chooses among a random
part of the features, and among thousands of raw features few are informative. Class
weights are balanced, which raises the accuracy of small classes.
"""

from featurekit.estimators import classifier, either

classifier(
    "random_forest",
    about="random forest of 200 trees on 128 principal components",
    # The forests worth trying, shallow and small ones first. A larger forest would gain little accuracy, and
    # this is the slowest search of all.
    grid=lambda target: {
        "min_samples_leaf": (4, 2) if target.is_regression else (5, 2),
        "n_estimators": (50, 100, 200),
    },
    trusted_types=(
        "featurekit.estimators._forest.ForestClassifier",
        "featurekit.estimators._forest.ForestRegressor",
        "numpy.random.mtrand.RandomState",
        "sklearn.ensemble._forest.RandomForestClassifier",
        "sklearn.ensemble._forest.RandomForestRegressor",
        "sklearn.tree._classes.DecisionTreeClassifier",
        "sklearn.tree._classes.DecisionTreeRegressor",
        "sklearn.tree._tree.Tree",
    ),
)(either("ForestClassifier", "ForestRegressor"))
