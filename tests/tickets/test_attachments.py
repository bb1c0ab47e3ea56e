"""Files of a case in rows and on the disk: one is never there without the other for long."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.files.storage import FileSystemStorage
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from pytest_django import Settings

from aftersales.accounts import actors
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role
from aftersales.common import dbtime, errors
from tests.factories import make_shop_client, make_ticket, make_user, staff_actor
from tests.tickets import uploads
from tests.tickets.conftest import Moment
from tests.tickets.races import together
from tests.tickets.uploads import numbered_picture, upload
from tickets import files, tasks, workflow
from tickets.models import Attachment, Event, Ticket
from tickets.workflow import files as workflow_files

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    """A folder of its own for the files of each test."""
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def stored(media: Path) -> list[Path]:
    return sorted(path for path in media.rglob("*") if path.is_file())


def shop_actor() -> Actor:
    return actors.shop(make_shop_client())


def shop_case(by: Actor) -> Ticket:
    return make_ticket(by=by, channel="shop")


@pytest.fixture
def shop(moment: Moment) -> Actor:
    return shop_actor()


@pytest.fixture
def case(shop: Actor) -> Ticket:
    return shop_case(shop)


def owned(case: Ticket) -> Actor:
    """The case given to an agent, who acts."""
    owner = make_user(Role.AGENT)
    workflow.assign_ticket(case.pk, owner_id=owner.pk, by=staff_actor(Role.SUPERVISOR))
    return actors.staff(owner)


# --- what is written -----------------------------------------------------------------------------


def test_a_file_is_a_row_a_file_and_an_event(
    case: Ticket, shop: Actor, moment: Moment, media: Path
) -> None:
    attachment = workflow.attach_file(case.pk, upload(uploads.picture(), "主板.jpg"), by=shop)
    kept = Attachment.objects.get()
    (path,) = stored(media)
    assert kept == attachment
    assert (kept.name, kept.content_type, kept.internal) == ("主板.jpg", "image/jpeg", False)
    assert (kept.uploaded_by, kept.actor_kind, kept.created_at) == (None, "shop", moment.now)
    assert path == media / "tickets" / str(case.public_id) / str(kept.public_id)
    assert path.read_bytes() == files.inspect(upload(uploads.picture())).content
    assert kept.size == path.stat().st_size
    event = Event.objects.get(name="ticket.file_attached")
    assert event.params == {
        "file": str(kept.public_id),
        "content_type": "image/jpeg",
        "size": kept.size,
        "internal": False,
    }
    assert (event.actor_kind, event.at) == ("shop", moment.now)


def test_files_are_open_to_nobody_else_on_the_machine(
    case: Ticket, shop: Actor, media: Path
) -> None:
    old = os.umask(0)
    try:
        workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)
    finally:
        os.umask(old)
    (path,) = stored(media)
    assert path.stat().st_mode & 0o777 == 0o640
    for folder in (path.parent, path.parent.parent, media):
        assert folder.stat().st_mode & 0o777 == 0o750


def test_the_file_is_on_the_disk_before_the_row_is_committed(
    case: Ticket, shop: Actor, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)
    (path,) = stored(media)
    assert flushed == [str(path), str(path.parent), str(path.parent.parent)]


def test_the_same_content_twice_is_one_attachment(case: Ticket, shop: Actor, media: Path) -> None:
    first = workflow.attach_file(case.pk, upload(uploads.picture(), "a.jpg"), by=shop)
    second = workflow.attach_file(case.pk, upload(uploads.picture(), "b.jpg"), by=shop)
    assert first == second
    assert len(stored(media)) == 1
    assert Event.objects.filter(name="ticket.file_attached").count() == 1


def test_what_a_customer_sends_is_not_what_staff_keep_inside(case: Ticket, shop: Actor) -> None:
    """One row for both would show an internal file, or hide the customer's own."""
    owner = owned(case)
    inside = workflow.attach_file(case.pk, upload(uploads.picture()), internal=True, by=owner)
    sent = workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)
    assert inside != sent
    assert (inside.internal, sent.internal) == (True, False)


