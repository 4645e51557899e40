# Two commands do everything: `make demo` and `make test`. Each sets the machine up first (set_up/set_up.sh), once.
PYTHON := .venv/bin/python

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench soak cluster-up cluster-down set-up clean

help:  ## say what can be made
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | awk -F '\t' '{ printf "  make %-14s%s\n", $$1, $$2 }'

demo:  ## set up, train CCVAE and M2 on FashionMNIST on this machine, compare them with the papers
	@bash set_up/set_up.sh demo
	$(PYTHON) launch/sweep.py --cluster local --recipe fashion-mnist-quick

test:  ## set up (with SLURM in a container run as root) and run every test that this machine can run, in four lanes
	@bash set_up/set_up.sh test
	$(PYTHON) -m pytest -n 4 --durations=50

lint:  ## ruff (rules and format) and mypy
	@bash set_up/set_up.sh test
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

bench:  ## images per second of the loaders, of a training step and of a preparation
	@bash set_up/set_up.sh test
	$(PYTHON) -m tests.benchmarks

soak:  ## do faults at random moments to a sweep on a real SLURM (SEED=1 FAULTS=20), and hold it to one left alone
	@bash set_up/set_up.sh test
	$(PYTHON) -m tests.faults.soak --seed $(or $(SEED),1) --faults $(or $(FAULTS),20)

cluster-up:  ## start a SLURM of four pretended nodes on this machine, to try --cluster slurm
	@bash set_up/set_up.sh test
	$(PYTHON) -m tests.cluster up

cluster-down:  ## stop it
	$(PYTHON) -m tests.cluster down

set-up:  ## only set up, and try the optional parts again that were missing the last time
	@bash set_up/set_up.sh --again test

clean:  ## remove .venv and the caches; data/ and runs/ stay
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
