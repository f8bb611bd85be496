"""The documents: links lead somewhere, and one version is named throughout."""

import re
from pathlib import Path

import pytest

from gradsweep import __version__

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]


def missing(text: str) -> list[str]:
    """Return the links to files that do not exist."""
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    return [t for t in targets if "://" not in t and not (ROOT / t).exists()]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_to_a_file_leads_to_one(name):
    assert missing((ROOT / name).read_text(encoding="utf-8")) == []


def test_a_link_to_nothing_would_be_noticed():
    assert missing("![a figure](docs/figures/none.png) and [home](https://example.org)") == [
        "docs/figures/none.png"
    ]


def test_the_citation_names_the_version_and_the_licence():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {__version__}\n" in citation
    assert "\nlicense: Apache-2.0\n" in citation


def test_the_changelog_begins_with_the_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+?),? ", changelog, flags=re.MULTILINE)[1].rstrip(",") == __version__
