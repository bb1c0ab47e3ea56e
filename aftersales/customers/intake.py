"""Look-ups of an intake: who reports, what they bought, where. Names are never searched.

Equality goes by blind index and is decided on the clear values again, so a collision of two
fingerprints never joins two people.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import connection
from django.db.transaction import TransactionManagementError

from aftersales.common import crypto, dbtime
from aftersales.customers import normal
from aftersales.customers.fields import Sealed, candidates
from aftersales.customers.models import Contact, Customer, CustomerKind, Order, Product, Unit

# Of a dealer's phone there may be thousands; an older one than these is made anew.
NEWEST = 50
# Read with a contact, so that its customer costs no second query.
_CUSTOMER = tuple(field.attname for field in Customer._meta.concrete_fields)


def find_or_create_contact(
    *,
    shop_id: int | None,
    name: str | None = None,
    company: str | None = None,
    phone: str | None = None,
    email: str | None = None,
    address: str | None = None,
    language: str = "zh-hans",
) -> Contact:
    """The contact of the same scope that says exactly this, or a new one.

    A known contact is taken when everything *given* equals what it holds. Otherwise a new one is
    made, under the same customer where phone or mail is known: nothing on file is overwritten or
    filled in, so nobody gains a way into another's cases by naming their phone beside an own mail
    address. Two simultaneous intakes of one new customer make one contact: a phone or mail not yet
    known is locked until the transaction ends. One query for a known contact, at most three.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError("The lock on a new contact lives in a transaction.")
    said = _Said.of(name=name, company=company, phone=phone, email=email, address=address)
    known = _known(shop_id, said, lock_all=False)
    contact = said.best(known)
    if contact is None and known:
        # Somebody of this number who says otherwise: look again with the number locked.
        known = _known(shop_id, said, lock_all=True)
        contact = said.best(known)
    if contact is not None:
        return contact
    moment = {"created_at": pinned} if (pinned := dbtime.pinned()) else {}
    customer = said.customer_among(known)
    if customer is None:
        kind = CustomerKind.COMPANY if said.company else CustomerKind.PERSON
        customer = Customer.objects.create(kind=kind, company=said.company, **moment)
    return Contact.objects.create(
        customer=customer,
        shop_id=shop_id,
        name=said.name or None,
        phone=said.phone or None,
        email=said.email or None,
        address=said.address or None,
        language=language,
        **moment,
    )


def find_contacts(
    *, shop_id: int | None, phone: str | None = None, email: str | None = None
) -> list[Contact]:
    """Everyone of one scope who is reached by this phone or mail, oldest first."""
    said = _Said.of(phone=phone, email=email)
    found = Contact.objects.in_scope(shop_id).reached_by(phone=said.phone, email=said.email)
    return [contact for contact in found.order_by("pk") if said.reaches(contact)]


def find_product(model: str) -> Product | None:
    """The catalogue's product of this model, whatever its case and width."""
    return (
        Product.objects.filter(model__iexact=normal.halfwidth(model))
        .select_related("category")
        .first()
    )


def find_unit(serial: str, product: Product | None = None) -> Unit | None:
    """The piece with this serial number; without a product only if one product alone has it."""
    units = Unit.objects.filter(serial_number__iexact=normal.halfwidth(serial))
    if product is not None:
        units = units.filter(product=product)
    found = units.select_related("product").order_by("pk")[:2]
    return found[0] if len(found) == 1 else None


def find_order(shop_id: int | None, number: str) -> Order | None:
    """The shop's own order of this number; another shop's is never seen, so without a shop none."""
    if shop_id is None:
        return None
    wanted = normal.order_key(number)
    orders = Order.objects.filter(
        shop_id=shop_id, number_index__in=candidates(Order, "number_index", number)
    )
    return next((o for o in orders if normal.order_key(o.number.clear()) == wanted), None)


