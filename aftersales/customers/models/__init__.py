"""Customers, what they bought, and who may see their personal data."""

from aftersales.customers.models.access import (
    AccessLog,
    AccessOutcome,
    Alert,
    AlertKind,
    Grant,
    PersonalField,
)
from aftersales.customers.models.goods import (
    Order,
    Product,
    ProductCategory,
    ProductTier,
    PurchaseChannel,
    Unit,
)
from aftersales.customers.models.people import Contact, Customer, CustomerKind, CustomerTier

__all__ = [
    "AccessLog",
    "AccessOutcome",
    "Alert",
    "AlertKind",
    "Contact",
    "Customer",
    "CustomerKind",
    "CustomerTier",
    "Grant",
    "Order",
    "PersonalField",
    "Product",
    "ProductCategory",
    "ProductTier",
    "PurchaseChannel",
    "Unit",
]
