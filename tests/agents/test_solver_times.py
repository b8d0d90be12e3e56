from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from agents.solver_times import sized, solver_rows, solver_times
from ris_gym import systems


def test_rows_time_the_same_programs_in_both_forms() -> None:
    system = systems.make("beampattern", num_antennas=3, num_elements=5, sinr_threshold_db=5.0)
    for solver, scenes in (("cvxpy", 2), ("clarabel", 1)):
        rows = solver_rows(system, "ao", scenes, batch=4, solver=solver)
        assert {row["what"] for row in rows} == {"ao", "program separate", "program transmit", "program reflective"}
        for row in rows:
            assert row["solver"] == solver and row["scenes"] == scenes and row["batch"] == 4
            assert row["textbook_ms"] > 0 and row["fast_ms"] > 0
            assert row["ratio"] == pytest.approx(row["textbook_ms"] / row["fast_ms"])


def test_the_table_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = solver_times(elements=4, scenes=1, batch=2, folder=str(tmp_path))
    assert {row["system"] for row in rows} == {"beampattern", "active_crb", "multifunctional"}
    assert all(row["num_elements"] == 4 for row in rows)
    assert json.loads((tmp_path / "solvers.json").read_text())["threads"] == 1
    with open(tmp_path / "solvers.csv", encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert "CPU milliseconds per scene" in capsys.readouterr().out
    with pytest.raises(ValueError, match="scenes must be at least 1"):
        solver_times(elements=4, scenes=0, batch=2, folder=str(tmp_path))


def test_sizes_that_a_system_refuses_are_left_out() -> None:
    assert sized("beampattern", num_elements=12)[1] == {"num_elements": 12}
    assert sized("beampattern", num_elements=12, num_scatterers=7)[1] == {"num_elements": 12}
    planar, sizes = sized("multifunctional", num_antennas=4, num_elements=24)
    assert sizes == {"num_antennas": 4, "num_elements": 24} and (planar.num_elements_h, planar.num_elements_v) == (6, 4)
    assert sized("multifunctional", num_elements=7)[0].num_elements_v == 1
    pair, sizes = sized("nonorthogonal", num_elements=24)
    assert pair.surface_shape == (6, 4) and sizes == {"num_elements": 24}
    system, sizes = sized("active_crb", num_antennas=8, num_elements=64)
    default = systems.make("active_crb")
    assert system == default and sizes == {"num_antennas": default.num_antennas, "num_elements": default.num_elements}
