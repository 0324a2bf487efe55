"""Pages that are one file: nothing is asked for over a network, nothing in them is code of a stranger's."""

from __future__ import annotations

import base64
import re

from wam.html_page import Cell, framed, image, table


def test_a_page_has_its_title_style_and_body_and_no_marks_left() -> None:
    page = framed("A <title>", "<p>body</p>\n", style="p { color: red; }\n")
    assert "<title>A &lt;title&gt;</title>" in page and "<h1>A &lt;title&gt;</h1>" in page
    assert page.index("p { color: red; }") < page.index("</style>") < page.index("<p>body</p>")
    assert not re.search(r"<!-- |/\* style", page)
    assert not re.search(r"(src|href)=|@import|https?://", page)


def test_a_wide_table_is_whole_on_paper() -> None:
    assert "@media print { .wide { overflow: visible; } }" in framed("title", "")


def test_cells_are_text_and_sorted_by_numbers() -> None:
    made = table(
        ["<a>", "b"], [[Cell("<script>"), Cell("98%", 0.98, numeric=True)], [Cell("x"), Cell("-", numeric=True)]]
    )
    assert "<script>" not in made and "<td>&lt;script&gt;</td>" in made and "<button>&lt;a&gt;</button>" in made
    assert '<td class="number" data-key="0.98">98%</td>' in made and '<td class="number" data-key="">-</td>' in made


def test_a_picture_is_inside() -> None:
    made = image(b"content", "png", alt='a "plot"', name="plot")
    assert base64.b64encode(b"content").decode() in made and 'alt="a &quot;plot&quot;"' in made
