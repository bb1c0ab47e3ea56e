"""What the demo's firm sells, and the orders that its shop knows."""

import tomllib
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from aftersales.accounts.models import Shop, Skill
from aftersales.customers import intake
from aftersales.customers.models import Order, Product, ProductCategory, Unit
from aftersales.setup.demo import people
from tickets.workflow import CustomerReport

FOLDER = Path(__file__).parent


@cache
def read() -> dict[str, Any]:
    return tomllib.loads((FOLDER / "goods.toml").read_text(encoding="utf-8"))


def reporter(name: str) -> CustomerReport:
    """The customer of this short name, as they give themselves."""
    return CustomerReport(**read()["customer"][name])


def make(today: date) -> None:
    """Categories with their skills, products with their units, and the shop's orders."""
    facts = read()
    categories = {row["code"]: _category(row) for row in facts["category"]}
    products = {
        row["model"]: _product(row, categories[row["category"]], today) for row in facts["product"]
    }
    shop = Shop.objects.get(code=people.API_SHOP)
    for row in facts["order"]:
        customer = reporter(row["customer"])
        contact = intake.find_or_create_contact(
            shop_id=shop.pk,
            name=customer.name,
            company=customer.company,
            phone=customer.phone,
            email=customer.email,
            address=customer.address,
        )
        product = products[row["model"]]
        Order.objects.create(
            shop=shop,
            number=row["number"],
            contact=contact,
            purchased_on=today - timedelta(days=row["days"]),
            lines=[{"model": str(product.model), "quantity": 1}],
        )


def _category(row: dict[str, str]) -> ProductCategory:
    skill = Skill.objects.create(**row)
    people.teach(skill)
    return ProductCategory.objects.create(**row, skill=skill)


def _product(row: dict[str, Any], category: ProductCategory, today: date) -> Product:
    tier = "high_end" if category.code == "premium" else "standard"
    product = Product.objects.create(
        model=row["model"],
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        category=category,
        tier=tier,
    )
    for serial, batch, days in row["units"]:
        Unit.objects.create(
            product=product,
            serial_number=serial,
            batch=batch,
            purchased_on=today - timedelta(days=days),
            purchase_channel="online",
        )
    return product
