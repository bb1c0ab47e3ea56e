"""The customer's page: opened by a secret link, shows what is theirs, takes what they write."""

import re
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries

from aftersales.accounts import actors, limits
from aftersales.accounts.models import Role, User
from aftersales.messaging import links
from aftersales.messaging.models import Link
from tests.factories import make_product, make_ticket, make_user
from tests.tickets.conftest import Moment
from tickets import clocks, states, workflow
from tickets.models import Message, Ticket
from tickets.views import customer
from tickets.workflow import CustomerReport, Words
from tickets.workflow.links import follow_up_url

pytestmark = pytest.mark.django_db

CUSTOMER = CustomerReport(
    name="王小明",
    phone="13800138000",
    email="xiaoming@example.com",
    address="广东省深圳市南山区科技园1号",
)


@pytest.fixture
def owner(moment: Moment) -> User:
    return make_user(
        Role.AGENT, display_name="李娜", staff_number="S1001", email="lina@example.com"
    )


@pytest.fixture
def ticket(moment: Moment, owner: User) -> Ticket:
    return make_ticket(customer=CUSTOMER, description="请打 13912345678 联系我。")


def path(ticket: Ticket, moment: Moment) -> str:
    return follow_up_url(ticket, moment.now).removeprefix(settings.BASE_URL)


def page(ticket: Ticket, moment: Moment, language: str = "en") -> str:
    response = Client(headers={"Accept-Language": language}).get(path(ticket, moment))
    assert response.status_code == 200
    return response.content.decode()


def say(address: str, body: str = "还是不亮", **changes: Any) -> Any:
    form = {"body": body, "submission_id": str(uuid.uuid4())} | changes
    return Client(headers={"Accept-Language": "en"}).post(address, form)


def assign(ticket: Ticket, owner: User) -> None:
    workflow.assign_ticket(ticket.pk, owner_id=owner.pk, by=actors.staff(owner))


# --- the link ----------------------------------------------------------------------------------


def test_one_case_has_one_link_that_lives_ninety_days(ticket: Ticket, moment: Moment) -> None:
    first = follow_up_url(ticket, moment.now)
    assert re.fullmatch(re.escape(settings.BASE_URL) + r"/c/[a-z0-9]{27,}/", first)
    assert follow_up_url(ticket, moment.later(days=5)) == first
    assert Link.objects.get().expires_at - moment.now == timedelta(days=85)


def test_a_link_that_opens_nothing_is_answered_alike_whatever_the_reason(
    ticket: Ticket, moment: Moment
) -> None:
    live = path(ticket, moment)
    forged = live[:-4] + ("aaa/" if live[-4:-1] != "aaa" else "bbb/")
    other = links.issue(
        "survey", str(ticket.public_id), expires_at=moment.now + timedelta(days=1), now=moment.now
    )
    gone = links.issue(
        states.CASE_LINK,
        str(uuid.uuid4()),
        expires_at=moment.now + timedelta(days=1),
        now=moment.now,
    )
    unknown = {"/c/x/", "/c/" + "a" * 40 + "/", forged, f"/c/{other}/", f"/c/{gone}/"}
    browser = Client(headers={"Accept-Language": "en"})
    answers = {a: browser.get(a) for a in unknown}
    links.revoke(
        Link.objects.get(purpose=states.CASE_LINK, subject=str(ticket.public_id)).pk, now=moment.now
    )
    answers["revoked"] = browser.get(live)
    fresh = path(ticket, moment)
    moment.later(days=91)
    answers["expired"] = browser.get(fresh)
    assert {answer.status_code for answer in answers.values()} == {404}
    assert len({answer.content for answer in answers.values()}) == 1
    headers = [
        {k: v for k, v in a.items() if k not in ("X-Request-ID", "Date", "Expires")}
        for a in answers.values()
    ]
    assert all(found == headers[0] for found in headers)
    assert "This link opens nothing" in answers["revoked"].content.decode()


def test_a_link_that_opens_nothing_takes_nothing(ticket: Ticket, moment: Moment) -> None:
    assert say("/c/xyz/").status_code == 404
    links.revoke_all(states.CASE_LINK, str(ticket.public_id), now=moment.now)
    assert not Message.objects.exists()


