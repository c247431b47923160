# Every target does its own set-up; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Lines and branches of the library (without scopedcache.testing) that `make test` reaches, in percent.
COVERED := 95
# As many processes as cores, up to four; the tests of a file share what they make, and stay in one.
BESIDE := --numprocesses logical --maxprocesses 4 --dist loadfile
# What needs a browser, a Prometheus, or a node, has targets of its own.
WITHOUT_PROGRAMS := --ignore tests/browser --ignore tests/monitoring

# What `demo` and `acceptance` run on; each has a default of its own.
$(if $(filter-out real embedded node,$(CLUSTER)),$(error CLUSTER is $(CLUSTER); it is real, embedded or node))

.DEFAULT_GOAL := help
.PHONY: help demo test test-wheel test-real test-kind test-browser test-monitoring acceptance mutants simulate fuzz soak crashes bench bench-embedded contract-table control-plane node-parts chart image lint types contracts changes docs docs-links dist servers setup clean faults storms memory overload scale scale-bound scale-table bench-peers bench-operator

help:  ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP)  ## Make .venv with everything pinned in .ci/constraints.txt

$(STAMP): pyproject.toml .ci/constraints.txt
	@echo "setting up $(VENV) (about a minute the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet -c .ci/constraints.txt --group test --group lint --group bench -e .
	@touch $@

demo: $(STAMP) $(if $(filter real,$(CLUSTER)),servers)  ## The main job in ten steps, on the embedded cluster; CLUSTER=real for a real one; EXAMPLE=users instead; PICTURE=1 writes docs/images/demo.svg
	@CLUSTER=$(or $(CLUSTER),embedded) $(BIN)/python -m tests.acceptance.$(if $(EXAMPLE),examples.demo $(EXAMPLE),$(if $(PICTURE),picture,demo))

test: $(STAMP)  ## All tests that need no Kubernetes binaries; COVERAGE=1 measures what they reach
ifdef COVERAGE
	@$(BIN)/python -m coverage erase
	@$(BIN)/python -m coverage run -m pytest $(BESIDE) -m "not real" tests/unit
	@$(BIN)/python -m coverage combine --quiet
	@$(BIN)/python -m coverage report --skip-covered --fail-under=$(COVERED)
	@$(BIN)/python -m pytest $(BESIDE) -m "not real" --ignore tests/unit $(WITHOUT_PROGRAMS)
else
	@$(BIN)/python -m pytest $(BESIDE) -m "not real" $(WITHOUT_PROGRAMS)
endif

test-wheel:  ## The unit tests against the built wheel, in an empty environment: PYTHON=python3.12
	@.ci/test-wheel $(PYTHON)

test-real: $(STAMP) control-plane  ## The tests that need Kubernetes binaries: a real kube-apiserver, kubectl
	@$(BIN)/python -m pytest -m real --timeout=180 --ignore tests/kind

test-kind: $(STAMP) control-plane node-parts  ## The scripts of kind/, every command of them, against stand-ins for kind and docker and a real node
	@PROGRAMS=required $(BIN)/python -m pytest tests/kind

test-browser: $(STAMP)  ## The permission page in a headless Chromium, Debian's, unpacked into ~/.cache; SCREENSHOTS=1 writes docs/images
	@command -v chromedriver >/dev/null || .ci/debian chromium-driver >/dev/null
	@PROGRAMS=required $(BIN)/python -m pytest tests/browser $(if $(SCREENSHOTS),--screenshots)

test-monitoring: $(STAMP)  ## Dashboard and alert rules, asked of a real Prometheus, Debian's, unpacked into ~/.cache
	@command -v promtool >/dev/null || .ci/debian prometheus >/dev/null
	@PROGRAMS=required $(BIN)/python -m pytest tests/monitoring --timeout=120

contract-table: $(STAMP) servers  ## The contract suite on both servers, and its table in docs/embedded.md
	@$(BIN)/python -m pytest tests/contract --contract-table=docs/embedded.md

