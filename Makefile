# One-line recipes. `make repro` and `make test` need Node 20.19+ and nothing else set up by hand.

SHELL := /bin/bash
BIN := node_modules/.bin
SOURCES := $(shell find src stages scripts -type f 2>/dev/null) tsconfig.json tsconfig.build.json

.DEFAULT_GOAL := help
.PHONY: help install build repro test check format report bench test-gpu bench-gpu gpu-bundle pack ptx clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 20

install: node_modules/.installed ## install the packages of package-lock.json

node_modules/.installed: package.json package-lock.json
	npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

build: dist/.built ## compile to dist/, write the JSON schema, link `npx stlm-pipeline`

dist/.built: node_modules/.installed $(SOURCES)
	node scripts/build.mjs

repro: build ## run the default profile of pipeline.yaml to reports/
	$(BIN)/stlm-pipeline repro $(ARGS)

test: build ## every test
	$(BIN)/vitest run $(ARGS)

check: build ## lint, format and types
	$(BIN)/biome ci . && $(BIN)/tsc --noEmit

format: node_modules/.installed ## rewrite sources in the house format
	$(BIN)/biome check --write .

report: build ## rebuild reports/ from artifacts alone
	$(BIN)/stlm-pipeline report

bench: build ## measure kernels, tokenizers and the no-op run
	node --import tsx bench/run.ts

test-gpu: node_modules/.installed ## the cuda device's tests on this machine's GPU (docs/gpu.md)
	node --import tsx scripts/gpu-bundle.ts && node .gpu/test.mjs

# The PyTorch script to compare with, where one lies beside this checkout.
PEER := $(firstword $(wildcard peers/torch_train.py */peers/torch_train.py ../*/peers/torch_train.py))
bench-gpu gpu-bundle: export STLM_TORCH_PEER ?= $(PEER)

bench-gpu: node_modules/.installed ## measure training on this machine's GPU, beside PyTorch (docs/gpu.md)
	node --import tsx bench/gpu/run.ts

gpu-bundle: node_modules/.installed ## pack both for a GPU machine without Node.js: gpu.tar.xz (docs/gpu.md)
	node --import tsx scripts/gpu-bundle.ts --archive gpu.tar.xz

pack: build ## the npm package, with a library built for this platform
	node scripts/prebuild.mjs && npm pack --ignore-scripts

ptx: node_modules/.installed ## compile the CUDA kernels to the PTX that ships (needs nvcc)
	node --import tsx scripts/build-ptx.ts $(ARGS)

clean: ## remove what is built; artifacts/ stays
	rm -rf dist schema prebuilt *.tgz .gpu gpu.tar.xz
