"""Clear values: for whoever holds the job, while they hold it, each look recorded before it."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import DjangoAssertNumQueries

from aftersales.accounts import actors
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import Role, User
from aftersales.common import dbtime, errors
from aftersales.customers import grants
from aftersales.customers.models import AccessLog, Alert, Contact, Grant
from tests.factories import make_contact, make_shop_client, make_user, staff_actor

NOON = datetime(2026, 11, 22, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
CASE = "GZ20261122001"


def give(contact: Contact, holder: User, **changes: Any) -> Grant:
    values: dict[str, Any] = {
        "contact_id": contact.pk,
        "holder": holder,
        "case_ref": CASE,
        "fields": ["phone", "name"],
        "reason": "owner",
        "now": NOON,
    }
    return grants.give(**values | changes)


def look(contact: Contact, by: User | Actor, **changes: Any) -> dict[str, str]:
    values: dict[str, Any] = {
        "contact_id": contact.pk,
        "fields": ["phone"],
        "case_ref": CASE,
        "purpose": "回电",
        "by": actors.staff(by) if isinstance(by, User) else by,
    }
    return grants.reveal(**values | changes)


def log() -> list[tuple[str, list[str], int | None]]:
    rows = AccessLog.objects.order_by("pk")
    return [(row.outcome, row.fields, row.grant_id) for row in rows]


@pytest.mark.django_db
class TestReveal:
    def test_the_holder_sees_and_the_look_is_recorded(self) -> None:
        contact, agent = make_contact(), make_user()
        grant = give(contact, agent)
        with dbtime.at(NOON):
            values = look(contact, agent, fields=["name", "phone"])
        assert values == {"name": "王小明", "phone": "13812345678"}
        row = AccessLog.objects.get()
        assert (row.at, row.user, row.contact_id, row.case_ref) == (NOON, agent, contact.pk, CASE)
        assert (row.outcome, row.fields, row.purpose) == ("shown", ["name", "phone"], "回电")
        assert (row.grant_id, row.actor) == (grant.pk, f"staff:{agent.staff_number}")

    def test_what_is_not_known_is_empty(self) -> None:
        contact, agent = make_contact(email=None), make_user()
        give(contact, agent, fields=["email"])
        with dbtime.at(NOON):
            assert look(contact, agent, fields=["email"]) == {"email": ""}

    @pytest.mark.parametrize(
        "change",
        [
            {"fields": ["address"]},
            {"fields": ["phone", "address"]},
            {"case_ref": "GZ20261122002"},
        ],
    )
    def test_a_grant_is_for_its_fields_and_its_case(self, change: dict[str, Any]) -> None:
        contact, agent = make_contact(), make_user()
        give(contact, agent)
        with dbtime.at(NOON), pytest.raises(errors.NotAllowed):
            look(contact, agent, **change)
        assert [(outcome, grant) for outcome, _, grant in log()] == [("no_grant", None)]

    def test_a_grant_is_for_its_contact_and_its_holder(self) -> None:
        contact, agent = make_contact(), make_user()
        give(contact, agent)
        with dbtime.at(NOON):
            for who, whom in ((make_user(), contact), (agent, make_contact())):
                with pytest.raises(errors.NotAllowed):
                    look(whom, who)

    @pytest.mark.parametrize(
        ("after", "seen"),
        [(-SECOND, False), (0 * SECOND, True), (HOUR - SECOND, True), (HOUR, False)],
    )
    def test_a_grant_holds_from_its_beginning_until_its_end(
        self, after: timedelta, seen: bool
    ) -> None:
        contact, agent = make_contact(), make_user()
        give(contact, agent, until=NOON + HOUR)
        with dbtime.at(NOON + after):
            if seen:
                assert look(contact, agent)
            else:
                with pytest.raises(errors.NotAllowed):
                    look(contact, agent)

    @pytest.mark.parametrize("role", Role.values)
    def test_no_role_sees_anything_without_a_grant(self, role: str) -> None:
        """Not the manager, and not the administrator either."""
        expected = errors.NotVisible if role in ("provider", "dealer") else errors.NotAllowed
        with pytest.raises(expected):
            look(make_contact(), make_user(role))
        assert [outcome for outcome, _, _ in log()] == ["no_grant"]

    def test_programs_and_customers_have_no_grants(self) -> None:
        client = make_shop_client()
        own, foreign = make_contact(shop=client.shop), make_contact()
        with pytest.raises(errors.NotAllowed):
            look(own, actors.shop(client))
        for by in (actors.shop(client), actors.customer(foreign.pk), actors.SYSTEM):
            with pytest.raises(errors.NotVisible):
                look(foreign, by)
        assert AccessLog.objects.filter(outcome="no_grant", user__isnull=True).count() == 4

    def test_a_contact_that_never_was_is_not_visible(self) -> None:
        with pytest.raises(errors.NotVisible):
            look(Contact(pk=0), make_user())

    @pytest.mark.parametrize("fields", [[], ["phone", "secret"], ["customer"]])
    def test_only_personal_fields_are_asked_for(self, fields: list[str]) -> None:
        contact, agent = make_contact(), make_user()
        with pytest.raises(ValueError, match="phone"):
            look(contact, agent, fields=fields)
        with pytest.raises(ValueError, match="phone"):
            give(contact, agent, fields=fields)

    def test_the_purpose_is_kept_without_personal_data(self) -> None:
        with pytest.raises(errors.NotAllowed):
            look(make_contact(), make_user(), purpose="打 13812345678 问问")
        assert AccessLog.objects.get().purpose == "打 138****5678 问问"

    def test_without_the_record_there_is_no_value(self, monkeypatch: pytest.MonkeyPatch) -> None:
        contact, agent = make_contact(), make_user()
        give(contact, agent)
        served: list[object] = []
        monkeypatch.setattr(grants, "_clear_values", lambda *args: served.append(args))
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE customers_accesslog RENAME COLUMN purpose TO gone")
        with dbtime.at(NOON), pytest.raises(DatabaseError):
            look(contact, agent)
        assert served == []

    def test_it_costs_seven_queries(
        self, django_assert_max_num_queries: DjangoAssertNumQueries
    ) -> None:
        contact, agent = make_contact(), make_user()
        give(contact, agent)
        by = actors.staff(agent)
        with dbtime.at(NOON), django_assert_max_num_queries(7):  # two are the savepoint's
            look(contact, by)


@pytest.mark.django_db
class TestTheLimit:
    def look_often(self, contact: Contact, agent: User, times: int) -> None:
        for number in range(times):
            with dbtime.at(NOON + number * SECOND):
                look(contact, agent)

    def test_the_thirty_first_look_in_an_hour_is_refused_and_managers_hear_of_it_once(self) -> None:
        contact, agent = make_contact(), make_user()
        give(contact, agent)
        self.look_often(contact, agent, 30)
        for _ in range(3):
            with dbtime.at(NOON + 60 * SECOND), pytest.raises(errors.TooMany) as refused:
                look(contact, agent)
            assert refused.value.retry_after == 3540
        assert [outcome for outcome, _, _ in log()] == ["shown"] * 30 + ["too_many"] * 3
        assert [(a.kind, a.user, a.raised_at) for a in Alert.objects.all()] == [
            ("too_many", agent, NOON + 60 * SECOND)
        ]

    def test_an_hour_later_the_first_look_is_free_again(self) -> None:
        contact, agent = make_contact(), make_user()
        give(contact, agent)
        self.look_often(contact, agent, 30)
        with dbtime.at(NOON + HOUR - SECOND), pytest.raises(errors.TooMany):
            look(contact, agent)
        with dbtime.at(NOON + HOUR):
            assert look(contact, agent)
        with dbtime.at(NOON + HOUR), pytest.raises(errors.TooMany):
            look(contact, agent)

    def test_each_person_has_their_own(self) -> None:
        contact, agent, other = make_contact(), make_user(), make_user()
        give(contact, agent)
        give(contact, other)
        self.look_often(contact, agent, 30)
        with dbtime.at(NOON + 60 * SECOND):
            assert look(contact, other)


@pytest.mark.django_db
class TestEnd:
    def test_after_the_end_nothing_is_seen(self) -> None:
        contact, agent = make_contact(), make_user()
        grant = give(contact, agent)
        assert grants.end(case_ref=CASE, holder=agent, reason="reassigned", now=NOON + SECOND) == 1
        with dbtime.at(NOON + 2 * SECOND), pytest.raises(errors.NotAllowed):
            look(contact, agent)
        grant.refresh_from_db()
        assert (grant.ended_at, grant.ended_reason) == (NOON + SECOND, "reassigned")

    def test_it_ends_what_it_names_and_nothing_else(self) -> None:
        contact, agent, other = make_contact(), make_user(), make_user()
        mine, visit = give(contact, agent), give(contact, agent, reason="visit")
        theirs, elsewhere = give(contact, other), give(contact, agent, case_ref="GZ2")

        def live() -> set[int]:
            return set(Grant.objects.live(NOON).values_list("pk", flat=True))

        assert grants.end(case_ref=CASE, holder=agent, job="visit", now=NOON) == 1
        assert live() == {mine.pk, theirs.pk, elsewhere.pk}
        assert visit.pk not in live()
        assert grants.end(case_ref=CASE, holder=other, now=NOON) == 1
        assert grants.end(case_ref=CASE, now=NOON) == 1
        assert grants.end(case_ref=CASE, now=NOON) == 0
        assert live() == {elsewhere.pk}

    def test_giving_and_ending_cost_one_query_each(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        contact, agent = make_contact(), make_user()
        with django_assert_num_queries(1):
            give(contact, agent)
        with django_assert_num_queries(1):
            grants.end(case_ref=CASE, now=NOON)


@pytest.mark.django_db
class TestBreakGlass:
    def open(self, contact: Contact, by: Actor, reason: str = "客户电话里求救,需要地址") -> Grant:
        return grants.break_glass(
            contact_id=contact.pk, case_ref=CASE, fields=["address"], reason=reason, by=by
        )

    def test_a_manager_sees_for_an_hour_and_it_is_announced(self) -> None:
        contact, manager = make_contact(), staff_actor(Role.MANAGER)
        with dbtime.at(NOON):
            grant = self.open(contact, manager)
        assert (grant.reason, grant.until) == ("break_glass", NOON + HOUR)
        with dbtime.at(NOON + HOUR - SECOND):
            assert look(contact, manager, fields=["address"])["address"].startswith("广东")
        with dbtime.at(NOON + HOUR), pytest.raises(errors.NotAllowed):
            look(contact, manager, fields=["address"])
        alert = Alert.objects.get()
        assert (alert.kind, alert.user, alert.contact) == ("break_glass", manager.user, contact)
        assert (alert.note, alert.raised_at) == ("客户电话里求救,需要地址", NOON)

    @pytest.mark.parametrize("role", [role for role in Role.values if role != Role.MANAGER])
    def test_nobody_else_may(self, role: str) -> None:
        with pytest.raises(errors.NotAllowed):
            self.open(make_contact(), staff_actor(role))
        assert not Grant.objects.exists()

    @pytest.mark.parametrize(("reason", "good"), [("九个字九个字九个字", False), (" " * 12, False),
                                                  ("十个字十个字十个字十", True)])  # fmt: skip
    def test_the_reason_has_ten_characters(self, reason: str, good: bool) -> None:
        manager, contact = staff_actor(Role.MANAGER), make_contact()
        if good:
            assert self.open(contact, manager, reason).note == reason
            return
        with pytest.raises(errors.Invalid) as refused:
            self.open(contact, manager, reason)
        assert refused.value.errors[0].pointer == "/reason"

    def test_the_reason_is_kept_without_personal_data(self) -> None:
        grant = self.open(make_contact(), staff_actor(Role.MANAGER), "客户13812345678要求删除数据")
        assert grant.note == Alert.objects.get().note == "客户138****5678要求删除数据"

    def test_a_contact_that_never_was_is_not_visible(self) -> None:
        with pytest.raises(errors.NotVisible):
            self.open(Contact(pk=0), staff_actor(Role.MANAGER))

    def test_an_alert_is_taken_once(self) -> None:
        self.open(make_contact(), staff_actor(Role.MANAGER))
        with transaction.atomic():
            taken = grants.take_alerts(NOON)
        assert [alert.kind for alert in taken] == ["break_glass"]
        assert grants.take_alerts(NOON) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE customers_accesslog SET purpose = 'x'",
        "UPDATE customers_accesslog SET outcome = 'no_grant', grant_id = NULL",
        "DELETE FROM customers_accesslog",
        "TRUNCATE customers_accesslog",
        "UPDATE customers_grant SET fields = '{address}'",
        "UPDATE customers_grant SET given_at = given_at - interval '1 day'",
        "UPDATE customers_grant SET holder_id = 0",
        "UPDATE customers_grant SET note = 'x', ended_at = now()",
        "DELETE FROM customers_grant",
        "TRUNCATE customers_grant",
    ],
)
def test_the_database_refuses_to_change_what_was_recorded(sql: str) -> None:
    contact, agent = make_contact(), make_user()
    give(contact, agent)
    with dbtime.at(NOON):
        look(contact, agent)
    before = list(AccessLog.objects.values()), list(Grant.objects.values())
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        with pytest.raises(DatabaseError, match=r"Cannot|kept"), transaction.atomic():
            cursor.execute(sql)
    assert (list(AccessLog.objects.values()), list(Grant.objects.values())) == before


@pytest.mark.django_db
@pytest.mark.parametrize("column", ["until", "ended_at"])
def test_a_grant_may_be_ended(column: str) -> None:
    grant = give(make_contact(), make_user())
    Grant.objects.filter(pk=grant.pk).update(**{column: NOON + HOUR})


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def at_once(self, *calls: Callable[[], object]) -> list[object]:
        """Results and errors, each call on its own connection."""
        start = threading.Barrier(len(calls))
        results: list[object] = []

        def work(call: Callable[[], object]) -> None:
            start.wait(10)
            try:
                results.append(call())
            except errors.DomainError as error:
                results.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=[call]) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(results) == len(calls)
        return results

    def test_a_look_that_waits_for_the_end_of_its_grant_is_refused(self) -> None:
        contact, agent = make_contact(), make_user()
        grants.give(
            contact_id=contact.pk,
            holder=agent,
            case_ref=CASE,
            fields=["phone"],
            reason="owner",
            now=dbtime.database_now(),
        )
        results: list[object] = []
        thread = threading.Thread(
            target=lambda: results.extend(self.at_once(lambda: look(contact, agent)))
        )
        with transaction.atomic():
            grants.end(case_ref=CASE, now=dbtime.database_now())
            thread.start()
            self.wait_until_somebody_waits()
        thread.join(30)
        assert [type(result) for result in results] == [errors.NotAllowed]
        assert AccessLog.objects.get().outcome == "no_grant"

    def wait_until_somebody_waits(self) -> None:
        for _ in range(2000):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_stat_clear_snapshot(), pg_sleep(0.005)")
                cursor.execute(
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE wait_event_type = 'Lock' AND datname = current_database()"
                )
                if cursor.fetchone()[0]:
                    return
        raise AssertionError("Nobody waited for the lock.")

    def test_many_looks_at_once_are_thirty_at_most(self) -> None:
        contact, agent = make_contact(), make_user()
        give(contact, agent, now=NOON)
        with dbtime.at(NOON):
            for _ in range(27):
                look(contact, agent)

        def one() -> object:
            with dbtime.at(NOON):
                return look(contact, agent)

        results = self.at_once(*[one] * 6)
        assert sum(isinstance(result, dict) for result in results) == 3
        assert AccessLog.objects.filter(outcome="shown").count() == 30

    def test_a_look_never_runs_inside_another_transaction(self) -> None:
        contact, agent = make_contact(), make_user()
        with pytest.raises(RuntimeError), transaction.atomic():
            look(contact, agent)

    def test_a_refusal_stays_on_record(self) -> None:
        contact, agent = make_contact(), make_user()
        with pytest.raises(errors.NotAllowed):
            look(contact, agent)
        assert AccessLog.objects.count() == 1
