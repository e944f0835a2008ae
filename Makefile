# Each target sets up .venv by itself in a fresh clone. The same without make: see README.md.
#   make lessons ARGS="-p steps 20"     make lab PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.done
ARGS ?=

# The kernel of this environment, before one of the same name in the user's folder.
export JUPYTER_PREFER_ENV_PATH := 1

.PHONY: help setup lab demo lessons site test bench doctor format
help:
	@echo "make lab      JupyterLab on notebooks/"
	@echo "make demo     the lessons for projecting, by Voila: figures and controls, the code hidden until asked for"
	@echo "make lessons  run every lesson and render its page under build/"
	@echo "make site     the same as a site to publish, under build/site, and the gallery of the README"
	@echo "make test     unit, property and notebook tests"
	@echo "make bench    measure the speed of encoding and sampling"
	@echo "make doctor   say what is installed, and what to do if something is wrong"
	@echo "make format   format the code, and bring notebooks and their text in step"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@echo "setting up $(VENV): Python packages, at the versions in constraints.txt"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet -c constraints.txt -e '.[lab,test]'
	@touch $@

lab: $(STAMP)
	@echo "opening JupyterLab on notebooks/"
	$(PY) -m jupyterlab notebooks --LabApp.app_settings_dir=data/jupyterlab $(ARGS)

demo: $(STAMP)
	@echo "serving the lessons; each runs when it is opened"
	$(PY) -m lessons_lib.demo $(ARGS)

lessons: $(STAMP)
	@echo "running every lesson; the pages will be in build/index.html"
	$(PY) -m lessons_lib.pages $(ARGS)

site: $(STAMP)
	@echo "running every lesson; the site will be in build/site"
	$(PY) -m lessons_lib.gallery $(ARGS)

# Two workers, so each gets one thread: torch's own would crowd each other out.
# A cell, and a test, that takes too long has hung: it fails, by its name, with every thread's place.
LIMITS := --nbmake-timeout=120 -o faulthandler_timeout=400 -o faulthandler_exit_on_timeout=true
test: $(STAMP)
	@echo "running the unit, property and notebook tests"
	OMP_NUM_THREADS=1 $(PY) -m pytest -n 2 --nbmake $(LIMITS) tests notebooks $(ARGS)

bench: $(STAMP)
	@echo "measuring encoding and sampling on this machine"
	$(PY) -m lessons_lib.bench $(ARGS)

doctor: $(STAMP)
	@echo "checking this installation"
	$(PY) -m lessons_lib.doctor

format: $(STAMP)
	@echo "formatting the code, and bringing notebooks and their text in step"
	$(PY) -m lessons_lib.pairing
	$(PY) -m ruff check --fix --exit-zero --silent
	$(PY) -m ruff format --quiet
	$(PY) -m lessons_lib.pairing --from-notebook
	$(PY) -m ruff check
