"""The tables of the results page are those of the JSON files beside it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "results" / "beampattern-learning.md"


def test_page_agrees_with_its_json() -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import tables
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    text = PAGE.read_text(encoding="utf-8")
    assert tables.render(text, PAGE.parent) == text
    assert text.count("<!-- table ") == len(tables.TABLES)


def test_every_recipe_fits_the_settings(tmp_path: Path) -> None:
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import learning
        from recipes import RECIPES, label
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    for recipe in RECIPES:
        config = learning.configuration("beampattern", recipe, 0, 1.0, tmp_path)
        assert config.clock == "cpu" and label(recipe)
