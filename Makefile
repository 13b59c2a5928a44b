# make demo    explain real su(Hw) peaks with the shipped model, and say where to look
# make test    run the tests, but for those that take long; make test-all runs these too
# make check   lint, format, types, the pages, what the first tutorials say, and the package alone
# make docs    build the pages of docs/ to docs/_build, without the network; a warning is an error
# make tutorials do what the first tutorials say, and look whether it is what they show
# make package build wheel and sdist, and run the demo where nothing but the wheel is
# make workflow  run the Snakemake workflow on the demo's data
# make slurm   run it on a SLURM of one node that is started for it; CONFIG=... and PROFILE=... are yours, or the demo
# make test-slurm  send it to a SLURM of one node (root; Debian: slurm-wlm munge, and slurmdbd mariadb-server)
# make test-cloud  run it where jobs share no folder, through a storage plugin, and look at Kubernetes' pods
# make bench   measure speed and print it beside its targets; BENCH_OPTIONS=--records shows what is kept;
#              bench-gpu times the engine on a GPU
# make lock    write the locks, the plain one and those with hashes, from the versions installed here
# make licences  list the licence of all that is installed, and stop where one doesn't suit
# make sbom    write sbom.cdx.json, a CycloneDX bill of materials of the environment
# make evidence  list the experiments; NAME=... does one and refreshes benchmarks/RESULTS.md

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
DEMO := demo-output
# More for pip, such as another index: make demo PIP_OPTIONS="..."
PIP_OPTIONS ?=
# What the tests were last run with; LOCK=constraints.txt takes the newest versions that the ranges allow.
LOCK ?= requirements-tests.txt
# One worker a core, up to four; who is done takes tests from another's end.
WORKERS := -n auto --maxprocesses 4 --dist worksteal
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_OPTIONS)

.PHONY: demo test test-all slurm test-slurm test-cloud check docs tutorials package workflow bench bench-gpu evidence lock licences sbom clean

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] <= (3, 13); \
	  sys.exit(None if ok else "sparselrp needs Python 3.11 to 3.13; say which with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints.txt
	$(INSTALL) -e '.[motifs]'
	touch $@

# Loops are compiled as a part of the installation, as what pip installs is; again when tests find ours changed.
$(VENV)/.installed-test: $(VENV)/.installed $(LOCK)
	$(INSTALL) -c $(LOCK) -e '.[test,workflow]'
	PYTHONPATH=.:tests $(BIN)/python -m helpers.warming
	touch $@

$(VENV)/.installed-check: $(VENV)/.installed-test
	$(INSTALL) -c $(LOCK) -e '.[check]'
	touch $@

demo: $(VENV)/.installed
	@SPARSELRP=$(BIN)/sparselrp DEMO=$(DEMO) sh data/demo.sh

# Compiled files are kept, whatever is set outside: the workers and each command of a test would compile all
# of them again.
test test-all test-slurm test-cloud: export PYTHONDONTWRITEBYTECODE =

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(WORKERS) -m "not slow" $(PYTEST_OPTIONS)

test-all: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(WORKERS) $(PYTEST_OPTIONS)

# Plugins that only these tests need.
SLURM_PLUGINS := 'snakemake-executor-plugin-slurm>=2.8,<3'
CLOUD_PLUGINS := 'snakemake-executor-plugin-kubernetes>=0.5' 'snakemake-storage-plugin-s3>=0.3' \
  'snakemake-storage-plugin-fs>=1.1'

# The profile as it is, but for waiting: a small node answers at once.
CONFIG ?= workflow/config/demo.yaml
PROFILE ?= workflow/profiles/slurm
QUICK := --slurm-init-seconds-before-status-checks 5 --seconds-between-status-checks 5 --latency-wait 20

# What is to be run is looked for before anything is installed.
slurm: $(CONFIG) $(PROFILE) $(VENV)/.installed-test
	$(INSTALL) -c $(LOCK) $(SLURM_PLUGINS)
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python tests/helpers/slurm_node.py $(BIN)/snakemake -s workflow/Snakefile \
	  --configfile $(CONFIG) --workflow-profile $(PROFILE) $(QUICK)

test-slurm: $(VENV)/.installed-test
	$(INSTALL) -c $(LOCK) $(SLURM_PLUGINS)
	$(BIN)/python -m pytest tests/workflow/test_slurm.py $(PYTEST_OPTIONS)

test-cloud: $(VENV)/.installed-test
	$(INSTALL) -c $(LOCK) $(CLOUD_PLUGINS)
	$(BIN)/python -m pytest tests/workflow/test_nothing_shared.py $(PYTEST_OPTIONS)

check: $(VENV)/.installed-check docs tutorials package
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.installed-test
	$(BIN)/python -m sphinx -b html -a -W --keep-going -q docs docs/_build
	@echo 'open docs/_build/index.html'

tutorials: $(VENV)/.installed-test
	$(BIN)/python -m pytest $(addprefix tests/tutorials/,test_first.py test_own_model.py test_readme.py) $(PYTEST_OPTIONS)

package: $(VENV)/.installed-test
	$(BIN)/python -m pytest tests/workflow/test_package.py $(PYTEST_OPTIONS)

workflow: $(VENV)/.installed-test
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/snakemake -s workflow/Snakefile --configfile workflow/config/demo.yaml -c 2

bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks.speed.table $(BENCH_OPTIONS)

bench-gpu: $(VENV)/.installed
	$(BIN)/python -m benchmarks.speed.engine_speed --device cuda --batches 1 16 256 $(BENCH_OPTIONS)
	$(BIN)/python -m benchmarks.speed.selection --device cuda

evidence: $(VENV)/.installed-test
	@$(BIN)/python -m benchmarks.evidence $(NAME) $(OPTIONS)

$(VENV)/.installed-supply: $(VENV)/.installed-check
	$(INSTALL) -c $(LOCK) -e '.[supply]'
	touch $@

lock: $(VENV)/.installed-supply
	$(BIN)/python packaging/lock.py > requirements-tests.txt
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python packaging/hashed_lock.py

licences: $(VENV)/.installed-supply
	$(BIN)/python packaging/licences.py

sbom: $(VENV)/.installed-supply
	$(BIN)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON \
	  --output-file sbom.cdx.json $(BIN)/python

clean:
	rm -rf $(VENV) $(DEMO) docs/_build .pytest_cache .mypy_cache .ruff_cache
