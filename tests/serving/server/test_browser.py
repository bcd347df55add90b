"""Visits of the page in a real browser, on a desk and on a phone, by mouse and by keyboard.

Set FASHION_JAX_SCREENSHOTS to a folder to keep pictures of what was visited.
"""

import os
import pathlib
import shutil

import pytest

from fashion_jax.datasets.duplicates.decisions import read_decisions
from fashion_jax.serving.server import server as server_module
from tests.serving.server.conftest import TOKEN, jpeg

playwright = pytest.importorskip(
    "playwright.sync_api", reason="SKIPPED FOR WANT OF PLAYWRIGHT: the page was not visited"
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="SKIPPED FOR WANT OF CHROMIUM: the page was not visited"
    ),
]
SIZES = {"phone": (390, 844), "tablet": (820, 1180), "desk": (1440, 900)}


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def running(service, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_module, "SearchService", lambda catalogues, workdir: service)
        options = {"token": TOKEN, "marks": tmp_path / "marks.csv"}
        with server_module.serve("a run", port=0, block=False, **options) as running:
            yield running


@pytest.fixture
def visit(browser, running):
    """Open the page in a window; whatever the page complains of fails the test."""
    contexts, complaints = [], []

    def opened(size="desk", path="", scheme="light"):
        width, height = SIZES[size]
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            has_touch=size == "phone",
            is_mobile=size == "phone",
        )
        contexts.append(context)
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: complaints.append(said.text) if said.type == "error" else None,
        )
        page.goto(running.address + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [said for said in complaints if "422" not in said] == []


def keep(page, name):
    if folder := os.environ.get("FASHION_JAX_SCREENSHOTS"):
        page.screenshot(path=pathlib.Path(folder) / f"{name}.png")


def give(page, *colours):
    photo = jpeg(colours[0], (300, 400))
    page.set_input_files("#file", {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": photo})
    page.wait_for_selector(".card")


def found(page):
    page.wait_for_selector("#results[aria-busy=false]")
    return [each.get_attribute("data-name") for each in page.query_selector_all(".card")]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_visit_in_every_size(visit, size, scheme):
    page = visit(size, scheme=scheme)
    keep(page, f"start_{size}_{scheme}")
    give(page, "red")
    assert found(page)[0] == "product:00"
    keep(page, f"results_{size}_{scheme}")
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert wider <= 0  # nothing to scroll sideways


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_nothing_stands_in_the_way_of_a_screen_reader(visit, size):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="SKIPPED FOR WANT OF AXE"
    ).Axe()
    for scheme in ("light", "dark"):
        page = visit(size, scheme=scheme)
        for state in ("start", "results", "compare"):
            if state == "results":
                give(page, "red")
            elif state == "compare":
                page.click(".shot >> nth=0")
            problems = axe.run(page).response["violations"]
            serious = [p for p in problems if p["impact"] in ("serious", "critical")]
            said = [(p["id"], [node["html"][:200] for node in p["nodes"]]) for p in serious]
            assert said == [], f"{state}, {scheme}"


def test_a_box_by_mouse(visit):
    page = visit()
    give(page, "blue")
    area = page.locator("#stage").bounding_box()
    with page.expect_request("**/results"):
        page.mouse.move(area["x"] + 0.25 * area["width"], area["y"] + 0.25 * area["height"])
        page.mouse.down()
        page.mouse.move(area["x"] + 0.75 * area["width"], area["y"] + 0.5 * area["height"])
        page.mouse.up()
    x, y, width, height = _box(page)
    assert (x, y, width, height) == pytest.approx((0.25, 0.25, 0.5, 0.25), abs=0.01)
    box = page.locator("#box").bounding_box()
    with page.expect_request("**/results"):  # moved
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2 + 400, box["y"] + box["height"] / 2)
        page.mouse.up()
    assert _box(page) == pytest.approx((0.5, 0.25, 0.5, 0.25), abs=0.01)
    with page.expect_request("**/results"):
        page.click("#whole")
    assert _box(page) is None
    keep(page, "box")


def _box(page):
    return page.evaluate("state.box")


def test_a_box_by_touch(visit):
    page = visit("phone")
    give(page, "red")
    page.locator("#stage").scroll_into_view_if_needed()
    finger = page.context.new_cdp_session(page)

    def touch(kind, *place):
        points = []
        if place:
            area = page.locator("#stage").bounding_box()
            x, y = area["x"] + place[0] * area["width"], area["y"] + place[1] * area["height"]
            points = [{"x": x, "y": y}]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def drag(*places):
        touch("touchStart", *places[0])
        for place in places[1:]:
            touch("touchMove", *place)
        with page.expect_response("**/results"):
            touch("touchEnd")

    drag((0.2, 0.1), (0.4, 0.5), (0.6, 0.7))
    assert _box(page) == pytest.approx([0.2, 0.1, 0.4, 0.6], abs=0.02)
    drag((0.4, 0.4), (0.5, 0.45), (0.6, 0.5))  # moved by its middle
    assert _box(page) == pytest.approx([0.4, 0.2, 0.4, 0.6], abs=0.02)
    drag((0.8, 0.8), (0.7, 0.7), (0.6, 0.6))  # a corner
    assert _box(page) == pytest.approx([0.4, 0.2, 0.2, 0.4], abs=0.03)
    assert page.evaluate("window.scrollX") == 0


def test_a_whole_search_by_keyboard(visit):
    page = visit()
    give(page, "blue")
    page.focus("#draw")
    with page.expect_request("**/results"):
        page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "box"
    with page.expect_request("**/results"):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
    assert _box(page) == pytest.approx((0.22, 0.1, 0.6, 0.78))
    found(page)
    page.focus(".shot")
    page.keyboard.press("Enter")
    assert page.locator("#compare").is_visible()
    assert page.locator("#left-image").is_visible()
    keep(page, "compare")
    page.keyboard.press("Escape")
    assert not page.locator("#compare").is_visible()
    assert page.evaluate("document.activeElement.className") == "shot"


def test_filters_likes_and_links(visit, running):
    page = visit()
    page.click(".samples a >> nth=0")
    page.wait_for_selector(".card")
    liked = page.url.split("like=")[1].split("&")[0].replace("%3A", ":")
    assert liked not in found(page)
    with page.expect_response("**/results"):
        page.click("label:has-text('hats')")
    assert set(found(page)) <= {"product:04", "product:05"}
    with page.expect_response("**/results"):
        page.click(".card [data-act=dislike] >> nth=0")
    keep(page, "filters")
    with page.expect_response("**/results"):
        page.select_option("#by", "photo")
    by_photo = found(page)
    assert all(name.startswith("photo:") for name in by_photo)
    page.click("#share")
    page.wait_for_selector("#shared:has-text('copied')")
    link = page.evaluate("navigator.clipboard.readText()")
    again = visit(path=link.removeprefix(running.address))
    assert found(again) == by_photo
    assert again.locator("label:has-text('hats') input").is_checked()


def test_wrong_answers_are_marked_and_kept(visit, tmp_path):
    page = visit(path=f"?token={TOKEN}")
    assert "token" not in page.url
    give(page, "red")
    with page.expect_response("**/api/marks"):
        page.click("[data-act=wrong] >> nth=1")
    (kept,) = read_decisions([tmp_path / "marks.csv"])
    assert kept.first.startswith("sha256:")
    assert kept.second.startswith("orange/")
    assert kept.decision == "different"
    page = visit(path=f"?token={TOKEN}&like=product%3A00")
    with page.expect_response("**/api/marks"):
        page.click("[data-act=wrong] >> nth=0")
    kept = read_decisions([tmp_path / "marks.csv"])[1]
    assert kept.first == "red/0.jpg"


def test_a_photo_that_cannot_be_used_is_explained(visit):
    page = visit()
    file = {"name": "p.jpg", "mimeType": "image/jpeg", "buffer": b"<svg/>"}
    with page.expect_response("**/results"):
        page.set_input_files("#file", file)
    page.wait_for_selector("[role=alert]")
    assert "cannot be decoded" in page.text_content("[role=alert]")
    page.click("#other")
    assert page.locator("#drop").is_visible()
