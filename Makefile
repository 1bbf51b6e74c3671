# Everything a bare machine needs: `make demo` or `make test`. A second run reuses what the first installed.
#   VENV=path    use an existing virtual environment, e.g. that of another clone (it is about 7 GB)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export PYTHONPATH := $(CURDIR)
DEMO := demo
FEATUREKIT := $(BIN)/python cli.py
# What has been installed is noted under a name that changes with what should be.
INSTALLED := $(VENV)/.featurekit-$(shell cksum < pyproject.toml | cut -d' ' -f1)

.PHONY: demo test lint install weights clean

install: $(INSTALLED)

$(INSTALLED):
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

weights: $(INSTALLED)
	$(FEATUREKIT) weights fetch builtin

# The main job end to end, on made-up portraits that are drawn here.
demo: weights
	$(FEATUREKIT) --workspace $(DEMO) prepare synthetic $(DEMO)/synthetic
	$(FEATUREKIT) --workspace $(DEMO) extract
	$(FEATUREKIT) --workspace $(DEMO) fit --model svm --model random_forest --model xgboost
	$(FEATUREKIT) --workspace $(DEMO) report
	$(FEATUREKIT) --workspace $(DEMO) predict --sample-portrait --draw $(DEMO)/portrait

test: weights
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:
	rm -rf $(DEMO) .venv
