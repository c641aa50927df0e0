# `make demo` and `make test` do all their own set-up on a fresh machine: Python 3.11, git, make.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# The installation compiles nothing in advance, so each process would compile all it imports anew: some 20 s.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo repro test test-slow browser bench bench-gpu models calibrate torture check format venv qlora licences lock

demo: ## the whole pipeline on the built-in model and the sample data
	@test -e .venv/installed || echo "First the installation, one to five minutes. Nothing is installed outside of .venv."
	@$(MAKE) --no-print-directory venv
	@echo "What this machine will take from here on:"
	@$(BIN)/bluepencil doctor | sed -n '/^stage/,$$p'
	$(BIN)/bluepencil repro
	@echo
	@$(BIN)/bluepencil gate || test $$? -eq 3
	@echo
	@echo "To look at:"
	@echo "  reports/founder.html        the page for whoever decides"
	@echo "  data/validate/report.html   what the data is like"
	@echo "  data/split/report.html      which pairs are held out"
	@echo "Next:"
	@echo "  source .venv/bin/activate"
	@echo "  bluepencil study rehearse   the blind study with simulated editors"

repro: venv ## run what changed
	$(BIN)/bluepencil repro

test: venv browser ## the tests of every day
	$(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: venv browser ## the others: whole pipelines twice, processes killed, remotes interrupted, benchmarks
	$(BIN)/python -m pytest -n 2 -m slow

# The ballot page is tested in a real Chromium: the machine's own, else Debian's package, else Playwright's.
browser: venv
	@command -v chromium chromium-browser google-chrome >/dev/null \
	|| { apt-get update -qq && apt-get install -y -qq chromium; } >/dev/null 2>&1 \
	|| $(BIN)/python -m playwright install chromium

bench: venv ## speed, against the libraries' own ways; writes benchmarks/results/
	test -d models/base || $(BIN)/dvc repro base_model
	$(BIN)/python -m benchmarks.mmlu
	$(BIN)/python -m benchmarks.dpo
	$(BIN)/python -m benchmarks.data_scale 1000 10000 100000
	$(BIN)/python -m benchmarks.compare_scale
	$(BIN)/python -m benchmarks.judge_scale

bench-gpu: venv ## what only a GPU can show; adds to benchmarks/results/gpu.json
	$(BIN)/python -m benchmarks.gpu rates training sizes long_rows mmlu

models: venv ## tiny models of 34 families through every stage; writes the table of docs/models.md
	$(BIN)/python -m benchmarks.models

calibrate: venv ## coverage and false-pass rates on thousands of simulated models
	$(BIN)/python -m benchmarks.calibrate_capability
	$(BIN)/python -m benchmarks.calibrate_accuracy
	$(BIN)/python -m benchmarks.calibrate_choice
	$(BIN)/python -m benchmarks.calibrate_ceiling
	$(BIN)/python -m benchmarks.calibrate_curve

torture: venv ## kill, starve and confuse every stage of a tiny pipeline; each time the next repro must heal it
	@command -v faketime >/dev/null || { apt-get update -qq && apt-get install -y -qq faketime; } >/dev/null 2>&1 \
	|| echo "faketime is not here: the case with another clock will not run"
	$(BIN)/python -m tests.support.torture

check: venv ## lint, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml

format: venv
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

venv: .venv/installed

# torch first and alone: what build it is (CPU or CUDA) is up to pip's settings on the machine. It brings what it
# depends on, in the versions of the lock. All the rest is named to the last package in the lock, so several pips
# can unpack it side by side: one uses one core. Python compiles what is imported when it is imported: compiling
# all of it here takes as long as unpacking it.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
.venv/installed: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] < (3, 11) and "Python 3.11 or newer is needed")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) --no-compile --constraint requirements.lock setuptools "$$(grep '^torch==' requirements.lock)"
	grep -v '^torch==' requirements.lock | xargs -n 26 -P 4 $(PIP) --no-compile --no-deps
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

qlora: venv ## add bitsandbytes alone: 4 bits and optimizers of 8 bits, on CUDA
	$(PIP) --no-deps -r requirements-qlora.lock

licences: venv ## rewrite docs/licences.md from what is installed
	$(BIN)/python -m tests.support.licences

lock: ## rewrite requirements.lock from what is installed
	$(BIN)/python -m pip freeze --all --exclude-editable | grep -v '^pip==' | sed 's/+cpu$$//' > requirements.lock.new
	mv requirements.lock.new requirements.lock
