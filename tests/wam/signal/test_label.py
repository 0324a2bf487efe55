"""Labels: what they turn, and that a mark is read under its own."""

from __future__ import annotations

import pytest
import torch

from tests.wam.synthetic import message
from wam.signal.label import Label
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import BITS

NAMESPACE = 0x0123_4567_89AB_CDEF


def test_half_of_the_pilot_and_of_each_bit_is_labelled(carrier: Carrier) -> None:
    assert int(carrier.labelled[carrier.is_pilot].sum()) * 2 == int(carrier.is_pilot.sum())
    for bit in range(BITS):
        own = carrier.owner == bit
        assert int(carrier.labelled[own].sum()) * 2 == int(own.sum())
    radii = carrier.frequencies.norm(dim=1)
    assert float(radii[carrier.labelled].mean()) == pytest.approx(float(radii[~carrier.labelled].mean()), rel=0.03)


def test_a_label_turns_its_half_and_nothing_else(carrier: Carrier) -> None:
    one = carrier.with_label(Label(NAMESPACE, 3))
    assert torch.equal(one.phases[~carrier.labelled], carrier.phases[~carrier.labelled])
    moved = (one.phases - carrier.phases)[carrier.labelled]
    assert float(moved.cos().mean().abs()) < 0.35 and float(moved.sin().mean().abs()) < 0.35  # random ones
    assert torch.equal(one.frequencies, carrier.frequencies) and torch.equal(one.owner, carrier.owner)
    assert carrier.with_label(None) is carrier


def test_phases_depend_on_key_namespace_and_generation() -> None:
    labels = [Label(NAMESPACE), Label(NAMESPACE, 1), Label(NAMESPACE + 1)]
    leads = [Carrier.from_key(key).lead(label) for key in (None, b"sixteen bytes of secret") for label in labels]
    for number, one in enumerate(leads):
        assert all(not torch.allclose(one, other) for other in leads[:number])
    assert torch.equal(Carrier.from_key().lead(labels[0]), leads[0])


def test_a_reader_counts_no_label_as_zero() -> None:
    labels = (Label(NAMESPACE), Label(NAMESPACE, 1))
    reader = Carrier.from_key(labels=labels)
    assert reader.read_as(0) is reader and reader.leads.shape == (3, len(reader.phases))
    assert reader.read_as(2).label == labels[1] and reader.read_as(2) is reader.read_as(2)
    torch.testing.assert_close(reader.read_as(1).phases, Carrier.from_key().with_label(labels[0]).phases)
    assert reader.to("cpu").labels == labels


def test_the_public_half_reads_any_label(carrier: Carrier) -> None:
    bits = message(4)
    own = carrier.with_label(Label(NAMESPACE, 9))
    pose = Pose.upright(1.0)
    field = own.render(bits, pose.matrix[None], pose.offset[None], (96, 96))[:, 0]
    half = carrier.public_half
    real = half.project(field, pose.matrix[None], pose.offset[None])[0, :, 0]
    signs = half.signs(bits)[0]
    assert bool((real.sign() == signs).all())
    other = carrier.project(field, pose.matrix[None], pose.offset[None])[0, :, 0][carrier.labelled]
    assert 0.3 < float((other.sign() == carrier.signs(bits)[0][carrier.labelled]).float().mean()) < 0.7


@pytest.mark.parametrize(
    ("namespace", "generation", "problem"),
    [(0, 0, "namespace of 1 to 64 bits"), (1 << 64, 0, "namespace of 1 to 64 bits"), (1, -1, "generation of 32 bits")],
)
def test_what_is_no_label_is_refused(namespace: int, generation: int, problem: str) -> None:
    with pytest.raises(ValueError, match=f"label: expected a {problem}"):
        Label(namespace, generation)
