# `make up` and `make test` install what they need; everything else uses the same .venv.
.PHONY: up down test test-long test-pve test-vllm check bench chaos fuzz docs lock help

help:           ## shows this
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

up:             ## a real, verified stack on this machine: examples/quickstart
	@lab/up.sh

down:           ## removes all that `make up` made
	@lab/down.sh

test:           ## checks and all tests but the long ones
	@lab/test.sh

test-long:      ## the long tests
	@lab/venv.sh
	@lab/incus.sh
	lab/pytest.sh --dist loadfile -m long \
	    $$(grep -rl --include='*.py' 'mark\.long' tests)  # reading all tests takes longer

test-pve:       ## the tests on a real Proxmox VE node, named by PHOENIX_PVE_*
	@lab/test_pve.sh

test-vllm:      ## vLLM for real on the CPU: takes minutes and gigabytes
	@lab/test_vllm.sh

check:          ## ruff, types, the architecture's contracts
	@lab/venv.sh
	.venv/bin/ruff check --quiet .
	.venv/bin/ruff format --quiet --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

bench:          ## the measurements of docs/benchmarks.md
	@lab/venv.sh
	@lab/incus.sh
	.venv/bin/python -m tests.bench

chaos:          ## breaks running stacks for half an hour, and measures how they heal
	@lab/venv.sh
	@lab/incus.sh
	.venv/bin/python -m tests.chaos

SECONDS ?= 300
fuzz:           ## fuzzes all readers of files for SECONDS (300); goes on where the last run ended
	@lab/fuzz.sh
	.venv/bin/python -m tests.fuzz --seconds $(SECONDS)

docs:           ## writes the generated parts of docs/ and the schemas, and builds the site
	@lab/docs.sh

lock:           ## pins the newest versions, with hashes, in the requirements files
	.venv/bin/pip-compile --quiet --strip-extras --extra dev --generate-hashes \
	    --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header \
	    --output-file requirements.txt pyproject.toml
	set -e; for each in mkdocs-material:docs atheris:fuzz ansible:bench; do \
	    echo $${each%:*} | .venv/bin/pip-compile --quiet --strip-extras --generate-hashes \
	        --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	        --no-header --output-file requirements-$${each#*:}.txt -; \
	done
