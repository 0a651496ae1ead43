# Everything a developer does here is one command; `make` alone lists them.
# Variables: PYTHON (the interpreter to start from), VENV, ARGS (passed on), PHOTO (a picture for the demo), DATA and
# QUICK (of the recipes).

PYTHON ?= python3
VENV ?= .venv
DEMO_VENV := build/venv-demo
LOWEST_VENV := build/venv-lowest
SCRIPTS := $(if $(filter Windows_NT,$(OS)),Scripts,bin)
BIN := $(VENV)/$(SCRIPTS)
# A test file stays in one process, so that what its tests share is made once. tests/spreading.py counts the processes and
# orders the files.
SPREAD := -n auto --dist loadfile --no-loadscope-reorder
RUNTIME := pyproject.toml README.md LICENSE $(wildcard nicodec/*.py nicodec/*/*.py nicodec/*/*/*.py checkpoints/*)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv install check format test test-quick test-lowest test-web web web-demo demo vectors bench recipes docs \
	wheel clean

help:  ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

venv: $(VENV)/.made  ## an empty virtual environment in .venv

install: $(VENV)/.installed  ## the package, editable, with everything that tests, training and benchmark need

check: $(VENV)/.installed  ## formatting, lint, types
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy

format: $(VENV)/.installed  ## put the code into its one form, and mend what lint can mend
	$(BIN)/python -m ruff format .
	$(BIN)/python -m ruff check --fix .

test: $(VENV)/.installed  ## all tests, in a process for each core; ARGS may name files, or "-n 0" for one process
	$(BIN)/python -m pytest $(SPREAD) $(ARGS)

test-quick: $(VENV)/.installed  ## the tests without the slow ones
	$(BIN)/python -m pytest $(SPREAD) -m "not slow" $(ARGS)

test-lowest: $(LOWEST_VENV)/.installed  ## the tests that need no torch, with the lowest versions allowed (Python 3.11)
	$(LOWEST_VENV)/$(SCRIPTS)/python -m pytest $(SPREAD) $(ARGS)

web: web/node_modules/.installed  ## the decoder of browsers, in web/dist and nicodec/page (npm)
	cd web && npm run --silent build

test-web: web/node_modules/.installed $(VENV)/.installed  ## the decoder of browsers: in Node, Chromium and Firefox
	web/browsers.sh
	cd web && npm run --silent check
	mkdir -p build/web/album
	cp tests/vectors/c37e9372-photograph/file.nic build/web/album/photograph.nic
	cp tests/vectors/c37e9372-gray/file.nic build/web/album/gray.nic
	cp tests/vectors/c37e9372-lossless/file.nic build/web/album/lossless.nic
	$(BIN)/nicodec page -f --quiet build/web/album/photograph.nic build/web/photograph.html
	$(BIN)/nicodec page -f --quiet build/web/album/ -o build/web/album.html
	$(BIN)/nicodec encode -f --quiet --no-lossless -m photo-fast docs/strip.jpg build/web/large.nic
	PYTHONPATH=tests:tests/fuzz $(BIN)/python tests/fuzz/fuzz_web.py build/web/cases 300
	node web/test/fuzz.mjs build/web/cases
	cd web && NIC_PYTHON=$(abspath $(BIN))/python NIC_PAGE=$(CURDIR)/build/web/photograph.html NIC_PAGE_VECTOR=c37e9372-photograph \
		NIC_ALBUM=$(CURDIR)/build/web/album.html NIC_LARGE=$(CURDIR)/build/web/large.nic npm run --silent test $(ARGS)

web-demo: web  ## a page to drop a .nic file on, at http://localhost:8000/demo/
	cd web && $(PYTHON) -m http.server --bind 127.0.0.1 $(or $(PORT),8000)

demo: $(DEMO_VENV)/.installed  ## a photograph as .nic and as JPEG: sizes, and a picture to look at in demo/
	$(DEMO_VENV)/$(SCRIPTS)/python bench/demo.py $(if $(PHOTO),"$(PHOTO)")

vectors: $(VENV)/.installed  ## add the conformance vectors of models that have none; those that exist never change
	$(BIN)/python bench/conformance.py

bench: $(VENV)/.installed  ## rate-distortion against the other codecs: make bench ARGS=FOLDER
	$(BIN)/nicodec bench $(ARGS)

recipes: $(VENV)/.installed  ## autoencoders of every kind, measured: make recipes DATA=FOLDER; QUICK=1 only looks that they run
	$(BIN)/python bench/recipes.py -o build/recipes $(if $(QUICK),--quick,"$(DATA)") $(ARGS)

docs: $(VENV)/.installed  ## docs/CLI.md, from the program itself
	$(BIN)/python docs/cli.py

wheel: $(VENV)/.installed  ## the wheel and the source archive in dist/
	$(BIN)/python -m build --outdir dist .
	@ls -l dist

clean:  ## remove everything that was made, the environments too
	rm -rf $(VENV) build dist demo web/node_modules web/build web/dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A stamp stands for each finished step, so that nothing is installed twice and a failed install is tried again.

%/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "Python 3.10 or newer is needed: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(@D)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml requirements/constraints.txt
	$(BIN)/python -m pip install -q -c requirements/constraints.txt \
		-e '.[train,bench,openvino,ray,explore,recipes,test,dev]'
	@touch $@

web/node_modules/.installed: web/package-lock.json
	@command -v npm >/dev/null || { echo "Node 20 or newer with npm is needed for web/"; exit 1; }
	cd web && npm ci --no-audit --no-fund --silent
	@touch $@

# The demonstration installs what a user gets, without torch. From scikit-image it takes the photographs alone.
$(DEMO_VENV)/.installed: $(DEMO_VENV)/.made $(RUNTIME)
	@echo "nicodec and what it needs are installed into $(@D): a minute or two"
	$(DEMO_VENV)/$(SCRIPTS)/python -m pip install -q .
	$(DEMO_VENV)/$(SCRIPTS)/python -m pip install -q --no-deps 'scikit-image>=0.25'
	@touch $@

$(LOWEST_VENV)/.installed: $(LOWEST_VENV)/.made pyproject.toml requirements/lowest.txt
	$(LOWEST_VENV)/$(SCRIPTS)/python -m pip install -q -c requirements/lowest.txt -e '.[bench,test]'
	@touch $@