def test_an_internal_case_has_no_page(ticket: Ticket, moment: Moment) -> None:
    address = path(ticket, moment)
    Ticket.objects.filter(pk=ticket.pk).update(kind="incident")
    assert Client().get(address).status_code == 404


def test_the_page_is_kept_by_nobody_and_tells_nobody_where_it_is(
    ticket: Ticket, moment: Moment
) -> None:
    """T02."""
    response = Client().get(path(ticket, moment))
    assert response["Referrer-Policy"] == "same-origin"
    assert "no-store" in response["Cache-Control"]
    assert 'content="noindex' in response.content.decode()
    assert "sessionid" not in response.cookies


# --- what it shows -----------------------------------------------------------------------------


def test_it_shows_the_case_in_the_browsers_language(ticket: Ticket, moment: Moment) -> None:
    english, chinese = page(ticket, moment, "en-GB"), page(ticket, moment, "zh-CN,zh;q=0.9")
    for found in (english, chinese):
        assert ticket.number in found
        assert ticket.subject in found
    assert "We have your report" in english
    assert 'lang="en"' in english
    assert "我们已收到您的反馈" in chinese
    assert 'lang="zh-hans"' in chinese


def test_it_names_the_owner_and_nothing_else_of_them(
    ticket: Ticket, owner: User, moment: Moment
) -> None:
    """R-HA-1, T32."""
    assign(ticket, owner)
    found = page(ticket, moment)
    assert "李娜" in found
    assert "S1001" in found
    assert "lina@example.com" not in found
    assert owner.username not in found


def test_it_shows_personal_data_as_masks_only(ticket: Ticket, moment: Moment) -> None:
    found = page(ticket, moment)
    for clear in ("王小明", "13800138000", "xiaoming@", "科技园", "13912345678"):
        assert clear not in found
    for mask in ("王**", "138****8000", "x****@example.com", "139****5678"):
        assert mask in found


def test_it_hides_notes_levels_and_everything_internal(
    ticket: Ticket, owner: User, moment: Moment
) -> None:
    """T32."""
    assign(ticket, owner)
    workflow.write_note(ticket.pk, Words("客户态度差-内部"), by=actors.staff(owner))
    workflow.reply_to_customer(ticket.pk, Words("请重启一次。"), by=actors.staff(owner))
    found = page(ticket, moment)
    assert "请重启一次。" in found
    assert "内部" not in found
    for word in ("Urgent", "Important", "General", ticket.team.name_en, ticket.policy.profile):
        assert word not in found


def test_it_shows_what_people_write_as_text(ticket: Ticket, owner: User, moment: Moment) -> None:
    Ticket.objects.filter(pk=ticket.pk).update(
        subject="<b>x</b>", description="<script>a()</script>"
    )
    say(path(ticket, moment), "<img src=x onerror=a()>")
    found = page(ticket, moment)
    for tag in ("<b>x", "<script", "<img src=x"):
        assert tag not in found
    assert "&lt;img src=x" in found


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("new", "Handling starts by <strong>Fri 20 Nov 2026, 15:30</strong>"),
        ("assigned", "takes care of your case"),
        ("in_progress", "We promise a solution by <strong>Fri 27 Nov 2026, 17:30</strong>"),
        ("waiting", "We need a word from you"),
        ("transit", "Goods in transit"),
        ("resolved", "Is something not right?"),
        ("closed", "Your case is closed"),
        ("cancelled", "Your case was cancelled"),
    ],
)
def test_it_says_what_happens_now(
    ticket: Ticket, owner: User, moment: Moment, state: str, words: str
) -> None:
    by = actors.staff(owner)
    if state == "cancelled":
        workflow.cancel_ticket(ticket.pk, reason="重复", by=actors.customer(ticket.contact_id or 0))
    elif state != "new":
        assign(ticket, owner)
        if state != "assigned":
            workflow.reply_to_customer(ticket.pk, Words("您好"), by=by)
    if state in ("waiting", "transit"):
        reason = "customer" if state == "waiting" else "transit"
        workflow.wait_ticket(ticket.pk, reason=reason, by=by)
    if state in ("resolved", "closed"):
        workflow.resolve_ticket(ticket.pk, resolution="已更换电源。", by=by)
    if state == "closed":
        workflow.close_ticket(ticket.pk, by=by)
    found = page(ticket, moment)
    assert words in found
    assert page(ticket, moment, "zh")
    assert ("<textarea" in found) == (state not in ("closed", "cancelled"))
    if state in ("resolved", "closed"):
        assert "已更换电源。" in found


