"""Sends damaged pictures to a service that runs: each has to get one clear answer, and the service to stay as it is.

    wam serve --rate 100000 --workers 1 &
    python scripts/service_fuzz.py --url http://127.0.0.1:8000 --count 10000 --pid $!

Small files of every common kind, with EXIF, XMP, labels and what begins as a manifest among them, are damaged in one to
three ways each: bytes turned over, taken out, put in, repeated, numbers set to their ends, files cut short or put
together of two. Wrong is what is answered with another status than 200, 400, 413, 415 or 422, what is no JSON or no
single line, and what cost a worker its life, its time or its memory.
``--pid``: of the service; the memory of it and its workers is read from /proc (pages that they share count once), at
the start, the most, and at the end.
A file that got a wrong answer is written to ``--keep``; exit status 1 where there was one.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import math
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

RIGHT = (200, 400, 413, 415, 422)
AGAIN = (429,)  # no room in the queue: asked again
LOSSES = ("ended its readers", "takes longer", "found too little")  # what an answer says when it cost a worker
MOST_WAYS = 3
XMP = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:TC260="http://www.tc260.org.cn/ns/AIGC/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" TC260:AIGC='{"Label":"1","ContentProducer":"a"}'
 Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/></rdf:RDF>
</x:xmpmeta><?xpacket end="w"?>"""
WARM = 20  # requests before memory is first looked at


@dataclass(frozen=True)
class Wrong:
    """An answer that should not be: of the file of which ``number``, and why."""

    number: int
    why: str
    content: bytes = field(repr=False)


@dataclass
class Outcome:
    """What became of all: ``statuses``, wrong answers, and kibibytes of memory where there was a process to look at."""

    statuses: Counter[int] = field(default_factory=Counter)
    wrong: list[Wrong] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)


