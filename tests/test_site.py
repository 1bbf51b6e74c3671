"""The built documentation: strict, and readable from files, on a phone, without any other host."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import featurekit as fk
from tests.test_docs import pages_in

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'featurekit[docs]'")
    folder = tmp_path_factory.mktemp("site")
    words = ("build", "--strict", "--config-file", "docs/mkdocs.yml", "--site-dir", str(folder))
    done = subprocess.run([sys.executable, "-m", "mkdocs", *words], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def opened(browser):
    """Open a page at a width, and return it with the addresses elsewhere that it asked for."""
    pages = []

    def open_page(path, width=1280, scheme="light"):
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        pages.append(page)
        elsewhere = []
        page.on(
            "request",
            lambda asked: asked.url.startswith(("file:", "data:", "blob:")) or elsewhere.append(asked.url),
        )
        page.goto(path.as_uri())
        return page, elsewhere

    yield open_page
    for page in pages:
        page.close()


def test_no_page_asks_another_host_or_is_wider_than_a_phone(site, opened):
    nav = list(pages_in(yaml.safe_load((ROOT / "docs" / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    page, elsewhere = opened(site / "index.html", width=390)
    for name in nav:
        page.goto((site / name).with_suffix(".html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert page.locator("h1").count() == 1, name
    assert len(nav) > 30
    assert elsewhere == []


def test_the_search_finds_a_page_without_a_server(site, opened):
    page, elsewhere = opened(site / "index.html")
    page.locator("input.md-search__input").click()
    page.keyboard.type("conformal prediction")
    page.wait_for_selector(".md-search-result__item a", timeout=20_000)
    found = page.locator(".md-search-result__item a").evaluate_all("links => links.map(one => one.href)")
    assert any("concepts/prediction_sets.html" in link for link in found)
    assert elsewhere == []


def test_the_reference_has_every_method(site):
    pages = (site / "reference" / "python").glob("*.html")
    text = "\n".join(path.read_text(encoding="utf-8") for path in pages)
    documented = set(re.findall(r'id="featurekit\.([\w.]+)"', text))
    methods = {
        f"{name}.{member}"
        for name in fk.__all__
        if inspect.isclass(kind := getattr(fk, name))
        for member, found in inspect.getmembers(
            kind, lambda one: inspect.isroutine(one) or isinstance(one, property)
        )
        if not member.startswith("_")
        and getattr(getattr(found, "fget", found), "__module__", "").startswith("featurekit.")
    }
    assert len(methods) > 40
    assert methods - documented == set()


def test_every_picture_of_the_site_is_there(site, opened):
    page, _ = opened(site / "tutorial.html", scheme="dark")
    pictures = page.locator("article img")
    pictures.evaluate_all("images => images.forEach(one => one.loading = 'eager')")
    # A picture that could not be read is complete as well, with a width of 0.
    page.wait_for_function("[...document.querySelectorAll('article img')].every(one => one.complete)")
    sizes = pictures.evaluate_all("images => images.map(one => one.naturalWidth)")
    assert len(sizes) == len(list((ROOT / "docs" / "pictures" / "tutorial").iterdir()))
    assert min(sizes) > 100


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_the_pages(site, opened, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed").Axe()
    page, _ = opened(site / "index.html", scheme=scheme)
    names = ["index", "tutorial", "reference/cli", "reference/python/data", "results/utkface"]
    for name in names if scheme == "light" else names[::2]:
        page.goto((site / name).with_suffix(".html").as_uri())
        found = [
            one for one in axe.run(page).response["violations"] if one["impact"] in ("serious", "critical")
        ]
        assert [(name, one["id"], one["nodes"][0]["html"][:100]) for one in found] == []
