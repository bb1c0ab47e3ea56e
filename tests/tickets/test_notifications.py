"""Who is told what by which event, and what the letters say."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.template.loader import get_template
from django.utils import translation
from hypothesis import HealthCheck, given, strategies
from hypothesis import settings as hypothesis_settings

from aftersales.accounts import actors
from aftersales.accounts.models import Role, User
from aftersales.customers.models import Contact
from aftersales.messaging import composing, notices, relay, texts, topics, webhooks
from aftersales.messaging.models import Link, Notice, Outbox
from tests.factories import make_shop, make_shop_client, make_ticket, make_user
from tests.tickets import uploads
from tests.tickets.conftest import Moment, at
from tickets import clocks, letters, notifications, workflow
from tickets.models import Message, Ticket
from tickets.workflow import CustomerReport, Words
from tickets.workflow.links import follow_up_url

pytestmark = pytest.mark.django_db

MAIL = CustomerReport(name="王小明", phone="13800138000", email="wang@example.com")
PHONE = CustomerReport(name="陈静", phone="13900139000")


@pytest.fixture(autouse=True)
def _chinese(moment: Moment) -> Iterator[None]:
    with translation.override("zh-hans"):
        yield


@pytest.fixture
def owner(moment: Moment) -> User:
    return make_user(Role.AGENT, display_name="李娜", staff_number="S1001")


@pytest.fixture
def supervisor(owner: User) -> User:
    return make_user(Role.SUPERVISOR)


@pytest.fixture
def manager(owner: User) -> User:
    return make_user(Role.MANAGER)


def tell() -> None:
    """What the relay does with the events that are in the outbox."""
    relay.relay_fan_out()


def silence() -> None:
    """Forget everything that was told so far."""
    tell()
    Notice.objects.all().delete()
    Outbox.objects.all().delete()


def told(user: User) -> list[str]:
    return [
        key.removeprefix("tickets.")
        for key in Notice.objects.filter(user=user)
        .order_by("pk")
        .values_list("event_key", flat=True)
    ]


def last_line(user: User, language: str = "en") -> str:
    with translation.override(language):
        return notices.text_of(notices.list_for(user)[0])


def sent(topic: str = "mail") -> list[str]:
    rows = Outbox.objects.filter(topic=topic).order_by("pk")
    return [row.payload["template"].removeprefix("tickets/") for row in rows]


def text(name: str, part: str = "body", language: str = "en") -> str:
    """The last letter of this name as it would go out now."""
    template = f"tickets/{name}"
    row = Outbox.objects.filter(payload__template=template).latest("pk")
    with composing.in_words(row, language) as values:
        return texts.plain(texts.path(template, part), values)


def assign(ticket: Ticket, owner: User, by: User | None = None) -> Ticket:
    return workflow.assign_ticket(ticket.pk, owner_id=owner.pk, by=actors.staff(by or owner))


def customer_of(ticket: Ticket) -> Any:
    assert ticket.contact_id is not None
    return actors.customer(ticket.contact_id)


# --- the receipt ------------------------------------------------------------------------------


def test_it_mails_a_receipt_with_number_and_live_link_at_once(moment: Moment) -> None:
    ticket = make_ticket(customer=MAIL)
    tell()
    assert sent() == ["received"]
    assert sent("sms") == []
    body = text("received")
    assert ticket.number in body
    assert follow_up_url(ticket, moment.now) in body
    assert "A member of our staff confirms it in person by Fri 20 Nov 2026, 10:10." in body


def test_it_sends_the_receipt_by_sms_where_there_is_no_mail_address(moment: Moment) -> None:
    ticket = make_ticket(customer=PHONE)
    tell()
    assert sent() == []
    assert sent("sms") == ["received"]
    short = text("received", "sms")
    assert ticket.number in short
    assert "/c/" in short
    assert "wang" not in short


def test_it_says_the_receipt_in_the_customers_language(moment: Moment) -> None:
    make_ticket(customer=MAIL)
    tell()
    assert "我们已收到您的反馈" in text("received", language="zh-hans")


@hypothesis_settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    word=strategies.text(
        strategies.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=4, max_size=40
    )
)
def test_nothing_that_the_submitter_chose_gets_into_the_receipt(moment: Moment, word: str) -> None:
    """T04: our mail carries nobody's advertisement to a stranger's address."""
    silence()
    make_ticket(
        subject=word,
        description=word,
        environment=word,
        tried=word,
        customer=CustomerReport(name=word, company=word, email="victim@example.com", address=word),
        product=workflow.ProductReport(model=word, serial_number=word),
    )
    tell()
    for language in ("en", "zh-hans"):
        for part in ("subject", "body"):
            said = text("received", part, language)
            link = text("received", "body", language).split("/c/")[1].split()[0]
            assert word not in said.replace(link, "").replace(settings.BASE_URL, "") or (
                word in plain_receipt(language)
            )


def plain_receipt(language: str) -> str:
    """The receipt's fixed words; a word of theirs may well be what somebody typed."""
    with translation.override(language):
        values = {"number": "GZ20261120999", "link": "", "confirmed_by": at("2026-11-20 10:10")}
        return texts.plain("tickets/messages/received.body.txt", values)


