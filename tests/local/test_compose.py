"""docker-compose.yml against its own schema, and against what the demo and the settings know."""

import json
import re
from typing import Any

import pytest
import yaml
from jsonschema import Draft201909Validator

from aftersales import celery
from aftersales.local import demo, frontend
from aftersales.local.environment import ROOT

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
SCHEMA_PATH = frontend.TOOLS / "compose-schema.json"


def mistakes(compose: Any) -> list[str]:
    schema = json.loads(SCHEMA_PATH.read_text())
    return [error.message for error in Draft201909Validator(schema).iter_errors(compose)]


@pytest.mark.skipif(not SCHEMA_PATH.exists(), reason="the front end has not been fetched")
def test_it_is_what_compose_understands() -> None:
    assert mistakes(COMPOSE) == []
    assert mistakes({**COMPOSE, "services": {"web": {"comand": "x"}}}) != []


def test_it_runs_every_process_that_the_demo_runs(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    commands = demo.portal(8000, {}, tmp_path_factory.getbasetemp())
    programs = {str(command.argv[2]) for command in commands}
    assert programs == {SERVICES["web"]["command"][0], SERVICES["beat"]["command"][0]}
    for name in ("gunicorn", "--config", "python:aftersales.webserver"):
        assert name in SERVICES["web"]["command"]


def test_it_has_a_worker_for_every_queue_and_keeps_mail_apart() -> None:
    lists = {
        name: service["command"][service["command"].index("-Q") + 1].split(",")
        for name, service in SERVICES.items()
        if name.startswith("worker")
    }
    assert sorted(queue for names in lists.values() for queue in names) == sorted(
        queue.name for queue in celery.app.conf.task_queues
    )
    assert ["mail"] in lists.values()


def test_it_runs_web_twice_and_loses_no_message_of_the_broker() -> None:
    assert SERVICES["web"]["deploy"]["replicas"] == 2
    broker = " ".join(SERVICES["redis"]["command"])
    assert "--appendonly yes" in broker
    assert "--maxmemory-policy noeviction" in broker


def test_it_sets_only_what_the_settings_read() -> None:
    settings = (ROOT / "aftersales" / "settings.py").read_text()
    read = set(re.findall(r'(?:env\.\w+|keyring)\(\s*"([A-Z_]+)"', settings))
    assert set(SERVICES["web"]["environment"]) <= read


def test_it_starts_nothing_before_the_migrations_are_done() -> None:
    for name in ("web", "worker-sla", "worker-mail", "beat"):
        condition = SERVICES[name]["depends_on"]["migrate"]["condition"]
        assert condition == "service_completed_successfully"
