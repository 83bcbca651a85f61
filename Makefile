# boldreel: `make demo` runs the whole pipeline on the embedded data set, `make test` the tests.
VENV ?= .venv
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
CORES ?= all
BIN := $(VENV)/bin
# Modules are compiled when they are first imported, in place of all of them now: twice as fast. Each
# only once, whatever the shell says.
export PYTHONDONTWRITEBYTECODE :=
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile
SNAKEMAKE := $(BIN)/snakemake --cores $(CORES)

.PHONY: help env demo ablate test test-unit test-workflow test-conda test-slurm test-kubernetes test-datasets test-storage rehearse lint base-models envs config-page report forget clean

help:
	@echo "make demo         environment, then the pipeline on the embedded data set (results/demo)"
	@echo "make ablate       after the demo: what each part of the encoder is worth, into the report (45 minutes)"
	@echo "make test         environment, then linters and tests"
	@echo "make test-conda   a tiny run with one environment per stage, by a stand-in for conda"
	@echo "make test-slurm   on a SLURM cluster that is started on this machine (root, Debian)"
	@echo "make test-kubernetes  planned for Kubernetes, and first stages run in a stand-in for its pods"
	@echo "make test-datasets  designs of public data sets to the page, and their trees, if they are there, to windows"
	@echo "make test-storage  a tiny run with its results in S3, by a server that is fetched for it"
	@echo "make rehearse    own data with every option of the real configurations on, at reduced width (10 minutes)"
	@echo "make lint         ruff, snakefmt, snakemake --lint and types"
	@echo "make base-models  train the demo's tiny base models anew (about three hours on two cores)"
	@echo "make envs         write one pinned conda environment per stage from envs/*.in"
	@echo "make config-page  write config/README.md from the schema"
	@echo "make report       Snakemake's own report of the last run, beside report.html"
	@echo "make forget SUBJECT=sub-03  list, then delete on confirmation, all that is derived from a subject"
	@echo "make clean        remove results/demo, its logs and training states"

env: $(VENV)/.complete

$(VENV)/.complete: envs/requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(v < (3, 11) and f"error: Python 3.11 or newer is needed, {sys.executable} is {v[0]}.{v[1]}; name one: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) -r envs/requirements.lock
	$(PIP) --quiet --no-deps --no-build-isolation -e .
	touch $@

demo: env
	$(SNAKEMAKE)
	@cat logs/demo/report/page.log

# The report takes in what is there when Snakemake starts: hence the second call.
ablate: demo
	$(SNAKEMAKE) ablation
	$(SNAKEMAKE)

test: lint test-unit test-workflow

test-unit: env
	$(BIN)/python -m pytest --numprocesses 2 --ignore tests/pipeline

# Two processes: one makes the run that most tests share, and the other has the rest.
NOT_OF_WORKFLOW ?= conda or slurm or kubernetes or storage or datasets
test-workflow: env
	$(BIN)/python -m pytest tests/pipeline --numprocesses 2 --dist loadscope -m "not ($(NOT_OF_WORKFLOW))"

test-conda: env
	$(BIN)/python -m pytest tests/pipeline -m conda

test-slurm: env
	$(BIN)/python -m pytest tests/pipeline -m slurm -rs

test-kubernetes: env
	$(BIN)/python -m pytest tests/pipeline -m kubernetes -rs

test-datasets: env
	$(BIN)/python -m pytest tests/pipeline -m datasets -rs

test-storage: env
	$(BIN)/python -m pytest tests/pipeline -m storage -rs

# Goes on where it stopped; remove the folder to begin again.
rehearse: env
	$(BIN)/python tests/tools/rehearse.py results/rehearsal-run $(CORES)

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/mypy
	$(BIN)/snakemake --lint

# Two processes of one thread each: the denoiser needs of the others only what is trained first.
BASE_MODELS := $(BIN)/python -m boldreel.insilico.base_models --out resources/insilico --only
base-models: env
	$(BASE_MODELS) corpora
	$(BASE_MODELS) vae & other=$$!; $(BASE_MODELS) clip || { kill $$other; exit 1; }; wait $$other
	$(BASE_MODELS) unet & other=$$!; \
	$(BASE_MODELS) image_classifier video_classifier || { kill $$other; exit 1; }; wait $$other
	$(BASE_MODELS) video
	$(BASE_MODELS) gates

envs: env
	$(BIN)/python envs/generate.py

config-page: env
	$(BIN)/python -m boldreel.configuration_page > config/README.md

report: demo
	$(BIN)/snakemake --report results/demo/workflow-report.html

forget: env
	$(BIN)/python -m boldreel.forget --subject "$(SUBJECT)" $(FORGET)

clean:
	rm -rf results/demo logs/demo state/demo
