"""The balance of bits: windows, factors, rendering in parts, and that it makes the weakest bits louder."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from wam.signal.balance import LOUDNESS, Balance, local_votes, nodes, render_balanced
from wam.signal.mark_grid import Cell
from wam.signal.pattern import Carrier
from wam.signal.specification import BITS, TILE

MESSAGE = torch.tensor([[0, 1, 1, 0] * 8])


@pytest.fixture(scope="module")
def carrier() -> Carrier:
    return Carrier.from_key().tilted(0.5)


def render(carrier: Carrier, balance: Balance, cell: Cell, size: tuple[int, int], scale: int = 1) -> Tensor:
    matrix, offset = torch.eye(2)[None] / scale, torch.tensor([[cell.left, cell.top]]) / scale
    picture = (size[0] * scale, size[1] * scale)
    return render_balanced(carrier, MESSAGE, matrix, offset, cell, balance=balance, picture=picture)


def drawn(size: tuple[int, int], *, seed: int = 0) -> Balance:
    votes = torch.randn(BITS, *nodes(size), generator=torch.Generator().manual_seed(seed))
    return Balance.of_votes(votes + 2)


def test_equal_votes_change_nothing(carrier: Carrier) -> None:
    balance = Balance.of_votes(torch.full((BITS, *nodes((96, 160))), 3.0))
    torch.testing.assert_close(balance.factors, torch.ones_like(balance.factors))
    plain = carrier.render(MESSAGE, torch.eye(2)[None], torch.zeros(1, 2), (96, 160))
    torch.testing.assert_close(render(carrier, balance, Cell(0, 0, 96, 160), (96, 160)), plain, atol=1e-4, rtol=0)


def test_energy_of_each_place_stays(carrier: Carrier) -> None:
    balance = drawn((256, 384))
    torch.testing.assert_close(balance.factors.square().mean(0), torch.ones(nodes((256, 384))))
    pattern = render(carrier, balance, Cell(0, 0, 256, 384), (256, 384))
    assert 0.9 < float(pattern.square().mean()) < 1.02  # between unlike nodes it falls a little


def test_weak_bits_get_more_and_no_bit_more_than_the_most() -> None:
    votes = torch.full((BITS, 1, 1), 3.0)
    votes[3], votes[4] = -9.0, 1.0
    factors = Balance.of_votes(votes).factors[:, 0, 0]
    assert factors[3] > factors[4] > factors[0] and factors.min() > 0
    assert float(factors[3] / factors[0]) <= LOUDNESS[1] / LOUDNESS[0]


def test_hopeless_places_stay_finite() -> None:
    for votes in (torch.zeros(BITS, 2, 3), -torch.ones(BITS, 2, 3), torch.randn(BITS, 2, 3) - 4):
        factors = Balance.of_votes(votes).factors
        assert bool(torch.isfinite(factors).all()) and float(factors.max()) < 5


@pytest.mark.parametrize("scale", [1, 3])
def test_parts_meet_without_a_seam(carrier: Carrier, scale: int) -> None:
    size = (70, 150)
    balance = drawn(size)
    height, width = size[0] * scale, size[1] * scale
    whole = render(carrier, balance, Cell(0, 0, height, width), size, scale)
    part = render(carrier, balance, Cell(31, 47, 30, 90), size, scale)
    torch.testing.assert_close(part, whole[..., 31:61, 47:137], atol=1e-4, rtol=0)


def test_votes_are_heard_where_the_pattern_is(carrier: Carrier) -> None:
    size = (192, 320)
    pattern = carrier.render(MESSAGE, torch.eye(2)[None], torch.zeros(1, 2), size)[:, 0]
    noise = torch.randn(2, *size, generator=torch.Generator().manual_seed(1))
    pattern[..., 160:] = 0
    votes = local_votes(0.5 * pattern + noise, MESSAGE, carrier)
    assert votes.shape == (BITS, *nodes(size))
    assert float(votes[..., :3].mean()) > 5 * abs(float(votes[..., -2:].mean()))
    wrong = local_votes(0.5 * pattern + noise, 1 - MESSAGE, carrier)
    torch.testing.assert_close(wrong, -votes)


def test_places_of_a_long_strip_hear_what_is_near_them(carrier: Carrier) -> None:
    strip = torch.randn(1, TILE, 60 * TILE, generator=torch.Generator().manual_seed(3))
    votes = local_votes(strip, MESSAGE, carrier)
    start = local_votes(strip[..., : 30 * TILE], MESSAGE, carrier)
    torch.testing.assert_close(votes[..., :20], start[..., :20], atol=1e-4, rtol=1e-4)
    end = strip.clone()
    end[..., : 50 * TILE] = 0
    torch.testing.assert_close(votes[..., -1], local_votes(end, MESSAGE, carrier)[..., -1], atol=1e-4, rtol=1e-4)


def test_a_balanced_mark_is_read_with_fewer_weak_bits(carrier: Carrier) -> None:
    size, cell = (192, 256), Cell(0, 0, 192, 256)
    host = 3 * torch.randn(1, *size, generator=torch.Generator().manual_seed(2))
    plain = carrier.render(MESSAGE, torch.eye(2)[None], torch.zeros(1, 2), size)[0]
    before = local_votes(host + plain, MESSAGE, carrier)
    after = local_votes(host + render(carrier, Balance.of_votes(before), cell, size)[0], MESSAGE, carrier)
    assert float(after.amin(0).mean()) > float(before.amin(0).mean())
    assert float(after.std(0).mean()) < 0.8 * float(before.std(0).mean())


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (TILE, TILE)])
def test_small_and_narrow_pictures_have_nodes(carrier: Carrier, size: tuple[int, int]) -> None:
    votes = local_votes(torch.randn(1, *size), MESSAGE, carrier)
    assert votes.shape == (BITS, *nodes(size)) and bool(torch.isfinite(votes).all())
    assert render(carrier, Balance.of_votes(votes), Cell(0, 0, *size), size).shape == (1, 1, *size)
