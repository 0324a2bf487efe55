"""One training run: its state, its steps, and what it leaves in its folder."""

from __future__ import annotations

import copy
import io
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from wam.errors import WamError
from wam.models.checkpoints import Checkpoint, save_checkpoint
from wam.networks.extractor import Extractor
from wam.networks.unet_extractor import UNetExtractor
from wam.pictures.atomic_write import save_atomically
from wam.signal.pattern import Carrier
from wam.signal.specification import EXPERIMENT
from wam.training.guard import StepGuard
from wam.training.log import Window, plot, write_row
from wam.training.losses import final_decay, known_mean, learning_rate, next_level, non_finite
from wam.training.pair import Pair, losses
from wam.training.photos import Photos
from wam.training.process import Processes
from wam.training.scenes import CONTENT
from wam.training.settings import Settings

AVERAGING = 0.998  # of weights, per step
WARMUP = 100  # steps
CLIP = 0.5  # of the gradient norm
EVERY = 50  # steps between rows of the log
FOLLOWING = 0.95  # of the moving bit accuracy, per step
STEEPEST = 1.0  # power of the frequency that amplitudes grow with, at most
AGREEMENT = 20  # steps between agreements of the processes on one curriculum


class TrainingError(WamError):
    """A run cannot go on; its last save is as it was."""


def stored_state(folder: Path) -> dict[str, Any] | None:
    """The state of an earlier run in this folder, None where there is none."""
    path = folder / "state.pt"
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


