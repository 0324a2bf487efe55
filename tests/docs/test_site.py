"""The site as a whole: it is built without a warning, and its pages fetch nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import docs_pages
from scripts.docs_pages import ROOT

FETCHED = re.compile(r"<(?:script|link|img|iframe|source)\b[^>]*?\b(?:src|href)=[\"']?((?:https?:)?//[^\"' >]+)")
IMPORTED = re.compile(r"(?:@import|url\()\s*[\"']?((?:https?:)?//[^\"')]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_is_built_and_links_of_the_source_tree_are_gone(site: Path) -> None:
    for page in docs_pages.nav_pages((ROOT / "mkdocs.yml").read_text(encoding="utf-8")):
        place = site / page.replace("README.md", "index.md").replace(".md", ".html")
        assert place.is_file(), page
        for link in re.findall(r'href="([^"#]+)', place.read_text(encoding="utf-8")):
            if "://" not in link and not link.startswith("mailto:"):
                assert (place.parent / link).exists(), f"{page}: {link}"


def test_api_pages_have_the_words_of_the_code(site: Path) -> None:
    page = (site / "api" / "studio.html").read_text(encoding="utf-8")
    assert "read back before it is returned" in page and "mark_many" in page


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    fetched = {
        address
        for path in [*site.rglob("*.html"), *site.rglob("*.css")]
        for address in (FETCHED if path.suffix == ".html" else IMPORTED).findall(path.read_text(encoding="utf-8"))
    }
    assert not fetched
