# make run    start the gateway on http://127.0.0.1:8080, with an embedded PostgreSQL and ./var
# make test   install the test extras and run every test, whole files in three processes (WORKERS=n);
#             with ARGS="tests/unit/test_target.py -x" just those, in one
# make test-plain  run the tests of downloads and uploads against plain handlers, as for an unknown aiohttp
# make explore  run the tests that make choices from fresh seeds, for ten minutes (ARGS="--seconds 60 --seed 7")
# make bench  run the benchmarks and write their report
# make oracle compare a million generated requests with an independent model of RFC 9110
# make operator  follow every command of the operator's pages, from installing to a restore (docs/install.md ...)
# make test-s3  the tests of all APIs with their blobs in an S3 store (SeaweedFS, on loopback)
# make torture  faults at full size, suite by suite, gone on with where it was (three hours; ARGS="crash --count 500")
# make memory measure how much the process grows while it moves large files
# make schemathesis  ask every route at length, as several callers, and hold the answers to /openapi.json
# make mutation  plant defects into the rules that matter most, and see each noticed (ARGS="ranges names"; resumable)
# make attack  attack the service while an honest device downloads, and see that it is served (half an hour)
# make generators  let four generators make clients of /openapi.json, compile them and use them
# make run-cluster  three gateways, nginx, SeaweedFS and a PostgreSQL with a standby on loopback, and what to try;
#             with ARGS=--check it tries that by itself
# make kubernetes  render the Helm chart of deploy/kubernetes by Helm itself and hold all manifests to their schemas
# make lint   ruff and mypy only
# make lock   write requirements.lock anew, with hashes (ARGS=--upgrade); lock-check says whether it is current
# make sbom   write dist/sbom.cdx.json, a CycloneDX bill of what is locked
# make audit  ask for known vulnerabilities of what is locked; status 3 if nobody could be asked
# make test-newest  some tests on the newest release of everything, whatever setup.cfg allows
# make install  make .venv and install, nothing else

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# An install is out of date only when what it was made from changes; the code itself is linked.
SOURCES := setup.cfg pyproject.toml

.DEFAULT_GOAL := help
.PHONY: operator help run test test-plain bench oracle lint install torture memory schemathesis explore \
	attack generators mutation test-s3 run-cluster kubernetes lock lock-check sbom audit test-newest

help:
	@sed -n '/^# make/,/^$$/s/^# //p' Makefile

run: install
	$(BIN)/filestore-gateway serve --show-password

install: $(VENV)/.stamp-run

# Some hundred interpreters run our code: what compiling it came to is kept, whatever the caller's environment says.
test test-plain operator: export PYTHONDONTWRITEBYTECODE :=

# Files are given out in the order of tests/parallel.py, not by the number of their tests.
WORKERS := 3
EVERYTHING := -n $(WORKERS) --dist loadfile --no-loadscope-reorder --max-worker-restart 0 \
	--durations 20

test: $(VENV)/.stamp-test
	$(BIN)/python -m pytest $(or $(ARGS),$(EVERYTHING))

PLAIN_FILES := $(addprefix tests/web/test_,downloads.py fastpath.py limits.py refusals.py smuggling.py \
	continuations.py)
# A stream hands out no more than its client makes room for, so nobody has its last bytes who did not read them.
PLAIN_TESTS := not nginx and not edge and (test_downloads or answers_are_the_same or sent_in_one_go or \
	reader_that_stops or upload_that_stalls or invited or taken_however or broken_chunk or upgrade or \
	(continues_other_bytes and not last and not come))

test-plain: $(VENV)/.stamp-test
	TESTS_FAST_WAYS=-connection $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PLAIN_FILES) -k "$(PLAIN_TESTS)"

lint: $(VENV)/.stamp-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(wildcard gateway tests benchmarks)

oracle: $(VENV)/.stamp-test
	$(BIN)/python -m tests.oracle.run --result tests/out/oracle.json $(ARGS)

explore: $(VENV)/.stamp-test
	$(BIN)/python -m tests.explore --result tests/out/explore.json $(ARGS)

operator: $(VENV)/.stamp-test
	TESTS_OPERATOR_WHOLE=1 GATEWAY_TESTS_REAL_PIP=1 $(BIN)/python -m pytest --timeout 900 tests/documents/test_operator.py

torture: $(VENV)/.stamp-test
	$(BIN)/python -m tests.torture $(ARGS)

memory: $(VENV)/.stamp-test
	$(BIN)/python -m benchmarks.memory $(ARGS)

schemathesis: $(VENV)/.stamp-test
	$(BIN)/python -m tests.openapi.conformance --result tests/out/schemathesis $(ARGS)

attack: $(VENV)/.stamp-test
	$(BIN)/python -m tests.attack --result tests/out/attack.json $(ARGS)