class Run:
    """``pair``, the networks as trained, and ``average``, their moving average, which is what a checkpoint gets."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        processes: Processes,
        *,
        state: dict[str, Any] | None = None,
        start: Checkpoint | None = None,
    ) -> None:
        self.folder, self.settings, self.processes = folder, settings, processes
        torch.manual_seed(settings.seed + processes.rank)
        self.generator = np.random.default_rng([settings.seed, processes.rank])
        self.pair = Pair(settings).to(processes.device).to(memory_format=torch.channels_last)
        if start is not None:
            self.pair.take_weights(start)
        if state is not None:
            _resumed(self.pair, state["weights"])
        self.pair.constrain(settings)
        self.average = copy.deepcopy(self.pair).requires_grad_(False)
        self.optimiser = torch.optim.AdamW(
            self.pair.parameters(), lr=settings.rate, betas=(0.9, 0.99), weight_decay=1e-4
        )
        self.guard = StepGuard()
        self.step, self.level, self.moving, self.best = 0, settings.level, float("nan"), -1.0
        if state is not None:
            self._resume(state)
        alone = processes.count == 1
        self.model = self.pair if alone else DistributedDataParallel(self.pair, find_unused_parameters=True)

    def _resume(self, state: dict[str, Any]) -> None:
        if _resumed(self.average, state["average"]):
            self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.level, self.moving, self.best = (state[key] for key in ("step", "level", "moving", "best"))
        self.guard = StepGuard(state.get("usual"))
        if self.processes.first:
            torch.random.set_rng_state(state["torch_random"])
            self.generator.bit_generator.state = state["numpy_random"]
        else:
            self.generator = np.random.default_rng([self.settings.seed, self.processes.rank, self.step])

    def state(self) -> dict[str, Any]:
        """All that a later run needs to go on as if this one had not stopped."""
        return {
            "settings": asdict(self.settings),
            "weights": self.pair.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "level": self.level,
            "moving": self.moving,
            "usual": self.guard.usual,
            "best": self.best,
            "torch_random": torch.random.get_rng_state(),
            "numpy_random": self.generator.bit_generator.state,
        }

    def train(
        self,
        photos: Photos,
        validation: Photos,
        *,
        minutes: float = float("inf"),
        decay_minutes: float = 0.0,
        every: int = 250,
        batches: int = 12,
        started: float | None = None,
    ) -> None:
        """Goes on to the last step or for ``minutes`` since ``started`` (monotonic seconds; None: now).

        The rate falls over the last ``decay_minutes``. Validates on ``batches`` batches and saves ``every`` so many
        steps and at the end. Raises ``TrainingError`` when it cannot go on.
        """
        started = time.monotonic() if started is None else started
        window, elapsed, last = Window(), 0.0, self.step >= self.settings.steps
        while not last:
            rate = self._rate() * final_decay(elapsed, total=minutes, decay=decay_minutes)
            report, taken = self.take_step(photos, rate)
            window.add(report, taken=taken)
            elapsed = self.processes.of_first((time.monotonic() - started) / 60)
            last = elapsed > minutes or self.step == self.settings.steps
            if self.processes.first and (self.step % EVERY == 0 or last):
                row = {"step": self.step, "minutes": round(elapsed, 2), "level": round(self.level, 3), "rate": rate}
                row |= window.row(batch=self.settings.batch * self.processes.count)
                window = Window()
                checked = self.step % every == 0 or last
                self._log(row, self.validate(validation, batches=batches) if checked else {})

    def take_step(self, photos: Photos, rate: float) -> tuple[dict[str, float], bool]:
        """One batch: its losses, and whether its gradient was followed."""
        settings, joint = self.settings, self.settings.joint(self.step)
        loss, report = self._loss(photos, joint)
        if non_finite(loss):
            raise TrainingError(f"loss is not finite at step {self.step}; the state of the last save is kept")
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(self.pair.parameters(), CLIP))
        taken = self.guard.takes(norm)  # the norm is the same in all processes
        if taken:
            self.optimiser.step()
        elif self.guard.stuck:
            raise TrainingError(
                f"expected a finite gradient near the usual, found none in the last {self.guard.left_out}"
                f" batches at step {self.step}; the state of the last save is kept, go on from it at a lower rate"
            )
        self.step += 1
        self._follow(report["accuracy"])
        if settings.curriculum:
            self.level = next_level(self.level, self.moving)
        if self.step % AGREEMENT == 0:  # the processes see different scenes; they keep one curriculum
            self.level, self.moving = self.processes.mean(self.level, self.moving)
        return report, taken

    def _loss(self, photos: Photos, joint: bool) -> tuple[Tensor, dict[str, float]]:
        settings, generator = self.settings, self.generator
        key = generator.bytes(8) if generator.random() < settings.random_keys else None
        content = self._content(photos, generator)
        signal = settings.signal
        if generator.random() < settings.random_tilts:
            signal = replace(signal, version=EXPERIMENT, tilt=float(generator.uniform(0, STEEPEST)))
        carrier = Carrier.from_key(key, device=content.device, signal=signal)
        scene, outputs, visible = self.model.train()(content, carrier, self.level, generator, joint)
        return losses(scene, outputs, visible, bit_weight=settings.bit_weight, distilled=settings.distilled)

    def _rate(self) -> float:
        settings = self.settings
        return learning_rate(
            self.step, peak=settings.rate, warmup=WARMUP, decay_from=settings.decay_from, total=settings.steps
        )

    @torch.no_grad()
    def _follow(self, accuracy: float) -> None:
        """The moving averages of the weights and of the bit accuracy."""
        keep = min(AVERAGING, self.step / (self.step + 10))
        for slow, fast in zip(self.average.parameters(), self.pair.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)
        if not np.isnan(accuracy):
            self.moving = accuracy if np.isnan(self.moving) else FOLLOWING * self.moving + (1 - FOLLOWING) * accuracy

    def _content(self, photos: Photos, generator: np.random.Generator) -> Tensor:
        """(B, 3, C, C): one batch of crops."""
        side = self.settings.working_side
        return photos.crops(self.settings.batch, CONTENT, generator, working_side=side, device=self.processes.device)

    def validate(self, photos: Photos, *, batches: int) -> dict[str, float]:
        """Mean losses of the averaged networks on fixed scenes: public carrier, level .8."""
        generator, state = np.random.default_rng(1234), torch.random.get_rng_state()
        torch.manual_seed(1234)
        carrier = Carrier.from_key(device=self.processes.device, signal=self.settings.signal)
        rows = []
        with torch.inference_mode():
            for _ in range(batches):
                content = self._content(photos, generator)
                scene, outputs, visible = self.average.eval()(content, carrier, 0.8, generator, False)
                rows.append(losses(scene, outputs, visible, bit_weight=self.settings.bit_weight)[1])
        torch.random.set_rng_state(state)
        return {f"val_{key}": value for key, value in known_mean(rows).items()}

    def _log(self, row: dict[str, float], result: dict[str, float]) -> None:
        """One row, and after a validation (``result`` not empty) all files of the run."""
        row = row | {key: round(value, 4) for key, value in result.items()}
        print(" ".join(f"{key} {value}" for key, value in row.items()), file=sys.stderr, flush=True)
        log = self.folder / "log.csv"
        with _saving(log):
            write_row(log, row)
        if result:
            self.save(result)
            with _saving(self.folder / "curves.png"):
                plot(log, self.folder / "curves.png")

    def save(self, result: dict[str, float]) -> None:
        """The state, and the averaged networks where their validation correlation is the best so far."""
        if result["val_correlation"] > self.best and self.settings.usual:
            metadata = {"step": self.step, "settings": asdict(self.settings), "validation": result}
            networks = {"best": self.average.extractor, "best-small": self.average.small}
            for name, network in networks.items():
                if isinstance(network, Extractor | UNetExtractor):
                    path = self.folder / f"{name}.safetensors"
                    with _saving(path):
                        save_checkpoint(path, self.average.embedder, network, metadata, signal=self.settings.signal)
        self.best = max(self.best, result["val_correlation"])
        content = io.BytesIO()  # torch reports a full disk as something else
        torch.save(self.state(), content)
        with _saving(self.folder / "state.pt"):
            save_atomically(self.folder / "state.pt", lambda path: path.write_bytes(content.getvalue()))


def _resumed(pair: Pair, weights: Mapping[str, Tensor]) -> bool:
    """Takes stored weights; False where the run has a second extractor that the stored one had not, which starts from
    nothing, and the optimiser with it."""
    grown = pair.small is not None and not any(name.startswith("small.") for name in weights)
    missing, others = pair.load_state_dict(weights, strict=not grown)
    if others or any(not name.startswith("small.") for name in missing):
        raise TrainingError(f"expected the weights of the run's networks, found others: {[*missing, *others][:3]}")
    return not grown


@contextmanager
def _saving(path: Path) -> Iterator[None]:
    """A full disk, say, is an error in words; files are replaced whole, so the last good one is still there."""
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{path}: could not be written ({error.strerror or error}); the last save is kept, make room and run again"
        ) from error
