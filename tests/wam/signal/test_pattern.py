"""The carrier: what it is made of, and that rendering and projecting are exact at any pose."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from tests.wam.synthetic import message, pattern_at, posed
from wam.signal.pattern import SYMMETRIES, Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS, EXPERIMENT, HIGHEST, LOWEST, PER_BIT, TILE, Signal, lattice_frequencies

OWNERS = [17, 13, 7, -1, 27, 29, 23, 11, -1, 31, 12, 1]
PHASES = [4.96454, 2.45116, 3.56215, 5.592967]


def test_frequencies_are_one_of_each_opposite_pair_in_the_band() -> None:
    found = {tuple(k) for k in lattice_frequencies().tolist()}
    band = {(x, y) for x in range(-11, 12) for y in range(-11, 12) if LOWEST <= math.hypot(x, y) <= HIGHEST}
    assert not found & {(-x, -y) for x, y in found}
    assert found | {(-x, -y) for x, y in found} == band


def test_each_bit_has_one_frequency_of_each_ring(carrier: Carrier) -> None:
    rings = carrier.owner[carrier.owner >= 0].reshape(PER_BIT, BITS)  # the frequencies come by radius
    assert (rings.sort(1).values == torch.arange(BITS)).all()


def test_the_pilot_is_spread_over_the_radii(carrier: Carrier) -> None:
    positions = carrier.is_pilot.nonzero().flatten()
    assert len(positions) == len(carrier.owner) - PER_BIT * BITS == 30
    assert int(positions.diff().max()) <= 6


def test_the_public_carrier_never_changes(carrier: Carrier) -> None:
    """Pictures marked with any version must stay readable."""
    assert carrier.owner[:12].tolist() == OWNERS
    torch.testing.assert_close(carrier.phases[:4], torch.tensor(PHASES))


def test_pattern_has_unit_variance_and_no_mean(carrier: Carrier) -> None:
    pattern = pattern_at(carrier, message(0), Pose.upright(1.0), (TILE * 3, TILE * 2)).double()
    assert float(pattern.mean()) == pytest.approx(0, abs=1e-5)
    assert float(pattern.square().mean()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("shift", [(TILE, 0), (0, TILE)])
def test_pattern_repeats_in_both_directions(carrier: Carrier, shift: tuple[int, int]) -> None:
    pattern = pattern_at(carrier, message(0), Pose.upright(1.0), (96, 96))
    torch.testing.assert_close(
        pattern[shift[1] :, shift[0] :], pattern[: 96 - shift[1], : 96 - shift[0]], atol=1e-3, rtol=0
    )


def test_pattern_is_the_sum_of_cosines_at_pixel_centres(carrier: Carrier) -> None:
    """An independent evaluation of the formula, pixel by pixel in double precision."""
    bits, pose = message(1), posed(23.0, 1.3, flipped=True, offset=(5.25, -7.5))
    made = pattern_at(carrier, bits, pose, (20, 30))
    y, x = np.mgrid[:20, :30] + 0.5
    place = np.stack([x, y], -1) @ pose.matrix.double().numpy().T + pose.offset.double().numpy()
    owner = carrier.owner.numpy()
    signs = np.where(owner < 0, 1, bits[0].numpy()[owner] * 2 - 1)
    angles = 2 * np.pi / TILE * (place @ carrier.frequencies.double().numpy().T) + carrier.phases.double().numpy()
    expected = (np.cos(angles) * signs).sum(-1) * math.sqrt(2 / len(owner))
    np.testing.assert_allclose(made.numpy(), expected, atol=2e-4)


def test_strips_equal_the_whole(carrier: Carrier) -> None:
    bits, pose = message(2), posed(11.0, 1.2, offset=(3.0, 4.0))
    whole = pattern_at(carrier, bits, pose, (100, 60))
    below = Pose(pose.matrix, pose.offset + pose.matrix @ torch.tensor([0.0, 40.0]))
    torch.testing.assert_close(pattern_at(carrier, bits, below, (60, 60)), whole[40:], atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    "matrix",
    [((1.0, 0.0), (0.0, 1.0)), ((-0.8, 0.1), (0.05, 0.9)), ((0.6, -0.7), (0.75, 0.55)), ((0.4, 0.0), (0.1, 0.5))],
)
def test_projecting_reads_what_was_rendered(carrier: Carrier, matrix: tuple[tuple[float, ...], ...]) -> None:
    bits = torch.cat([message(3), message(4)])
    pose = torch.tensor(matrix).expand(2, 2, 2), torch.tensor([[3.5, -9.0], [0.0, 31.0]])
    field = carrier.render(bits, *pose, (192, 256))[:, 0]
    real, imaginary = carrier.project(field, *pose).unbind(-1)
    torch.testing.assert_close(real.sign(), carrier.signs(bits))
    assert float(real.abs().min()) > 3 * float(imaginary.abs().max())


def test_one_pose_serves_a_batch_of_fields(carrier: Carrier) -> None:
    fields = torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0))
    pose = posed(30.0, 1.1)
    shared = carrier.project(fields, pose.matrix[None], pose.offset[None])
    alone = [carrier.project(field[None], pose.matrix[None], pose.offset[None]) for field in fields]
    torch.testing.assert_close(shared, torch.cat(alone))


def test_a_lead_turns_every_phase(carrier: Carrier) -> None:
    upright = torch.eye(2)[None], torch.zeros(1, 2)
    ones = torch.ones(1, len(carrier.phases))
    turned = carrier.render_signs(ones, *upright, (64, 64), lead=math.pi)
    torch.testing.assert_close(turned, -carrier.render_signs(ones, *upright, (64, 64)), atol=1e-4, rtol=0)


def test_another_key_cannot_read(carrier: Carrier) -> None:
    secret = Carrier.from_key(b"a secret of sixteen bytes")
    upright = torch.eye(2)[None], torch.zeros(1, 2)
    field = secret.render(message(5), *upright, (128, 128))
    assert abs(float((field * carrier.render(message(5), *upright, (128, 128))).mean())) < 0.25
    pilot = carrier.project(field[:, 0], *upright)[0, carrier.is_pilot, 0]
    assert abs(float(pilot.sign().mean())) < 0.5


def test_the_same_key_draws_the_same_carrier() -> None:
    first, second = Carrier.from_key(b"key"), Carrier.from_key(b"key")
    assert torch.equal(first.phases, second.phases) and torch.equal(first.owner, second.owner)


def test_an_empty_key_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least one byte, found none"):
        Carrier.from_key(b"")


def test_signs_of_bits_and_pilot(carrier: Carrier) -> None:
    signs = carrier.signs(torch.zeros(1, BITS))[0]
    assert (signs[carrier.is_pilot] == 1).all()
    assert (signs[~carrier.is_pilot] == -1).all()


@pytest.mark.parametrize("shape", [(BITS,), (1, 31), (1, BITS, 1)])
def test_bits_of_another_shape_are_refused(carrier: Carrier, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected shape \(B, 32\), found"):
        carrier.signs(torch.zeros(shape))


def test_all_tables_move_to_another_device(carrier: Carrier) -> None:
    moved = carrier.to("meta")
    assert {moved.frequencies.device.type, moved.phases.device.type, moved.owner.device.type} == {"meta"}
    assert moved.key == carrier.key


def test_the_default_signal_is_the_shipped_carrier_bit_by_bit(carrier: Carrier) -> None:
    assert bool((carrier.amplitudes == 1).all())
    made = Carrier.from_key(signal=Signal())
    assert torch.equal(made.owner, carrier.owner) and torch.equal(made.phases, carrier.phases)


def test_a_tilt_moves_power_to_high_frequencies_at_the_same_total() -> None:
    carrier = Carrier.from_key(signal=Signal(version=EXPERIMENT, tilt=0.5))
    radius = carrier.frequencies.norm(dim=1)
    torch.testing.assert_close(carrier.amplitudes / carrier.amplitudes[0], (radius / radius[0]).sqrt())
    pattern = pattern_at(carrier, message(0), Pose.upright(1.0), (TILE * 3, TILE * 2))
    assert float(pattern.square().mean()) == pytest.approx(1, abs=1e-4)
    measured = carrier.project(pattern[None], torch.eye(2)[None], torch.zeros(1, 2))[0, :, 0].abs()
    torch.testing.assert_close(
        measured / measured.mean(), carrier.amplitudes / carrier.amplitudes.mean(), rtol=1e-3, atol=0
    )


def test_fewer_frequencies_for_each_bit_are_more_pilot() -> None:
    carrier = Carrier.from_key(signal=Signal(version=EXPERIMENT, per_bit=3))
    assert torch.equal(torch.bincount(carrier.owner[carrier.owner >= 0]), torch.full((BITS,), 3))
    assert int(carrier.is_pilot.sum()) == 158 - 3 * BITS


def test_a_turned_pattern_has_the_coefficients_that_the_table_names(carrier: Carrier) -> None:
    """Measured upright, in the order of a turn or mirror: those that a pose with that turn gives."""
    field = pattern_at(carrier, message(2), posed(12.0, 1.0), (80, 96))
    nowhere = torch.zeros(1, 2)
    measured = torch.view_as_complex(carrier.project(field[None], torch.eye(2)[None], nowhere)[0])
    measured = measured * torch.polar(torch.ones_like(carrier.phases), carrier.phases)
    index, sign = carrier.turned
    for turn, own, conjugate in zip(SYMMETRIES, index, sign, strict=True):
        exact = torch.view_as_complex(carrier.project(field[None], turn[None], nowhere)[0])
        exact = exact * torch.polar(torch.ones_like(carrier.phases), carrier.phases)
        named = torch.complex(measured[own].real, measured[own].imag * conjugate)
        torch.testing.assert_close(named, exact, atol=1e-2, rtol=0)


def test_pilot_waves_are_the_agreement_at_each_shift(carrier: Carrier) -> None:
    votes = torch.randn(int(carrier.is_pilot.sum()), 2, generator=torch.Generator().manual_seed(1))
    surface = (votes.flatten() @ carrier.pilot_waves(8)).view(8, 8)
    x, y = 3, 6
    angle = 2 * math.pi / 8 * (carrier.frequencies[carrier.is_pilot] @ torch.tensor([float(x), float(y)]))
    turned = torch.view_as_complex(votes) * torch.polar(torch.ones_like(angle), angle)
    torch.testing.assert_close(surface[y, x], turned.real.sum(), atol=1e-4, rtol=0)


def test_tables_of_a_carrier_may_be_asked_for_by_several_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst case: another thread puts a table of its own in place while one is made."""
    carrier, usual = Carrier.from_key(), torch.meshgrid

    def late(*tensors: torch.Tensor, indexing: str) -> tuple[torch.Tensor, ...]:
        vars(carrier)["_waves"] = {}
        return usual(*tensors, indexing=indexing)

    expected = Carrier.from_key().pilot_waves(8)
    monkeypatch.setattr(torch, "meshgrid", late)
    assert carrier.pilot_waves(8).equal(expected)