def test_it_mails_one_address_three_receipts_an_hour_at_most(moment: Moment) -> None:
    """T04: fifty reports with a victim's address."""
    for _ in range(50):
        make_ticket(customer=MAIL)
    tell()
    assert len(sent()) == 3
    Outbox.objects.filter(topic="mail").update(sent_at=moment.now)
    moment.later(minutes=59)
    make_ticket(customer=MAIL)
    tell()
    assert len(sent()) == 3
    moment.later(minutes=2)
    make_ticket(customer=MAIL)
    tell()
    assert len(sent()) == 4


def test_the_breaker_of_receipts_never_holds_what_staff_write(moment: Moment, owner: User) -> None:
    tickets = [make_ticket(customer=MAIL) for _ in range(4)]
    tell()
    assign(tickets[3], owner)
    workflow.reply_to_customer(tickets[3].pk, Words("请重启一次。"), by=actors.staff(owner))
    tell()
    assert sent()[3:] == ["assigned", "replied"]


def test_every_letter_of_a_case_carries_the_same_link(moment: Moment, owner: User) -> None:
    ticket = make_ticket(customer=MAIL)
    tell()
    moment.later(days=20)
    assign(ticket, owner)
    tell()
    assert {row.payload["link"] for row in Outbox.objects.filter(topic="mail")} == {
        Link.objects.get().pk
    }
    moment.later(days=45)
    workflow.reply_to_customer(ticket.pk, Words("您好"), by=actors.staff(owner))
    tell()
    newest = Outbox.objects.filter(topic="mail").latest("pk")
    link = Link.objects.get(pk=newest.payload["link"])
    assert (link.expires_at - moment.now).days == 90


# --- what the customer is told -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("urgency", "words"),
    [
        ("urgent", "within 30 minutes, by Fri 20 Nov 2026, 10:30 at the latest"),
        ("important", "within 2 hours, by Fri 20 Nov 2026, 12:00 at the latest"),
        ("general", "within 4 service hours, by Fri 20 Nov 2026, 15:30 at the latest"),
    ],
)
def test_the_acknowledgement_names_owner_and_the_hours_that_the_level_promises(
    moment: Moment, owner: User, urgency: str, words: str
) -> None:
    """R-IN-4, R-HA-1."""
    ticket = make_ticket(customer=MAIL, urgency=urgency)
    moment.later(minutes=5)
    assign(ticket, owner)
    tell()
    body = text("assigned")
    assert f"has been received, handling starts {words}." in body
    assert "李娜 (staff number S1001)" in body
    if urgency == "general":
        assert "4 个工作小时内开始处理" in text("assigned", language="zh-hans")


def test_the_acknowledgement_by_sms_names_the_hours_too(moment: Moment, owner: User) -> None:
    assign(make_ticket(customer=PHONE, urgency="important"), owner)
    tell()
    assert "handling starts within 2 hours. 李娜 (staff number S1001)" in text("assigned", "sms")


