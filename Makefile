# make setup | demo | test | lint | types | docs | clean. All but clean set up what they need in .venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check
READY := .venv/ready
DOCS_READY := .venv/docs-ready
TORCH := $(shell sed -n 's/^\(torch==[^ ;]*\).*/\1/p' constraints.txt)

.PHONY: setup demo test lint types docs clean

setup: $(READY)

# torch goes first, by its exact version: a loose range would let pip choose another build of several gigabytes.
# What was installed, with its local version, is then written down as a constraint, so that nothing replaces it.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "supernet needs Python 3.10 or newer; choose one with: make PYTHON=python3.11")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "making a virtual environment in .venv"; $(PYTHON) -m venv --clear .venv; }
	@echo "installing $(TORCH) into .venv: the largest part, some minutes where it is not in pip's cache"
	$(PIP) $(TORCH)
	@echo "installing Supernet and what it needs (constraints.txt)"
	@$(BIN)/python -c 'from importlib.metadata import version; print("torch==" + version("torch"))' > .venv/torch.txt
	$(PIP) -c constraints.txt -c .venv/torch.txt -e '.[export,search,slurm,dev]'
	@touch $@
	@echo "installed; to use it in a shell: . $(BIN)/activate"

$(DOCS_READY): $(READY)
	@echo "installing what the documentation is built with"
	$(PIP) -c constraints.txt -c .venv/torch.txt -e '.[docs]'
	@touch $@

demo: setup
	$(BIN)/python examples/demo.py

test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 8 --dist worksteal

lint: setup
	$(BIN)/python -m ruff check .

types: setup
	$(BIN)/python -m mypy

docs: $(DOCS_READY)
	$(BIN)/python -m sphinx -q -W --keep-going -j auto -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

clean:
	rm -rf .venv build dist docs/_build docs/generated .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests examples benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
