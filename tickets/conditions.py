"""The conditions of free service (manual D 2.1.1), judged from what is known at intake. Pure.

A case outside them is marked and goes on; it is never refused at the door.
"""

from collections.abc import Mapping, Sequence
from datetime import date

WARRANTY_EXPIRED = "warranty_expired"
NO_PROOF_OF_PURCHASE = "no_proof_of_purchase"
DAMAGED_BY_PEOPLE = "damaged_by_people"
UNOFFICIAL_REPAIR = "unofficial_repair"


def failed_conditions(
    *,
    text: str,
    today: date,
    purchased_on: date | None,
    warranty_until: date | None,
    warranty_months: int,
    proof_known: bool,
    words: Mapping[str, Sequence[str]],
) -> list[str]:
    """The codes of the conditions that fail, in the manual's order; what is unknown does not fail.

    ``words`` gives for "damaged_by_people" and "unofficial_repair" the words that say so.
    ``warranty_until`` is the last day; without it the term is counted from the purchase.
    """
    failed = []
    if warranty_until is None and purchased_on is not None:
        warranty_until = months_after(purchased_on, warranty_months)
    if warranty_until is not None and warranty_until < today:
        failed.append(WARRANTY_EXPIRED)
    lowered = text.casefold()
    failed += [
        code
        for code in (DAMAGED_BY_PEOPLE, UNOFFICIAL_REPAIR)
        if any(word.casefold() in lowered for word in words.get(code, ()))
    ]
    if not proof_known:
        failed.append(NO_PROOF_OF_PURCHASE)
    return failed


def months_after(day: date, months: int) -> date:
    """The same day of the month, so many months later, or that month's last day."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    month += 1
    for day_of_month in range(day.day, 27, -1):
        try:
            return date(year, month, day_of_month)
        except ValueError:
            continue
    return date(year, month, min(day.day, 28))
