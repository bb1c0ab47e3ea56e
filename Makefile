# One command runs the portal, one its tests; the others are for work on it.
# Another Python: make demo PYTHON=/path/to/python3. Arguments for pytest: make test ARGS="-k sla".

PYTHON ?= python3
RUN = .venv/bin/python
# The fixed values that tests use, so that tools which read the settings need no servers.
CHECK = $(RUN) -m aftersales.local check

.PHONY: help demo test faults-quick bench mutants lint messages openapi locks

help:
	@echo "make demo          the whole portal on this machine (PORT=8000), until Ctrl-C"
	@echo "make test          its tests"
	@echo "make lint          what CI checks besides the tests"
	@echo "make faults-quick  killed workers, cut connections, a stopped broker"
	@echo "make mutants       which tests go red without which guard"
	@echo "make bench         speed beside raw SQL and a bare view"
	@echo "make messages      collect texts to translate (needs gettext), compile the translations"
	@echo "make openapi       write docs/openapi.yaml anew"
	@echo "make locks         choose versions anew (needs uv)"

demo:
	@$(PYTHON) aftersales/local/install.py
	@exec $(RUN) -m aftersales.local demo --end-with-parent

.PHONY: dev
dev:
	@$(PYTHON) aftersales/local/install.py --dev

test: dev
	@$(RUN) -m pytest -n 2 -m "not faults and not e2e and not bench" $(ARGS)

faults-quick: dev
	@$(RUN) -m pytest -m faults --durations=20 --timeout=280 tests/faults tests/messaging/test_faults.py $(ARGS)

bench: dev
	@$(RUN) -m pytest -m bench -p no:randomly -q -s --durations=0 --timeout=0 bench $(ARGS)

mutants: dev
	@$(RUN) -m tests.mutants $(ARGS)

lint: dev
	$(CHECK) ruff check
	$(CHECK) ruff format --check
	$(CHECK) mypy .
	$(CHECK) lint-imports
	$(CHECK) python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	BASE_URL=https://portal.example.com ALLOWED_HOSTS=portal.example.com STATIC_FROM_SOURCE=false \
		$(CHECK) python manage.py check --deploy --fail-level WARNING
	$(CHECK) python manage.py spectacular --lang en --validate --fail-on-warn --file .local/openapi.yaml
	diff -u docs/openapi.yaml .local/openapi.yaml

messages: dev
	$(CHECK) python manage.py makemessages --locale zh_Hans --no-wrap --add-location file --no-obsolete --ignore .venv --ignore .local --ignore tests
	$(RUN) -m aftersales.local messages

openapi: dev
	$(CHECK) python manage.py spectacular --lang en --validate --fail-on-warn --file docs/openapi.yaml

locks:
	uv lock --upgrade
	uv export --frozen --no-header --no-annotate --format requirements-txt -o requirements.lock
	uv export --frozen --no-header --no-annotate --format requirements-txt --group dev -o requirements-dev.lock
