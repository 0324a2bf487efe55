"""How often and how much at once: requests a minute for each client, and pictures that are in the house."""

from __future__ import annotations

import ipaddress
import json
import logging
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage, storage_from_string
from limits.strategies import MovingWindowRateLimiter

from wam.errors import OptionsError, mask_secrets, show_name
from wam.service.problems import Problem, too_many, unavailable
from wam.service.settings import Limits

LOG = logging.getLogger("wam.service")
NETWORK6 = 64  # bits of an IPv6 address that are one client's


def client_of(address: str) -> str:
    """What counts as one address: in IPv6 the network that a customer gets whole.

    >>> client_of("2001:db8:1:2:3:4:5:6"), client_of("192.0.2.7"), client_of("::ffff:192.0.2.7")
    ('2001:db8:1:2::/64', '192.0.2.7', '192.0.2.7')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, NETWORK6), strict=False))
    return str(found)


class Rates:
    """Requests a minute, over a window that moves; each process counts for itself, or all at the ``place`` that a URL
    of the package limits names, such as redis://host:6379. Calls may wait for that place then, and raise ``Problem``
    where it does not answer: what cannot be counted is not let in."""

    def __init__(self, limits: Limits, place: str | None = None) -> None:
        self._limits = limits
        self.waits = place is not None
        try:
            storage = MemoryStorage() if place is None else storage_from_string(place)
            self._limiter = MovingWindowRateLimiter(storage)
        except Exception as error:  # packages that are missing, schemes that are not known, servers that are away
            shown = show_name(mask_secrets(place or ""))
            raise OptionsError(
                f"rates: expected a URL like redis://host:6379 that can be used, found {shown}: "
                f"{show_name(str(error))}; name another"
            ) from error

    def request(self, client: str, rate: int | None) -> None:
        """Counts a request of a key, which may have a rate of its own, or of an address (None): raises ``Problem``."""
        self._count("request", client, rate or self._limits.address_rate, "requests")

    def wrong_key(self, client: str) -> None:
        """Counts a key that was none."""
        self._count("key", client, self._limits.wrong_keys, "wrong keys")

    def refuse_guessing(self, client: str) -> None:
        """Raises ``Problem`` for an address that gave too many wrong keys."""
        item = RateLimitItemPerMinute(self._limits.wrong_keys)
        with _answers():
            if not self._limiter.test(item, "key", client):
                raise self._over(item, "key", client, "wrong keys")

    def _count(self, kind: str, client: str, rate: int, what: str) -> None:
        item = RateLimitItemPerMinute(rate)
        with _answers():
            if not self._limiter.hit(item, kind, client):
                raise self._over(item, kind, client, what)

    def _over(self, item: RateLimitItemPerMinute, kind: str, client: str, what: str) -> Exception:
        window = self._limiter.get_window_stats(item, kind, client)
        wait = max(1, math.ceil(window.reset_time - time.time()))
        return too_many(f"rate: expected at most {item.amount} {what} a minute, found more; wait {wait} s", wait)


@contextmanager
def _answers() -> Iterator[None]:
    try:
        yield
    except Problem:
        raise
    except Exception as error:  # whatever the libraries of such servers raise
        LOG.error(json.dumps({"fault": type(error).__name__, "at": "rates"}))
        raise unavailable("rates: expected to count requests, found that this cannot be done now; try again") from None


class Admission:
    """Pictures in the house: so many in all, so many of one client. For one thread, that of the event loop."""

    def __init__(self, most: int, at_once: int) -> None:
        self._most, self._at_once = most, at_once
        self._inside: Counter[str] = Counter()
        self.count = 0

    def enter(self, client: str) -> None:
        """Takes one more in, before its body is read; raises ``Problem``."""
        if self._inside[client] >= self._at_once:
            raise too_many(f"queue: expected at most {self._at_once} pictures of one client at once, found more; wait")
        if self.count >= self._most:
            raise too_many(f"queue: expected room, found {self.count} pictures before this one; ask again")
        self._inside[client] += 1
        self.count += 1

    def leave(self, client: str) -> None:
        """Lets one go."""
        self.count -= 1
        self._inside[client] -= 1
        if not self._inside[client]:
            del self._inside[client]
