"""A run's networks, clock and stored states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from tests.wam.synthetic import smooth_picture
from wam.models.checkpoints import load_checkpoint
from wam.networks.extractor import STRIDE
from wam.networks.perceptual import jnd
from wam.training.guard import StepGuard
from wam.training.pair import Pair
from wam.training.photos import Photos
from wam.training.process import Processes
from wam.training.run import Run, TrainingError, stored_state
from wam.training.settings import Settings

ALONE = Processes(0, 1, torch.device("cpu"))
CHECKPOINTS = Path(__file__).parents[3] / "checkpoints"


@pytest.fixture
def photos() -> Photos:
    return Photos([smooth_picture(230, 240, seed=seed) for seed in range(2)])


def tiny(**changes: object) -> Settings:
    return Settings("", **{"channels": 8, "blocks": 1, "batch": 2, "joint_from": 0, **changes})  # type: ignore[arg-type]


def test_without_the_high_pass_input_its_weights_stay_zero(photos: Photos, tmp_path: Path) -> None:
    run = Run(tmp_path, tiny(high_pass=False), ALONE)
    before = run.pair.extractor.stem.weight.detach().clone()
    for _ in range(2):
        assert run.take_step(photos, 1e-3)[1]
    after = run.pair.extractor.stem.weight
    hidden = 3 * STRIDE**2
    assert int(torch.count_nonzero(after[:, hidden:])) == 0 < int(torch.count_nonzero(after[:, :hidden]))
    assert not torch.equal(before[:, :hidden], after[:, :hidden])


@pytest.mark.parametrize("learned", [True, False])
def test_only_a_learned_gain_moves_away_from_the_jnd(photos: Photos, tmp_path: Path, learned: bool) -> None:
    run = Run(tmp_path, tiny(learned_gain=learned), ALONE)
    for _ in range(2):
        run.take_step(photos, 1e-3)
    content = photos.crop(64, run.generator)[None]
    assert torch.equal(run.pair.embedder(content), jnd(content)) is not learned


def test_a_fixed_gain_forgets_the_correction_of_the_starting_weights(tmp_path: Path) -> None:
    shipped = load_checkpoint(CHECKPOINTS / "lattice32.safetensors")
    settings = Settings("", learned_gain=False).shaped_as(shipped.extractor.shape)
    run = Run(tmp_path, settings, ALONE, start=shipped)
    content = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(run.average.embedder(content), jnd(content))
    assert torch.equal(run.pair.extractor.stem.weight, shipped.extractor.stem.weight)


@pytest.mark.parametrize("curriculum", [True, False])
def test_without_a_curriculum_the_level_stays(photos: Photos, tmp_path: Path, curriculum: bool) -> None:
    run = Run(tmp_path, tiny(curriculum=curriculum, level=0.5), ALONE)
    run.moving = 0.5
    run.take_step(photos, 1e-3)
    assert run.level == (0.49 if curriculum else 0.5)


def test_weights_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match=r"lattice32.safetensors: expected networks of the run's size, found others"):
        Pair(tiny()).take_weights(load_checkpoint(CHECKPOINTS / "lattice32.safetensors"))


def test_states_of_older_versions_are_resumed(tmp_path: Path) -> None:
    state = stored_state(CHECKPOINTS)
    assert state is not None
    run = Run(tmp_path, Settings.stored(state["settings"]), ALONE, state=state)
    assert run.step == state["step"] > 0 and run.settings.curriculum
    torch.testing.assert_close(run.average.embedder.stem.weight, state["average"]["embedder.stem.weight"])


def test_gradients_that_stay_wild_end_the_run_and_keep_the_last_state(photos: Photos, tmp_path: Path) -> None:
    Run(tmp_path, tiny(steps=1), ALONE).train(photos, photos, batches=1)
    before = (tmp_path / "state.pt").read_bytes()
    run = Run(tmp_path, tiny(steps=9), ALONE, state=stored_state(tmp_path))
    run.guard = StepGuard(1e-9, patience=3)  # beside which every gradient is wild
    with pytest.raises(TrainingError, match=r"found none in the last 3 batches at step 3; the state of the last save"):
        run.train(photos, photos, batches=1)
    assert (tmp_path / "state.pt").read_bytes() == before


@dataclass(frozen=True)
class Clock(Processes):
    """One process whose clock shows the given minutes after each step."""

    minutes: Iterator[float] = field(default_factory=lambda: iter(range(1, 100)))

    def of_first(self, value: float) -> float:
        return next(self.minutes)


class Pretended(Run):
    """Notes the rates and takes no steps."""

    def take_step(self, photos: Photos, rate: float) -> tuple[dict[str, float], bool]:
        self.rates = [*getattr(self, "rates", []), rate]
        self.step += 1
        return dict.fromkeys(("pattern", "mask", "bits", "correlation", "accuracy"), 0.5), True


def test_the_rate_falls_by_the_clock_at_the_end_of_a_session(photos: Photos, tmp_path: Path) -> None:
    run = Pretended(tmp_path, tiny(), Clock(0, 1, torch.device("cpu")))
    run.step = 1000
    run.train(photos, photos, minutes=5.5, decay_minutes=2, batches=1)
    assert [rate / run.settings.rate for rate in run.rates] == pytest.approx([1, 1, 1, 1, 0.75, 0.25])
    assert (tmp_path / "state.pt").exists()


def test_a_folder_that_cannot_be_written_is_an_error_in_words(photos: Photos, tmp_path: Path) -> None:
    run = Pretended(tmp_path / "missing", tiny(steps=1), ALONE)
    with pytest.raises(TrainingError, match=r"log.csv: could not be written \(No such file or directory\)"):
        run.train(photos, photos, batches=1)


def test_a_finished_run_takes_no_further_step(photos: Photos, tmp_path: Path) -> None:
    run = Pretended(tmp_path, tiny(steps=1), ALONE)
    run.step = 1
    run.train(photos, photos)
    assert not hasattr(run, "rates") and not list(tmp_path.iterdir())


def test_a_second_extractor_learns_on_the_same_scenes(photos: Photos, tmp_path: Path) -> None:
    run = Run(tmp_path, tiny(small="4,4,1,1", joint_from=100), ALONE)
    assert run.pair.small is not None
    before = [weight.clone() for weight in run.pair.small.parameters()]
    report, taken = run.take_step(photos, 1e-2)
    assert taken and -1 <= report["small"] <= 1
    assert any(not torch.equal(one, now) for one, now in zip(before, run.pair.small.parameters(), strict=True))
    run.save(run.validate(photos, batches=1))
    assert load_checkpoint(tmp_path / "best-small.safetensors").extractor.shape["channels"] == 4
    assert load_checkpoint(tmp_path / "best.safetensors").extractor.shape["channels"] == 8


def test_a_second_extractor_does_not_move_the_first(photos: Photos, tmp_path: Path) -> None:
    alone, taught = (Run(tmp_path, tiny(small=small, joint_from=100), ALONE) for small in ("", "4,4,1,1"))
    taught.pair.load_state_dict({**taught.pair.state_dict(), **alone.pair.state_dict()})
    before = {name: weight.clone() for name, weight in alone.pair.extractor.named_parameters()}
    for run in (alone, taught):
        torch.manual_seed(0)
        run.take_step(photos, 1e-3)
    theirs = dict(taught.pair.extractor.named_parameters())
    for name, weight in alone.pair.extractor.named_parameters():
        torch.testing.assert_close(weight - before[name], theirs[name] - before[name], atol=2e-4, rtol=0.2)


def test_a_run_gets_a_second_extractor_when_it_is_resumed(photos: Photos, tmp_path: Path) -> None:
    Run(tmp_path, tiny(steps=1, joint_from=100), ALONE).train(photos, photos, batches=1)
    run = Run(tmp_path, tiny(small="4,4,1,1", joint_from=100), ALONE, state=stored_state(tmp_path))
    assert run.step == 1 and run.take_step(photos, 1e-3)[1]


def test_a_frozen_extractor_teaches_and_stays(photos: Photos, tmp_path: Path) -> None:
    run = Run(tmp_path, tiny(small="4,4,1,1", frozen=True), ALONE)
    assert run.pair.small is not None
    kept = [weight.clone() for network in (run.pair.embedder, run.pair.extractor) for weight in network.parameters()]
    before = [weight.clone() for weight in run.pair.small.parameters()]
    for _ in range(2):
        assert run.take_step(photos, 1e-3)[0]["small"] <= 1
    now = [weight for network in (run.pair.embedder, run.pair.extractor) for weight in network.parameters()]
    assert all(torch.equal(one, other) for one, other in zip(kept, now, strict=True))
    assert any(not torch.equal(one, now) for one, now in zip(before, run.pair.small.parameters(), strict=True))


def test_nobody_learns_from_a_frozen_extractor_alone() -> None:
    with pytest.raises(ValueError, match="expected a small extractor that learns, found none"):
        tiny(frozen=True)


@pytest.mark.parametrize("small", ["64", "a,b,c,d", "1,2,3,4,5"])
def test_a_second_extractor_has_four_numbers(small: str) -> None:
    with pytest.raises(ValueError, match=f"small: expected four numbers as in 64,128,2,4, found {small}"):
        tiny(small=small)
