"""Makes docs/img/overlay.jpg, the picture of the README and of the site's front page, with real output.

    python scripts/docs_picture.py

It is what ``make demo`` leaves: two marked photos pasted into a third, saved as JPEG, and both found again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.pictures.atomic_write import save_atomically

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "img" / "overlay.jpg"
WIDTH = 1000  # pixels: as wide as pages show it


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with TemporaryDirectory() as folder:
        demo = subprocess.run([sys.executable, ROOT / "scripts" / "demo.py", "--out", folder], check=False)
        if demo.returncode:
            return demo.returncode
        picture = Image.open(Path(folder) / "overlay.png").convert("RGB")
    size = (WIDTH, round(picture.height * WIDTH / picture.width))
    small = picture.resize(size, Image.Resampling.LANCZOS)
    save_atomically(PLACE, lambda temporary: small.save(temporary, "JPEG", quality=82, optimize=True))
    return 0


if __name__ == "__main__":
    sys.exit(main())
