# The commands of the README, and the checks of the code. It needs only Python 3.11 or newer.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: bench bench-real test lint docs clean

bench: .venv/installed  ## test the code hypothesis; writes reports/latest/report.html
	$(BIN)/python -m pytest -m code_hypothesis

bench-real: .venv/installed  ## optional: test a pretrained model of 135M parameters on 716 examples; downloads 93 MB
	$(BIN)/python -m pytest -m alignment_hypothesis --boxes-suite=$$($(BIN)/python -m fixtures.real)

test: .venv/installed  ## test the suite itself; the long tests run first, so that the workers end together
	$(BIN)/python -m pytest tests/integration tests/unit -m "not real and not nightly and not server" -n 2 --dist=load \
		-p hypothesispytest

lint: .venv/installed
	$(BIN)/pip install --quiet -c constraints.txt -e '.[lint]'
	$(BIN)/ruff check .
	$(BIN)/mypy bench fixtures
	$(BIN)/lint-imports --no-cache
	$(BIN)/bandit --quiet --recursive --configfile pyproject.toml bench fixtures
	$(BIN)/pip-audit --requirement constraints.txt --disable-pip --no-deps --progress-spinner off

docs: .venv/installed  ## build docs/ as a site in build/site; a warning is an error
	$(BIN)/pip install --quiet -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

.venv/installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than 3.11. Run: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

clean:
	rm -rf .venv .boxes .pytest_cache *.egg-info
