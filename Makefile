# Everything a person runs. `make help` lists it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
LOCK    = requirements/run.lock
PIP    := $(BIN)/python -m pip --disable-pip-version-check -q

# Each of the many programs that the tests start would compile everything anew where bytecode is not kept.
unexport PYTHONDONTWRITEBYTECODE

# What pip collects, as a count, so that a first installation is no silent minute. $(1): its arguments
counted = { $(BIN)/python -m pip --disable-pip-version-check install --progress-bar off --require-hashes $(1) || echo FAILED; } \
	| awk '/^Collecting /{printf "\r  package %d", ++n; fflush()} /^Installing collected/{printf "\r  unpacking %d packages", n; fflush()} \
	/^FAILED/{failed = 1} END{if (n) print ""; exit failed}'

.PHONY: help demo test test-fast test-models test-libraries test-distributed test-engines tools engines kubernetes stack lint docs docs-serve dist format bench bench-instrumentation bench-peers lock clean
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-22s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "expected Python 3.11 or newer, got $$($(PYTHON) -V); next step: make PYTHON=python3.12 ..."; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "could not make a virtual environment; next step on Debian or Ubuntu: install python3-venv"; exit 2; }

# What runs the software, and what tests it, are two stamps: `make demo` never waits for the second.
$(VENV)/.run: requirements/run.lock requirements/build.lock pyproject.toml | $(BIN)/python
	@echo "installing otel-llm into $(VENV) ..."
	@$(call counted,-r requirements/build.lock -r requirements/run.lock)
	@$(PIP) install --no-deps --no-build-isolation -e .
	@rm -rf otel_llm.egg-info  # what a build leaves here would be found before what is installed, and grow old
	@touch $@

$(VENV)/.dev: requirements/dev.lock requirements/foreign.lock $(VENV)/.run
	@echo "installing what the tests need into $(VENV) ..."
	@$(call counted,-r requirements/dev.lock)
	@$(PIP) install --require-hashes --no-deps --upgrade --target $(VENV)/foreign -r requirements/foreign.lock  # another's instrumentation: only in programs that ask for it
	@mkdir -p $(VENV)/links && ln -sfn ../../plugins $(VENV)/links/otel_llm_plugins && ln -sfn ../../collector $(VENV)/links/otel_llm_collector && ln -sfn ../../dashboards $(VENV)/links/otel_llm_dashboards  # where mypy finds a folder by its import name
	@touch $@

demo: $(VENV)/.run ## simulated model, load generator, OTLP and the percentiles read back; nothing else to install
	@$(BIN)/otel-llm demo

test: $(VENV)/.dev ## every test, but for the two below; skips what needs `make tools`, and says so
	@$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

test-fast: $(VENV)/.dev ## half of the tests in a few minutes: those without processes, servers, Collector or browser
	@$(BIN)/python -m pytest --fast -n 3 --dist loadfile $(ARGS)

tools: ## build or find the real parts: Collector, Prometheus, Jaeger, a foreign model server, what checks dashboards
	@$(PYTHON) -m tools

engines: ## real model servers on a CPU, each in an environment outside this folder; ARGS="triton ..." for some of them
	@$(PYTHON) -m tools engines $(ARGS)

kubernetes: ## build or find an API server of Kubernetes, which test-distributed asks about manifests
	@$(PYTHON) -m tools kubernetes

stack: ## Collector, Prometheus, Jaeger and a live page on loopback until Ctrl-C
	@exec $(PYTHON) -m tools stack $(ARGS)

# The model libraries are 4 GB, so they have an environment of their own. --no-deps: the lock leaves out triton and
# cusolver, which are never loaded here, and llama-cpp-python, whose wheel is built once and kept outside the checkout.
$(VENV)-models/.dev: requirements/models.lock requirements/build.lock requirements/llama-cpp.lock requirements/llama-cpp-build.lock pyproject.toml
	@echo "installing the model libraries into $(VENV)-models: 4 GB, a few minutes ..."
	@test -x $(VENV)-models/bin/python || $(PYTHON) -m venv $(VENV)-models
	@$(VENV)-models/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-compile -r requirements/build.lock
	@$(VENV)-models/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-compile --no-deps -r requirements/models.lock
	@wheel=$$($(PYTHON) -m tools wheel) && $(VENV)-models/bin/python -m pip --disable-pip-version-check -q install --no-deps "$$wheel"
	@$(VENV)-models/bin/python -m pip --disable-pip-version-check -q install --no-deps --no-build-isolation -e .
	@touch $@

test-models: $(VENV)-models/.dev ## real model servers and classes on tiny models made on the spot; 4 GB to install
	@$(VENV)-models/bin/python -m pytest tests/models $(ARGS)