acceptance: $(STAMP) $(if $(filter embedded,$(CLUSTER)),,servers) $(if $(filter node,$(CLUSTER)),node-parts)  ## Every row of the acceptance table, on the real control plane; CLUSTER=embedded takes seconds; CLUSTER=node: the ten steps in a Pod; EXAMPLE=users (or all) instead
	@CLUSTER=$(or $(CLUSTER),real) $(BIN)/python -m tests.acceptance$(if $(EXAMPLE),.examples $(EXAMPLE) $(if $(RIGHTS),--rights=$(RIGHTS)) $(if $(FIRST),--first),$(if $(RIGHTS), --rights=$(RIGHTS))$(if $(ONLY), --only $(ONLY)))

mutants: $(STAMP)  ## Defects put into copies of the tree: every acceptance row must turn red under one of them
	@$(BIN)/python -m tests.acceptance.mutants

simulate: $(STAMP)  ## COUNT lives of a cache in virtual time, from seed FIRST on (100 from 0; RESUME=1 goes on), then RESTARTS of API servers (100)
	@$(BIN)/python -m tests.simulation $(if $(RESUME),--resume,$(or $(FIRST),0) $(or $(COUNT),100) $(if $(SETTING),"$(SETTING)"))
	@$(BIN)/python -m tests.simulation.false_denials $(or $(RESTARTS),100)

soak: $(STAMP) servers  ## MINUTES (60) of an operator on the real control plane in rounds of trouble and rest, from SEED (0); PAGE=1 writes docs/soak.md
	@$(BIN)/python -m tests.soak $(or $(MINUTES),60) --seed $(or $(SEED),0) $(if $(PAGE),--page)

fuzz: $(STAMP)  ## SECONDS (60) of any bytes for each TARGET that reads bytes of others (all): tests/fuzz
	@$(BIN)/python -m tests.fuzz $(or $(SECONDS),60) $(TARGET)

crashes: $(STAMP) servers  ## An operator killed at COUNT (100) random instants, then one of two replicas at half as many; real control plane; PAGE=1 writes docs/faults.md
	@$(BIN)/python -m tests.soak.crashes $(or $(COUNT),100) --seed $(or $(SEED),0) $(if $(PAGE),--page)
	@$(BIN)/python -m tests.soak.crashes $$(( $(or $(COUNT),100) / 2 )) --pair --seed $(or $(SEED),0) $(if $(PAGE),--page)

faults: $(STAMP) $(if $(filter real,$(CLUSTER)),servers)  ## The fault matrix, in virtual time (minutes); CLUSTER=real on a real control plane; ONLY=text; PAGE=1 writes docs/faults.md
	@CLUSTER=$(or $(CLUSTER),embedded) $(BIN)/python -m tests.faults $(if $(ONLY),--only "$(ONLY)") $(if $(PAGE),--page)

storms: $(STAMP) $(if $(filter embedded,$(CLUSTER)),,servers)  ## Storms of RBAC changes on the real control plane; CLUSTER=embedded takes seconds; ONLY=text; PAGE=1 writes docs/faults.md
	@CLUSTER=$(or $(CLUSTER),real) $(BIN)/python -m tests.faults.storms_run $(if $(ONLY),--only "$(ONLY)") $(if $(PAGE),--page)

memory: $(STAMP) servers  ## What stays resident of 300 watches that were revoked, CYCLES (5) times; real control plane; PAGE=1 writes docs/faults.md
	@$(BIN)/python -m tests.faults.memory $(or $(CYCLES),5) $(if $(PAGE),--page)

overload: $(STAMP)  ## More than an operator can take: a figure for each, in memory, steps of the loop and what is lost; PAGE=1 writes docs/faults.md
	@$(BIN)/python -m tests.faults.overload $(if $(ONLY),--only "$(ONLY)") $(if $(PAGE),--page)

bench: $(STAMP)  ## Benchmarks beside other Python clients in the same run: target and value; PAGE=1 writes docs/performance.md, FULL=1 draws longer curves
	@$(BIN)/python -m tests.benchmarks $(if $(PAGE),--page) $(if $(FULL),--full)

bench-peers: $(STAMP)  ## The same with the caches of controller-runtime and kube-rs in the same rounds (built once by Go and cargo); PAGE=1, FULL=1 as above
	@$(BIN)/python -m tests.benchmarks --peers $(if $(PAGE),--page) $(if $(FULL),--full)

