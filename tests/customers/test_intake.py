"""Look-ups of an intake: who is known, who is new, and never somebody else's."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.transaction import TransactionManagementError
from pytest_django import DjangoAssertNumQueries

from aftersales.common import crypto
from aftersales.customers import fields, intake
from aftersales.customers.models import Contact, Customer, Product, Unit
from tests.factories import make_contact, make_order, make_product, make_shop, make_unit

WANG: dict[str, Any] = {
    "shop_id": None,
    "name": "王小明",
    "phone": "13812345678",
    "email": "xiaoming@example.com",
    "address": "深圳市南山区1号",
}


def find(**changes: Any) -> Contact:
    with transaction.atomic():
        return intake.find_or_create_contact(**WANG | changes)


@pytest.mark.django_db
class TestFindOrCreateContact:
    def test_a_new_contact_holds_what_was_said(self) -> None:
        contact = Contact.objects.get(pk=find(company="", language="en").pk)
        assert contact.name.clear() == "王小明"
        assert contact.phone.clear() == "13812345678"
        assert contact.email.clear() == "xiaoming@example.com"
        assert contact.address.clear() == "深圳市南山区1号"
        assert contact.language == "en"
        assert (contact.customer.kind, contact.customer.company) == ("person", "")

    def test_a_company_is_a_customer_of_its_own_kind(self) -> None:
        customer = find(company="华强电子").customer
        assert (customer.kind, customer.company) == ("company", "华强电子")

    @pytest.mark.parametrize(
        "again",
        [
            {},
            {"phone": "+86 138-1234-5678"},
            {"phone": "１３８１２３４５６７８", "email": "XiaoMing@Example.COM "},
            {"email": None, "address": None},
            {"phone": "", "name": None},
            {"name": "王 小明", "address": "深圳市 南山区１号"},
        ],
    )
    def test_the_same_said_in_other_letters_or_less_of_it_is_the_same_contact(
        self, again: dict[str, Any]
    ) -> None:
        first = find()
        assert find(**again).pk == first.pk

    @pytest.mark.parametrize(
        "again",
        [
            {"email": "other@example.com"},
            {"address": "北京市海淀区2号"},
            {"name": "李娜"},
            {"phone": "13900000000"},
        ],
    )
    def test_anything_said_otherwise_makes_another_contact_of_the_same_customer(
        self, again: dict[str, Any]
    ) -> None:
        first = find()
        second = find(**again)
        assert second.pk != first.pk
        assert second.customer_id == first.customer_id
        assert Contact.objects.get(pk=first.pk).email.clear() == "xiaoming@example.com"
        assert find(**again).pk == second.pk
        assert find().pk == first.pk

    def test_nothing_is_filled_in_on_a_known_contact(self) -> None:
        """Else whoever names another's phone would add an own address, and sign in by it."""
        victim = find(email=None)
        thief = find(name=None, address=None, email="thief@example.com")
        assert thief.pk != victim.pk
        assert Contact.objects.get(pk=victim.pk).email is None

    def test_another_company_is_another_customer(self) -> None:
        assert find(company="甲公司").customer_id != find(company="乙公司").customer_id

    def test_a_shops_contact_is_never_matched_for_another_scope(self) -> None:
        shop, other = make_shop(), make_shop()
        scopes = [shop.pk, other.pk, None]
        contacts = [find(shop_id=scope) for scope in scopes]
        assert [c.shop_id for c in contacts] == scopes
        assert len({c.pk for c in contacts}) == len({c.customer_id for c in contacts}) == 3
        assert [find(shop_id=scope).pk for scope in scopes] == [c.pk for c in contacts]

    @pytest.mark.parametrize("phone", ["400-810-8888", "12315", "13812345678-1234", "无"])
    def test_a_number_that_many_share_joins_nobody(self, phone: str) -> None:
        first = find(phone=phone, email=None)
        second = find(phone=phone, email=None, name="李娜")
        assert first.customer_id != second.customer_id
        assert first.phone.clear() == phone

    def test_without_phone_and_mail_everybody_is_new(self) -> None:
        assert find(phone=None, email=None).pk != find(phone=None, email=None).pk

    def test_a_collision_of_indexes_joins_nobody(self, monkeypatch: pytest.MonkeyPatch) -> None:
        same = crypto.blind_index("x", column="c", keys={"b1": b"1" * 32})
        monkeypatch.setattr(
            fields.BlindIndexField, "candidates", lambda *_: [fields.IndexValue(same)]
        )
        first = find(phone="13812345678", email=None)
        second = find(phone="13900000000", email=None)
        assert first.customer_id != second.customer_id

    def test_a_dealers_phone_with_very_many_contacts_stays_cheap(
        self, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        monkeypatch.setattr(intake, "NEWEST", 3)
        dealer = make_contact(name="客户0", phone="13812345678", email=None, address=None)
        for number in range(1, 5):
            make_contact(
                name=f"客户{number}",
                phone="13812345678",
                email=None,
                address=None,
                customer=dealer.customer,
            )
        decrypted: list[object] = []
        clear = fields.Sealed.clear

        def counted(sealed: fields.Sealed[str]) -> str:
            decrypted.append(sealed)
            return clear(sealed)

        monkeypatch.setattr(fields.Sealed, "clear", counted)
        with transaction.atomic(), django_assert_num_queries(1):
            contact = intake.find_or_create_contact(shop_id=None, name="客户2", phone="13812345678")
        assert contact.customer_id == dealer.customer_id
        assert len(decrypted) <= 3 * 3

    def test_it_costs_one_query_for_a_known_and_three_for_a_new_contact(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        with transaction.atomic():
            with django_assert_num_queries(3):
                first = intake.find_or_create_contact(**WANG)
                assert first.customer.tier == "standard"
            with django_assert_num_queries(1):
                assert intake.find_or_create_contact(**WANG).customer.tier == "standard"
            with django_assert_num_queries(3):
                intake.find_or_create_contact(**WANG | {"name": "李娜"})
            with django_assert_num_queries(2):
                intake.find_or_create_contact(**WANG | {"phone": None, "email": None})

    def test_it_finds_by_an_index_that_an_older_key_made(self, settings: Any) -> None:
        contact = find()
        settings.BLIND_INDEX_KEY = {"b2": b"2" * 32, **settings.BLIND_INDEX_KEY}
        assert find().pk == contact.pk


@pytest.mark.django_db(transaction=True)
class TestRaces:
    def run(self, *calls: Callable[[], object]) -> None:
        """All at once, each on its own connection, having met at the start."""
        start = threading.Barrier(len(calls))
        failures: list[BaseException] = []

        def work(call: Callable[[], object]) -> None:
            try:
                start.wait(10)
                call()
            except BaseException as error:
                failures.append(error)
            finally:
                connection.close()

        threads = [threading.Thread(target=work, args=[call]) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not failures

    def test_many_intakes_of_one_new_customer_make_one_contact(self) -> None:
        for number in range(5):
            phone = f"1391234567{number}"
            self.run(*[lambda phone=phone: find(phone=phone, email=None) for _ in range(6)])
            assert len(intake.find_contacts(shop_id=None, phone=phone)) == 1
        assert Customer.objects.count() == 5

    def test_many_intakes_that_say_one_new_thing_make_one_contact(self) -> None:
        first = find()
        self.run(*[lambda: find(name="李娜") for _ in range(6)])
        assert Contact.objects.count() == 2
        assert {c.customer_id for c in Contact.objects.all()} == {first.customer_id}

    def test_a_known_contact_waits_for_nobody(self) -> None:
        find()
        known = threading.Event()

        def other_intake() -> None:
            find()
            known.set()

        with transaction.atomic():
            intake.find_or_create_contact(**WANG)
            self.run(other_intake)
        assert known.is_set()

    def test_it_must_run_in_a_transaction(self) -> None:
        with pytest.raises(TransactionManagementError):
            intake.find_or_create_contact(**WANG)


@pytest.mark.django_db
class TestLookUps:
    def test_contacts_are_found_by_the_whole_number_alone(self) -> None:
        contact = make_contact()
        assert intake.find_contacts(shop_id=None, phone="+8613812345678") == [contact]
        assert intake.find_contacts(shop_id=None, email="XIAOMING@example.com") == [contact]
        assert intake.find_contacts(shop_id=None, phone="1381234567") == []
        assert intake.find_contacts(shop_id=None, phone="") == []
        assert intake.find_contacts(shop_id=make_shop().pk, phone="13812345678") == []

    @pytest.mark.parametrize("model", ["KX-100", "kx-100", "  KX-100 ", "ＫＸ－１００"])
    def test_a_model_is_found_in_any_case_and_width(self, model: str) -> None:
        product = make_product(model="KX-100")
        assert intake.find_product(model) == product
        assert intake.find_product("KX-10") is None

    @pytest.mark.parametrize("model", ["kx-100", " ＫＸ－１００"])
    def test_a_model_exists_once(self, model: str) -> None:
        product = make_product(model="KX-100")
        for write in (
            lambda: make_product(model=model),
            lambda: Product.objects.bulk_create(
                [Product(model=model, category=product.category, name_zh="", name_en="")]
            ),
            lambda: Product.objects.filter(pk=make_product().pk).update(model=model),
        ):
            with pytest.raises(IntegrityError), transaction.atomic():
                write()

    def test_a_serial_exists_once_for_each_product(self) -> None:
        unit = make_unit(serial_number="sn-1")
        assert intake.find_unit("ＳＮ-1 ", unit.product) == unit
        assert intake.find_unit("SN-1", None) == unit
        with pytest.raises(IntegrityError), transaction.atomic():
            make_unit(serial_number="SN-1", product=unit.product)
        twin = make_unit(serial_number="SN-1")
        assert intake.find_unit("SN-1", None) is None
        assert intake.find_unit("SN-1", twin.product) == twin

    def test_an_order_is_its_shops_own(self) -> None:
        order = make_order(number="dd 2023-1001")
        assert intake.find_order(order.shop_id, "ＤＤ2023-1001") == order
        assert intake.find_order(make_shop().pk, "DD2023-1001") is None
        assert intake.find_order(None, "DD2023-1001") is None

    def test_an_order_number_exists_once_in_its_shop(self) -> None:
        order = make_order(number="DD1")
        with pytest.raises(IntegrityError), transaction.atomic():
            make_order(number="d d1", shop=order.shop)
        make_order(number="DD1")

    def test_each_costs_one_query(self, django_assert_num_queries: DjangoAssertNumQueries) -> None:
        unit, order = make_unit(), make_order()
        with django_assert_num_queries(1):
            product = intake.find_product(unit.product.model)
            assert product is not None
            assert product.category.code
        with django_assert_num_queries(1):
            found = intake.find_unit(unit.serial_number, unit.product)
            assert found is not None
            assert found.product.model
        with django_assert_num_queries(1):
            intake.find_order(order.shop_id, order.number.clear())

    @pytest.mark.parametrize("look", [Product.objects.filter(model__iexact="K"),
                                      Unit.objects.filter(serial_number__iexact="K")])  # fmt: skip
    def test_each_is_answered_by_its_index(self, look: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        assert "_once" in look.explain()
