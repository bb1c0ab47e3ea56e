"""What make demo starts, and what it says when it cannot."""

import socket

import pytest

from aftersales import celery
from aftersales.local import demo
from aftersales.local.processes import LocalError


@pytest.mark.parametrize("text", ["x", "0", "65536", "-1", "8 0", "八千"])
def test_it_refuses_what_is_no_port(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PORT", text)
    with pytest.raises(LocalError, match="must be a number from 1 to 65535"):
        demo.port()


@pytest.mark.parametrize(("text", "number"), [("", 8000), ("1", 1), ("65535", 65535)])
def test_it_takes_any_port(monkeypatch: pytest.MonkeyPatch, text: str, number: int) -> None:
    monkeypatch.setenv("PORT", text)
    assert demo.port() == number


def test_it_names_another_port_when_one_is_taken() -> None:
    with socket.create_server((demo.HOST, 0)) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(LocalError, match=rf"Port {number} is taken.*PORT={number + 1}"):
            demo.require_free(number)
    demo.require_free(number)


def test_it_starts_a_worker_for_every_queue(tmp_path_factory: pytest.TempPathFactory) -> None:
    commands = demo.portal(8000, {}, tmp_path_factory.getbasetemp())
    argv = [list(map(str, command.argv)) for command in commands]
    queues = {words[words.index("-Q") + 1] for words in argv if "-Q" in words}
    assert queues == {queue.name for queue in celery.app.conf.task_queues}
    assert [command.name for command in commands][-1] == "beat"


def test_it_waits_until_every_frequent_task_has_been_done() -> None:
    frequent = {task for task, seconds, _ in celery.SCHEDULE.values() if seconds <= 5}
    figures = "\n".join(
        f'aftersales_task_last_success_timestamp_seconds{{task="{task}"}} 1.7e+09'
        for task in frequent
    )
    assert frequent
    assert demo.tasks_without_success_since(1.7e9, figures) == set()
    assert demo.tasks_without_success_since(1.7e9 + 1, figures) == frequent
    assert demo.tasks_without_success_since(0, "") == frequent
