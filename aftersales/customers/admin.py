"""The administrators' view: catalogue to edit, people behind masks, records to read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from aftersales.customers.models import (
    AccessLog,
    Alert,
    Contact,
    Customer,
    Grant,
    Order,
    Product,
    ProductCategory,
    Unit,
)


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Nothing is added, changed or deleted here."""

    actions = None
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Contact)
class ContactAdmin(ReadOnlyAdmin):
    fields = ("public_id", "customer", "shop", "who", "phone_mask", "email_mask", "address_mask",
              "language", "created_at")  # fmt: skip
    list_display = ("public_id", "customer", "shop", "who", "phone_mask", "created_at")
    list_select_related = ("customer", "shop")

    @admin.display(description=_("Name"))
    def who(self, contact: Contact) -> str:
        return contact.masked()["name"]

    @admin.display(description=_("Phone"))
    def phone_mask(self, contact: Contact) -> str:
        return contact.masked()["phone"]

    @admin.display(description=_("E-mail"))
    def email_mask(self, contact: Contact) -> str:
        return contact.masked()["email"]

    @admin.display(description=_("Address"))
    def address_mask(self, contact: Contact) -> str:
        return contact.masked()["address"]


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    fields = ("public_id", "shop", "number_mask", "purchased_on", "purchase_channel", "created_at")
    list_display = ("public_id", "shop", "number_mask", "purchased_on", "purchase_channel")
    list_select_related = ("shop",)

    @admin.display(description=_("Number"))
    def number_mask(self, order: Order) -> str:
        return order.masked_number()


@admin.register(Customer)
class CustomerAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("public_id", "kind", "company", "tier")
    list_filter = ("kind", "tier")
    search_fields = ("company",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


@admin.register(ProductCategory)
class ProductCategoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("code", "name_zh", "name_en", "skill")
    list_select_related = ("skill",)


@admin.register(Product)
class ProductAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("model", "name_zh", "name_en", "category", "tier")
    list_filter = ("tier", "category")
    list_select_related = ("category",)
    search_fields = ("model", "name_zh", "name_en")


@admin.register(Unit)
class UnitAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ("serial_number", "product", "batch", "purchased_on", "warranty_until")
    list_select_related = ("product",)
    search_fields = ("serial_number", "batch")
    autocomplete_fields = ("product",)


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    list_display = ("case_ref", "reason", "holder", "contact", "given_at", "until", "ended_at")
    list_filter = ("reason",)
    list_select_related = ("holder", "contact")


@admin.register(AccessLog)
class AccessLogAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor", "outcome", "contact_id", "case_ref", "fields", "purpose")
    list_filter = ("outcome",)


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    list_display = ("raised_at", "kind", "user", "case_ref", "note", "announced_at")
    list_filter = ("kind",)
    list_select_related = ("user",)
