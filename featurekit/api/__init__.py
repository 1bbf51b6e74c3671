"""Implementation of `import featurekit as fk`: the functions that notebooks and the command line call."""