def test_it_owns_up_to_a_missed_promise_before_any_worker_does(
    ticket: Ticket, moment: Moment
) -> None:
    moment("2026-11-20 15:30:01")
    found = page(ticket, moment)
    assert "We promised an answer by Fri 20 Nov 2026, 15:30 and are late. We are sorry" in found
    assert "Handling starts by" not in found
    assert not ticket.clocks.filter(breached_at__isnull=False).exists()


def test_it_shows_the_product_by_its_name(moment: Moment, owner: User) -> None:
    product = make_product(name_zh="净水器", name_en="Water purifier")
    ticket = make_ticket(
        customer=CUSTOMER, product=workflow.ProductReport(model=product.model, serial_number="SN1")
    )
    found = page(ticket, moment)
    assert "Water purifier" in found
    assert str(product.model) in found
    assert "净水器" in page(ticket, moment, "zh")


def test_it_works_without_script_and_weighs_little(ticket: Ticket, moment: Moment) -> None:
    for _ in range(30):
        say(path(ticket, moment), "很长的留言。" * 100)
    found = page(ticket, moment)
    assert "<script" not in found
    assert " style=" not in found
    files = re.findall(r'(?:href|src)="/static/([^"]+)"', found)
    assert files
    weight = len(found.encode()) + sum(
        (Path(settings.BASE_DIR) / "static" / name).stat().st_size for name in set(files)
    )
    assert weight < 200_000


