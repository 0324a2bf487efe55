"""The main job in one run: mark two photos, paste both into a third, save it as JPEG, read both back.

    python scripts/demo.py [--out DIR]

Ends with exit status 0 only if both records were found and no other was named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from PIL import Image

SAMPLES = Path(__file__).resolve().parent.parent / "wam" / "samples"
WAM = [sys.executable, "-m", "wam"]
# photo, asset, owner, scale, place of its upper left corner on the page
PARTS = (
    ("dragonfly.jpg", "A-1041", "acme", 0.5, (40, 60)),
    ("staircase.jpg", "B-2207", "globex", 0.45, (640, 420)),
)
PAGE = "dune.jpg"


def run(*arguments: str | Path) -> str:
    """Runs a ``wam`` command as a user would, shows it, and returns what it printed."""
    command = [str(argument) for argument in arguments]
    print("$ wam " + " ".join(command), flush=True)
    done = subprocess.run([*WAM, *command], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"wam {command[0]} ended with status {done.returncode}\n{done.stderr}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the pictures and the registry")
    out: Path = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    registry = out / "registry.sqlite"
    page = Image.open(SAMPLES / PAGE).convert("RGB")
    links = {}
    for name, asset, owner, scale, place in PARTS:
        target = out / name
        line = run(
            "embed", SAMPLES / name, "--asset", asset, "--owner", owner, "-o", target, "--registry", registry, "--json"
        )
        marked = json.loads(line)
        print(f"  {marked['link']}  {marked['psnr_db']} dB  self-check {marked['self_check']}")
        links[asset] = marked["link"]
        photo = Image.open(target)
        page.paste(
            photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS), place
        )
    composite = out / "composite.jpg"
    page.save(composite, quality=90)
    print(f"pasted both into {composite}, JPEG quality 90")
    print(run("detect", composite, "--registry", registry, "--overlay", out / "overlay.png"))
    found = json.loads(run("detect", composite, "--registry", registry, "--json"))["watermarks"]
    named = sorted(mark["record"]["asset"] for mark in found if mark["status"] == "verified")
    right = named == sorted(links) and all(
        mark["link"] == links[mark["record"]["asset"]] for mark in found if mark["status"] == "verified"
    )
    print(f"overlay: {out / 'overlay.png'}")
    print("both records found, none wrong" if right else f"expected {sorted(links)}, found {named}")
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