mutation: $(VENV)/.stamp-test $(VENV)/.stamp-mutation
	nice -n 10 $(BIN)/python -m tests.mutation.run --result tests/out/mutation.json $(ARGS)

# The tools of a release stand apart: what they need is nothing that the service runs with.
TOOLS := .venv-release
COMPILE := $(TOOLS)/bin/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-annotate --no-header \
	--no-emit-index-url --no-emit-trusted-host --no-emit-find-links $(ARGS)

lock: $(TOOLS)/.stamp
	$(COMPILE) --output-file requirements.lock setup.cfg

lock-check: $(TOOLS)/.stamp
	@mkdir -p tests/out && cp requirements.lock tests/out/requirements.lock
	$(COMPILE) --output-file tests/out/requirements.lock setup.cfg
	cmp requirements.lock tests/out/requirements.lock

sbom: $(TOOLS)/.stamp
	@mkdir -p dist
	$(TOOLS)/bin/cyclonedx-py requirements --output-reproducible --output-format JSON \
	    --output-file dist/sbom.cdx.json requirements.lock

# The auditor ends well if it could ask nobody; what it wrote is judged, not that.
audit: $(TOOLS)/.stamp $(VENV)/.stamp-test
	@mkdir -p tests/out
	@$(TOOLS)/bin/pip-audit --requirement requirements.lock --require-hashes --disable-pip --progress-spinner off \
	    --format json --output tests/out/audit.json || true
	@touch tests/out/audit.json
	@$(BIN)/python -m tests.release.audit tests/out/audit.json $(ARGS)

NEWEST := .venv-newest
test-newest: $(BIN)/python
	$(BIN)/python -m venv --clear $(NEWEST)
	$(NEWEST)/bin/pip --disable-pip-version-check --quiet install --upgrade --upgrade-strategy eager -e '.[embedded,otel,s3,s3-test,test]'
	-$(NEWEST)/bin/pip --disable-pip-version-check --quiet install --upgrade aiohttp aiofastnet uvloop
	$(NEWEST)/bin/python -m pytest -q $(or $(ARGS),tests/unit tests/web/test_downloads.py tests/web/test_limits.py)

run-cluster: $(VENV)/.stamp-test
	$(BIN)/python -m tests.cluster $(ARGS)

kubernetes: $(VENV)/.stamp-kubernetes
	$(BIN)/python -m tests.kubernetes $(ARGS)

test-s3: $(VENV)/.stamp-test
	$(BIN)/python -m tests.s3.suite $(ARGS)

generators: $(VENV)/.stamp-generators
	$(BIN)/python -m tests.openapi.generators $(ARGS)

$(VENV)/.stamp-kubernetes: $(SOURCES) | $(BIN)/python
	$(PIP) install -e '.[embedded,kubernetes]'
	@touch $@ $(VENV)/.stamp-run

bench: $(VENV)/.stamp-bench
	$(BIN)/python -m benchmarks $(ARGS)

$(BIN)/python:
	@python=; for name in $(PYTHON) python3 python3.13 python3.12 python3.11 python3.14; do \
	    if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        python=$$name; break; \
	    fi; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Python 3.11 or newer is needed; none of python3, python3.11 ... python3.14 is." >&2; \
	    echo "Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; \
	    exit 1; \
	fi; \
	"$$python" -m venv $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "$$python cannot make a virtual environment (Debian: apt install python3-venv)" >&2; \
	    exit 1; \
	}

$(VENV)/.stamp-run: $(SOURCES) | $(BIN)/python
	$(PIP) install -e '.[embedded]'
	@touch $@

$(VENV)/.stamp-test: $(SOURCES) | $(BIN)/python
	$(PIP) install -e '.[embedded,otel,s3,s3-test,test]'
	@touch $@ $(VENV)/.stamp-run

$(VENV)/.stamp-bench: $(SOURCES) | $(BIN)/python
	$(PIP) install -e '.[embedded,bench]'
	@touch $@ $(VENV)/.stamp-run

$(TOOLS)/.stamp: Makefile | $(BIN)/python
	$(BIN)/python -m venv --clear $(TOOLS)
	$(TOOLS)/bin/pip --disable-pip-version-check --quiet install 'pip-tools>=7.5' 'cyclonedx-bom>=7' 'pip-audit>=2.9'
	@touch $@

$(VENV)/.stamp-mutation: $(SOURCES) | $(BIN)/python
	$(PIP) install -e '.[embedded,mutation,test]'
	@touch $@ $(VENV)/.stamp-run $(VENV)/.stamp-test

$(VENV)/.stamp-generators: $(SOURCES) | $(BIN)/python
	$(PIP) install -e '.[embedded,generators,otel,s3,s3-test,test]'
	@touch $@ $(VENV)/.stamp-run $(VENV)/.stamp-test