def test_a_late_acknowledgement_promises_nothing_and_says_sorry(
    moment: Moment, owner: User
) -> None:
    ticket = make_ticket(customer=MAIL, urgency="important")
    moment.later(hours=3)
    assign(ticket, owner)
    tell()
    body = text("assigned")
    assert "We are later with it than we promised, and we are sorry" in body
    assert "within" not in body


def test_a_new_owner_introduces_themselves_without_a_second_acknowledgement(
    moment: Moment, owner: User, supervisor: User
) -> None:
    ticket = assign(make_ticket(customer=MAIL), owner)
    second = make_user(Role.AGENT, display_name="张伟")
    assign(ticket, second, by=supervisor)
    tell()
    body = text("assigned")
    assert "张伟" in body
    assert "handling starts" not in body


def test_an_answer_goes_by_mail_with_its_words_and_by_sms_with_the_link_alone(
    moment: Moment, owner: User
) -> None:
    for customer in (MAIL, PHONE):
        ticket = assign(make_ticket(customer=customer), owner)
        silence()
        workflow.reply_to_customer(ticket.pk, Words("请先断电。"), by=actors.staff(owner))
        tell()
        if customer is MAIL:
            assert sent() == ["replied"]
            assert "李娜 (staff number S1001) writes" in text("replied")
            assert "请先断电。" in text("replied")
        else:
            assert sent("sms") == ["replied"]
            assert "请先断电" not in text("replied", "sms")
            assert "/c/" in text("replied", "sms")


def test_a_note_is_told_to_no_customer(moment: Moment, owner: User) -> None:
    ticket = assign(make_ticket(customer=MAIL), owner)
    silence()
    workflow.write_note(ticket.pk, Words("客户很着急"), by=actors.staff(owner))
    tell()
    assert sent() == sent("sms") == []


def test_the_solution_comes_with_what_the_customer_can_do(moment: Moment, owner: User) -> None:
    ticket = assign(make_ticket(customer=MAIL), owner)
    silence()
    workflow.resolve_ticket(ticket.pk, resolution="已更换电源。", by=actors.staff(owner))
    tell()
    assert sent() == ["resolved"]
    body = text("resolved")
    assert "已更换电源。" in body
    assert "If something is not right" in body
    assert "If we hear nothing by Fri 27 Nov 2026, 24:00, we close the case." in body
    assert "Your rights stay as they are" in body


def test_it_asks_the_customer_only_where_the_case_waits_for_them(
    moment: Moment, owner: User
) -> None:
    by = actors.staff(owner)
    for reason, letter in (("customer", ["waiting"]), ("transit", [])):
        ticket = assign(make_ticket(customer=MAIL), owner)
        silence()
        workflow.wait_ticket(ticket.pk, reason=reason, by=by)
        tell()
        assert sent() == letter
        if letter:
            assert "until Fri 27 Nov 2026, 10:00" in text("waiting")


def test_a_letter_that_has_been_overtaken_is_not_sent(moment: Moment, owner: User) -> None:
    ticket = assign(make_ticket(customer=MAIL), owner)
    workflow.wait_ticket(ticket.pk, reason="customer", by=actors.staff(owner))
    tell()
    workflow.write_as_customer(ticket.pk, Words("型号 PX-200"), by=customer_of(ticket))
    with pytest.raises(topics.Skipped, match="WaitOver"):
        text("waiting")


@pytest.mark.parametrize("name", sorted(letters.VALUES))
def test_a_letter_about_what_is_gone_is_not_sent(name: str) -> None:
    params = {"ticket": 0, "message": "00000000-0000-0000-0000-000000000000", "reassigned": False}
    with pytest.raises(topics.Skipped, match=r"CaseGone|MessageGone"):
        letters.VALUES[name](params)


def test_an_owner_who_comes_after_the_first_answer_promises_no_start(
    moment: Moment, owner: User, supervisor: User
) -> None:
    ticket = make_ticket(customer=MAIL)
    workflow.reply_to_customer(ticket.pk, Words("您好"), by=actors.staff(supervisor))
    assign(ticket, owner, by=supervisor)
    tell()
    assert f"Your case {ticket.number} is in hand." in text("assigned")


