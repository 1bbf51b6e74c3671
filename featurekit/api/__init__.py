"""The public functions and classes: what `import featurekit as fk` offers."""
