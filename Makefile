# `make repro` reproduces the default experiment, `make test` runs all that CI runs. Both build .venv by themselves.
PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export TOKENIZERS_PARALLELISM := false
# Empty, for where it is set (in containers, mostly) every process would compile what uv has installed anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: repro test lint format browser mutation clean
.DEFAULT_GOAL := repro

# The stage leaves its table to the last line, which also shows it where nothing had to run.
repro: $(STAMP)
	LLARA_TABLE=0 dvc repro
	@python -m stages.evaluate --show

# The browser is fetched while Python's packages are installed and the linters are at work. bitsandbytes loads TorchDynamo
# when it is imported, a second in each of some fifty processes; no test compiles anything.
test:
	@$(MAKE) --no-print-directory -j2 lint browser
	OMP_NUM_THREADS=1 TORCHDYNAMO_DISABLE=1 pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	ruff check .
	ruff format --check .
	mypy
	lint-imports

format: $(STAMP)
	ruff check --fix .
	ruff format .

# Pages are tested in Debian's Chromium. Where it is missing and can't be installed, those tests are skipped, and say so.
browser:
	@command -v chromium >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null \
		&& { timeout 60 apt-get update --quiet=2; timeout 180 apt-get install --quiet=2 --yes --no-install-recommends chromium >/dev/null; }; } \
		|| echo "no chromium: tests of pages will be skipped"

# Not part of CI, for it takes an hour: the tests must notice each wrong change in tests/mutation/mutants.py.
mutation: $(STAMP)
	python -m tests.mutation.run

# Removes the environment and caches, checkpoints and the converted base model; artifacts and metrics stay.
clean:
	rm -rf $(VENV) .llara .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# torch first, by its exact version and by pip, so that no other package's looser wish chooses another build, and pip's
# settings say from where. uv installs the rest in a fraction of pip's time; where it can't, pip does.
$(STAMP): pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt "$$(grep '^torch==' constraints.txt)"
	$(VENV)/bin/python -m pip install --quiet --constraint constraints.txt uv
	$(VENV)/bin/uv pip install --quiet --python $(VENV)/bin/python --constraint constraints.txt --editable ".[dev]" \
		|| $(VENV)/bin/python -m pip install --quiet --constraint constraints.txt --editable ".[dev]"
	touch $@