def test_closing_reopening_and_cancelling_are_told(
    moment: Moment, owner: User, supervisor: User
) -> None:
    by = actors.staff(owner)
    ticket = assign(make_ticket(customer=MAIL), owner)
    workflow.resolve_ticket(ticket.pk, resolution="已更换电源。", by=by)
    silence()
    workflow.close_ticket(ticket.pk, by=by)
    workflow.reopen_ticket(ticket.pk, reason="又坏了", by=customer_of(ticket))
    workflow.cancel_ticket(ticket.pk, reason="重复", by=actors.staff(supervisor))
    tell()
    assert sent() == ["closed", "reopened", "cancelled"]
    assert "within 7 days" in text("closed")
    assert "李娜" in text("reopened")
    assert "If this is a mistake" in text("cancelled")
    assert told(owner) == ["reopened", "cancelled"]


def test_a_customer_who_cancels_needs_no_letter_about_it(moment: Moment) -> None:
    ticket = make_ticket(customer=MAIL)
    silence()
    workflow.cancel_ticket(ticket.pk, reason="不需要了", by=customer_of(ticket))
    tell()
    assert sent() == []


def test_no_letter_speaks_of_final_interpretation_or_of_waived_rights() -> None:
    for name in letters.VALUES:
        for part in ("subject", "body", "sms"):
            source = get_template(texts.path(f"tickets/{name}", part)).template.source  # type: ignore[attr-defined]
            for phrase in ("interpretation", "waive", "disclaim", "解释权", "放弃"):
                assert phrase not in source.lower()


# --- what staff are told -----------------------------------------------------------------------


def test_a_new_case_asks_the_teams_supervisors_for_its_level(
    moment: Moment, supervisor: User, manager: User
) -> None:
    elsewhere = make_user(Role.SUPERVISOR, team=None)
    make_ticket(urgency="urgent")
    tell()
    assert told(supervisor) == ["grading_proposed"]
    assert told(elsewhere) == told(manager) == []
    assert last_line(supervisor).endswith("proposed level: Urgent. Please decide its level.")
    assert "紧急" in last_line(supervisor, "zh-hans")


def test_a_team_without_supervisors_has_the_managers(moment: Moment, manager: User) -> None:
    make_ticket()
    tell()
    assert told(manager) == ["grading_proposed"]


def test_urgent_and_important_gradings_are_filed_by_managers_general_ones_are_not(
    moment: Moment, supervisor: User, manager: User
) -> None:
    for level, line in (("urgent", True), ("important", True), ("general", False)):
        ticket = make_ticket()
        silence()
        workflow.grade_ticket(ticket.pk, level=level, reason="已核实", by=actors.staff(supervisor))
        tell()
        assert told(manager) == (["grading_to_file"] if line else [])


def test_a_filing_that_is_sent_back_goes_to_the_supervisors(
    moment: Moment, supervisor: User, manager: User
) -> None:
    ticket = make_ticket()
    workflow.grade_ticket(ticket.pk, level="urgent", reason="停产", by=actors.staff(supervisor))
    silence()
    workflow.return_filing(ticket.pk, reason="依据不足", by=actors.staff(manager))
    tell()
    assert told(supervisor) == ["filing_returned"]


def test_nobody_is_told_of_what_they_did_themselves(
    moment: Moment, owner: User, supervisor: User
) -> None:
    ticket = make_ticket()
    silence()
    assign(ticket, owner)
    tell()
    assert told(owner) == []
    other = make_user(Role.AGENT)
    assign(ticket, other, by=supervisor)
    tell()
    assert told(other) == ["assigned"]


