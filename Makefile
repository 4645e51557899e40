# Two commands do everything: `make demo` and `make test`. Each first sets up the machine (setup/setup.sh), once.
PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench soak cluster-up cluster-down setup clean

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "  make %-14s%s\n", $$1, $$2 }'

demo:  ## set up, train CCVAE and M2 on FashionMNIST on this machine, compare them with the papers
	@bash setup/setup.sh demo
	$(PYTHON) launch/sweep.py --cluster local --recipe fashion-mnist-quick

test:  ## set up (with SLURM in a container run as root) and run every test that this machine can run, in four lanes
	@bash setup/setup.sh test
	$(PYTHON) -m pytest -n 4 --durations=50

lint:  ## ruff (rules and format) and mypy
	@bash setup/setup.sh test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

bench:  ## images/s of the loaders, of a training step and of a preparation; seconds of each measure
	@bash setup/setup.sh test
	$(PYTHON) -m tests.benchmarks

soak:  ## inject faults at random moments into a sweep on a real SLURM (SEED=1 FAULTS=20 CELLS=cells per job), and compare it with a reference
	@bash setup/setup.sh test
	$(PYTHON) -m tests.faults.soak --seed $(or $(SEED),1) --faults $(or $(FAULTS),20) $(if $(CELLS),--cells-per-gpu $(CELLS))

cluster-up:  ## start a SLURM of four emulated nodes on this machine, to try --cluster slurm
	@bash setup/setup.sh test
	$(PYTHON) -m tests.cluster up

cluster-down:  ## stop it
	$(PYTHON) -m tests.cluster down

setup:  ## only set up, and retry optional parts that were missing the last time
	@bash setup/setup.sh --again test

clean:  ## remove .venv and the caches; data/ and runs/ are kept
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
