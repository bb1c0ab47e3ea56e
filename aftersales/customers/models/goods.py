"""What the firm sold: product categories, products, single units, and shops' orders."""

from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now, Upper
from django.utils.translation import gettext_lazy as _

from aftersales.customers import masks, normal
from aftersales.customers.fields import (
    BlindIndexField,
    CodeField,
    EncryptedJSONField,
    EncryptedTextField,
    SealedModel,
    SealedQuerySet,
)
from aftersales.customers.models.people import Contact

if TYPE_CHECKING:
    from aftersales.accounts.models import Shop, Skill


class PurchaseChannel(models.TextChoices):
    """How it was bought: a distance purchase carries other rights than one in a store."""

    ONLINE = "online", _("Online shop")
    STORE = "store", _("Store")
    DEALER = "dealer", _("Dealer")
    DIRECT = "direct", _("Direct sale or contract")
    OTHER = "other", _("Other")


class ProductTier(models.TextChoices):
    STANDARD = "standard", _("Standard")
    HIGH_END = "high_end", _("High end")


class ProductCategory(models.Model):
    """A family of products; its skill says who can be assigned."""

    code = models.SlugField(_("code"), max_length=40, unique=True)
    name_zh = models.CharField(_("Chinese name"), max_length=80)
    name_en = models.CharField(_("English name"), max_length=80)
    skill: "models.ForeignKey[Skill | None, Skill | None]" = models.ForeignKey(
        "accounts.Skill",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="+",
        verbose_name=_("skill"),
    )

    class Meta:
        verbose_name, verbose_name_plural = _("product category"), _("product categories")

    def __str__(self) -> str:
        return self.code


class Product(models.Model):
    """One model of the catalogue; the same model in another case or width is the same product."""

    model = CodeField(_("model"), max_length=80)
    name_zh = models.CharField(_("Chinese name"), max_length=120)
    name_en = models.CharField(_("English name"), max_length=120)
    category = models.ForeignKey(
        ProductCategory,
        on_delete=models.PROTECT,
        related_name="products",
        verbose_name=_("product category"),
    )
    tier = models.CharField(
        _("tier"), max_length=10, choices=ProductTier, default=ProductTier.STANDARD
    )

    class Meta:
        verbose_name, verbose_name_plural = _("product"), _("products")
        constraints = [
            models.UniqueConstraint(
                Upper("model"),
                name="customers_product_model_once",
                violation_error_message=_("This model is in the catalogue already."),
            ),
            models.CheckConstraint(condition=~Q(model=""), name="customers_product_model_given"),
            models.CheckConstraint(
                condition=Q(tier__in=ProductTier.values), name="customers_product_tier"
            ),
        ]

    def __str__(self) -> str:
        return str(self.model)


class Unit(models.Model):
    """One piece with its serial number, unique within its product."""

    product = models.ForeignKey(
        Product, on_delete=models.PROTECT, related_name="units", verbose_name=_("product")
    )
    serial_number = CodeField(_("serial number"), max_length=80)
    batch = models.CharField(_("batch"), max_length=40, blank=True)
    purchased_on = models.DateField(_("purchased on"), null=True, blank=True)
    purchase_channel = models.CharField(
        _("purchase channel"), max_length=10, choices=PurchaseChannel, null=True, blank=True
    )
    warranty_until = models.DateField(_("warranty until"), null=True, blank=True)

    class Meta:
        verbose_name, verbose_name_plural = _("unit"), _("units")
        constraints = [
            # The serial first, so that a serial without its product is found by this index too.
            models.UniqueConstraint(
                Upper("serial_number"),
                "product",
                name="customers_unit_serial_once",
                violation_error_message=_("This serial number is known already."),
            ),
            models.CheckConstraint(
                condition=~Q(serial_number=""), name="customers_unit_serial_given"
            ),
            models.CheckConstraint(
                condition=Q(purchase_channel__isnull=True)
                | Q(purchase_channel__in=PurchaseChannel.values),
                name="customers_unit_purchase_channel",
            ),
        ]

    def __str__(self) -> str:
        return str(self.serial_number)


class Order(SealedModel):
    """A purchase as its shop tells it: number and contents are encrypted."""

    shop: "models.ForeignKey[Shop, Shop]" = models.ForeignKey(
        "accounts.Shop",
        on_delete=models.PROTECT,
        db_index=False,
        related_name="+",
        verbose_name=_("shop"),
    )
    number = EncryptedTextField()
    number_index = BlindIndexField(of="number", normalise=normal.order_key)
    contact = models.ForeignKey(
        Contact,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="orders",
        verbose_name=_("contact"),
    )
    purchased_on = models.DateField(_("purchased on"), null=True, blank=True)
    purchase_channel = models.CharField(
        _("purchase channel"),
        max_length=10,
        choices=PurchaseChannel,
        default=PurchaseChannel.ONLINE,
    )
    lines = EncryptedJSONField(null=True)
    created_at = models.DateTimeField(_("recorded at"), db_default=Now(), editable=False)

    objects: ClassVar[SealedQuerySet["Order"]] = SealedQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name, verbose_name_plural = _("order"), _("orders")
        constraints = [
            models.UniqueConstraint(
                fields=["shop", "number_index"],
                name="customers_order_number_once",
                violation_error_message=_("The shop has an order with this number already."),
            ),
            models.CheckConstraint(
                condition=Q(purchase_channel__in=PurchaseChannel.values),
                name="customers_order_purchase_channel",
            ),
        ]

    def __str__(self) -> str:
        return str(self.public_id)

    def masked_number(self) -> str:
        return masks.mask_order_number(self.number.clear())
