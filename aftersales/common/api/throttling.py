"""How often somebody may ask. Counted in Redis and failing open: without Redis everybody may.

What guards a secret (sign-in, codes) is counted in rows instead, see ``accounts.limits``.
"""

import logging
import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.http import HttpRequest
from redis import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from aftersales.common import addresses, errors

logger = logging.getLogger(__name__)

WINDOW = 60
# After a failure Redis is left alone this long, so that its time-outs do not add up.
PAUSE = 5.0
_asleep_until = 0.0


def seconds_to_wait(name: str, allowed: int) -> int:
    """Count one request of ``name``; 0 while at most ``allowed`` came in this minute."""
    global _asleep_until
    if time.monotonic() < _asleep_until:
        return 0
    now = time.time()
    key = f"throttle:{name}:{int(now // WINDOW)}"
    try:
        cache.add(key, 0, timeout=2 * WINDOW)
        count = cache.incr(key)
    except ValueError:  # flushed between the two
        return 0
    except (RedisError, OSError):
        _asleep_until = time.monotonic() + PAUSE
        logger.warning("throttle_fails_open")
        return 0
    return 0 if count <= allowed else WINDOW - int(now % WINDOW)


def refuse_if_too_many(request: HttpRequest | Request) -> None:
    """Count a request without a valid key by its address. Raises TooMany."""
    network = addresses.network(addresses.client_address(request))
    wait = seconds_to_wait(f"address:{network}", settings.API_ANONYMOUS_PER_MINUTE)
    if wait:
        raise errors.TooMany(retry_after=wait)


class ClientThrottle(BaseThrottle):
    """A client's share, over all of its keys; without a key, the address's much smaller one."""

    def allow_request(self, request: Request, view: Any) -> bool:
        client = request.auth
        if client is None:
            refuse_if_too_many(request)
            return True
        self.seconds = seconds_to_wait(f"client:{client.pk}", settings.API_REQUESTS_PER_MINUTE)
        return not self.seconds

    def wait(self) -> float:
        return self.seconds