def test_it_asks_the_database_as_often_for_100_messages_as_for_one(
    ticket: Ticket,
    owner: User,
    moment: Moment,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    """The link, the case with its people, what was promised, what was said."""
    assign(ticket, owner)
    workflow.reply_to_customer(ticket.pk, Words("您好"), by=actors.staff(owner))
    address = path(ticket, moment)
    browser = Client()
    browser.get(address)
    with django_assert_num_queries(4):
        browser.get(address)
    for number in range(99):
        workflow.reply_to_customer(ticket.pk, Words(f"第 {number} 条"), by=actors.staff(owner))
    with django_assert_num_queries(4):
        found = browser.get(address).content.decode()
    assert found.count('class="ours"') == 100


def test_it_shows_the_latest_messages_of_a_very_long_case(
    ticket: Ticket, owner: User, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer, "SHOWN_MESSAGES", 2)
    assign(ticket, owner)
    for word in ("第一", "第二", "第三"):
        workflow.reply_to_customer(ticket.pk, Words(word), by=actors.staff(owner))
    found = page(ticket, moment)
    assert "第一" not in found
    assert found.index("第二") < found.index("第三")


# --- what it takes -----------------------------------------------------------------------------


def test_what_the_customer_writes_arrives_masked_and_is_thanked_for(
    ticket: Ticket, moment: Moment
) -> None:
    browser = Client(headers={"Accept-Language": "en"})
    address = path(ticket, moment)
    form = {"body": "请打 13912345678", "submission_id": str(uuid.uuid4())}
    response = browser.post(address, form)
    assert (response.status_code, response["Location"]) == (302, address)
    message = Message.objects.get()
    assert (message.kind, message.channel) == (Message.Kind.CUSTOMER, "web")
    assert message.body == "请打 139****5678"
    assert message.original is not None
    assert message.original.clear() == "请打 13912345678"
    shown = browser.get(address).content.decode()
    assert "Thank you, your message has arrived." in shown
    assert "139****5678" in shown
    assert "Thank you" not in browser.get(address).content.decode()


def test_a_form_that_is_sent_twice_is_one_message(ticket: Ticket, moment: Moment) -> None:
    same = str(uuid.uuid4())
    address = path(ticket, moment)
    for _ in range(2):
        assert say(address, submission_id=same).status_code == 302
    assert Message.objects.count() == 1


def test_a_form_that_is_copied_to_another_case_is_a_message_of_its_own(
    ticket: Ticket, moment: Moment
) -> None:
    other = make_ticket(customer=CUSTOMER)
    same = str(uuid.uuid4())
    for case in (ticket, other):
        assert say(path(case, moment), submission_id=same).status_code == 302
    assert Message.objects.count() == 2


def test_each_form_has_its_own_submission_id(ticket: Ticket, moment: Moment) -> None:
    ids = {
        re.search(r'name="submission_id" value="([^"]+)"', page(ticket, moment))[1]  # type: ignore[index]
        for _ in range(2)
    }
    assert len(ids) == 2


def test_it_keeps_what_was_typed_when_something_is_wrong(ticket: Ticket, moment: Moment) -> None:
    same = str(uuid.uuid4())
    response = say(path(ticket, moment), "很长" * 2501, submission_id=same)
    shown = response.content.decode()
    assert response.status_code == 422
    assert "Please keep it under 5000 characters." in shown
    assert "很长很长" in shown
    assert same in shown
    assert "autofocus" in shown
    assert "autofocus" not in page(ticket, moment)
    assert not Message.objects.exists()


@pytest.mark.parametrize("changes", [{"body": "  "}, {"submission_id": "x"}, {"submission_id": ""}])
def test_it_refuses_an_empty_message_and_a_broken_form(
    ticket: Ticket, moment: Moment, changes: dict[str, str]
) -> None:
    assert say(path(ticket, moment), **changes).status_code == 422
    assert not Message.objects.exists()


def test_a_word_from_the_customer_ends_the_wait_for_it(
    ticket: Ticket, owner: User, moment: Moment
) -> None:
    assign(ticket, owner)
    workflow.wait_ticket(ticket.pk, reason="customer", by=actors.staff(owner))
    say(path(ticket, moment))
    ticket.refresh_from_db()
    assert ticket.status == states.Status.IN_PROGRESS


def test_a_case_that_ended_meanwhile_takes_nothing_and_loses_nothing(
    ticket: Ticket, moment: Moment
) -> None:
    address = path(ticket, moment)
    workflow.cancel_ticket(ticket.pk, reason="重复", by=actors.customer(ticket.contact_id or 0))
    response = say(address, "还是不亮")
    shown = response.content.decode()
    assert response.status_code == 409
    assert "This case has ended meanwhile" in shown
    assert "还是不亮" in shown
    assert not Message.objects.exists()


def test_whoever_holds_the_link_cannot_flood_the_case(
    ticket: Ticket, moment: Moment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        customer, "MESSAGES_AN_HOUR", limits.Limit("case-link", 2, timedelta(hours=1))
    )
    address = path(ticket, moment)
    assert [say(address).status_code for _ in range(2)] == [302, 302]
    refused = say(address, "第三条")
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 3600
    assert "第三条" in refused.content.decode()
    moment.later(minutes=61)
    assert say(address).status_code == 302


def test_it_takes_nothing_from_a_form_of_another_site(ticket: Ticket, moment: Moment) -> None:
    strict = Client(enforce_csrf_checks=True)
    form = {"body": "x", "submission_id": str(uuid.uuid4())}
    assert strict.post(path(ticket, moment), form).status_code == 403
    assert not Message.objects.exists()


def test_it_can_be_read_and_written_and_nothing_else(ticket: Ticket, moment: Moment) -> None:
    address = path(ticket, moment)
    assert Client().head(address).status_code == 200
    for method in ("PUT", "PATCH", "DELETE"):
        assert Client().generic(method, address).status_code == 405


def test_the_page_leaves_the_case_as_it_was(ticket: Ticket, moment: Moment) -> None:
    moment("2026-11-20 16:00")
    with CaptureQueriesContext(connection) as asked:
        page(ticket, moment)
    written = [q["sql"] for q in asked if not q["sql"].startswith("SELECT")]
    assert not [sql for sql in written if "messaging_link" not in sql]
    assert clocks.sweep() == 1
