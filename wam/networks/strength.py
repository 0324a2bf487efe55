"""How strong marks are made: names, or a PSNR. No torch here: who only checks an option does not wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Strength:
    """``margin`` of a worn copy that is aimed for, see ``wam.networks.strength_trial``; ``least`` and ``most``: times
    what the picture hides; ``louder_db``: what it is for marks of the first law, which are not tried."""

    margin: float
    least: float
    most: float
    louder_db: float

    def factor(self, margin: float) -> float:
        """Times what a picture hides, which gives that ``margin``: it goes about linearly with the strength."""
        if margin <= self.margin / self.most:
            return self.most
        return max(self.least, self.margin / margin)


Amount = str | float | None  # how strong marks are: a name, None for "normal", or a PSNR in dB
LEAST_DB, MOST_DB = 30.0, 55.0  # PSNR that may be asked for

STRENGTHS = {
    "gentle": Strength(margin=9.0, least=0.7, most=1.2, louder_db=-3.0),
    "normal": Strength(margin=15.0, least=0.9, most=1.4, louder_db=0.0),
    "strong": Strength(margin=24.0, least=1.4, most=2.8, louder_db=3.0),
}
USUAL_STRENGTH = "normal"


def strength_of(name: str) -> Strength:
    """Raises ``ValueError`` for what is no name of a strength."""
    if name not in STRENGTHS:
        raise ValueError(f"strength: expected one of {', '.join(STRENGTHS)}, found {name}; choose one of them")
    return STRENGTHS[name]


def checked(amount: Amount) -> Amount:
    """The same, None for the usual name; raises ``ValueError`` for what no model marks with."""
    if amount is None or amount == USUAL_STRENGTH:
        return None
    if isinstance(amount, str):
        strength_of(amount)
    elif not LEAST_DB <= amount <= MOST_DB:
        raise ValueError(f"strength: expected {LEAST_DB:g} to {MOST_DB:g} dB, found {amount:g}; leave it out")
    return amount


def either(strength: Amount, psnr: float | None) -> Amount:
    """One amount of two ways to say it; raises ``ValueError`` where both are given, and as ``checked``."""
    if psnr is None:
        return checked(strength)
    if strength not in (None, USUAL_STRENGTH):
        raise ValueError(f"psnr: expected it without a strength, found {psnr:g} and {strength}; give one of them")
    if not LEAST_DB <= psnr <= MOST_DB:
        raise ValueError(f"psnr: expected {LEAST_DB:g} to {MOST_DB:g} dB, found {psnr:g}; leave it out")
    return psnr


def parsed(text: str) -> Amount:
    """A name or a number of dB, as it is typed; raises ``ValueError`` as ``checked``."""
    try:
        number = float(text)
    except ValueError:
        return checked(text)
    return checked(number)


def shown(amount: Amount) -> str:
    """For people: a name, or dB."""
    return USUAL_STRENGTH if amount is None else amount if isinstance(amount, str) else f"{amount:g} dB"


def fields(amount: Amount) -> dict[str, str | float]:
    """As two fields that are left out where they say nothing: ``strength`` a name, ``psnr`` a number."""
    if amount is None:
        return {}
    return {"strength": amount} if isinstance(amount, str) else {"psnr": amount}


def keywords(amount: Amount) -> Mapping[str, Any]:
    """As ``Model.mark`` takes it."""
    return {"strength": amount or USUAL_STRENGTH} if amount is None or isinstance(amount, str) else {"psnr_db": amount}
