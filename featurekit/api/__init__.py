"""The rooms behind `import featurekit as fk`: what a notebook, a script and the command line call."""
