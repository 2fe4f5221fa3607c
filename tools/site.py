"""MkDocs hook: files outside docs/ that are pages of the site too, and their links.

README.md, CHANGELOG.md, CONTRIBUTING.md and the tables of measurements stay where people look for
them in a checkout. Here they become pages. A link to a file that is not a page becomes plain text.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/results/README.md": "measurements.md",
}
"""Files outside docs/, from the checkout's root, and the page of the site that each becomes."""

IMAGES = {"benchmarks/results/scale.svg": "scale.svg"}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|mailto:|#)([^)#]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig, **_: object) -> Files:
    """Add the pages and images that lie outside docs/."""
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=relink(text, source)))
    for source, image in IMAGES.items():
        files.append(File.generated(config, image, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Point the links of a page in docs/ at pages of the site."""
    source = page.file.src_uri
    if source in PAGES.values():
        return markdown  # done in `on_files`
    return relink(markdown, f"docs/{source}")


def relink(text: str, source: str) -> str:
    """Return a file's text with its links as the site has them.

    Args:
        text: Markdown whose links are relative to the file, as in a checkout.
        source: the file's path from the checkout's root.
    """
    place = placed(source)

    def link(found: re.Match[str]) -> str:
        image, label, target, anchor = found.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if placed(path) is None:
            return label
        relative = posixpath.relpath(placed(path) or "", posixpath.dirname(place or "") or ".")
        return f"{image}[{label}]({relative}{anchor or ''})"

    return _LINK.sub(link, text)


def placed(source: str) -> str | None:
    """Return the place of a checkout's file in the site, None if it has none."""
    if source in PAGES:
        return PAGES[source]
    if source in IMAGES:
        return IMAGES[source]
    return source.removeprefix("docs/") if source.startswith("docs/") else None
