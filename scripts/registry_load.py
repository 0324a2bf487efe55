"""How a registry bears its size: fills one with synthetic records, and times what is done with it.

    python scripts/registry_load.py --count 1000000                       # SQLite, in a temporary folder
    python scripts/registry_load.py --count 1000000 --registry postgresql://me@host/empty
    python scripts/registry_load.py --count 10000000 --no-commands        # in generations of labelled words
    python scripts/registry_load.py --count 20000                         # a trial of some seconds

The registry has to be new; it is left where ``--registry`` says. Records have an asset of their own, one of 50 owners,
one of 10,000 users and times over a year; each has a source, as if a file had been marked.

reserve, confirm   ids a second that --writers processes reserve (--batch to a transaction) and confirm (one each)
look-up            milliseconds of one process to find a word, the source of a picture, and the records of an asset,
                   mean, 99th percentile and CPU time of 500
fingerprints       with --fingerprints instead of the above: seconds to import so many marked records with a fingerprint
                   each, bytes that they take, confirmations a second with and without, and milliseconds to find what
                   looks like a picture, as `detect --similar` asks, in all eight ways that it can lie, and as it is
words              seconds and CPU seconds to read the words in use, of all generations, which `detect` does before its
                   first picture
match              milliseconds to match the 32 bits of a mark, two of them wrong, with the words of the last generation
list, export ...   seconds and peak memory of the command, in a process of its own, output to a file; with the check of
                   the audit log left out with --no-commands

Words are plain up to 2,097,152 records and labelled beyond, where a generation follows another, or with --labelled.
Two runs of one machine differ by what else it does: CPU time is less of that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import islice, pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from payload import Record, bits_from_word, read_word
from payload.layout import ID_COUNT
from payload.registry import Registry
from payload.registry.entry import Entry, words_of
from payload.registry.export_import import Header, write_lines
from payload.registry.reservations import Wanted

OWNERS, USERS = 50, 10_000
START = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS = 365 * 24 * 3600
LOOK_UPS = 500
SIMILAR = 200  # pictures that are looked up, and confirmed, with --fingerprints
CONFIRMED = 2_000  # of all; one transaction each
MIB = 1 << 20
MOST = 99_999_999  # as many as assets have names of one length

Mark = tuple[int, int]  # generation and word


@dataclass(frozen=True)
class Command:
    """A command that was run: its wall and CPU seconds, and the most memory that it took, in MiB."""

    seconds: float
    cpu: float
    peak_mib: float


def record(number: int) -> Record:
    """The synthetic record of a number, always the same."""
    passed = timedelta(seconds=number * 7919 % SECONDS)
    return Record(f"asset-{number:08}", f"owner {number % OWNERS}", f"user-{number % USERS:05}", START + passed)


def source(number: int) -> str:
    """The hash of the file that it would be in."""
    return sha256(b"%d" % number).hexdigest()


def reserve(url: str, numbers: range, batch: int) -> list[Mark]:
    """What one writer does: reserves ids for some records; returns the first of them."""
    registry = Registry.open(url)
    marks: list[Mark] = []
    for first in range(numbers.start, numbers.stop, batch):
        some = range(first, min(first + batch, numbers.stop))
        found = registry.reserve([Wanted(record(number), source(number)) for number in some])
        some_marks = [(one.entry.generation, one.entry.word) for one in found[: CONFIRMED - len(marks)]]
        marks += some_marks
    return marks


def confirm(url: str, marks: Sequence[Mark]) -> int:
    """What one writer does when its files are written."""
    registry = Registry.open(url)
    for generation, word in marks:
        registry.confirm(word, generation=generation, phash=word, output=f"out/{word}.jpg")
    return len(marks)


def shares(count: int, writers: int) -> list[range]:
    """The numbers of each writer."""
    edges = [count * place // writers for place in range(writers + 1)]
    return [range(first, last) for first, last in pairwise(edges)]


def milliseconds(look: Callable[[int], object], numbers: Sequence[int]) -> tuple[float, float, float]:
    """Mean and 99th percentile of the time that ``look`` takes, and the mean CPU time of it."""
    times, before = [], time.process_time()
    for number in numbers:
        started = time.perf_counter()
        look(number)
        times.append(1000 * (time.perf_counter() - started))
    busy = 1000 * (time.process_time() - before) / len(numbers)
    return float(np.mean(times)), float(np.percentile(times, 99)), busy


def run_command(*arguments: str) -> Command:
    """Runs a command of the registry; raises ``CalledProcessError`` if it fails."""
    command = [sys.executable, "-m", "wam", "registry", *arguments]
    with tempfile.TemporaryFile() as output:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, cwd=Path(__file__).resolve().parents[1])
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / MIB
    return Command(seconds, usage.ru_utime + usage.ru_stime, peak)


def fill(url: str, count: int, writers: int, batch: int, *, labelled: bool = False) -> dict[str, Any]:
    """Reserves and confirms from several processes at once; ids a second of both."""
    Registry.open(url).give("labelled" if labelled else "plain")
    with ProcessPoolExecutor(writers, mp_context=get_context("spawn")) as pool:
        list(pool.map(abs, range(writers)))  # the processes have started
        started = time.perf_counter()
        marks = list(pool.map(reserve, [url] * writers, shares(count, writers), [batch] * writers))
        reserving = time.perf_counter() - started
        some = [part[: CONFIRMED // writers] for part in marks]
        started = time.perf_counter()
        confirmed = sum(pool.map(confirm, [url] * writers, some))
        confirming = time.perf_counter() - started
    return {
        "reserved_per_second": count / reserving,
        "confirmed_per_second": confirmed / confirming,
        "confirmed": confirmed,
    }


def look_up(registry: Registry, count: int) -> dict[str, Any]:
    """Times single look-ups, and how long the list of all words takes."""
    generator = np.random.default_rng(5)
    numbers = [int(number) for number in generator.integers(0, count, LOOK_UPS)]
    started, before = time.perf_counter(), time.process_time()
    words = {generation: registry.words(labelled=generation) for generation in registry.giving.labelled}
    words = words or {0: registry.words()}
    reading, busy = time.perf_counter() - started, time.process_time() - before
    last = words[max(words)]
    sizes = np.array([len(known) for known in words.values()])
    of = generator.choice([*words], LOOK_UPS, p=sizes / sizes.sum()).tolist()
    chosen = [(generation, int(generator.choice(words[generation]))) for generation in of]
    worn_words = generator.choice(last, min(50, len(last))).tolist()
    known = [Wanted(record(number), source(number)) for number in numbers]
    return {
        "find_ms": milliseconds(
            lambda place: registry.find(chosen[place][1], generation=chosen[place][0]), range(LOOK_UPS)
        ),
        "reuse_ms": milliseconds(lambda place: registry.reserve([known[place]]), range(min(50, len(known)))),
        "asset_ms": milliseconds(lambda number: list(registry.entries(asset=record(number).asset)), numbers),
        "words_seconds": reading,
        "words_cpu": busy,
        "match_ms": milliseconds(lambda word: read_word(worn(word), last, presence_log10_p=-30.0), worn_words),
        "words": int(sizes.sum()),
        "generations": len(words),
    }


def worn(word: int) -> np.ndarray:
    """The logits of a mark with that word, two bits of which are read wrong."""
    signs = np.array([1.0 if bit == "1" else -1.0 for bit in bits_from_word(word)])
    signs[[3, 17]] *= -0.2
    return 6 * signs


@contextmanager
def place(url: str | None) -> Iterator[tuple[str, Path]]:
    """Where the registry is made, and a folder for exports."""
    with tempfile.TemporaryDirectory(prefix="wam-load-") as folder:
        yield url or str(Path(folder, "registry.sqlite")), Path(folder)


def measure(
    url: str | None,
    count: int,
    writers: int,
    batch: int,
    *,
    labelled: bool = False,
    commands: bool = True,
    keep: Callable[[dict[str, Any]], object] = lambda _: None,
) -> dict[str, Any]:
    """All figures of one registry, or all but those of the commands; ``keep`` is given them as they come."""
    with place(url) as (at, folder):
        if Registry.open(at).counts():
            raise SystemExit(f"{at}: expected a new registry, found records; choose another place")
        found: dict[str, Any] = {"count": count, "writers": writers, "batch": batch}
        found |= fill(at, count, writers, batch, labelled=labelled)
        registry = Registry.open(at, create=False)
        found |= look_up(registry, count)
        if url is None:
            found["bytes"] = sum(path.stat().st_size for path in folder.glob("registry.sqlite*"))
        counts, marked_ones = registry.counts(), found["confirmed"]
        assert (counts.get("pending", 0), counts["marked"]) == (count - marked_ones, marked_ones)
        keep(found)
        if not commands:
            return found
        exported, copy = str(folder / "all.jsonl"), str(folder / "copy.sqlite")
        found["commands"] = {}
        for name, arguments in {
            "init": ("init", "--registry", at),
            "stats": ("stats", "--registry", at),
            "list": ("list", "--registry", at),
            "list --user": ("list", "--registry", at, "--user", "user-00042"),
            "export": ("export", "--registry", at, "-o", exported),
            "import": ("import", exported, "--registry", copy),
        }.items():
            found["commands"][name] = vars(run_command(*arguments))
            keep(found)
        started = time.perf_counter()
        report = registry.verify_audit()
        found["audit"] = {"lines": report.lines, "problem": report.problem, "seconds": time.perf_counter() - started}
        assert Registry.open(copy, create=False).statistics().allocated == count
    return found


def fingerprint(generator: np.random.Generator) -> int:
    """A random one with as many ones as zeros, as all of PDQ are."""
    return int("".join(map(str, generator.permutation(np.arange(256) % 2))), 2)


def marked(secret: bytes, count: int, generator: np.random.Generator) -> Iterator[Entry]:
    """So many marked entries, each with a fingerprint of its own."""
    for first in range(0, count, 1024):
        for serial, word in enumerate(words_of(secret, first, min(1024, count - first)), start=first):
            yield Entry(serial, word, record(serial), "marked", source=source(serial), pdq=fingerprint(generator))


def alike(url: str | None, count: int) -> dict[str, Any]:
    """All figures of a registry's fingerprints."""
    with place(url) as (at, folder):
        generator, secret = np.random.default_rng(6), bytes(range(16))
        export = folder / "export.jsonl"
        with export.open("w") as stream:
            stream.writelines(write_lines(Header(secret, count), marked(secret, count, generator)))
        registry = Registry.open(at)
        started = time.perf_counter()
        with export.open() as stream:
            registry.import_(stream)
        found: dict[str, Any] = {"count": count, "import_seconds": time.perf_counter() - started}
        if url is None:
            found["bytes"] = sum(path.stat().st_size for path in folder.glob("registry.sqlite*"))
        known = [one.pdq for one in islice(registry.entries(), SIMILAR) if one.pdq is not None]
        copies = [pdq ^ sum(1 << int(bit) for bit in generator.choice(256, 20, replace=False)) for pdq in known]
        for name, ways in (("upright", 1), ("all", 8)):
            asked = [[copy, *(fingerprint(generator) for _ in range(ways - 1))] for copy in copies]
            assert all(registry.similar(one, most=5) for one in asked)
            found[f"{name}_ms"] = milliseconds(partial(_ask, registry, asked), range(len(asked)))
        for name, taken in (("without", False), ("with", True)):
            words = [one.entry.word for one in registry.reserve([Wanted(record(number)) for number in range(SIMILAR)])]
            started = time.perf_counter()
            for word in words:
                registry.confirm(word, phash=word, pdq=fingerprint(generator) if taken else None)
            found[f"confirmed_{name}"] = SIMILAR / (time.perf_counter() - started)
    return found