def test_the_same_content_in_another_case_is_another_attachment(shop: Actor, case: Ticket) -> None:
    other = shop_case(shop)
    first = workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)
    second = workflow.attach_file(other.pk, upload(uploads.picture()), by=shop)
    assert first != second


# --- who and when --------------------------------------------------------------------------------


def test_only_staff_attach_internal_files(case: Ticket, shop: Actor) -> None:
    customer = actors.customer(case.contact_id or 0)
    for outside in (shop, customer):
        with pytest.raises(errors.Invalid) as caught:
            workflow.attach_file(case.pk, upload(uploads.picture()), internal=True, by=outside)
        (fault,) = caught.value.errors
        assert (fault.pointer, fault.code) == ("/internal", "staff_only")
    assert not Attachment.objects.exists()


def test_the_customer_and_the_owner_attach_and_nobody_else(case: Ticket, shop: Actor) -> None:
    owner = owned(case)
    for number, actor in enumerate([shop, owner, actors.customer(case.contact_id or 0)]):
        workflow.attach_file(case.pk, upload(numbered_picture(number)), by=actor)
    colleague = staff_actor(Role.AGENT)
    with pytest.raises(errors.NotAllowed):
        workflow.attach_file(case.pk, upload(uploads.picture()), by=colleague)
    for stranger in (shop_actor(), actors.customer(0), staff_actor(Role.PROVIDER)):
        with pytest.raises(errors.NotVisible):
            workflow.attach_file(case.pk, upload(uploads.picture()), by=stranger)
    with pytest.raises(errors.NotVisible):
        workflow.attach_file(0, upload(uploads.picture()), by=owner)
    assert Attachment.objects.count() == 3


def test_nothing_is_decoded_for_whoever_may_not_attach(
    case: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def inspect(upload: Any) -> Any:
        raise AssertionError("decoded")

    monkeypatch.setattr(files, "inspect", inspect)
    with pytest.raises(errors.NotVisible):
        workflow.attach_file(case.pk, upload(uploads.picture()), by=shop_actor())


def test_whoever_loses_the_case_while_the_file_is_decoded_does_not_attach(
    case: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = owned(case)
    real = files.inspect

    def inspect(sent: Any) -> files.Prepared:
        Ticket.objects.filter(pk=case.pk).update(owner=make_user(Role.AGENT))
        return real(sent)

    monkeypatch.setattr(files, "inspect", inspect)
    with pytest.raises(errors.NotAllowed):
        workflow.attach_file(case.pk, upload(uploads.picture()), by=owner)
    assert not Attachment.objects.exists()


def test_a_case_that_has_ended_takes_no_file(case: Ticket, shop: Actor) -> None:
    workflow.cancel_ticket(case.pk, reason="撤回", by=shop)
    with pytest.raises(errors.WrongState):
        workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)


def test_a_customer_s_file_ends_the_wait_for_the_customer(case: Ticket, shop: Actor) -> None:
    owner = owned(case)
    workflow.wait_ticket(case.pk, reason="customer", by=owner)
    workflow.attach_file(case.pk, upload(numbered_picture(1)), by=owner)
    case.refresh_from_db()
    assert case.status == "waiting"
    workflow.attach_file(case.pk, upload(numbered_picture(2)), by=shop)
    case.refresh_from_db()
    assert case.status == "in_progress"
    resumed = Event.objects.get(name="ticket.resumed")
    assert resumed.params["because"] == "customer_sent_file"


def test_internal_files_are_seen_by_staff_only(case: Ticket, shop: Actor) -> None:
    owner = owned(case)
    sent = workflow.attach_file(case.pk, upload(numbered_picture(1)), by=shop)
    inside = workflow.attach_file(case.pk, upload(numbered_picture(2)), internal=True, by=owner)

    def seen(actor: Actor) -> set[Attachment]:
        return set(Attachment.objects.visible_to(actor))

    assert seen(owner) == seen(staff_actor(Role.MANAGER)) == seen(actors.SYSTEM) == {sent, inside}
    assert seen(shop) == seen(actors.customer(case.contact_id or 0)) == {sent}
    assert seen(shop_actor()) == seen(actors.customer(0)) == set()
    assert seen(staff_actor(Role.PROVIDER)) == seen(staff_actor(Role.FINANCE)) - {sent, inside}


# --- how much ------------------------------------------------------------------------------------


def full(refused: errors.Invalid) -> tuple[int, str, str, str]:
    (fault,) = refused.errors
    return refused.status, refused.code, fault.pointer, fault.code


def test_the_eleventh_file_is_refused(case: Ticket, shop: Actor, media: Path) -> None:
    for number in range(10):
        workflow.attach_file(case.pk, upload(numbered_picture(number)), by=shop)
    with pytest.raises(workflow_files.CaseFull) as caught:
        workflow.attach_file(case.pk, upload(numbered_picture(10)), by=shop)
    assert full(caught.value) == (409, "case_full", "/file", "too_many_files")
    assert len(stored(media)) == Attachment.objects.count() == 10
    again = workflow.attach_file(case.pk, upload(numbered_picture(9)), by=shop)
    assert again.pk == max(Attachment.objects.values_list("pk", flat=True))


def test_a_case_takes_fifty_megabytes_and_no_byte_more(
    case: Ticket, shop: Actor, media: Path
) -> None:
    for number in range(5):
        content = uploads.pdf(files.MAX_SIZE, mark=b"%d" % number)
        workflow.attach_file(case.pk, upload(content, "a.pdf"), by=shop)
    assert sum(path.stat().st_size for path in stored(media)) == 50 * 2**20
    with pytest.raises(workflow_files.CaseFull) as caught:
        workflow.attach_file(case.pk, upload(numbered_picture(1)), by=shop)
    assert full(caught.value) == (409, "case_full", "/file", "too_many_bytes")
    assert len(stored(media)) == 5


@pytest.mark.django_db(transaction=True)
def test_four_at_once_do_not_pass_the_limit_together(
    case: Ticket, shop: Actor, media: Path
) -> None:
    for number in range(8):
        workflow.attach_file(case.pk, upload(numbered_picture(number)), by=shop)

    def attach(number: int) -> Callable[[], Attachment]:
        return lambda: workflow.attach_file(case.pk, upload(numbered_picture(number)), by=shop)

    outcomes = together(*(attach(number) for number in range(10, 14)))
    assert sum(isinstance(outcome, Attachment) for outcome in outcomes) == 2
    assert sum(isinstance(outcome, workflow_files.CaseFull) for outcome in outcomes) == 2
    assert len(stored(media)) == Attachment.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_the_same_content_sent_twice_at_once_is_one_attachment(
    case: Ticket, shop: Actor, media: Path
) -> None:
    def attach() -> Attachment:
        return workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)

    first, second = together(attach, attach)
    assert first == second
    assert len(stored(media)) == Attachment.objects.count() == 1


