"""What each design choice of the model gains: short trainings of the same length, one after another.

    python scripts/ablate.py --photos ../shared/corpus/train --minutes-each 4 --out runs/ablation
    python scripts/ablate.py ... --from checkpoints/lattice32.safetensors --variants baseline,jnd-gain,no-bit-loss

Every variant starts from the same weights (those of --from, else the same random ones), trains equally long with the
rate falling over the last third, and is measured on the same photos of the validation split: fixed training scenes
(val_), and files marked at 42 dB (wam/training/check.py). handmade-extractor and handmade-embedder replace a network
of the starting weights and are not trained; start is those weights as they are.

Writes --out/ablation.csv, a row when a variant is done, and ablation.md; a variant that has a row is skipped when the
script is run again. Choices that the starting weights have learned already are judged fairly only without --from.
"""

from __future__ import annotations

import argparse
import csv
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.errors import WamError
from wam.models.checkpoints import load_checkpoint
from wam.networks.baseline_extractor import HandmadeExtractor
from wam.networks.watermark_network import WatermarkModel
from wam.pictures.atomic_write import save_atomically
from wam.signal.pattern import Carrier
from wam.training.check import check
from wam.training.photos import Photos
from wam.training.process import Processes
from wam.training.run import Run
from wam.training.settings import Settings

NEVER = 10**9  # steps
DECAY = 1 / 3  # of the minutes
FIGURES = ["val_correlation", "val_accuracy", "psnr", "ssim"]
FIGURES += [f"{view}_{what}" for view in ("jpeg", "turn") for what in ("bits_25", "bits_10", "pose_25", "pose_10")]
FIGURES += ["margin", "error"]
COLUMNS = ["variant", "steps", "minutes", *FIGURES]


@dataclass(frozen=True)
class Variant:
    """``what`` is another than in the baseline; ``changes`` to its settings; ``handmade`` network, if any."""

    what: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    trained: bool = True
    handmade: str | None = None


VARIANTS = {
    "start": Variant("the starting weights, not trained", trained=False),
    "handmade-extractor": Variant("high-pass filter for the extractor", trained=False, handmade="extractor"),
    "handmade-embedder": Variant("plain JND for the embedder", {"learned_gain": False}, trained=False),
    "baseline": Variant("everything as in the recipe"),
    "separate": Variant("embedder frozen as it starts", {"joint_from": NEVER}),
    "jnd-gain": Variant("embedder replaced by plain JND, extractor trained", {"learned_gain": False}),
    "no-curriculum": Variant("every batch at the hardest level", {"curriculum": False, "level": 1.0}),
    "easy": Variant("every batch at the easiest level", {"curriculum": False, "level": 0.0}),
    "no-high-pass": Variant("extractor sees the picture only", {"high_pass": False}),
    "no-bit-loss": Variant("no cross-entropy of bits", {"bit_weight": 0.0}),
    "low-band": Variant("2 to 9.9 cycles per tile", {"lowest": 2.0, "highest": 9.9}),
    "high-band": Variant("4.5 to 10.9 cycles per tile", {"lowest": 4.5, "highest": 10.9}),
    "wide-band": Variant("3 to 12 cycles per tile, 5 frequencies a bit", {"highest": 12.0, "per_bit": 5}),
    "tilt-low": Variant("power falls with the frequency", {"tilt": -0.5}),
    "tilt-high": Variant("power grows with the frequency", {"tilt": 0.5}),
    "more-pilot": Variant("3 frequencies a bit, 39% pilot", {"per_bit": 3}),
    "side-192": Variant("pattern made for a short side of 192 pixels", {"working_side": 192}),
    "side-320": Variant("pattern made for a short side of 320 pixels", {"working_side": 320}),
}


def parser() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--photos", type=Path, required=True, help="folder of training pictures, recursed")
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--from", type=Path, dest="start", help="checkpoint to start from; default: random weights")
    options.add_argument("--variants", default=",".join(VARIANTS), help="names separated by commas")
    options.add_argument("--minutes-each", type=float, default=4.0)
    options.add_argument("--batch", type=int, default=16)
    options.add_argument("--joint-from", type=int, default=0, help="step from which the gain map learns")
    options.add_argument("--level", type=float, help="of the curriculum at the start; default: 1 with --from, else 0")
    options.add_argument("--limit", type=int, help="use only this many pictures")
    options.add_argument("--checked", type=int, default=24, help="validation photos of the end-to-end check")
    options.add_argument("--validation-batches", type=int, default=12)
    options.add_argument("--seed", type=int, default=0)
    return options


