"""Files of a case by REST: what goes in, what comes out, and who gets to see it."""

import json
import tempfile
import uuid
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.db import connection
from django.http import HttpResponse, UnreadablePostError
from django.test import Client
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from aftersales.accounts import actors
from aftersales.accounts.models import Role, Scope, Shop
from tests.factories import (
    make_shop,
    make_shop_client,
    make_staff_client,
    make_ticket,
    make_user,
)
from tests.openapi import RestClient
from tests.tickets import uploads
from tests.tickets.conftest import Moment
from tests.tickets.test_files import HOSTILE, HTML, telling
from tests.tickets.uploads import numbered_picture, upload
from tickets import workflow
from tickets.models import Attachment, Ticket

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    return tmp_path / "media"


def stored(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


@pytest.fixture
def own_shop(moment: Moment) -> Shop:
    return make_shop()


@pytest.fixture
def shop(own_shop: Shop) -> RestClient:
    return RestClient(make_shop_client(own_shop))


@pytest.fixture
def case(own_shop: Shop) -> Ticket:
    return make_ticket(by=actors.shop(make_shop_client(own_shop)), channel="shop")


@pytest.fixture
def owner(case: Ticket) -> RestClient:
    """The agent who handles the case."""
    user = make_user(Role.AGENT)
    supervisor = actors.staff(make_user(Role.SUPERVISOR))
    workflow.assign_ticket(case.pk, owner_id=user.pk, by=supervisor)
    return RestClient(make_staff_client(user))


def files_of(case: Ticket) -> str:
    return f"/api/v1/tickets/{case.public_id}/attachments/"


def taken(response: HttpResponse) -> dict[str, Any]:
    assert response.status_code == 201, response.content.decode()
    answer: dict[str, Any] = json.loads(response.content)
    return answer


def problem(response: Any) -> tuple[int, str, list[tuple[str, str]]]:
    """Status, code, and each fault's pointer and code."""
    assert response["Content-Type"] == "application/problem+json"
    body = json.loads(response.content)
    faults = [(fault["pointer"], fault["code"]) for fault in body.get("errors", [])]
    return response.status_code, body["code"], faults


def send(client: RestClient, case: Ticket, **fields: Any) -> dict[str, Any]:
    sent = {"file": upload(uploads.picture())} | fields
    return taken(client.upload(files_of(case), sent))


def download(client: RestClient, url: str) -> Any:
    # Not held against the document: openapi-core reads no streams.
    return client._http.get(url.removeprefix("http://localhost:8000"))


def content(response: Any) -> bytes:
    return b"".join(response.streaming_content)


# --- in and out ----------------------------------------------------------------------------------


def test_a_file_goes_in_and_comes_out_as_a_download(shop: RestClient, case: Ticket) -> None:
    sent = uploads.picture(comment=b"by Somebody", **telling())
    response = shop.upload(files_of(case), {"file": upload(sent, "主板 冒烟.jpg")})
    answer = taken(response)
    url = f"http://localhost:8000{files_of(case)}{answer['id']}/"
    assert answer == {
        "id": answer["id"],
        "name": "主板 冒烟.jpg",
        "content_type": "image/jpeg",
        "size": answer["size"],
        "url": url,
        "internal": False,
        "created_at": "2026-11-20T10:00:00+08:00",
    }
    assert response["Location"] == url
    served = download(shop, url)
    assert served.status_code == 200
    assert served["Content-Type"] == "image/jpeg"
    assert served["X-Content-Type-Options"] == "nosniff"
    assert served["Content-Security-Policy"] == "sandbox"
    assert served["Cache-Control"] == "private, no-store"
    assert served["Content-Length"] == str(answer["size"])
    assert served["Content-Disposition"] == (
        "attachment; filename*=utf-8''%E4%B8%BB%E6%9D%BF%20%E5%86%92%E7%83%9F.jpg"
    )
    body = content(served)
    assert len(body) == answer["size"]
    assert not {0xE1, 0xE2, 0xFE} & uploads.jpeg_segments(body)


def test_a_polyglot_is_served_without_its_other_half(shop: RestClient, case: Ticket) -> None:
    polyglot = uploads.picture("PNG") + HTML
    answer = send(shop, case, file=upload(polyglot, "page.html"))
    assert (answer["name"], answer["content_type"]) == ("page.html.png", "image/png")
    assert b"<script" not in content(download(shop, answer["url"]))


def test_what_the_sender_claims_a_file_to_be_counts_for_nothing(
    shop: RestClient, case: Ticket
) -> None:
    sent = upload(uploads.picture("PNG"), "a.svg")
    sent.content_type = "image/svg+xml"
    answer = send(shop, case, file=sent)
    assert download(shop, answer["url"])["Content-Type"] == "image/png"


def test_a_file_is_served_as_what_it_is_whatever_its_name(shop: RestClient, case: Ticket) -> None:
    answer = send(shop, case)
    Attachment.objects.update(name="page.html")
    assert download(shop, answer["url"])["Content-Type"] == "image/jpeg"


def test_a_list_shows_the_files_oldest_first(shop: RestClient, case: Ticket) -> None:
    sent = [send(shop, case, file=upload(numbered_picture(n)))["id"] for n in range(3)]
    page = json.loads(shop.get(files_of(case), limit=2).content)
    assert [row["id"] for row in page["results"]] == sent[:2]
    rest = json.loads(shop.get(page["next"]).content)
    assert [row["id"] for row in rest["results"]] == sent[2:]


def test_a_list_asks_as_much_for_one_file_as_for_ten(shop: RestClient, case: Ticket) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            shop.get(files_of(case))
        return len(asked)

    send(shop, case, file=upload(numbered_picture(0)))
    queries()  # the key's first use is noted
    one = queries()
    for number in range(1, 10):
        send(shop, case, file=upload(numbered_picture(number)))
    assert queries() == one


def test_a_file_is_served_whatever_the_caller_says_to_accept(
    shop: RestClient, case: Ticket
) -> None:
    answer = send(shop, case)
    for accept in ("image/jpeg", "application/octet-stream", "text/html", "*/*"):
        response = shop._http.get(
            answer["url"].removeprefix("http://localhost:8000"), headers={"Accept": accept}
        )
        assert (response.status_code, response["Content-Type"]) == (200, "image/jpeg")
        assert len(content(response)) == answer["size"]
    missing = shop._http.get(f"{files_of(case)}{uuid.uuid4()}/", headers={"Accept": "image/jpeg"})
    assert problem(missing) == (404, "not_found", [])


# --- repeating -----------------------------------------------------------------------------------


def test_a_repeated_call_has_the_first_answer_and_one_file(
    shop: RestClient, case: Ticket, media: Path
) -> None:
    def call(data: bytes, key: str) -> HttpResponse:
        return shop.upload(files_of(case), {"file": upload(data)}, Idempotency_Key=key)

    first = call(uploads.picture(), "key-1")
    again = call(uploads.picture(), "key-1")
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    same_content = call(uploads.picture(), "key-2")
    assert taken(same_content)["id"] == taken(first)["id"]
    other_body = call(uploads.picture("PNG"), "key-1")
    assert problem(other_body) == (422, "idempotency_key_reused", [])
    assert len(stored(media)) == 1


def test_a_call_without_a_key_of_repetition_is_refused(shop: RestClient, case: Ticket) -> None:
    response = shop._http.post(files_of(case), {"file": upload(uploads.picture())})
    assert problem(response) == (400, "idempotency_key_missing", [])


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_hostile_files_are_refused_and_leave_nothing(
    shop: RestClient, case: Ticket, media: Path
) -> None:
    answers = {
        name: problem(shop.upload(files_of(case), {"file": upload(make(), file_name)}))
        for name, (file_name, make, _expected) in HOSTILE.items()
    }
    assert answers == {
        name: (status, code, [(pointer, fault)])
        for name, (_name, _make, (status, code, pointer, fault)) in HOSTILE.items()
    }
    assert not stored(media)
    assert not Attachment.objects.exists()


BAD_FORMS: dict[str, tuple[dict[str, Any], tuple[int, str, list[tuple[str, str]]]]] = {
    "no file": ({}, (422, "invalid", [("/file", "required")])),
    "text for a file": ({"file": "hello"}, (422, "invalid", [("/file", "invalid")])),
    "unknown field": (
        {"file": "picture", "size": "1"},
        (422, "invalid", [("/size", "unknown_field")]),
    ),
    "file by another name": (
        {"photo": "picture"},
        (422, "invalid", [("/photo", "unknown_field"), ("/file", "required")]),
    ),
    "no flag": (
        {"file": "picture", "internal": "perhaps"},
        (422, "invalid", [("/internal", "invalid")]),
    ),
    "two files": ({"file": ["picture", "picture"]}, (422, "invalid", [("/file", "repeated")])),
    "internal, by a shop": (
        {"file": "picture", "internal": "true"},
        (422, "invalid", [("/internal", "staff_only")]),
    ),
}


def filled(value: Any) -> Any:
    if isinstance(value, list):
        return [filled(each) for each in value]
    return upload(uploads.picture()) if value == "picture" else value


def test_wrong_forms_are_refused(shop: RestClient, case: Ticket) -> None:
    answers = {}
    for name, (fields, _expected) in BAD_FORMS.items():
        sent = {field: filled(value) for field, value in fields.items()}
        answers[name] = problem(shop.upload(files_of(case), sent))
    assert answers == {name: expected for name, (_fields, expected) in BAD_FORMS.items()}
    assert not Attachment.objects.exists()


def test_json_is_no_file(shop: RestClient, case: Ticket) -> None:
    assert problem(shop.post(files_of(case), {"file": "aGVsbG8="})) == (415, "wrong_type", [])


def test_a_form_without_a_boundary_cannot_be_read(shop: RestClient, case: Ticket) -> None:
    response = shop._http.post(
        files_of(case),
        b"--x--",
        content_type="multipart/form-data",
        headers={"Idempotency-Key": "k"},
    )
    assert problem(response) == (400, "malformed", [])


def test_a_body_that_is_much_too_large_is_refused_unread(
    shop: RestClient, case: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("written to the disk")

    monkeypatch.setattr(TemporaryUploadedFile, "__init__", read)
    response = shop.upload(files_of(case), {"file": upload(uploads.pdf(11 * 2**20), "a.pdf")})
    assert problem(response) == (413, "too_large", [])


def test_the_limits_of_a_case_are_conflicts(shop: RestClient, case: Ticket) -> None:
    for number in range(10):
        send(shop, case, file=upload(numbered_picture(number)))
    response = shop.upload(files_of(case), {"file": upload(numbered_picture(10))})
    assert problem(response) == (409, "case_full", [("/file", "too_many_files")])


def test_a_case_that_has_ended_says_what_is_still_open(shop: RestClient, case: Ticket) -> None:
    shop.post(f"/api/v1/tickets/{case.public_id}/cancel/", {"reason": "撤回"})
    response = shop.upload(files_of(case), {"file": upload(uploads.picture())})
    assert problem(response) == (409, "wrong_state", [])
    assert json.loads(response.content)["allowed_events"] == []


# --- a disk in need ------------------------------------------------------------------------------


def test_a_full_disk_is_a_503(
    shop: RestClient, case: Ticket, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("django.core.files.storage.FileSystemStorage._save", save)
        response = shop.upload(
            files_of(case), {"file": upload(uploads.picture())}, Idempotency_Key="one"
        )
    assert problem(response) == (503, "storage_unavailable", [])
    assert response["Retry-After"] == "60"
    assert not stored(media)
    assert not Attachment.objects.exists()
    # The key was not used up by it.
    again = shop.upload(files_of(case), {"file": upload(uploads.picture())}, Idempotency_Key="one")
    assert "Idempotent-Replayed" not in again
    assert len(stored(media)) == Attachment.objects.count() == 1
    taken(again)


def test_a_full_temporary_folder_is_a_503(
    shop: RestClient, case: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(*args: Any, **kwargs: Any) -> Any:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "NamedTemporaryFile", make)
    monkeypatch.setattr(TemporaryUploadedFile, "__init__", make)
    response = shop.upload(files_of(case), {"file": upload(uploads.pdf(5 * 2**20), "a.pdf")})
    assert problem(response) == (503, "storage_unavailable", [])


def test_a_caller_who_hangs_up_is_no_fault_of_ours(
    shop: RestClient, case: Ticket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def parse(*args: Any) -> Any:
        raise UnreadablePostError("connection reset")

    monkeypatch.setattr("rest_framework.parsers.MultiPartParser.parse", parse)
    response = shop.upload(files_of(case), {"file": upload(uploads.picture())})
    assert problem(response) == (400, "malformed", [])


def test_a_file_that_cannot_be_read_is_a_503(shop: RestClient, case: Ticket, media: Path) -> None:
    answer = send(shop, case)
    (path,) = stored(media)
    path.unlink()
    assert problem(download(shop, answer["url"])) == (503, "storage_unavailable", [])


# --- who sees what -------------------------------------------------------------------------------


def without_own_marks(response: HttpResponse) -> dict[str, Any]:
    body = json.loads(response.content)
    return {name: value for name, value in body.items() if name not in {"instance", "request_id"}}


def test_an_internal_file_does_not_exist_for_the_shop(
    shop: RestClient, owner: RestClient, case: Ticket
) -> None:
    inside = send(owner, case, internal="true")
    assert inside["internal"] is True
    hidden = download(shop, inside["url"])
    unknown = download(shop, f"{files_of(case)}{uuid.uuid4()}/")
    assert problem(hidden) == (404, "not_found", [])
    assert without_own_marks(hidden) == without_own_marks(unknown)
    assert json.loads(shop.get(files_of(case)).content)["results"] == []
    assert download(owner, inside["url"]).status_code == 200
    seen = json.loads(owner.get(files_of(case)).content)["results"]
    assert [row["id"] for row in seen] == [inside["id"]]


def test_another_shop_s_case_is_as_unknown_as_one_that_never_was(
    shop: RestClient, case: Ticket
) -> None:
    answer = send(shop, case)
    stranger = RestClient(make_shop_client())
    nowhere = f"/api/v1/tickets/{uuid.uuid4()}/attachments/"
    sent = {"file": upload(uploads.picture())}
    pairs = [
        (stranger.get(files_of(case)), stranger.get(nowhere)),
        (stranger.upload(files_of(case), sent), stranger.upload(nowhere, sent)),
        (download(stranger, answer["url"]), download(stranger, f"{nowhere}{uuid.uuid4()}/")),
    ]
    for foreign, unknown in pairs:
        assert problem(foreign) == (404, "not_found", [])
        assert without_own_marks(foreign) == without_own_marks(unknown)
    assert Attachment.objects.count() == 1


def test_a_file_is_found_under_its_own_case_only(
    shop: RestClient, case: Ticket, own_shop: Shop
) -> None:
    """A right to one case is no right to the files of another by its address."""
    answer = send(shop, case)
    other = make_ticket(by=actors.shop(make_shop_client(own_shop)), channel="shop")
    assert problem(download(shop, f"{files_of(other)}{answer['id']}/")) == (404, "not_found", [])


def test_a_key_that_may_read_may_not_send(shop: RestClient, case: Ticket, own_shop: Shop) -> None:
    answer = send(shop, case)
    reader = RestClient(make_shop_client(own_shop, scopes=[Scope.TICKETS_READ]))
    assert reader.get(files_of(case)).status_code == 200
    assert download(reader, answer["url"]).status_code == 200
    response = reader.upload(files_of(case), {"file": upload(uploads.picture())})
    assert problem(response) == (403, "scope_missing", [])
    writer = RestClient(make_shop_client(own_shop, scopes=[Scope.TICKETS_WRITE]))
    assert writer.get(files_of(case)).status_code == 403
    assert download(writer, answer["url"]).status_code == 403


def test_staff_who_do_not_handle_the_case_look_and_do_not_send(
    owner: RestClient, case: Ticket
) -> None:
    answer = send(owner, case, internal="true")
    colleague = RestClient(make_staff_client(make_user(Role.AGENT)))
    assert download(colleague, answer["url"]).status_code == 200
    response = colleague.upload(files_of(case), {"file": upload(numbered_picture(1))})
    assert problem(response) == (403, "not_allowed", [])
    provider = RestClient(make_staff_client(make_user(Role.PROVIDER)))
    assert provider.get(files_of(case)).status_code == 404
    assert download(provider, answer["url"]).status_code == 404


def test_without_a_key_nobody_gets_anything(shop: RestClient, case: Ticket) -> None:
    answer = send(shop, case)
    anonymous = Client()
    for path in (files_of(case), answer["url"].removeprefix("http://localhost:8000")):
        assert anonymous.get(path).status_code == 401
    assert anonymous.post(files_of(case), {"file": upload(b"x")}).status_code == 401
    agent = make_user(Role.AGENT)
    anonymous.force_login(agent)
    assert anonymous.get(files_of(case)).status_code == 401


def test_a_file_has_no_address_outside_the_api(shop: RestClient, case: Ticket) -> None:
    send(shop, case)
    path = Attachment.objects.get().file.name
    for address in (f"/media/{path}", f"/{path}", f"/static/{path}"):
        assert Client().get(address).status_code == 404


# --- names ---------------------------------------------------------------------------------------

SENDABLE = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\r\n\0"),
        st.sampled_from("../\\\"';%*<>\u202e\u200b\u2028／．"),
    ),
    min_size=1,
    max_size=60,
)


@given(SENDABLE)
@hypothesis_settings(
    max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_no_name_leaves_the_folder_or_breaks_the_header(
    shop: RestClient, case: Ticket, media: Path, name: str
) -> None:
    Attachment.objects.all().delete()
    for path in stored(media):
        path.unlink()
    response = shop.upload(files_of(case), {"file": upload(uploads.picture(), f"a{name}")})
    if problem_free(response):
        answer = taken(response)
        (path,) = stored(media)
        assert path.parent == media / "tickets" / str(case.public_id)
        assert path.name == answer["id"]
        header = download(shop, answer["url"])["Content-Disposition"]
        message = EmailMessage()
        message["Content-Disposition"] = header
        assert message.get_filename() == answer["name"]


def problem_free(response: HttpResponse) -> bool:
    """Django gives up on some names before we see them; then there is no file at all."""
    if response.status_code == 422:
        assert problem(response) == (422, "invalid", [("/file", "required")])
        return False
    return True