def test_the_customers_words_go_to_the_owner_and_without_one_to_the_supervisors(
    moment: Moment, owner: User, supervisor: User
) -> None:
    ticket = make_ticket()
    silence()
    workflow.write_as_customer(ticket.pk, Words("在吗?"), by=customer_of(ticket))
    tell()
    assert (told(owner), told(supervisor)) == ([], ["customer_wrote"])
    assign(ticket, owner)
    silence()
    workflow.write_as_customer(ticket.pk, Words("还在吗?"), by=customer_of(ticket))
    tell()
    assert (told(owner), told(supervisor)) == (["customer_wrote"], [])


def test_an_owner_who_has_left_is_stood_in_for(
    moment: Moment, owner: User, supervisor: User
) -> None:
    ticket = assign(make_ticket(), owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    silence()
    workflow.urge_ticket(ticket.pk, by=customer_of(ticket))
    tell()
    assert (told(owner), told(supervisor)) == ([], ["urged"])


def test_the_second_urge_alerts_the_supervisors(
    moment: Moment, owner: User, supervisor: User
) -> None:
    """R-IN-9."""
    ticket = assign(make_ticket(), owner)
    silence()
    workflow.urge_ticket(ticket.pk, by=customer_of(ticket))
    tell()
    assert (told(owner), told(supervisor)) == (["urged"], [])
    assert last_line(owner).endswith("for the first time.")
    workflow.urge_ticket(ticket.pk, by=customer_of(ticket))
    tell()
    assert (told(owner), told(supervisor)) == (["urged", "urged"], ["urged_often"])
    assert "urged 2 times" in last_line(supervisor)


def test_a_complaint_is_not_told_to_the_supervisor_it_is_about(
    moment: Moment, supervisor: User, manager: User
) -> None:
    second = make_user(Role.SUPERVISOR)
    ticket = make_ticket(kind="complaint", complaint_class="service")
    silence()
    workflow.name_complained_of(ticket.pk, user_id=supervisor.pk, by=actors.staff(manager))
    workflow.urge_ticket(ticket.pk, by=customer_of(ticket))
    tell()
    assert (told(supervisor), told(second)) == ([], ["urged"])


# --- clocks ------------------------------------------------------------------------------------


def test_a_deadline_goes_up_the_chain(
    moment: Moment, owner: User, supervisor: User, manager: User
) -> None:
    """R-SLA-6: owner, supervisor, manager, each stage to whom the policy names."""
    ticket = assign(make_ticket(urgency="urgent"), owner)
    silence()
    chain = [
        (24, ["clock_warned"], [], []),
        (30, ["clock_breached", "explanation_due"], ["clock_breached"], []),
        (45, [], [], ["clock_escalated"]),
    ]
    for minutes, to_owner, to_supervisor, to_manager in chain:
        moment("2026-11-20 10:00")
        moment.later(minutes=minutes, seconds=1)
        Notice.objects.all().delete()
        clocks.sweep()
        tell()
        assert [told(user) for user in (owner, supervisor, manager)] == [
            to_owner,
            to_supervisor,
            to_manager,
        ]
    assert last_line(manager) == (
        f"Case {ticket.number} is still overdue: the first response was due by "
        "Fri 20 Nov 2026, 10:30."
    )


def test_without_an_owner_the_supervisors_are_warned_and_explain(
    moment: Moment, supervisor: User
) -> None:
    make_ticket(urgency="important")
    silence()
    moment.later(hours=1, minutes=40)
    clocks.sweep()
    tell()
    assert "clock_warned" in told(supervisor)
    moment("2026-11-20 12:00:01")
    clocks.sweep()
    tell()
    assert told(supervisor)[-2:] == ["clock_breached", "explanation_due"]


def test_after_an_outage_only_the_last_stage_is_told_but_the_explanation_is_still_asked_for(
    moment: Moment, owner: User, supervisor: User, manager: User
) -> None:
    assign(make_ticket(urgency="urgent"), owner)
    silence()
    moment("2026-11-20 10:50")
    clocks.sweep()
    tell()
    assert told(owner) == ["explanation_due"]
    assert told(supervisor) == []
    assert told(manager) == ["clock_escalated"]


def test_a_warning_about_a_promise_that_was_kept_meanwhile_is_not_told(
    moment: Moment, owner: User
) -> None:
    ticket = assign(make_ticket(urgency="urgent"), owner)
    silence()
    moment.later(minutes=25)
    clocks.sweep()
    workflow.reply_to_customer(ticket.pk, Words("您好"), by=actors.staff(owner))
    tell()
    assert told(owner) == []


def test_a_quiet_stage_waits_for_the_next_opening(
    moment: Moment, owner: User, supervisor: User
) -> None:
    """A worker that was away until Saturday night finds a general case overdue: told on Monday."""
    ticket = assign(make_ticket(), owner)
    workflow.reply_to_customer(ticket.pk, Words("您好"), by=actors.staff(owner))
    silence()
    moment("2026-11-28 23:00")
    clocks.sweep()
    tell()
    assert told(owner) == told(supervisor) == []
    assert Outbox.objects.filter(topic="tickets.event", sent_at__isnull=True).exists()
    moment("2026-11-30 08:29:59")
    tell()
    assert told(owner) == []
    moment("2026-11-30 08:30")
    tell()
    assert told(owner) == ["clock_breached", "explanation_due"]
    assert told(supervisor) == ["clock_breached"]


def test_an_urgent_stage_wakes_people_at_night(moment: Moment, owner: User, manager: User) -> None:
    moment("2026-11-21 02:00")
    assign(make_ticket(urgency="urgent"), owner)
    silence()
    moment.later(minutes=46)
    clocks.sweep()
    tell()
    assert "clock_escalated" in told(manager)


def test_an_explanation_goes_back_and_forth(
    moment: Moment, owner: User, supervisor: User, manager: User
) -> None:
    """R-SLA-7."""
    ticket = assign(make_ticket(urgency="urgent"), owner)
    moment.later(minutes=31)
    clocks.sweep()
    silence()
    explain = {"cause": "漏看", "remedy": "已设提醒", "new_promise_at": None}
    by_owner, by_manager = actors.staff(owner), actors.staff(manager)
    workflow.submit_explanation(ticket.pk, 1, by=by_owner, **explain)  # type: ignore[arg-type]
    tell()
    assert (told(manager), told(supervisor)) == (["explanation_submitted"], [])
    workflow.return_explanation(ticket.pk, 1, reason="请写明原因", by=by_manager)
    workflow.submit_explanation(ticket.pk, 1, by=by_owner, **explain)  # type: ignore[arg-type]
    workflow.sign_explanation(ticket.pk, 1, by=by_manager)
    tell()
    assert told(owner) == ["explanation_returned", "explanation_signed"]
    assert last_line(owner) == f"Case {ticket.number}: overdue explanation 1 is signed."


def test_a_manager_who_wrote_an_explanation_is_not_asked_to_sign_it(moment: Moment) -> None:
    both = make_user(Role.SUPERVISOR, Role.MANAGER)
    other = make_user(Role.MANAGER)
    ticket = make_ticket(urgency="urgent")
    moment.later(minutes=31)
    clocks.sweep()
    silence()
    workflow.submit_explanation(
        ticket.pk, 1, cause="漏看", remedy="已设提醒", new_promise_at=None, by=actors.staff(both)
    )
    tell()
    assert (told(both), told(other)) == ([], ["explanation_submitted"])


# --- other systems ------------------------------------------------------------------------------


def test_a_shop_hears_of_its_own_cases_thinly(moment: Moment, owner: User) -> None:
    shop, other = make_shop(), make_shop()
    mine = webhooks.create_endpoint("https://shop.example.com/hook", shop_id=shop.pk)
    webhooks.create_endpoint("https://other.example.com/hook", shop_id=other.pk)
    firm = webhooks.create_endpoint("https://erp.example.com/hook")
    ticket = make_ticket(
        by=actors.shop(make_shop_client(shop)),
        channel="shop",
        customer=MAIL,
        external_ref="AS-1 王小明",
    )
    assign(ticket, owner)
    workflow.write_note(ticket.pk, Words("内部"), by=actors.staff(owner))
    workflow.resolve_ticket(ticket.pk, resolution="已更换电源。", by=actors.staff(owner))
    tell()
    calls = Outbox.objects.filter(topic="webhook").order_by("pk")
    assert {call.recipient for call in calls} == {f"endpoint:{mine.pk}", f"endpoint:{firm.pk}"}
    own = [call.payload for call in calls if call.recipient == f"endpoint:{mine.pk}"]
    assert [call["type"] for call in own] == [
        "ticket.received",
        "ticket.assigned",
        "ticket.resolved",
    ]
    assert own[0]["data"] == {
        "id": str(ticket.public_id),
        "number": ticket.number,
        "status": "resolved",
        "level": "general",
    }


# --- the table itself ----------------------------------------------------------------------------


def test_every_text_is_there_in_both_languages() -> None:
    bells = {
        line.name
        for lines in notifications.RULES.values()
        for line in lines
        if isinstance(line, notifications.Bell)
    }
    values = {
        "number": "GZ20261120001",
        "level": "urgent",
        "promise": "response",
        "due_at": "2026-11-20T10:30:00+08:00",
        "urges": 2,
        "explanation": 1,
    }
    for name in sorted(bells):
        lines = set()
        for language in ("en", "zh-hans"):
            with translation.override(language):
                lines.add(texts.one_line(topics.notice_template(f"tickets.{name}"), values))
        assert len(lines) == 2, f"not translated: {name}"
        assert all("GZ20261120001" in line for line in lines)
    for name in letters.VALUES:
        for part in ("subject", "body", "sms"):
            get_template(texts.path(f"tickets/{name}", part))


def test_every_rule_names_a_letter_that_has_its_values() -> None:
    named = {
        line.name
        for lines in notifications.RULES.values()
        for line in lines
        if isinstance(line, notifications.Letter)
    }
    assert named == set(letters.VALUES)


def test_an_event_without_a_rule_is_nobodys_business(moment: Moment, owner: User) -> None:
    ticket = assign(make_ticket(customer=MAIL), owner)
    silence()
    workflow.write_note(ticket.pk, Words("内部"), by=actors.staff(owner))
    tell()
    assert not Notice.objects.exists()
    assert not Outbox.objects.filter(sent_at__isnull=True).exists()


def test_a_case_without_a_customer_writes_to_nobody_outside(moment: Moment, owner: User) -> None:
    ticket = make_ticket(customer=MAIL)
    Ticket.objects.filter(pk=ticket.pk).update(contact=None)
    tell()
    assert sent() == sent("sms") == []


def test_nothing_personal_stands_in_what_waits_to_be_sent(moment: Moment, owner: User) -> None:
    ticket = assign(make_ticket(customer=MAIL), owner)
    workflow.reply_to_customer(ticket.pk, Words("请回电 13912345678"), by=actors.staff(owner))
    tell()
    stored = str(list(Outbox.objects.values_list("payload", "dedupe_key", "recipient")))
    stored += str(list(Notice.objects.values_list("params", flat=True)))
    for canary in ("王小明", "13800138000", "wang@", "13912345678", "请回电"):
        assert canary not in stored
    assert Message.objects.filter(ticket=ticket).exists()
    assert Contact.objects.count() == 1


def test_the_owner_hears_of_a_customers_file_and_nobody_of_an_own_one(
    moment: Moment, owner: User
) -> None:
    ticket = assign(make_ticket(), owner)
    silence()
    workflow.attach_file(ticket.pk, uploads.upload(uploads.picture()), by=customer_of(ticket))
    workflow.attach_file(ticket.pk, uploads.upload(uploads.pdf(), "a.pdf"), by=actors.staff(owner))
    tell()
    assert told(owner) == ["file_attached"]
    assert last_line(owner) == f"Case {ticket.number}: the customer sent a file."


def test_managers_hear_of_a_deadline_past_the_calendars_end(
    moment: Moment, manager: User, supervisor: User
) -> None:
    moment("2028-12-29 10:00")
    make_ticket()
    tell()
    assert told(manager) == ["clock_provisional"]
    assert "Publish the coming year" in last_line(manager)
