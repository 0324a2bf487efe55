"""The pages of the documentation as files: which there are, what they link to, and where that is on the site.

Pages lie in ``docs/`` or, where they belong to something else (the model card to its checkpoint, the changelog), beside
it. Links in them are those of the source tree, so that they work where the files are read as they are; on the site
``docs/`` is the root, and everything else keeps its path. ``scripts/docs_hooks.py`` does that in the build; the tests
check links with what is here, without mkdocs.
"""

from __future__ import annotations

import json
import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "docs"
NOTEBOOK = "docs/tour.ipynb"
NOTEBOOK_PAGE = "docs/tour.md"  # made from the notebook, in no folder

_FENCE = re.compile(r"^(?P<mark>```+|~~~+).*?^(?P=mark)[ \t]*$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]+`")
_LINK = re.compile(r"\]\((?P<target>[^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<title>.+?)(?: *\{ *#(?P<id>[\w-]+) *\})? *#* *$", re.MULTILINE)
_NAV_PAGE = re.compile(r"^ +- (?:[^:]+: )?(?P<page>\S+\.md)$", re.MULTILINE)
_FOREIGN = re.compile(r"[a-z][a-z0-9+.-]*:|//")


def nav_pages(settings: str) -> list[str]:
    """The pages that ``mkdocs.yml`` lists, as paths of the site."""
    return _NAV_PAGE.findall(settings.partition("\nnav:")[2])


def site_path(path: str) -> str:
    """Where a file of the source tree is on the site.

    >>> site_path("docs/howto/archive.md"), site_path("checkpoints/null.png")
    ('howto/archive.md', 'checkpoints/null.png')
    """
    return path.removeprefix(f"{FOLDER}/")


def source_path(page: str) -> str:
    """Where a page of the site is in the source tree."""
    return page if (ROOT / page).is_file() and not (ROOT / FOLDER / page).is_file() else f"{FOLDER}/{page}"


def read_page(path: str) -> str:
    """The Markdown of a page of the source tree; that of the notebook is made."""
    if path == NOTEBOOK_PAGE:
        return notebook_page(json.loads((ROOT / NOTEBOOK).read_text(encoding="utf-8")))
    return (ROOT / path).read_text(encoding="utf-8")


def links(markdown: str) -> list[str]:
    """The targets of all links and pictures of a page that lead to files or places of this project."""
    plain = _CODE.sub("", _FENCE.sub("", markdown))
    return [found for found in _LINK.findall(plain) if not _FOREIGN.match(found)]


def target_of(link: str, page: str) -> tuple[str, str]:
    """The file, as a path of the source tree, and the anchor that a link of a page leads to.

    >>> target_of("../../checkpoints/README.md#training", "docs/howto/archive.md")
    ('checkpoints/README.md', 'training')
    >>> target_of("#limits", "docs/formats.md")
    ('docs/formats.md', 'limits')
    """
    path, _, anchor = link.partition("#")
    return posixpath.normpath(posixpath.join(posixpath.dirname(page), path)) if path else page, anchor


def with_links_of_the_site(markdown: str, page: str) -> str:
    """A page, a path of the source tree, with its links as the site needs them.

    >>> with_links_of_the_site("![](../checkpoints/null.png)", "docs/what-a-match-means.md")
    '![](checkpoints/null.png)'
    """

    def change(match: re.Match[str]) -> str:
        link = match["target"]
        if _FOREIGN.match(link) or link.startswith("#"):
            return match[0]
        target, anchor = target_of(link, page)
        start = posixpath.dirname(site_path(page)) or "."
        return f"]({posixpath.relpath(site_path(target), start)}{'#' + anchor if anchor else ''})"

    return _outside(_FENCE, markdown, lambda text: _outside(_CODE, text, lambda plain: _LINK.sub(change, plain)))


def _outside(pattern: re.Pattern[str], text: str, change: Callable[[str], str]) -> str:
    """A text with a change made to all that does not match."""
    parts, end = [], 0
    for match in pattern.finditer(text):
        parts += [change(text[end : match.start()]), match[0]]
        end = match.end()
    return "".join([*parts, change(text[end:])])


def anchors(markdown: str) -> set[str]:
    """The anchors of a page's headings, as Python-Markdown makes them."""
    found: set[str] = set()
    for match in _HEADING.finditer(_FENCE.sub("", markdown)):
        anchor = match["id"] or slug(match["title"])
        number = 1
        while (numbered := anchor if number == 1 else f"{anchor}_{number - 1}") in found:
            number += 1
        found.add(numbered)
    return found


def slug(title: str) -> str:
    """The anchor of a heading.

    >>> slug("What `detect --json` says")
    'what-detect-json-says'
    """
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "")
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", plain).strip().lower())


def outside_files(pages: list[str]) -> Iterator[str]:
    """The files beside ``docs/`` that the site needs, as paths of the source tree: pages, and what pages link to."""
    seen: set[str] = set()
    sources = [source_path(page) for page in pages]
    for source in sources:
        for path in (source, *(target_of(link, source)[0] for link in links(read_page(source)))):
            if path not in seen and not path.startswith(f"{FOLDER}/") and (ROOT / path).is_file():
                seen.add(path)
                yield path


def notebook_page(notebook: dict[str, Any]) -> str:
    """A notebook as Markdown: its texts, its code, and what that printed and showed."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source)
            continue
        parts.append(f"```python\n{source}\n```")
        parts += [_output(output) for output in cell["outputs"]]
    return "\n\n".join(filter(None, parts)) + "\n"


def _output(output: dict[str, Any]) -> str:
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            content = "".join(data[kind]).replace("\n", "")
            return f'<img alt="what the cell shows" src="data:{kind};base64,{content}">'
    text = "".join(output.get("text", data.get("text/plain", ""))).rstrip()
    return f"```text\n{text}\n```" if text else ""
