"""What a worker of the service comes to need as it reads pictures of ever other sizes.

    python scripts/service_memory.py --count 200

reads so many in this process, as a worker does, and prints a line of JSON every ``--every``: the process's memory (PSS,
MiB; pages that others share count in part), and of what the allocator of glibc holds that which is ``used`` and that
which is ``free``; at last the same after ``malloc_trim``. ``--kept``: what oneDNN and PyTorch keep of earlier sizes,
1024 as they do by themselves. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import io
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from payload.registry import Registry
from scripts.service_fuzz import memory_of
from wam.cli.common import marker_loader, single_threaded
from wam.models import convolutions
from wam.models.catalogue import DEFAULT
from wam.pictures.kinds import READ_SUFFIXES
from wam.service.setup import Setup
from wam.service.work import Desk

SAMPLES = Path(__file__).resolve().parents[1] / "wam" / "samples"
SIDES = (200, 420)  # pixels of a picture's sides, drawn from
MOST = 10**8  # pixels, and frames of which there are none
TASK = {"do": "detect", "name": "in.jpg", "overlay": "", "seconds": 600.0}
TASK |= {"frames": False, "thorough": False, "quick": False}
NAMES = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"


class _Allocated(ctypes.Structure):
    """What ``mallinfo2`` says, in bytes."""

    _fields_ = [(name, ctypes.c_size_t) for name in NAMES.split()]


def pictures(folder: Path, count: int, sides: Sequence[int] = SIDES) -> Iterator[bytes]:
    """So many, each of a size of its own."""
    draw = random.Random(0)
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READ_SUFFIXES)
    if not files:
        raise SystemExit(f"{folder}: expected pictures, found none; name another folder")
    for number in range(count):
        stream = io.BytesIO()
        with Image.open(files[number % len(files)]) as image:
            resized = image.convert("RGB").resize((draw.randint(*sides), draw.randint(*sides)))
        resized.save(stream, "JPEG", quality=90)
        yield stream.getvalue()


def state(read: int) -> dict[str, int]:
    """Memory after so many pictures, in MiB."""
    said = {"read": read, "pss": memory_of(os.getpid()) >> 10}
    system = ctypes.CDLL(None)
    if hasattr(system, "mallinfo2"):
        system.mallinfo2.restype = _Allocated
        found = system.mallinfo2()
        said |= {"used": (found.uordblks + found.hblkhd) >> 20, "free": found.fordblks >> 20}
    return said


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, default=SAMPLES, metavar="FOLDER")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--sides", type=int, nargs=2, default=SIDES, help="of a picture, the least and the most")
    parser.add_argument("--kept", type=int, default=int(convolutions.KEPT), help="convolutions that are kept")
    options = parser.parse_args(arguments)
    os.environ.update(dict.fromkeys(convolutions.VARIABLES, str(options.kept)))  # read when the first is made
    with tempfile.TemporaryDirectory(prefix="wam-memory-") as folder:
        place = str(Path(folder) / "registry.sqlite")
        Registry.open(place)
        desk = Desk(Setup(single_threaded(marker_loader(DEFAULT, "cpu", [None])), place, MOST, 1))
        print(json.dumps(state(0)), flush=True)
        for number, content in enumerate(pictures(options.pictures, options.count, options.sides), 1):
            answer, _ = desk.do(TASK, (content,))
            if answer["state"] != "done":
                raise SystemExit(f"picture {number}: expected it to be read, found {answer}")
            if number % options.every == 0:
                print(json.dumps(state(number)), flush=True)
    system = ctypes.CDLL(None)
    if hasattr(system, "malloc_trim"):
        system.malloc_trim(0)
        print(json.dumps({**state(options.count), "trimmed": True}))


if __name__ == "__main__":
    main()
