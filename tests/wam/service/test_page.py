"""The page for people: strict about where it gets things from, and used in a real browser where there is one."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.wam.service.served import Served, picture, upload
from wam.provenance.source_types import GENERATED_KINDS
from wam.service.roles import Role

PARTS = {
    "/": "text/html",
    "/page.css": "text/css",
    "/page.js": "text/javascript",
    "/texts.js": "text/javascript",
    "/icon.svg": "image/svg+xml",
}
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def test_its_parts_are_there(served: Served) -> None:
    for path, kind in PARTS.items():
        answer = served.anyone.get(path)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith(kind)


def test_it_knows_what_generated_pictures_are_called(served: Served) -> None:
    (listed,) = re.findall(r"const GENERATED = \[(.*?)\]", served.anyone.get("/page.js").text)
    assert set(re.findall(r'"(\w+)"', listed)) == GENERATED_KINDS


def test_it_asks_nobody_else_for_anything_and_has_nothing_inline(served: Served) -> None:
    for path in PARTS:
        text = served.anyone.get(path).text.replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"(https?:)?//[a-z]", text.replace("// ", "")), path
    page = served.anyone.get("/").text
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|javascript:", page)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium of this machine."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("needs Chromium")
    with driver.sync_playwright() as running:
        one = running.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield one
        one.close()


Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any, served: Served) -> Iterator[Open]:
    """Opens the page in a window of its own; at the end nothing may have gone wrong in it, nor been asked elsewhere."""
    problems: list[str] = []
    contexts = []

    def note(message: Any) -> None:
        if message.type == "error" and "the server responded with a status of 4" not in message.text:
            problems.append(message.text)

    def asked(request: Any) -> None:
        if not request.url.startswith((served.url, "blob:")):
            problems.append(request.url)

    def opened(**how: Any) -> Any:
        context = browser.new_context(**{"locale": "en-US", "viewport": {"width": 1100, "height": 800}, **how})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("console", note)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", asked)
        page.goto(served.url)
        page.wait_for_selector("#about:not(:empty)")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not problems


@pytest.fixture(scope="module")
def files(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a marked picture, an unmarked one and a text."""
    folder = tmp_path_factory.mktemp("files")
    form = upload(picture(seed=70), asset="asset-70", owner="Ana Souza", user="user-70")
    (folder / "marked.png").write_bytes(served[Role.MARKER].post("/v1/embed", **form).content)
    (folder / "plain.png").write_bytes(picture(seed=71))
    (folder / "text.png").write_text("no picture")
    Image.open(io.BytesIO((folder / "marked.png").read_bytes())).save(folder / "marked.tif")
    return folder


def choose(page: Any, file: Path) -> None:
    page.set_input_files("#check-file", str(file))
    page.wait_for_selector("#result:not([hidden]), #problem:not([hidden])")


def test_a_mark_is_drawn_and_has_a_card(open_page: Open, files: Path) -> None:
    page = open_page()
    choose(page, files / "marked.png")
    tree = page.locator("main").aria_snapshot()
    for line in (
        'heading "Is there a watermark in this picture?" [level=1]', 'button "Choose a picture"',
        'heading "One watermark found" [level=2]', 'img "The picture, with 1 marked regions"',
        'heading "1 Marked by Ana Souza" [level=3]', "No watermark found is no proof of anything",
    ):  # fmt: skip
        assert line in tree, tree
    assert "< 1.3e-3, tested" in tree and "10⁻" not in tree  # as the command line says it
    assert "asset-70" not in tree and "user-70" not in tree
    box, drawn = page.locator("#picture img").bounding_box(), page.locator("#picture .region").first.bounding_box()
    assert drawn["width"] > box["width"] / 2 and drawn["x"] >= box["x"] - 10  # it lies over the picture
    assert page.evaluate("document.activeElement.id") == "result-title"  # where a screen reader goes on


def test_what_a_browser_does_not_show_has_its_regions_all_the_same(open_page: Open, files: Path) -> None:
    page = open_page()
    choose(page, files / "marked.tif")
    page.wait_for_selector("#picture.blank")
    assert page.locator("#picture svg").get_attribute("role") == "img"
    assert page.locator("#cards h3").inner_text().endswith("Marked by Ana Souza")


def test_no_mark_and_no_picture_are_said(open_page: Open, files: Path) -> None:
    page = open_page()
    choose(page, files / "plain.png")
    assert page.locator("#result-title").inner_text() == "No watermark found"
    choose(page, files / "text.png")
    alert = page.get_by_role("alert").inner_text()
    assert alert.startswith("This picture cannot be read") and "text.png: expected a PNG" in alert
    assert page.locator("#result").is_hidden()


def test_a_picture_may_be_dropped_or_pasted(open_page: Open, files: Path) -> None:
    script = """([bytes, kind]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "given.png", {type: "image/png"}));
        const event = kind === "drop" ? new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true})
                                      : new ClipboardEvent("paste", {clipboardData: data, bubbles: true});
        document.querySelector("#check-drop").dispatchEvent(event);
    }"""
    for kind in ("drop", "paste"):
        page = open_page()
        page.evaluate(script, [list((files / "marked.png").read_bytes()), kind])
        page.wait_for_selector("#result:not([hidden])")
        assert "given.png" in page.locator("#picture-name").inner_text()