# Over the newest openai, beside what the tests have: only programs that ask for it find it.
$(VENV)/.over-openai: requirements/over-openai.lock $(VENV)/.dev
	@$(PIP) install --require-hashes --no-deps --no-compile --upgrade --target $(VENV)/over-openai -r requirements/over-openai.lock
	@touch $@

test-libraries: $(VENV)-models/.dev $(VENV)/.over-openai ## litellm and others over the openai before the newest, agents over the newest, beside other instrumentations
	@$(VENV)-models/bin/python -m pytest tests/libraries tests/instrumentation/test_openai.py $(ARGS)
	@PYTHONPATH=$(CURDIR)/$(VENV)/over-openai $(BIN)/python -m pytest tests/libraries/test_agents.py $(ARGS)

# Ray's wheel is 75 MB and its import takes a second: only programs that ask for it find it.
$(VENV)/.distributed: requirements/distributed.lock $(VENV)/.dev
	@echo "installing Ray into $(VENV)/distributed ..."
	@$(PIP) install --require-hashes --no-deps --upgrade --target $(VENV)/distributed -r requirements/distributed.lock
	@touch $@

test-distributed: $(VENV)/.distributed ## a Ray cluster of this machine, an S3 server, manifests by Kubernetes' schemas and by `make kubernetes`
	@PYTHONPATH=$(CURDIR)/$(VENV)/distributed $(BIN)/python -m pytest tests/distributed $(ARGS)

test-engines: $(VENV)/.dev ## perf against real model servers; needs `make engines`, skips those that are not there
	@$(BIN)/python -m pytest --engines tests/engines $(ARGS)

lint: $(VENV)/.dev ## format, lint, types, import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/mypy tests/typing/api.py
	@$(BIN)/lint-imports --no-cache

# The builder of the site has an environment of its own, which stays small and cannot disturb the tests.
$(VENV)-docs/.dev: requirements/docs.lock requirements/build.lock pyproject.toml | $(BIN)/python
	@echo "installing what builds the documentation into $(VENV)-docs ..."
	@test -x $(VENV)-docs/bin/python || $(PYTHON) -m venv $(VENV)-docs
	@$(VENV)-docs/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-compile -r requirements/build.lock -r requirements/docs.lock
	@$(VENV)-docs/bin/python -m pip --disable-pip-version-check -q install --no-deps --no-build-isolation -e .
	@rm -rf otel_llm.egg-info
	@touch $@

docs: $(VENV)-docs/.dev ## the documentation site, into build/site/html; fails for a link or an anchor that leads nowhere
	@$(VENV)-docs/bin/python -m tools.site build/site/pages
	@$(VENV)-docs/bin/zensical build --clean --strict

docs-serve: $(VENV)-docs/.dev ## the documentation site on loopback, until Ctrl-C
	@$(VENV)-docs/bin/python -m tools.site build/site/pages
	@$(VENV)-docs/bin/zensical serve

$(VENV)-dist/.dev: requirements/dist.lock requirements/build.lock | $(BIN)/python
	@echo "installing what checks a release into $(VENV)-dist ..."
	@test -x $(VENV)-dist/bin/python || $(PYTHON) -m venv $(VENV)-dist
	@$(VENV)-dist/bin/python -m pip --disable-pip-version-check -q install --require-hashes --no-compile -r requirements/build.lock -r requirements/dist.lock
	@touch $@

dist: $(VENV)-dist/.dev ## the wheel and the source archive into dist/, checked
	@rm -rf dist build/lib build/bdist.* && mkdir -p build && $(VENV)-dist/bin/python -m build --no-isolation --outdir dist >build/dist.log 2>&1 || { cat build/dist.log; exit 1; }
	@rm -rf otel_llm.egg-info  # as above: it would grow old
	@$(VENV)-dist/bin/twine check --strict dist/*
	@$(VENV)-dist/bin/check-wheel-contents dist/*.whl
	@$(VENV)-dist/bin/pyroma --min=8 dist/*.tar.gz

format: $(VENV)/.dev ## format the code, and fix what lint can fix
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## what it costs and how true it is, measured here
	@$(BIN)/python -m benchmarks

bench-instrumentation: $(VENV)/.dev ## beside other instrumentations of the openai client: what they say, what they cost
	@$(BIN)/python -m benchmarks.instrumentation $(ARGS)

bench-peers: | $(BIN)/python ## an environment for each load generator that `make bench` compares with; 7 GB outside this folder
	@$(BIN)/python -m benchmarks.peers.environments $(ARGS)

lock: ## renew requirements/*.lock (needs uv)
	@requirements/renew.sh $(SETS)

clean: ## remove what the other targets made in this folder
	rm -rf $(VENV) $(VENV)-dist $(VENV)-docs $(VENV)-models .cache build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache
