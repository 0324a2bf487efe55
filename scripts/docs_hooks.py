"""What mkdocs calls while it builds the site: pages and pictures from beside ``docs/``, and links that fit the site."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts import docs_pages


def on_files(files: Files, config: Any) -> Files:
    """Adds the page of the notebook, and what lies beside ``docs/`` and is in the nav or linked."""
    settings = Path(config.config_file_path).read_text(encoding="utf-8")
    for path in docs_pages.outside_files(docs_pages.nav_pages(settings)):
        files.append(File.generated(config, path, abs_src_path=str(docs_pages.ROOT / path)))
    page = docs_pages.read_page(docs_pages.NOTEBOOK_PAGE)
    files.append(File.generated(config, docs_pages.site_path(docs_pages.NOTEBOOK_PAGE), content=page))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """The page with the links of the site."""
    return docs_pages.with_links_of_the_site(markdown, docs_pages.source_path(page.file.src_uri))
