# Everything a newcomer, a developer and CI run. Each target makes its own virtual environment.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
DEMO ?= build/demo
JOBS ?= 2

# Without an NVIDIA driver, PyTorch's CPU build is fetched: 190 MB instead of gigabytes of CUDA. Where PyTorch's own
# index cannot be reached, whatever the configured index calls torch 2.13.0 is taken.
TORCH := torch==2.13.0
CPU_INDEX := --index-url https://download.pytorch.org/whl/cpu --retries 0 --timeout 15
INSTALL_TORCH := $(PIP) install --quiet $(TORCH)
ifeq ($(shell command -v nvidia-smi),)
INSTALL_TORCH := $(PIP) install --quiet $(CPU_INDEX) $(TORCH) 2>/dev/null || $(INSTALL_TORCH)
endif

.PHONY: demo test check gpu format install clean

demo: $(VENV)/.runs ## the whole pipeline on a corpus made on the spot, in minutes
	$(BIN)/wav2edge demo --output $(DEMO)

test: $(VENV)/.dev ## every test, offline
	HF_HUB_OFFLINE=1 $(BIN)/pytest -n $(JOBS) --dist loadfile -q

check: $(VENV)/.dev ## lint, types and import contracts: exactly what CI runs before the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

gpu: $(VENV)/.dev ## what wants a CUDA GPU: train at full size, distill, throughput; WORDS=folder, SYLLABLES=, BASE=
	$(BIN)/python -m benchmarks.records.gpu $(WORDS) $(if $(SYLLABLES),--syllables $(SYLLABLES)) $(if $(BASE),--base $(BASE)) \
		--output build/gpu --result benchmarks/results/gpu $(GPU_OPTIONS)

format: $(VENV)/.dev ## let ruff write the layout
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
