"""Who the firm serves: customers, and the contacts through which they are reached."""

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from aftersales.customers import masks, normal
from aftersales.customers.fields import (
    BlindIndexField,
    EncryptedTextField,
    SealedModel,
    SealedQuerySet,
    candidates,
)

if TYPE_CHECKING:
    from aftersales.accounts.models import Shop


class CustomerKind(models.TextChoices):
    PERSON = "person", _("Person")
    COMPANY = "company", _("Company")


class CustomerTier(models.TextChoices):
    STANDARD = "standard", _("Standard")
    KEY = "key", _("Key customer")


class Customer(models.Model):
    """One party served: a person, or a firm with several contacts; a company name is no secret."""

    public_id = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(
        _("kind"), max_length=10, choices=CustomerKind, default=CustomerKind.PERSON
    )
    company = models.CharField(_("company"), max_length=200, blank=True)
    tier = models.CharField(
        _("tier"), max_length=10, choices=CustomerTier, default=CustomerTier.STANDARD
    )
    created_at = models.DateTimeField(_("recorded at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name, verbose_name_plural = _("customer"), _("customers")
        constraints = [
            models.CheckConstraint(
                condition=Q(kind=CustomerKind.PERSON, company="")
                | (Q(kind=CustomerKind.COMPANY) & ~Q(company="")),
                name="customers_customer_kind_company",
                violation_error_message=_("Only a company has a company name."),
            ),
            models.CheckConstraint(
                condition=Q(tier__in=CustomerTier.values), name="customers_customer_tier"
            ),
        ]

    def __str__(self) -> str:
        return self.company or str(self.public_id)


class ContactQuerySet(SealedQuerySet["Contact"]):
    def in_scope(self, shop_id: int | None) -> "ContactQuerySet":
        """Those a shop handed over, or with None those that staff and customers entered."""
        return self.filter(shop__isnull=True) if shop_id is None else self.filter(shop_id=shop_id)

    def reached_by(
        self, *, phone: str | None = None, email: str | None = None
    ) -> "ContactQuerySet":
        """Candidates by blind index; the caller compares the clear values again."""
        wanted = Q()
        for name, value in (("phone", phone), ("email", email)):
            if value:
                wanted |= Q(**{f"{name}_index__in": candidates(Contact, f"{name}_index", value)})
        return self.filter(wanted) if wanted else self.none()


class Contact(SealedModel):
    """A person as they gave themselves: name, ways to reach them, address. All of it encrypted.

    ``shop`` is the controller of the data: a contact made by one shop is never matched for another,
    and those entered by staff or by the customer have none. A different spelling is another contact
    of the same customer; an existing one is never overwritten by an intake.
    """

    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="contacts", verbose_name=_("customer")
    )
    shop: "models.ForeignKey[Shop | None, Shop | None]" = models.ForeignKey(
        "accounts.Shop",
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        db_index=False,
        related_name="+",
        verbose_name=_("shop"),
    )
    name = EncryptedTextField(null=True)
    phone = EncryptedTextField(null=True)
    email = EncryptedTextField(null=True)
    address = EncryptedTextField(null=True)
    phone_index = BlindIndexField(of="phone", normalise=normal.phone_key, null=True)
    email_index = BlindIndexField(of="email", normalise=normal.email_key, null=True)
    language = models.CharField(
        _("language"),
        max_length=10,
        choices=[("zh-hans", "中文"), ("en", "English")],
        default="zh-hans",
    )
    created_at = models.DateTimeField(_("recorded at"), db_default=Now(), editable=False)

    objects: ClassVar[ContactQuerySet] = ContactQuerySet.as_manager()  # type: ignore[assignment]

    class Meta:
        verbose_name, verbose_name_plural = _("contact"), _("contacts")
        constraints = [
            models.CheckConstraint(
                condition=Q(phone__isnull=True, phone_index__isnull=True)
                | Q(phone__isnull=False, phone_index__isnull=False),
                name="customers_contact_phone_indexed",
            ),
            models.CheckConstraint(
                condition=Q(email__isnull=True, email_index__isnull=True)
                | Q(email__isnull=False, email_index__isnull=False),
                name="customers_contact_email_indexed",
            ),
        ]
        indexes = [
            # Both read by intake.find_or_create_contact and by sign-in codes.
            models.Index(fields=["phone_index"], name="customers_contact_phone"),
            models.Index(fields=["email_index"], name="customers_contact_email"),
        ]

    def __str__(self) -> str:
        return str(self.public_id)

    def masked(self) -> dict[str, str]:
        """What everyone without a grant sees; '' where nothing is known."""
        return {
            "name": masks.mask_name(self.name.clear()) if self.name else "",
            "phone": masks.mask_phone(self.phone.clear()) if self.phone else "",
            "email": masks.mask_email(self.email.clear()) if self.email else "",
            "address": masks.mask_address(self.address.clear()) if self.address else "",
        }