def chosen(names: str) -> list[str]:
    """The variants asked for; raises ``ValueError`` for an unknown one."""
    wanted = [name.strip() for name in names.split(",")]
    unknown = [name for name in wanted if name not in VARIANTS]
    if unknown:
        raise ValueError(f"--variants: expected some of {', '.join(VARIANTS)}, found {', '.join(unknown)}; change them")
    return wanted


def measure(
    variant: Variant, settings: Settings, folder: Path, photos: Photos, validation: Photos, options: argparse.Namespace
) -> dict[str, float]:
    """Trains one variant, unless it is measured as it is, and scores it."""
    start = load_checkpoint(options.start) if options.start else None
    settings = settings.shaped_as(start.extractor.shape) if start else settings
    shutil.rmtree(folder, ignore_errors=True)  # of a run that was interrupted: all get the same time
    folder.mkdir(parents=True)
    run = Run(folder, replace(settings, **variant.changes), Processes.join(), start=start)
    minutes = options.minutes_each if variant.trained else 0.0
    if variant.trained:
        run.train(photos, validation, minutes=minutes, decay_minutes=minutes * DECAY, every=NEVER, batches=1)
    if variant.handmade == "extractor":
        run.average.extractor = HandmadeExtractor()
    figures: dict[str, float] = {"steps": run.step, "minutes": minutes}
    figures |= run.validate(validation, batches=options.validation_batches)
    carrier = Carrier.from_key(signal=run.settings.signal)
    model = WatermarkModel(run.average.embedder, run.average.extractor, [carrier]).eval().cpu()
    return figures | check(model, validation, count=options.checked, side=run.settings.working_side)


def markdown(rows: list[dict[str, str]], command: str) -> str:
    """The table, with what each variant changes."""
    names = ["variant", "what", *COLUMNS[1:]]
    lines = [f"`{command}`, {datetime.now(UTC):%Y-%m-%d}", "", f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    for row in rows:
        cells = {**row, "what": VARIANTS[row["variant"]].what}
        lines.append(f"| {' | '.join(cells[name] for name in names)} |")
    return "\n".join([*lines, "", *NOTES, ""])


NOTES = (
    "Photos of the validation split. val_: fixed training scenes at level .8. All else: files marked at 42 dB, regions",
    "of 25 and 10% of the area after JPEG 80 (jpeg_) or a turn by 30 degrees (turn_): bits right at the known pose,",
    "and share of regions whose pose synchronisation finds. margin: mean vote of 10% regions over its deviation;",
    "error: standard error of jpeg_bits_10.",
)


def main() -> int:
    options = parser().parse_args()
    level = options.level if options.level is not None else float(options.start is not None)
    table = options.out / "ablation.csv"
    try:
        names = chosen(options.variants)
        photos = Photos.load(options.photos, limit=options.limit, validation=False)
        validation = Photos.load(options.photos, limit=options.limit, validation=True)
        settings = Settings(
            str(options.photos),
            batch=options.batch,
            steps=NEVER,
            decay_from=NEVER,
            joint_from=options.joint_from,
            level=level,
            seed=options.seed,
        )
        rows = read(table)
        for name in names:
            if name in [row["variant"] for row in rows]:
                print(f"{name}: has its row already", file=sys.stderr)
                continue
            print(f"{name}: {VARIANTS[name].what}", file=sys.stderr, flush=True)
            figures = measure(VARIANTS[name], settings, options.out / name, photos, validation, options)
            rows.append({"variant": name} | {key: f"{figures[key]:.4g}" for key in COLUMNS[1:]})
            write(table, rows, "python scripts/ablate.py " + " ".join(sys.argv[1:]))
    except (ValueError, OSError, WamError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table.with_suffix(".md").read_text())
    return 0


def read(table: Path) -> list[dict[str, str]]:
    """Rows of an earlier run."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


def write(table: Path, rows: list[dict[str, str]], command: str) -> None:
    """Both files, whole or not at all."""

    def write_csv(path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)

    save_atomically(table, write_csv)
    save_atomically(table.with_suffix(".md"), lambda path: path.write_text(markdown(rows, command)))


if __name__ == "__main__":
    sys.exit(main())
