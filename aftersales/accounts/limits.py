"""Temporary limits as rows, so that a lost Redis never opens the door.

A try is counted *before* it is checked and given back if it was right: a hundred tries at once
get no more than one after another. Nothing here locks an account: what is refused is one address
for one account, one address as a whole, and only a second factor (behind a right password) as such.
"""

import unicodedata
from dataclasses import dataclass
from datetime import timedelta

from django.db import connection
from django.db.models import F
from django.utils.crypto import salted_hmac

from aftersales.accounts.models import AttemptLimit
from aftersales.common import addresses, dbtime, errors


@dataclass(frozen=True)
class Limit:
    """``allowed`` tries in a window that begins with the first of them."""

    scope: str
    allowed: int
    window: timedelta


QUARTER = timedelta(minutes=15)
HOUR = timedelta(hours=1)

# One address at one account: the sixth try waits, whoever it is; another address does not.
SIGN_IN_PAIR = Limit("sign-in:pair", 5, QUARTER)
# The same once somebody hammers the account from many addresses; its owner can still come in.
SIGN_IN_PRESSED = Limit("sign-in:pair", 2, QUARTER)
# One address at many accounts.
SIGN_IN_ADDRESS = Limit("sign-in:address", 30, QUARTER)
SIGN_IN_ACCOUNT = Limit("sign-in:account", 30, HOUR)
# Whoever gets here knows the password, so the account as such is guarded: ten of a million codes.
SECOND_FACTOR = Limit("second-factor", 10, QUARTER)
# A code is good for three steps of 30 s; it opens once.
CODE_USED = Limit("second-factor:code", 1, timedelta(minutes=2))
RESET_ADDRESS = Limit("reset:address", 20, HOUR)
RESET_ACCOUNT = Limit("reset:account", 3, HOUR)


def take(limit: Limit, key: str) -> int:
    """Count one try; 0 if it may go on, else the seconds until the window ends.

    One statement, so that tries at the same moment are counted one after another. The count stops
    above the limit and never sinks, though two limits of one scope share it.
    """
    count, seconds = _count(limit, key)
    return 0 if count <= limit.allowed else max(1, seconds)


def give_back(limit: Limit, key: str) -> None:
    """The try was right: it does not count."""
    AttemptLimit.objects.filter(scope=limit.scope, key=_digest(key), count__gt=0).update(
        count=F("count") - 1
    )


def clear(limit: Limit, key: str) -> None:
    AttemptLimit.objects.filter(scope=limit.scope, key=_digest(key)).delete()


@dataclass(frozen=True)
class SignInTry:
    """One try of one account name from one address."""

    account: str
    address: str

    @classmethod
    def begin(cls, account: str, address: str) -> "SignInTry":
        """Count it. Raises TooMany before any password is looked at."""
        found = cls(normal(account), addresses.network(address))
        waits = [take(SIGN_IN_ADDRESS, found.address)]
        pressed = take(SIGN_IN_ACCOUNT, found.account) > 0
        waits.append(take(SIGN_IN_PRESSED if pressed else SIGN_IN_PAIR, found.pair))
        if any(waits):
            raise errors.TooMany(retry_after=max(waits))
        return found

    @property
    def pair(self) -> str:
        return f"{self.account}\n{self.address}"

    def succeeded(self) -> None:
        """Forget the pair's wrong tries; the address keeps those at other accounts."""
        clear(SIGN_IN_PAIR, self.pair)
        give_back(SIGN_IN_ADDRESS, self.address)
        give_back(SIGN_IN_ACCOUNT, self.account)


def normal(account: str) -> str:
    return unicodedata.normalize("NFKC", account).strip().casefold()


def _count(limit: Limit, key: str) -> tuple[int, int]:
    now = dbtime.database_now()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO accounts_attemptlimit AS own (scope, key, count, ends_at)
            VALUES (%(scope)s, %(key)s, 1, %(ends_at)s)
            ON CONFLICT (scope, key) DO UPDATE SET
                count = CASE WHEN own.ends_at <= %(now)s THEN 1
                             ELSE GREATEST(own.count, LEAST(own.count + 1, %(allowed)s + 1)) END,
                ends_at = CASE WHEN own.ends_at <= %(now)s THEN excluded.ends_at
                               ELSE own.ends_at END
            RETURNING count, ends_at
            """,
            {
                "scope": limit.scope,
                "key": _digest(key),
                "allowed": limit.allowed,
                "now": now,
                "ends_at": now + limit.window,
            },
        )
        count, ends_at = cursor.fetchone()
    return count, -int((now - ends_at).total_seconds() // 1)


def _digest(key: str) -> bytes:
    return salted_hmac("accounts.limits", key, algorithm="sha256").digest()
