# Everything a newcomer, a developer and CI run. Each target makes its own virtual environment.
VENV ?= .venv
ifeq ($(OS),Windows_NT) # from Git Bash
SHELL := bash.exe
PYTHON ?= python
BIN := $(VENV)/Scripts
else
PYTHON ?= python3
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO ?= build/demo
JOBS ?= 2
WEB := build/web/node_modules
PORT ?= 8080
BUNDLES ?= words-stream=models/words-stream words=models/words

# Without an NVIDIA driver, PyTorch's CPU build is fetched: 190 MB instead of gigabytes of CUDA. Where PyTorch's own
# index cannot be reached, whatever the configured index calls torch 2.13.0 is taken.
TORCH := torch==2.13.0
CPU_INDEX := --index-url https://download.pytorch.org/whl/cpu --retries 0 --timeout 15
INSTALL_TORCH := $(PIP) install --quiet $(TORCH)
ifeq ($(shell command -v nvidia-smi),)
INSTALL_TORCH := $(PIP) install --quiet $(CPU_INDEX) $(TORCH) 2>/dev/null || $(INSTALL_TORCH)
endif

.PHONY: demo test test-fast test-arm64 fuzz check docs web gpu format install clean

demo: $(VENV)/.runs ## the whole pipeline on a corpus made on the spot, in minutes
	$(BIN)/wav2edge demo --output $(DEMO)

test: $(VENV)/.dev ## every test, offline; where Node is installed, npm fetches transformers.js once
	HF_HUB_OFFLINE=1 $(BIN)/pytest -n $(JOBS) --dist loadfile -q

test-fast: $(VENV)/.dev ## the tests that are not marked slow: two and a half minutes of processor time
	HF_HUB_OFFLINE=1 $(BIN)/pytest -n $(JOBS) --dist loadfile -q -m "not slow"

test-arm64: $(VENV)/.dev ## the same answers on Arm processors, in emulation, in half an hour; needs mmdebstrap, gcc-aarch64-linux-gnu, libc6-dev-arm64-cross
	$(BIN)/python tests/arm64/prepare_arm64.py
	WAV2EDGE_ARM64=1 HF_HUB_OFFLINE=1 $(BIN)/pytest tests/arm64 -q -s

fuzz: $(VENV)/.dev ## 2,000 damaged WAV files and 500 altered bundles in processes that may crash; FUZZ_OPTIONS="--seed 7 --result FILE"
	$(BIN)/python -m tests.faults.fuzz --models models --result benchmarks/results/fuzz.json $(FUZZ_OPTIONS)

check: $(VENV)/.dev ## lint, types, import contracts and the pages: exactly what CI runs before the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

docs: $(VENV)/.dev ## write the two references anew, and build the pages into build/site; a dead link fails
	$(BIN)/python docs/generate_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

web: $(WEB)/.installed ## the page for browsers, on this computer; BUNDLES='name=folder ...', PORT=8080
	node runtime/js/page/serve.mjs --modules $(WEB) --port $(PORT) $(foreach each,$(BUNDLES),--bundle $(each))

gpu: $(VENV)/.dev ## what needs a CUDA GPU: answers, latency, throughput, trainings; WORDS=data, BUNDLE=, SYLLABLES=, BASE=, TEACHER=
	$(BIN)/python -m benchmarks.records.gpu $(WORDS) $(if $(BUNDLE),--bundle $(BUNDLE)) $(if $(SYLLABLES),--syllables $(SYLLABLES)) $(if $(BASE),--base $(BASE)) $(if $(TEACHER),--teacher $(TEACHER)) \
		--output build/gpu --result benchmarks/results/gpu $(GPU_OPTIONS)

format: $(VENV)/.dev ## let ruff format and fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

install: $(VENV)/.runs ## only the virtual environment

clean:
	rm -rf $(VENV) build dist

$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "wav2edge needs Python 3.11 or newer: make PYTHON=python3.12")'
	@echo "making $(VENV) (once, a minute or two)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet --upgrade 'pip>=25.1'
	$(INSTALL_TORCH)
	@touch $@

$(VENV)/.runs: $(VENV)/.torch pyproject.toml
	$(PIP) install --quiet -c constraints.txt -e '.[cpu,demo]'
	@touch $@

$(VENV)/.dev: $(VENV)/.runs
	$(PIP) install --quiet -c constraints.txt --group dev
	@touch $@

$(WEB)/.installed:
	npm install --prefix build/web --ignore-scripts --no-audit --no-fund --no-package-lock onnxruntime-web@1.30.0
	@touch $@
