"""One run of the bench from options to files: what the command line and ``scripts/evaluate.py`` share."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from attacks.suites import missing_packages
from wam import __version__
from wam.bench.adversary_lines import adversary_lines
from wam.bench.contenders import Build
from wam.bench.cost import CostLine, measure, measurements
from wam.bench.perception import absent, described
from wam.bench.photos import PACKAGED, ImageSet
from wam.bench.plan import Entrant, Part, Plan
from wam.bench.quality import is_complete
from wam.bench.report import Report, write_report
from wam.bench.report_page import write_page
from wam.bench.results import QUALITY, Result, ResultsFile
from wam.bench.rows import choose_rows, negative_rows
from wam.bench.runner import Progress, run_plan, usual_workers
from wam.bench.summary import failures, group_lines, kind_lines, null_lines, quality_lines, results_of, row_lines
from wam.bench.words import RECORDS
from wam.models.zoo import default_precision
from wam.networks.strength import Amount
from wam.packages import DISTRIBUTIONS

# packaged photos that the rows which search everything are measured on, unless --limit says otherwise
COSTLY_PHOTOS = 2
COSTS = ("none", "short", "full")


@dataclass(frozen=True)
class Options:
    """What to measure. ``attacks`` as ``choose_rows`` reads them, "" for none; ``images`` None for the packaged photos;
    ``negatives`` folder of unmarked pictures; ``strengths`` in dB, () for the model's own; ``cost`` one of ``COSTS``;
    ``workers`` None for one per core; ``command`` that made the figures, for the captions."""

    attacks: str
    images: ImageSet | None = None
    negatives: ImageSet | None = None
    strengths: tuple[Amount, ...] = ()
    seed: int = 0
    limit: int | None = None
    cost: str = "none"
    workers: int | None = None
    device: str = "cpu"
    model: str = ""
    command: str = ""
    peers: Sequence[Build] = field(default_factory=tuple)


@dataclass(frozen=True)
class Outcome:
    """``report`` for people, ``results`` in the order of the tables."""

    report: Report
    results: list[Result]
    plan: Plan


def run(options: Options, build: Build, out: Path | None, *, progress: Progress = lambda done, total: None) -> Outcome:
    """Measure everything, and write the files of ``out``. Raises ``ValueError`` for rows that are not known and
    ``WamError`` for a model or an image set that cannot be used, before anything is measured."""
    plan = make_plan(options, build)
    file = ResultsFile(out, keep=_is_whole)
    workers = options.workers or usual_workers(options.device)
    run_plan(plan, file, workers=workers, report=progress)
    results = results_of(plan, file)
    costs = _costs(options, progress)
    report = make_report(options, plan, results, costs)
    if out is not None:
        report.plots.extend(_draw(out, plan, report, results, options))
        write_report(out, report)
        write_page(out, report)
    return Outcome(report, results, plan)


def make_plan(options: Options, build: Build) -> Plan:
    """Rows, photos and contenders; each contender is built once to see that it can be."""
    images = options.images or ImageSet.packaged()
    parts = []
    if options.attacks:
        spared = images.name == PACKAGED and options.limit is None
        costly = COSTLY_PHOTOS if spared else None
        parts.append(Part(images, tuple(choose_rows(options.attacks)), options.limit, costly))
    if options.negatives is not None:
        parts.append(Part(options.negatives, tuple(negative_rows()), options.limit, negatives=True))
    return Plan(_entrants(options, build), tuple(parts), options.seed)


def images_plan(options: Options, build: Build) -> Plan:
    """The same contenders on the same photos without rows: of each marked photo only what it looks like."""
    images = options.images or ImageSet.packaged()
    return Plan(_entrants(options, build), (Part(images, (), options.limit),), options.seed)


def _entrants(options: Options, build: Build) -> tuple[Entrant, ...]:
    return tuple(Entrant.of(make(), make, strengths=options.strengths) for make in (build, *options.peers))


def make_report(options: Options, plan: Plan, results: Sequence[Result], costs: Sequence[CostLine]) -> Report:
    """Tables and facts of a run."""
    rows, quality = row_lines(results), quality_lines(results)
    return Report(
        facts=make_facts(options, plan),
        groups=group_lines(rows),
        rows=rows,
        nulls=null_lines(results),
        adversaries=adversary_lines(results),
        kinds=kind_lines(results),
        quality=quality,
        failures=failures(results) + [f"{line}: {line.error}" for line in costs if line.error],
        costs=list(costs),
        absent=tuple(name for name in absent() if all(line[name] is None for line in quality)),
    )


def make_facts(options: Options, plan: Plan) -> dict[str, str]:
    """What a reader has to know of a run, by name."""
    return {
        "command": options.command,
        "models": ", ".join(entrant.name for entrant in plan.entrants),
        "images": "; ".join(_describe(part) for part in plan.parts) or PACKAGED,
        "device": _device(options),
        "seed": str(options.seed),
        "registry": f"{RECORDS} records, which chance matches are counted against",
        "visibility": described(),
        **_left_out(plan),
        "version": f"wam {__version__}",
        **_searches(plan),
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _is_whole(result: Result) -> bool:
    """Whether a result that was kept has all figures."""
    return result.key.row != QUALITY or is_complete(result.values)


def _left_out(plan: Plan) -> dict[str, str]:
    """The packages for want of which rows of an adversary are not there."""
    missing = missing_packages() if any(row.foe for part in plan.parts for row in part.rows) else ()
    names = ", ".join(DISTRIBUTIONS.get(module, module) for module in missing)
    return {"adversary": f"rows that need {names} are left out: not installed"} if missing else {}


def _searches(plan: Plan) -> dict[str, str]:
    """The digests of the values that the contenders search with; nothing where none of them has any."""
    found = dict.fromkeys(entrant.search for entrant in plan.entrants if entrant.search is not None)
    return {"search": ", ".join(found)} if found else {}


def _describe(part: Part) -> str:
    taken = f"{part.images.describe()}, first {part.count()}" if part.count() < len(part.images) else ""
    spared = "" if part.costly_limit is None else f", splicing, multi and perspective rows on {part.costly_limit}"
    return (taken or part.images.describe()) + spared + (", unmarked" if part.negatives else "")


def _device(options: Options) -> str:
    """Where the extractor ran, and in what precision."""
    device = options.device
    name = device if device != "cpu" else f"CPU {platform.machine()}, {os.cpu_count()} cores"
    return f"{name}, {default_precision(options.model, device)}"


def _costs(options: Options, progress: Callable[[int, int], None]) -> list[CostLine]:
    if options.cost == "none":
        return []
    todo = list(measurements(options.model, options.device, full=options.cost == "full"))
    lines = []
    for number, measurement in enumerate(todo):
        progress(number, len(todo))
        lines.append(measure(measurement))
    progress(len(todo), len(todo))
    return lines


def _draw(out: Path, plan: Plan, report: Report, results: Sequence[Result], options: Options) -> list[str]:
    """Plots and contact sheet; a plot that fails is named in the report and costs nothing else."""
    if not report.rows:
        return []
    from wam.bench.plots import write_plots
    from wam.bench.sheet import write_sheet

    try:
        names = write_plots(out, report, results)
        part, build = plan.parts[0], plan.entrants[0].build
        write_sheet(out / "contact-sheet.png", build(), part, seed=plan.seed, caption=report.caption)
    except Exception as error:  # the figures have been measured: they are worth more than a picture of them
        report.failures.append(f"plots: {error}")
        return []
    return [*names, "contact-sheet.png"]