@dataclass(frozen=True)
class _Said:
    """What one intake says about a person; '' where it says nothing."""

    name: str
    company: str
    phone: str
    email: str
    address: str
    phone_key: str
    email_key: str

    @classmethod
    def of(cls, **given: str | None) -> "_Said":
        names = ("name", "company", "phone", "email", "address")
        said = {name: (given.get(name) or "").strip() for name in names}
        return cls(
            **said,
            phone_key=normal.phone_key(said["phone"]) if said["phone"] else "",
            email_key=normal.email_key(said["email"]),
        )

    def reaches(self, contact: Contact) -> bool:
        """By phone or by mail; one of them is enough."""
        return bool(
            (self.phone and self._same_phone(contact)) or (self.email and self._same_email(contact))
        )

    def is_said_by(self, contact: Contact) -> bool:
        """Everything given equals what the contact holds."""
        return (
            (not self.phone or self._same_phone(contact))
            and (not self.email or self._same_email(contact))
            and (not self.name or normal.same_text(self.name, _clear(contact.name)))
            and (not self.address or normal.same_text(self.address, _clear(contact.address)))
            and (not self.company or normal.same_text(self.company, contact.customer.company))
        )

    def best(self, known: Sequence[Contact]) -> Contact | None:
        return next((contact for contact in known if self.is_said_by(contact)), None)

    def customer_among(self, known: Sequence[Contact]) -> Customer | None:
        """The customer of the newest contact, of the company named if one is."""
        return next(
            (
                contact.customer
                for contact in known
                if not self.company or normal.same_text(self.company, contact.customer.company)
            ),
            None,
        )

    def _same_phone(self, contact: Contact) -> bool:
        phone = _clear(contact.phone)
        return phone == self.phone or normal.phone_key(phone) == self.phone_key

    def _same_email(self, contact: Contact) -> bool:
        return normal.email_key(_clear(contact.email)) == self.email_key


def _clear(sealed: Sealed[str] | None) -> str:
    return "" if sealed is None else sealed.clear()


def _known(shop_id: int | None, said: _Said, *, lock_all: bool) -> list[Contact]:
    """The newest contacts of the scope with this phone or mail, and their customers.

    Locks phone and mail until the transaction ends if nobody has them, or always with ``lock_all``.
    Lock and look are two statements in one trip: the second sees what the lock waited for.
    """
    phone = said.phone_key if said.phone and normal.is_own_phone(said.phone) else ""
    if not phone and not said.email_key:
        return []
    values = {
        "locks": _lock_names(shop_id, phone, said.email_key),
        "lock_all": lock_all,
        "shop": shop_id,
        "phones": _plain(candidates(Contact, "phone_index", phone)) if phone else [],
        "emails": _plain(candidates(Contact, "email_index", said.email)) if said.email else [],
        "newest": NEWEST,
    }
    rows = Contact.objects.raw(_LOCK_AND_LOOK, values)
    return [_with_customer(contact) for contact in rows if said.reaches(contact)]


# Written out, because building it anew cost more than running it.
_REACHED = """
    contact.shop_id IS NOT DISTINCT FROM %(shop)s::bigint
    AND (contact.phone_index = ANY(%(phones)s::bytea[])
         OR contact.email_index = ANY(%(emails)s::bytea[]))
"""
_LOCK_AND_LOOK = f"""
    SELECT pg_advisory_xact_lock(name) FROM unnest(%(locks)s::bigint[]) AS name
    WHERE %(lock_all)s OR NOT EXISTS (SELECT 1 FROM customers_contact AS contact WHERE {_REACHED});
    SELECT contact.*, {", ".join(f"customer.{name} AS of_{name}" for name in _CUSTOMER)}
    FROM customers_contact AS contact
    JOIN customers_customer AS customer ON customer.id = contact.customer_id
    WHERE {_REACHED} ORDER BY contact.id DESC LIMIT %(newest)s
"""  # noqa: S608 (own names)


def _plain(indexes: Sequence[bytes]) -> list[bytes]:
    """The driver takes lists of plain bytes only."""
    return [bytes(index) for index in indexes]


def _lock_names(shop_id: int | None, phone: str, email: str) -> list[int]:
    """One number for each way to reach the person, in the order in which all processes lock."""
    ways = [(way, key) for way, key in (("phone", phone), ("email", email)) if key]
    digests = [
        crypto.blind_index(
            key, column=f"customers_contact:{way}:lock:{shop_id}", keys=settings.BLIND_INDEX_KEY
        )
        for way, key in ways
    ]
    return sorted(int.from_bytes(digest[-8:], signed=True) for digest in digests)


def _with_customer(contact: Contact) -> Contact:
    values = [contact.__dict__.pop(f"of_{name}") for name in _CUSTOMER]
    contact.customer = Customer.from_db(contact._state.db, _CUSTOMER, values)
    return contact
