# Everything a bare machine needs: `make demo` or `make test`. A second run reuses what the first installed.
#   VENV=path    use an existing virtual environment, e.g. that of another clone (it is about 7 GB)
#   LOCK=        install the newest versions that pyproject.toml allows, not those of constraints.txt

PYTHON ?= python3
VENV ?= .venv
LOCK ?= constraints.txt
BIN := $(VENV)/bin
export PYTHONPATH := $(CURDIR)
DEMO := demo
FEATUREKIT := $(BIN)/python cli.py
# What has been installed is noted under a name that changes with what should be.
INSTALLED := $(VENV)/.featurekit-$(shell cat pyproject.toml $(LOCK) | cksum | cut -d' ' -f1)

.PHONY: demo test slow lint docs install weights lock audit clean

install: $(INSTALLED)

$(INSTALLED):
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(LOCK:%=-c %) -e '.[dev]'
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

# Two processes on two cores: each computes on one thread unless a test says otherwise, and files that take long are
# not left for the end. The tests start hundreds of processes, each of which would compile all modules again where
# Python is told to keep no bytecode.
PYTEST = env -u PYTHONDONTWRITEBYTECODE OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test: weights
	$(PYTEST) -m "not slow"

# What takes too long to be waited for: simulations, every command under strace, every call of an extraction failing.
# A network that comes from elsewhere than the builtin ones is tried where it can be had.
slow: weights
	-$(FEATUREKIT) weights fetch dlib_face
	$(PYTEST) -m slow

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/bandit -c pyproject.toml -q -r featurekit

# The documentation, in site/: without the network, and without a link that leads nowhere.
docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --config-file docs/mkdocs.yml
	@echo "Open site/index.html"

# The newest of everything, installed here and written down.
lock:
	$(MAKE) install LOCK=
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade --upgrade-strategy eager \
		-e '.[dev]'
	grep '^#' constraints.txt > constraints.new
	$(BIN)/python -m pip freeze --exclude-editable | grep '==' \
		| grep -vE '^((torch|torchvision|triton|pip|setuptools|wheel)==|nvidia|cuda)' >> constraints.new
	mv constraints.new constraints.txt

# What is installed, looked up among known vulnerabilities. It asks PyPI, so it is no part of the tests; a
# package that cannot be looked up fails it.
audit: $(INSTALLED)
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --strict --skip-editable --progress-spinner off \
		--path "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"

clean:
	rm -rf $(DEMO) site .venv
