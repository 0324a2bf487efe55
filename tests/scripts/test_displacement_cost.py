"""What bending, moving and thinning a pattern costs: how such patterns are made, and what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from scripts import displacement_cost as cost
from wam.signal.pattern import Carrier
from wam.watermarker import load, to_batch

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "wam" / "samples"


def sample(name: str) -> Image.Image:
    with Image.open(SAMPLES / f"{name}.jpg") as image:
        return image.convert("RGB").resize((384, 256))


def test_a_field_has_its_size_and_is_smooth() -> None:
    field = cost.Field(2, 160, seed=3)
    places = torch.arange(0, 6000, 20.0)
    shifts = field.at(places, places)
    assert shifts.shape == (2, 300, 300)
    assert shifts.flatten(1).std(1).tolist() == pytest.approx([2, 2], rel=0.15)
    slope = shifts.diff(dim=2).flatten(1).std(1) / 20  # of waves of length L and height A: A 2 pi / L / sqrt 2
    assert slope.tolist() == pytest.approx([0.056, 0.056], rel=0.35)
    assert torch.equal(shifts, cost.Field(2, 160, seed=3).at(places, places))


def test_a_pattern_is_warped_by_as_many_pixels_as_asked() -> None:
    x, y = torch.arange(30.0), torch.arange(26.0)[:, None]

    def wave(dx: float, dy: float) -> torch.Tensor:
        return (torch.cos((x + dx) / 1.6 + 1) * torch.cos((y + dy) / 2 - 0.4))[None, None]

    shift = torch.stack([torch.full((20, 24), 1.5), torch.full((20, 24), -0.25)])
    found = cost.warped(wave(0, 0), shift, 3)
    assert torch.allclose(found, wave(1.5, -0.25)[..., 3:23, 3:27], atol=0.06)


def test_a_thinned_carrier_keeps_half_of_each_bit() -> None:
    carrier = Carrier.from_key()
    thin, other = cost.thinned(carrier, 0), cost.thinned(carrier, 1)
    assert torch.bincount(thin.owner[thin.owner >= 0]).tolist() == [2] * 32
    assert len(thin.phases) == pytest.approx(len(carrier.phases) / 2, abs=1)
    assert float(thin.amplitudes.square().mean()) == pytest.approx(1)
    assert thin.frequencies.tolist() != other.frequencies.tolist()


@pytest.mark.slow
def test_a_variant_is_marked_differently_and_read_all_the_same() -> None:
    shipped, photo = load(device="cpu"), to_batch(sample("dragonfly"))
    variants = {one.name: one for one in cost.VARIANTS}
    marked = {}
    for name in ("plain", "bent 1/128"):
        studio = cost.Studio(shipped, [photo] * 2, variants[name])
        marked[name] = studio.marked(0)
        assert studio.reads(marked[name]) and not studio.reads(photo)
    plain = shipped.embed(photo, studio.book.bits(0)).image
    assert torch.equal(marked["plain"], plain)
    levels = [cost.decibels(image, photo) for image in marked.values()]
    assert abs(levels[0] - levels[1]) < 0.3 and not torch.equal(*marked.values())


def test_the_table_counts_what_was_removed_forged_and_read(tmp_path: Path) -> None:
    head = ",".join(cost.COLUMNS)
    lines = [
        "plain,0,fold=40,0,1,40.0",
        "plain,1,fold=40,1,1,40.0",
        "plain,0,copy=40,1,1,40.0",
        "plain,0,whole,1,1,44.2",
    ]
    lines += [f'plain,0,"{cost.SCENE}",4,5,44.2']
    (tmp_path / "run.csv").write_text("\n".join(["# run", head, *lines, "plain,1,copy"]))
    row = cost.summary(cost.rows_of(tmp_path / "run.csv")).splitlines()[-1]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:3] == ["plain", "44.2", "1 of 2"] and cells[-1] == "4 of 5"
    assert cells.count("1 of 1") == 2 and cells.count("-") == len(cells) - 6


def test_the_page_has_the_table_of_the_figures_that_are_kept() -> None:
    page = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("<!-- displacement: scripts/displacement_cost.py -->\n\n")
    shown, _, _ = rest.partition("\n\n")
    assert shown == cost.summary(cost.rows_of(ROOT / "checkpoints" / "displacement.csv"))