def test_it_speaks_both_languages_wholly(open_page: Open, files: Path) -> None:
    page = open_page(locale="zh-CN")
    assert page.evaluate("document.documentElement.lang") == "zh-Hans"
    choose(page, files / "marked.png")
    assert page.locator("#result-title").inner_text() == "发现 1 个水印"
    page.get_by_role("button", name="English").click()
    assert page.locator("#result-title").inner_text() == "One watermark found"
    keys = page.evaluate(
        """() => Object.values(TEXTS).map((words) => {
            const inner = (one) => one && typeof one === "object" && !Array.isArray(one);
            const names = (one) => Object.entries(one).map(([name, value]) =>
                name + (inner(value) ? JSON.stringify(names(value)) : typeof value));
            return names(words).sort();
        })"""
    )
    assert keys[0] == keys[1]
    wanted = page.evaluate("[...document.querySelectorAll('[data-t]')].map((one) => one.dataset.t)")
    assert set(wanted) <= {re.sub(r"(string|function|object|\{|\[).*", "", one) for one in keys[0]}


def test_it_is_used_by_keyboard(open_page: Open, files: Path) -> None:
    page = open_page()
    reached = []
    for _ in range(4):  # no further: past its last link a browser takes the focus away, and gives it back when it likes
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    assert reached == ["skip", "language", "staff", "check-file"]
    outline = page.evaluate("getComputedStyle(document.querySelector('label.primary')).outlineStyle")
    assert outline == "solid"  # what is in focus is seen, though the input itself is not
    choosers: list[Any] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))  # a method of a list has no attributes to be set
    for key in ("Enter", "Space") * 6:  # a browser on a busy machine may not heed a key that it was sent
        page.focus("#check-file")
        page.keyboard.press(key)
        page.wait_for_timeout(1500)
        if choosers:
            break
    choosers[0].set_files(str(files / "plain.png"))
    page.wait_for_selector("#result:not([hidden])")


def test_it_fits_a_phone_and_the_dark(open_page: Open, files: Path) -> None:
    page = open_page(viewport={"width": 320, "height": 640}, is_mobile=True, has_touch=True, color_scheme="dark")
    choose(page, files / "marked.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert page.locator("#staff").bounding_box()["height"] >= 40  # large enough for a thumb
    ground, ink = page.evaluate("((s) => [s.backgroundColor, s.color])(getComputedStyle(document.body))")
    assert luminance(ground) < 0.05 and contrast(ground, ink) > 7
    soft = page.evaluate("getComputedStyle(document.querySelector('.proof')).color")
    assert contrast(ground, soft) > 4.5


def luminance(colour: str) -> float:
    red, green, blue = (int(value) / 255 for value in re.findall(r"\d+", colour)[:3])
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in (red, green, blue)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """As WCAG has it."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@contextmanager
def signed_in(open_page: Open, served: Served, role: Role) -> Iterator[Any]:
    page = open_page()
    page.click("#staff")
    page.fill("#key", served[role].headers["authorization"].partition(" ")[2])
    page.keyboard.press("Enter")
    page.wait_for_selector("#views:not([hidden])")
    yield page


def test_staff_mark_flip_look_up_and_withdraw(open_page: Open, served: Served, files: Path) -> None:
    with signed_in(open_page, served, Role.ADMIN) as page:
        choose(page, files / "marked.png")
        assert "user-70" in page.locator("#cards").inner_text()
        page.get_by_role("button", name="Mark", exact=True).first.click()
        page.set_input_files("#mark-file", str(files / "plain.png"))
        page.fill("#asset", "asset-72")
        page.fill("#owner", "acme")
        page.keyboard.press("Enter")
        page.wait_for_selector("#marked:not([hidden])")
        link = page.locator("#marked-title").inner_text().removeprefix("Marked: ")
        with page.expect_download() as download:
            page.click("#download")
        assert download.value.suggested_filename == "plain.wm.png"
        page.locator("#pane-marked").wait_for()  # a picture has no size until it is decoded
        assert page.locator("#pane-original").is_hidden()
        page.focus("#pane")
        page.keyboard.press("Space")
        page.locator("#pane-original").wait_for()
        assert page.locator("#pane-marked").is_hidden()
        assert page.locator("#flip").get_attribute("aria-pressed") == "true"
        page.get_by_role("button", name="Records").click()
        page.fill("#find-link", link)
        page.keyboard.press("Enter")
        page.wait_for_selector("#records-table:not([hidden])")
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name=f"Withdraw {link}").click()
        page.get_by_text(f"{link} is withdrawn.").wait_for()
        assert served[Role.ADMIN].get(f"/v1/records/{link}").json()["state"] == "withdrawn"
        page.click("#staff")  # signs out, and takes along what only staff may see
        page.wait_for_selector("#views", state="hidden")
        assert "user-70" not in page.content() and "asset-72" not in page.content()
        assert page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]") == [0, 0, ""]


def test_a_role_is_offered_what_it_may(open_page: Open, served: Served) -> None:
    for role, names in ((Role.MARKER, ["Check", "Mark"]), (Role.AUDITOR, ["Check", "Records"])):
        with signed_in(open_page, served, role) as page:
            shown = [one for one in page.locator("#views button").all() if one.is_visible()]
            assert [one.inner_text() for one in shown] == names


def test_a_wrong_key_is_said(open_page: Open) -> None:
    page = open_page()
    page.click("#staff")
    page.fill("#key", "wrong")
    page.keyboard.press("Enter")
    page.get_by_text("This key is not known here, or was revoked.").wait_for()
    assert page.locator("#views").is_hidden()
