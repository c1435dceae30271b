# Every command. Environments are made on first use and again when their pins change.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3.11
RATE ?= 50
DURATION ?= 30s
SCENARIO ?= mixed
SLO ?= p95=50ms
# What was trained here; else the newest committed weights of each model.
RUNS ?= $(or $(wildcard runs/resnet runs/cnn),$(shell for model in artifacts/resnet/ artifacts/cnn/; do \
	ls -d $$model[0-9]* | sort -V | tail -n 1; done))
# What our networks keep to on CIFAR-10, besides the export's own limits.
LIMITS_resnet ?= --max-ece 0.01
LIMITS_cnn ?= --max-ece 0.015
# OpenVINO's plugin takes 158 MB and pays on CPUs that multiply by AMX: installed there, unless OPENVINO=no.
OPENVINO ?= $(if $(shell uname -sm | grep -qx 'Linux x86_64' && grep -sm1 -w amx_int8 /proc/cpuinfo),yes,no)
WITH := $(if $(filter yes,$(OPENVINO)),-openvino)
REQUIREMENTS := requirements$(WITH).txt
SERVICE := .venv/service
DEV := .venv/dev
INSTALLED := $(SERVICE)/.installed$(WITH)
TRAINS := $(DEV)/.train$(WITH)

# Tests and training read CIFAR-10 from this folder where it is there; training downloads it otherwise.
ifneq ($(wildcard ../shared/cifar10/test),)
export GLIMPSE_DATA ?= ../shared/cifar10
endif

.PHONY: help serve tune demo test screenshots train export loadtest capacity scenarios bench overload chaos rules check \
	image image-check audit format lock clean

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 12

serve: $(INSTALLED) ## start the service on the models in artifacts/ (PORT=8000 SETTINGS=glimpse.env)
	$(if $(PORT),GLIMPSE_PORT=$(PORT)) $(SERVICE)/bin/python -m service $(if $(SETTINGS),--settings $(SETTINGS))

tune: $(INSTALLED) ## find the settings that fit this machine, into glimpse.env (a minute; ARGS="--p95-ms 20")
	$(SERVICE)/bin/python -m service tune $(ARGS)

demo: $(INSTALLED) ## start the service, classify a dozen made pictures of all kinds, stop it
	$(SERVICE)/bin/python -m service.demo

# A thread for each test: PyTorch's threads wait for each other, and the more the more others run.
test: $(DEV)/.dev ## run every test, two at a time (ARGS="tests/service -k limits")
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

screenshots: $(DEV)/.dev ## run the page's tests, and keep what they see in docs/page/
	$(DEV)/bin/python -m pytest tests/e2e/page --screenshots docs/page

train: $(TRAINS) ## train both networks on CIFAR-10 into runs/, or as ARGS="NETWORK --data FOLDER ..." says
ifdef ARGS
	$(DEV)/bin/python -m train $(ARGS)
else
	$(DEV)/bin/python -m train resnet
	$(DEV)/bin/python -m train cnn
endif