# --- a full disk ---------------------------------------------------------------------------------


def test_a_full_disk_leaves_no_row_no_event_and_no_part_of_a_file(
    case: Ticket, shop: Actor, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FileSystemStorage._save  # type: ignore[attr-defined]

    def save(self: FileSystemStorage, name: str, content: Any) -> str:
        content.truncate(100)
        real(self, name, content)
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(FileSystemStorage, "_save", save)
        with pytest.raises(errors.StorageUnavailable) as caught:
            workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)
    assert (caught.value.status, caught.value.extra) == (503, {"retry_after": 60})
    assert not stored(media)
    assert not Attachment.objects.exists()
    assert not Event.objects.filter(name="ticket.file_attached").exists()
    workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)
    assert len(stored(media)) == 1


@pytest.fixture
def small_disk(settings: Settings, tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte, where the machine lets us have one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if mount is None or os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("may not mount a file system")
    settings.MEDIA_ROOT = folder
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_is_really_full_is_left_clean(
    case: Ticket, shop: Actor, small_disk: Path
) -> None:
    workflow.attach_file(case.pk, upload(uploads.pdf(200_000), "a.pdf"), by=shop)
    with pytest.raises(errors.StorageUnavailable):
        workflow.attach_file(case.pk, upload(uploads.pdf(400_000), "b.pdf"), by=shop)
    assert [path.stat().st_size for path in stored(small_disk)] == [200_000]
    assert Attachment.objects.count() == 1
    workflow.attach_file(case.pk, upload(uploads.pdf(100_000), "c.pdf"), by=shop)
    assert len(stored(small_disk)) == Attachment.objects.count() == 2


# --- crashes, and what sweeps up after them ------------------------------------------------------


def age(path: Path, **span: float) -> None:
    moment = (dbtime.database_now() - timedelta(**span)).timestamp()
    os.utime(path, (moment, moment))


def orphan(media: Path, *, folder: Path | None = None, **span: float) -> Path:
    """A file of a case without a row, of that age."""
    place = folder or media / "tickets" / str(uuid.uuid4())
    place.mkdir(parents=True, exist_ok=True)
    path = place / str(uuid.uuid4())
    path.write_bytes(b"left")
    age(path, **span)
    age(place, **span)
    return path


def test_a_file_whose_row_was_rolled_back_is_removed_after_an_hour(
    case: Ticket, shop: Actor, media: Path
) -> None:
    kept = workflow.attach_file(case.pk, upload(numbered_picture(1)), by=shop)
    with transaction.atomic():
        workflow.attach_file(case.pk, upload(numbered_picture(2)), by=shop)
        transaction.set_rollback(True)
    assert len(stored(media)) == 2
    for path in stored(media):
        age(path, minutes=59)
        age(path.parent, minutes=59)
    tasks.remove_orphan_files()
    assert len(stored(media)) == 2
    for path in stored(media):
        age(path, minutes=61)
    tasks.remove_orphan_files()
    assert [path.name for path in stored(media)] == [str(kept.public_id)]


def test_a_sweep_of_files_looks_at_lately_used_folders_only(moment: Moment, media: Path) -> None:
    orphan(media, days=6)
    orphan(media, days=8)
    assert workflow.remove_orphan_files() == 1
    assert len(stored(media)) == 1


def test_a_sweep_of_files_removes_a_bounded_number_at_once(
    moment: Moment, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workflow_files, "REMOVED_AT_ONCE", 2)
    for _each in range(5):
        orphan(media, hours=2)
    assert [workflow.remove_orphan_files() for _each in range(4)] == [2, 2, 1, 0]


def test_a_sweep_of_files_needs_no_folder(moment: Moment) -> None:
    assert workflow.remove_orphan_files() == 0


def die(*args: Any, **kwargs: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half_written(self: FileSystemStorage, name: str, content: Any) -> None:
    path = Path(self.path(name))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")
    die()


POINTS: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "before the file": (workflow_files, "_write", die),
    "amid the file": (FileSystemStorage, "_save", half_written),
    "after the file": (workflow_files, "_flush", die),
    "amid the commit": (BaseDatabaseWrapper, "commit", die),
}


def attach_in_a_child(case: Ticket, shop: Actor, point: str) -> int:
    """Run it in a process that is killed at ``point``; how that process ended."""
    connections.close_all()
    child = os.fork()
    if child == 0:
        try:
            if point in POINTS:
                owner, name, fault = POINTS[point]
                setattr(owner, name, fault)
            workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)
            die()
        finally:
            os._exit(1)
    _pid, status = os.waitpid(child, 0)
    return status


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("point", [*POINTS, "after the commit"])
def test_a_kill_at_any_point_leaves_no_row_without_its_file(
    case: Ticket, shop: Actor, media: Path, point: str
) -> None:
    status = attach_in_a_child(case, shop, point)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL
    rows = list(Attachment.objects.all())
    assert len(rows) == (point == "after the commit")
    assert len(stored(media)) == (point != "before the file")
    for row in rows:
        assert hashlib.sha256(row.file.read()).hexdigest() == row.sha256
    for path in stored(media):
        age(path, hours=2)
        age(path.parent, hours=2)
    workflow.remove_orphan_files()
    assert len(stored(media)) == len(rows)
    workflow.attach_file(case.pk, upload(uploads.picture()), by=shop)
    assert len(stored(media)) == Attachment.objects.count() == 1


def test_files_live_below_the_folder_that_the_settings_name(case: Ticket, shop: Actor) -> None:
    attachment = workflow.attach_file(case.pk, upload(uploads.picture(), "../../x.jpg"), by=shop)
    root = Path(django_settings.MEDIA_ROOT).resolve()
    assert Path(attachment.file.path).resolve().is_relative_to(root / "tickets")