def seeds(draw: random.Random) -> list[bytes]:
    """Small files of many kinds."""
    side = 96
    noise = np.random.default_rng(draw.randrange(1 << 30)).integers(0, 256, (side, side, 3), dtype=np.uint8)
    smooth = np.linspace(0, 255, side, dtype=np.uint8)[None, :, None].repeat(side, 0).repeat(3, 2)
    picture = Image.fromarray((noise // 4 + smooth // 2).astype(np.uint8))
    frames = [picture.rotate(90 * turn) for turn in range(3)]
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a picture that lies on its side"
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", XMP.decode())
    text.add_text("parameters", "a prompt, and what made a picture of it")
    deep = Image.fromarray(noise[..., 0].astype(np.uint16) << 8)
    kinds: list[tuple[Image.Image, str, dict[str, Any]]] = [
        (picture, "PNG", {}), (picture.convert("P"), "PNG", {"transparency": 3}), (picture.convert("RGBA"), "PNG", {}),
        (deep, "PNG", {}), (picture, "JPEG", {"quality": 85, "exif": exif}), (picture, "JPEG", {"progressive": True}),
        (picture.convert("CMYK"), "JPEG", {}), (picture.convert("L"), "JPEG", {}), (picture, "WEBP", {"quality": 80}),
        (picture, "WEBP", {"lossless": True, "exif": exif}), (picture, "TIFF", {}), (deep, "TIFF", {}),
        (picture, "TIFF", {"compression": "tiff_lzw"}), (picture, "TIFF", {"compression": "jpeg"}),
        (picture, "BMP", {}), (picture.convert("P"), "GIF", {}), (picture, "JPEG2000", {}),
        (frames[0], "GIF", {"save_all": True, "append_images": frames[1:]}),
        (frames[0], "PNG", {"save_all": True, "append_images": frames[1:]}),
        (frames[0], "WEBP", {"save_all": True, "append_images": frames[1:]}),
        (picture, "JPEG", {"xmp": XMP}), (picture, "JPEG", {"xmp": XMP, "exif": exif, "comment": b"made by hand"}),
        (picture, "PNG", {"pnginfo": text, "exif": exif}), (picture, "WEBP", {"xmp": XMP, "exif": exif}),
    ]  # fmt: skip
    if features.check("avif"):
        kinds.append((picture, "AVIF", {"quality": 80}))
    files = []
    for image, kind, options in kinds:
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        files.append(stream.getvalue())
        if kind == "JPEG" and "xmp" in options:
            files.append(_with_manifest(files[-1]))
    return files


def _with_manifest(jpeg: bytes) -> bytes:
    """A JPEG with what begins as a C2PA manifest store: boxes of JUMBF in an APP11 segment, with nothing signed."""

    def box(kind: bytes, content: bytes) -> bytes:
        return (len(content) + 8).to_bytes(4, "big") + kind + content

    def described(name: bytes, kind: bytes, content: bytes) -> bytes:
        uuid = kind + bytes.fromhex("00110010800000aa00389b71")
        return box(b"jumb", box(b"jumd", uuid + b"\x03" + name + b"\0") + content)

    claim = described(b"c2pa.claim.v2", b"c2cl", box(b"cbor", b"\xa2ginstanceIDcxmpialgfsha256"))
    signature = described(b"c2pa.signature", b"c2cs", box(b"cbor", b"\xd2\x84C\xa1\x01&\xa0\xf6@"))
    store = described(b"c2pa", b"c2pa", described(b"urn:c2pa:1", b"c2ma", claim + signature))
    segment = b"JP\x00\x01\x00\x00\x00\x01" + store
    return jpeg[:2] + b"\xff\xeb" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]


def damaged(files: Sequence[bytes], draw: random.Random) -> bytes:
    """One of the files, damaged."""
    content = bytearray(draw.choice(files))
    for _ in range(draw.randint(1, MOST_WAYS)):
        draw.choice(WAYS)(content, files, draw)
    return bytes(content)


def _place(content: bytearray, draw: random.Random) -> int:
    """Anywhere, more often near the start, where the headers are."""
    reach = draw.choice((32, 256, len(content)))
    return draw.randrange(min(reach, len(content))) if content else 0


def _turn_over(content: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    for _number in range(draw.choice((1, 1, 2, 8, 64))):
        if content:
            content[_place(content, draw)] ^= 1 << draw.randrange(8)


def _set_number(content: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    size = draw.choice((1, 2, 4, 8))
    value = draw.choice((0, 1, (1 << (8 * size)) - 1, 1 << (8 * size - 1), draw.randrange(1 << (8 * size))))
    place = _place(content, draw)
    content[place : place + size] = value.to_bytes(size, draw.choice(("big", "little")))


def _take_out(content: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    place = _place(content, draw)
    del content[place : place + draw.choice((1, 4, 50, 1000))]


def _put_in(content: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    place = _place(content, draw)
    content[place:place] = draw.randbytes(draw.choice((1, 4, 50, 1000)))


def _repeat(content: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    place = _place(content, draw)
    content[place:place] = content[place : place + draw.choice((4, 12, 200))] * draw.choice((1, 2, 100))


def _cut(content: bytearray, _: Sequence[bytes], draw: random.Random) -> None:
    del content[_place(content, draw) :]


def _join(content: bytearray, files: Sequence[bytes], draw: random.Random) -> None:
    other = draw.choice(files)
    place = _place(content, draw)
    content[place:] = other[draw.randrange(len(other)) :] if draw.random() < 0.5 else other[place:]


WAYS: tuple[Callable[[bytearray, Sequence[bytes], random.Random], None], ...] = (
    _turn_over, _turn_over, _set_number, _set_number, _take_out, _put_in, _repeat, _cut, _join,
)  # fmt: skip


def cases(count: int, seed: int) -> Iterator[tuple[int, str, bytes]]:
    """So many damaged files with the query that each is sent with; the same for the same seed."""
    files = seeds(random.Random(seed))
    for number in range(count):
        draw = random.Random(f"{seed}/{number}")
        query = f"?quick={draw.choice(('true', 'false'))}&frames={draw.choice(('true', 'false', 'false'))}&seconds=5"
        yield number, query, damaged(files, draw)


def why_wrong(status: int, kind: str, body: bytes) -> str | None:
    """What is wrong with an answer; None where nothing is."""
    if status not in RIGHT:
        return f"status {status}"
    try:
        said = json.loads(body)
    except ValueError:
        return "no JSON"
    if status == 200:
        return None if {"image", "watermarks", "complete", "error"} <= set(said) else "not the contract's object"
    if kind != "application/problem+json" or set(said) != {"type", "title", "status", "detail", "error"}:
        return "no problem+json"
    if "\n" in said["detail"] or not said["detail"].isprintable() or said["status"] != status:
        return "no single clear line"
    loss = next((one for one in LOSSES if one in said["detail"]), None)
    return None if loss is None else f"a worker was lost: {loss}"


def ask(url: str, query: str, content: bytes) -> tuple[int, str, bytes]:
    """One answer, over a connection of its own; asks again while there is no room."""
    parts = urlsplit(url)
    while True:
        connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=300)
        try:
            connection.request("POST", f"/v1/detect{query}", content, {"Content-Type": "application/octet-stream"})
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status not in AGAIN:
            return answer.status, answer.headers.get("Content-Type", ""), body
        time.sleep(1)


def memory_of(pid: int) -> int:
    """Kibibytes of a process and all below it; a page that several share counts once among them (PSS), where the system
    says so, else for each. 0 where nothing is said."""
    total, waiting = 0, [pid]
    while waiting:
        one = Path(f"/proc/{waiting.pop()}")
        try:
            total += _share_of(one)
            for thread in (one / "task").iterdir():  # children belong to the thread that has started them
                waiting += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue
    return total


def _share_of(process: Path) -> int:
    for file, field_name in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        with suppress(OSError):
            lines = (process / file).read_text().splitlines()
            return next((int(line.split()[1]) for line in lines if line.startswith(field_name)), 0)
    return 0


def fuzz(
    url: str, count: int, *, seed: int = 0, at_once: int = 2, pid: int | None = None, seconds: float = math.inf
) -> Outcome:
    """Sends so many, or as many as can be sent within a time; says what became of them."""
    outcome, lock, end = Outcome(), threading.Lock(), time.monotonic() + seconds

    def one(case: tuple[int, str, bytes]) -> None:
        number, query, content = case
        if time.monotonic() > end:
            return
        try:
            status, kind, body = ask(url, query, content)
            why = why_wrong(status, kind, body)
        except (OSError, http.client.HTTPException) as error:
            status, why = 0, f"no answer: {type(error).__name__}"
        with lock:
            outcome.statuses[status] += 1
            if why is not None:
                outcome.wrong.append(Wrong(number, why, content))
            if pid is not None and number >= WARM and number % 10 == 0:
                outcome.memory.append(memory_of(pid))

    with ThreadPoolExecutor(at_once) as pool:
        for _ in pool.map(one, cases(count, seed)):
            pass
    return outcome


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", required=True, help="of the service")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=math.inf, help="after which no more are sent")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--pid", type=int, help="of the service, to look at its memory")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="where files go that got a wrong answer")
    options = parser.parse_args(arguments)
    begun = time.monotonic()
    outcome = fuzz(options.url, options.count, seed=options.seed, at_once=options.at_once, pid=options.pid,
                   seconds=options.seconds)  # fmt: skip
    for wrong in outcome.wrong:
        print(f"{wrong.number}: {wrong.why}")
        if options.keep is not None:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{options.seed}-{wrong.number}.bin").write_bytes(wrong.content)
    memory = [round(one / 1024) for one in outcome.memory]
    said = {
        "sent": sum(outcome.statuses.values()), "statuses": dict(sorted(outcome.statuses.items())),
        "wrong": len(outcome.wrong),
        "seconds": round(time.monotonic() - begun, 1),
        "memory_mib": {"first": memory[0], "most": max(memory), "last": memory[-1]} if memory else None,
    }  # fmt: skip
    print(json.dumps(said))
    sys.exit(1 if outcome.wrong else 0)


if __name__ == "__main__":
    main()