bench-operator: $(STAMP) servers  ## CRS Memcacheds (1000) in NAMESPACES (100) on the real control plane: ours, on controller-runtime, on kopf; RUNS=3; PAGE=1 writes docs/performance-operator.md
	@$(BIN)/python -m tests.benchmarks.operators --crs $(or $(CRS),1000) --namespaces $(or $(NAMESPACES),100) --runs $(or $(RUNS),1) $(if $(PAGE),--page)

bench-embedded: $(STAMP)  ## The embedded cluster's speed, beside a real kube-apiserver where there is one
	@$(BIN)/python -m tests.benchmarks.embedded

scale: $(STAMP) servers  ## 1, 2 and 4 replicas that share NAMESPACES (400) on a real control plane, and what each costs; WITHOUT_GATE=1; HARM=1: killed, frozen, added; PAGE=1 writes docs/scale.md
	@$(BIN)/python -m tests.scale --namespaces $(or $(NAMESPACES),400) $(if $(WITHOUT_GATE),--without-gate) $(if $(HARM),--harm) $(if $(PAGE),--page)

scale-bound: $(STAMP) servers  ## The bound on detection, promised and held, at NAMESPACES (100,1000,5000: half an hour) on a real control plane; PAGE=1 writes docs/scale.md
	@$(BIN)/python -m tests.scale.bound --namespaces $(or $(NAMESPACES),100,1000,5000) $(if $(PAGE),--page)

scale-table: $(STAMP)  ## The tables of docs/scale.md that are by formula
	@$(BIN)/python -m tests.scale.formula

control-plane: $(STAMP)  ## Build etcd, kube-apiserver, kube-controller-manager and kubectl into ~/.cache (minutes, once)
	@$(BIN)/python -m scopedcache.testing build

servers: $(STAMP)
	@$(BIN)/python -m scopedcache.testing build etcd kube-apiserver kube-controller-manager

node-parts: $(STAMP)
	@.ci/node-parts
	@$(BIN)/python -m scopedcache.testing build kubelet
	@$(BIN)/python -m scopedcache.testing.control_plane.node

lint: $(STAMP)  ## ruff: style and format; shellcheck: the scripts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/shellcheck -x kind/*.sh $(filter-out .ci/constraints.txt,$(wildcard .ci/*)) examples/memcached_operator/image/pin-base

types: $(STAMP)  ## mypy, strict; pyright on the public API (tests/typing)
	@$(BIN)/mypy
	@$(BIN)/pyright

chart: $(STAMP)  ## The Helm chart of the example gives what its kustomization gives (Helm is built once with Go)
	@$(BIN)/python -m scopedcache.testing build kubectl >/dev/null
	@$(BIN)/python -m tests.deployment

image: $(STAMP) node-parts  ## The example's image, built twice from nothing: both are the same
	@$(BIN)/python -m tests.deployment.image

contracts: $(STAMP)  ## import-linter: imports go one way
	@$(BIN)/lint-imports

changes: $(STAMP)  ## The changelog's next page, out of docs/changes
	@$(BIN)/towncrier build --draft --version next

docs: $(STAMP)  ## The pages and the reference as HTML, in .out/docs; a warning is an error
	@$(BIN)/python -m pip install --quiet -c .ci/constraints.txt --group docs
	@$(BIN)/python -m sphinx -W -n -q docs .out/docs
	@echo "written: .out/docs/index.html"

docs-links: $(STAMP)  ## Whether links of the pages to other places lead somewhere; it asks the network
	@$(BIN)/python -m pip install --quiet -c .ci/constraints.txt --group docs
	@$(BIN)/python -m sphinx -q -b linkcheck docs .out/links

dist: $(STAMP)  ## Wheel and source archive in .out/dist, as PyPI takes them
	@$(BIN)/python -m pip install --quiet -c .ci/constraints.txt --group release
	@rm -rf .out/dist
	@$(BIN)/python -m build --no-isolation --outdir .out/dist .
	@$(BIN)/twine check --strict .out/dist/*

clean:  ## Remove what the other targets made
	rm -rf $(VENV) .out .mypy_cache .ruff_cache .import_linter_cache