export: $(TRAINS) ## turn RUNS="runs/resnet runs/cnn" into their next versions under artifacts/ (LIMITS=)
	set -e; for run in $(RUNS); do \
	limits=; if grep -aq 'data_name[^,]*cifar10' "$$run/checkpoint.safetensors"; then \
	case "$$run/" in */resnet/*) limits="$(LIMITS_resnet)";; */cnn/*) limits="$(LIMITS_cnn)";; esac; fi; \
	$(DEV)/bin/python -m export "$$run" $$limits $(LIMITS); done

# What 'make bench' measured is shown beside, where it did.
BENCH = $(addprefix --bench ,$(wildcard runs/bench/bench.json))
LOADTEST = --server-python $(SERVICE)/bin/python $(if $(MODEL),--model $(MODEL)) $(addprefix --slo ,$(SLO))
loadtest: $(INSTALLED) $(DEV)/.dev ## does it hold? SLO=p95=50ms at RATE=50 SCENARIO=mixed for DURATION=30s
	$(DEV)/bin/python -m loadtest $(LOADTEST) --rate $(RATE) --duration $(DURATION) --scenario $(SCENARIO) \
		--report runs/loadtest $(BENCH) $(ARGS)

capacity: $(INSTALLED) $(DEV)/.dev ## the highest rate that holds SLO=p95=50ms SCENARIO=mixed MODEL=, and its knee
	$(DEV)/bin/python -m loadtest.capacity $(LOADTEST) --scenario $(SCENARIO) --report runs/capacity $(BENCH) $(ARGS)

# Of tens of thousands of requests, one pause of the machine costs some; a real objective has a budget for that.
scenarios: SLO = p95=50ms refused=0.1%
scenarios: $(INSTALLED) $(DEV)/.dev ## the table of docs/load-tests.md: what each model holds in each scenario (most of an hour)
	$(DEV)/bin/python -m loadtest.table $(LOADTEST) --rate 40 --step 5s --duration 30s --precision 0.1 \
		--into docs/load-tests.md --summary README.md --report runs/scenarios $(ARGS)

bench: $(INSTALLED) $(DEV)/.dev ## how fast each model is alone, and the service around it (a quarter of an hour)
	$(DEV)/bin/python -m bench --server-python $(SERVICE)/bin/python --report runs/bench $(ARGS)

overload: $(INSTALLED) $(DEV)/.dev ## offer the service three times its peak for 60 s
	$(DEV)/bin/python -m loadtest.overload --server-python $(SERVICE)/bin/python $(ARGS)

chaos: $(INSTALLED) $(DEV)/.dev ## break the service on purpose, and see what it does (eight minutes; ARGS="--soak 1h")
	$(DEV)/bin/python -m chaos --server-python $(SERVICE)/bin/python --long --report runs/chaos $(ARGS)

RULES := deploy/kubernetes/components/monitoring/prometheusrule.yaml
rules: ## give Kubernetes the alerts of deploy/prometheus/rules.yaml
	{ sed '/^spec:/q' $(RULES) && sed 's/^./  &/' deploy/prometheus/rules.yaml; } >$(RULES).new && mv $(RULES).new $(RULES)

check: $(DEV)/.dev ## format, lint, types, the Dockerfile
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/hadolint Dockerfile

# 'make image IMAGE=pets:1 BASE=python@sha256:...'; compose.yaml starts the same name.
IMAGE ?= glimpse:local
image: ## build the image with Docker (IMAGE=glimpse:local BASE=python@sha256:...)
	@command -v docker >/dev/null || { echo "there is no docker here: install it, or see 'make image-check'" >&2; exit 2; }
	docker build --tag $(IMAGE) --build-arg REVISION=$$(git rev-parse HEAD) $(if $(BASE),--build-arg BASE=$(BASE)) .

image-check: $(DEV)/.dev ## without Docker: replay the Dockerfile, start what it makes, hold it to its demands (root)
	$(DEV)/bin/python -m ops.image $(ARGS)

audit: $(INSTALLED) $(DEV)/.dev ## what is shipped: a bill of materials, licences, known vulnerabilities
	$(DEV)/bin/python -m ops.audit --python $(SERVICE)/bin/python $(ARGS)

format: $(DEV)/.dev ## format the code
	$(DEV)/bin/ruff format .
	$(DEV)/bin/ruff check --fix .

# Each layer holds the one below at the same versions. A local build's suffix (2.13.0+cpu) is dropped.
PIP_COMPILE := $(DEV)/bin/pip-compile --quiet --strip-extras --no-emit-options
lock: ## regenerate requirements*.txt from pyproject.toml
	test -x $(DEV)/bin/pip-compile || { $(PYTHON) -m venv $(DEV) && $(DEV)/bin/pip install --quiet pip-tools; }
	export CUSTOM_COMPILE_COMMAND="make lock"; \
	$(PIP_COMPILE) --generate-hashes --output-file=requirements.txt pyproject.toml && \
	$(PIP_COMPILE) --extra=openvino --generate-hashes --output-file=requirements-openvino.txt pyproject.toml && \
	$(PIP_COMPILE) --extra=train --output-file=requirements-train.txt pyproject.toml && \
	$(PIP_COMPILE) --extra=train --extra=dev --output-file=requirements-dev.txt pyproject.toml && \
	sed -i 's/^\([a-z0-9-]*==[0-9.]*\)+cpu/\1/' requirements-train.txt requirements-dev.txt

clean: ## remove environments and caches; keeps data, runs and artifacts
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache

$(INSTALLED): $(REQUIREMENTS)
	$(PYTHON) -m venv --clear $(SERVICE)
	$(SERVICE)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS)
	touch $@

$(TRAINS): requirements-train.txt $(REQUIREMENTS)
	$(PYTHON) -m venv --clear $(DEV)
	$(DEV)/bin/pip install --quiet --disable-pip-version-check -r requirements-train.txt
	$(if $(WITH),$(DEV)/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $(REQUIREMENTS))
	touch $@

$(DEV)/.dev: requirements-dev.txt $(TRAINS)
	$(DEV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@