def _ask(registry: Registry, asked: Sequence[Sequence[int]], place: int) -> object:
    return registry.similar(asked[place], most=5)


def print_alike(found: dict[str, Any]) -> None:
    """A line for each."""
    size = f", {found['bytes'] / found['count']:.0f} bytes each" if "bytes" in found else ""
    print(f"{found['count']:,} fingerprints, imported in {found['import_seconds']:.0f} s{size}")
    for name in ("upright", "all"):
        mean, last, busy = found[f"{name}_ms"]
        print(f"similar, {name:8} {mean:.1f} ms, 99% below {last:.1f} ms; {busy:.1f} ms of CPU time")
    print(
        f"confirm      {found['confirmed_with']:.0f}/s with a fingerprint, {found['confirmed_without']:.0f}/s without"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0], epilog=__doc__.partition("\n\n")[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--count", type=int, default=100_000, help="records; default: %(default)s", metavar="N")
    parser.add_argument("--registry", metavar="URL", help="where to make it; default: a temporary SQLite file")
    parser.add_argument("--writers", type=int, default=8, metavar="N")
    parser.add_argument("--batch", type=int, default=500, metavar="N", help="ids to a transaction")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    parser.add_argument("--labelled", action="store_true", help="labelled words, though there would be plain ones")
    parser.add_argument("--no-commands", action="store_true", help="leave list, export, import and the like out")
    parser.add_argument("--fingerprints", action="store_true", help="measure look-ups of what looks alike")
    given = parser.parse_args(arguments)
    most = ID_COUNT if given.fingerprints else MOST
    if not 1 <= given.count <= most:
        parser.error(f"--count: expected 1 to {most}, found {given.count}")
    if given.fingerprints:
        found = alike(given.registry, given.count)
        save(given.json, found)
        print_alike(found)
        return
    found = measure(
        given.registry, given.count, given.writers, given.batch,
        labelled=given.labelled or given.count > ID_COUNT, commands=not given.no_commands,
        keep=partial(save, given.json),
    )  # fmt: skip
    save(given.json, found)
    print_records(given, found)


def save(file: Path | None, found: dict[str, Any]) -> None:
    """Writes figures to a file, all that there are by now."""
    if file is not None:
        file.write_text(json.dumps(found, indent=1) + "\n")


def print_records(given: argparse.Namespace, found: dict[str, Any]) -> None:
    """A line for each."""
    size = f", {found['bytes'] / found['count']:.0f} bytes each" if "bytes" in found else ""
    print(f"{found['count']:,} records in {found['generations']} generations{size}")
    print(f"reserve      {found['reserved_per_second']:,.0f}/s from {given.writers} writers, {given.batch} at a time")
    print(f"confirm      {found['confirmed_per_second']:,.0f}/s from {given.writers} writers, one at a time")
    for name in ("find", "reuse", "asset", "match"):
        mean, last, busy = found[f"{name}_ms"]
        print(f"{name:12} {mean:.2f} ms, 99% below {last:.2f} ms; {busy:.2f} ms of CPU time")
    print(
        f"words        {found['words_seconds']:.1f} s, {found['words_cpu']:.2f} s of CPU time, for {found['words']:,}"
    )
    for name, values in found.get("commands", {}).items():
        print(f"{name:12} {values['seconds']:.1f} s, {values['cpu']:.1f} s of CPU time, {values['peak_mib']:.0f} MiB")
    if (audit := found.get("audit")) is not None:
        print(f"audit        {audit['seconds']:.1f} s for {audit['lines']:,} lines: {audit['problem'] or 'whole'}")


if __name__ == "__main__":
    main()
