"""Verdicts of `agents.figures.answers`, and that the committed results page shows the committed numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agents.figures import answers
from agents.figures.answers import NO, UNDECIDED, YES
from agents.reproduce import figures
from agents.stats import Estimate

RESULTS = Path(__file__).parents[2] / "docs" / "results"


def about(value: float, half: float, count: int = 50) -> Estimate:
    return Estimate(value, value - half, value + half, count)


@pytest.mark.parametrize(
    ("estimate", "gain", "near"),
    [
        (about(1.0, 0.2), YES, NO),
        (about(0.3, 0.1), YES, YES),
        (about(0.05, 0.02), NO, YES),
        (about(0.09, 0.05), UNDECIDED, YES),
        (about(0.2, 0.3), UNDECIDED, YES),
        (about(0.4, 0.3), YES, UNDECIDED),
        (about(-1.0, 0.3), NO, NO),
        (Estimate(np.nan, np.nan, np.nan, 0), UNDECIDED, UNDECIDED),
    ],
)
def test_rules(estimate: Estimate, gain: str, near: str) -> None:
    assert answers.above(estimate) == gain and answers.close(estimate) == near


def test_shares() -> None:
    none, some, all_of_them = (answers.share(np.arange(60) < k) for k in (0, 30, 60))
    assert none.value == none.low == 0.0 and 0.0 < none.high < 0.07  # Wilson: an interval for 0 of 60 too
    assert all_of_them.low > 0.93 and some.low < 0.5 < some.high
    assert [answers.share_above(part) for part in (none, some, all_of_them)] == [NO, UNDECIDED, YES]
    assert answers.share([]).count == 0 and answers.share_above(answers.share([])) == UNDECIDED
    # the interval is that of the score test: p lies at its ends where |k/n - p| = 1.96 sqrt(p (1 - p) / n)
    for p in (some.low, some.high):
        assert abs(0.5 - p) == pytest.approx(1.959964 * np.sqrt(p * (1 - p) / 60), rel=1e-6)


def cases(*parts: tuple[dict[str, Any], str]) -> list[dict[str, Any]]:
    return [answers.case(where, verdict, difference=answers.number(about(0.123, 0.1))) for where, verdict in parts]


def test_overall_verdicts() -> None:
    assert answers.overall([]) == UNDECIDED
    assert answers.overall(cases(({"N": 32}, YES), ({"N": 64}, YES))) == YES
    decided = cases(({"N": 32, "start": "a"}, YES), ({"N": 64, "start": "a"}, NO), ({"N": 64, "start": "b"}, NO))
    assert answers.overall(decided) == "depends on N (32: reproduced, 64: not reproduced)"
    mixed = cases(({"N": 32, "start": "a"}, YES), ({"N": 32, "start": "b"}, NO), ({"N": 64, "start": "a"}, NO))
    assert answers.overall(mixed) == "depends on N and start (reproduced in 1, not reproduced in 2 of 3 cases)"


def test_rendering() -> None:
    lost = answers.case(
        {"N": 64}, NO, share_of_scenes=answers.number(answers.share([True, False]), "%", 0), nothing=answers.number(np.nan)
    )
    kept = answers.case({"N": 32}, YES, difference=answers.number(about(-0.001, 0.002)))
    value = {"scenes": {"five-32": {"count": 7}}, "answers": [answers.question("1", "It works.", "a rule.", [kept, lost])]}
    text = answers.render(json.loads(json.dumps(value)))
    assert "five-32: 7" in text and "| 1 | It works. | **depends on N (32: reproduced, 64: not reproduced)** |" in text
    assert "| 32 | 0.00 [0.00, 0.00] dB |  |  | 50 | reproduced |" in text  # no negative zeros
    assert "| 64 |  | 50 [9, 91] % | - | 2 | not reproduced |" in text
    widths = {line.count("|") for line in text.split("\n\n")[-1].strip().splitlines()}
    assert len(widths) == 1


def test_pages(tmp_path: Path) -> None:
    value = {"answers": [answers.question("1", "It works.", "a rule.", cases(({"N": 32}, YES)))]}
    (tmp_path / "f.json").write_text(json.dumps(value))
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- answers f -->\nold\n<!-- end -->\nafter\n")
    answers.update_page(page)
    first = page.read_text()
    assert (
        first.startswith("before\n") and first.endswith("<!-- end -->\nafter\n") and "It works." in first and "old" not in first
    )
    answers.update_page(page)
    assert page.read_text() == first
    page.write_text("<!-- answers nowhere -->\n<!-- end -->\n")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        answers.update_page(page)


def test_the_committed_page_shows_the_committed_numbers() -> None:
    text = (RESULTS / "beampattern.md").read_text()
    assert answers.page(text, RESULTS) == text
    for name, figure in figures("beampattern").items():
        stored = json.loads((RESULTS / f"{name}.json").read_text())
        assert f"<!-- answers {name} -->" in text and f"({name}.png)" in text
        assert stored["figure"] == figure.name and set(stored["config"]) == set(figure.configure(False))
        assert len(stored["answers"]) > 0 and (RESULTS / f"{name}.csv").stat().st_size > 1000
        assert (RESULTS / f"{name}.png").stat().st_size <= 200_000
        for item in stored["answers"]:
            assert item["verdict"] == answers.overall(item["cases"])
