# Every verb a newcomer or the continuous integration needs. `make` alone lists them.

NAME := tile_cache_manager
ZIP := build/$(NAME).zip
PYTHON := .venv/bin/python
# PyQGIS belongs to the system's Python, also where another one comes first on PATH.
export PATH := /usr/bin:/bin:$(PATH)
# Tests without a window of their own draw off screen; the desktop tests start their own screen.
QUIET_SCREEN := QT_QPA_PLATFORM=offscreen
# The tests that need no QGIS run with any Python that has numpy, shapely, requests and pytest.
CORE_PYTHON ?= $(if $(wildcard $(PYTHON)),$(PYTHON),python3)
# So many files of tests run at the same time; 0: one after the other, in one process.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo run test test-core lint format bench package install clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: ## install what is missing (apt packages, .venv and two more environments); quick when nothing is
	@tools/setup.sh

demo: setup ## update a cache in the real QGIS window, pictures in build/demo
	$(PYTHON) tests/desktop/launch.py demo

run: setup ## open QGIS with the plugin and a stand-in ArcGIS site to try it on
	$(PYTHON) tests/desktop/launch.py run

test: setup lint ## all checks and tests, the real QGIS window among them
	$(QUIET_SCREEN) $(PYTHON) -m pytest -n $(WORKERS) --dist loadfile $(ARGS)

test-core: ## the tests that need no QGIS (CORE_PYTHON=... names the Python)
	$(CORE_PYTHON) -m pytest tests/core $(ARGS)

lint: setup ## ruff (rules and format) and mypy
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy

format: setup ## let ruff rewrite what it can
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: setup ## measure beside the peers, which it installs where they are missing (ROW=... picks rows)
	@tools/setup.sh bench
	$(QUIET_SCREEN) PYTHONPATH=tests $(PYTHON) -m benchmarks $(ROW)

package: ## build/tile_cache_manager.zip from the last commit, ready for the plugin repository
	@mkdir -p $(dir $(ZIP))
	git archive --format=zip --prefix=$(NAME)/ -o $(ZIP) HEAD
	@echo "package: $(ZIP)"

install: ## link this checkout into QGIS's default profile
	@tools/install.sh

clean: ## remove what the other verbs made, except the environments
	rm -rf build .mypy_cache .pytest_cache .ruff_cache
	find . -path './.venv*' -prune -o -name __pycache__ -type d -exec rm -rf {} +
