"""Rows for tests: plain typed functions, each with sensible values that ``changes`` override."""

import itertools
from typing import Any

from django.contrib.auth.hashers import make_password

from aftersales.accounts import actors
from aftersales.accounts.actors import Actor
from aftersales.accounts.models import ApiClient, ApiKey, ClientKind, Role, Scope, Shop, Team, User
from aftersales.customers.models import (
    Contact,
    Customer,
    Order,
    Product,
    ProductCategory,
    Unit,
)
from tickets import workflow
from tickets.models import Ticket

_count = itertools.count(1)

PASSWORD = "Correct-Horse-42"

# --- accounts ---------------------------------------------------------------------------------


def make_team(**changes: Any) -> Team:
    number = next(_count)
    values = {"code": f"team-{number}", "name_zh": f"{number}组", "name_en": f"Team {number}"}
    return Team.objects.create(**values | changes)


def intake_team() -> Team:
    team = Team.objects.filter(is_intake=True).first()
    return team or make_team(code="service", name_zh="客服组", name_en="Service", is_intake=True)


def make_user(*roles: str, **changes: Any) -> User:
    number = next(_count)
    values: dict[str, Any] = {
        "username": f"user{number}",
        "email": f"user{number}@example.com",
        "staff_number": f"S{number:04d}",
        "display_name": f"员工{number}",
        "roles": list(roles) or [Role.AGENT],
        "password": make_password(PASSWORD),
    }
    if "team" not in changes:
        values["team"] = intake_team()
    return User.objects.create(**values | changes)


def make_shop(**changes: Any) -> Shop:
    number = next(_count)
    return Shop.objects.create(**{"code": f"shop-{number}", "name": f"Shop {number}"} | changes)


def make_shop_client(shop: Shop | None = None, **changes: Any) -> ApiClient:
    values = {
        "kind": ClientKind.SHOP,
        "name": "Shop client",
        "shop": shop or make_shop(),
        "scopes": [Scope.TICKETS_READ, Scope.TICKETS_WRITE],
    }
    return ApiClient.objects.create(**values | changes)


def make_staff_client(user: User | None = None, **changes: Any) -> ApiClient:
    values = {"kind": ClientKind.STAFF, "name": "Staff client", "user": user or make_user()}
    return ApiClient.objects.create(**values | changes)


def make_key(client: ApiClient, **changes: Any) -> str:
    """A live key's clear text, as it goes behind ``Authorization: Bearer``."""
    _key, secret = ApiKey.objects.create_key(**{"client": client, "name": "Key"} | changes)
    return secret


def staff_actor(*roles: str, **changes: Any) -> Actor:
    return actors.staff(make_user(*roles, **changes))


# --- customers ----------------------------------------------------------------------------------


def make_contact(**changes: Any) -> Contact:
    values: dict[str, Any] = {
        "name": "王小明",
        "phone": "13812345678",
        "email": "xiaoming@example.com",
        "address": "广东省深圳市南山区科技园1号",
    }
    if "customer" not in changes:
        values["customer"] = Customer.objects.create()
    return Contact.objects.create(**values | changes)


def make_product(**changes: Any) -> Product:
    number = next(_count)
    values: dict[str, Any] = {"model": f"KX-{number}", "name_zh": "控制器", "name_en": "Controller"}
    if "category" not in changes:
        values["category"] = ProductCategory.objects.create(
            code=f"category-{number}", name_zh="电器", name_en="Appliances"
        )
    return Product.objects.create(**values | changes)


def make_unit(**changes: Any) -> Unit:
    values: dict[str, Any] = {"serial_number": f"SN{next(_count):011d}"}
    if "product" not in changes:
        values["product"] = make_product()
    return Unit.objects.create(**values | changes)


def make_order(**changes: Any) -> Order:
    values: dict[str, Any] = {"number": f"DD{next(_count):010d}"}
    if "shop" not in changes:
        values["shop"] = make_shop()
    return Order.objects.create(**values | changes)


# --- tickets ------------------------------------------------------------------------------------


def make_report(**changes: Any) -> workflow.Report:
    values: dict[str, Any] = {
        "kind": "fault",
        "channel": "phone",
        "subject": "主板指示灯不亮",
        "description": "开机后指示灯不亮,其余正常。",
        "customer": workflow.CustomerReport(name="王小明", phone="13800138000"),
    }
    return workflow.Report(**values | changes)


def make_ticket(*, by: Actor | None = None, **changes: Any) -> Ticket:
    """A case taken in by an agent, through the one door; ``changes`` are fields of the report."""
    intake_team()
    return workflow.take_in(make_report(**changes), by=by or staff_actor()).ticket
