"""A cheap form of `benchmarks/survival.py`: real processes, killed and resumed; half of the kills hit a file operation."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "survival.py"


def test_killed_runs_end_like_undisturbed_ones() -> None:
    arguments = ["--forks", "--kills", "3", "--steps", "240", "--algorithms", "ppo", "sac", "unfolded"]
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [counts["algorithm"] for counts in found] == ["ppo", "sac", "unfolded"]
    assert all(counts["kills"] == 3 for counts in found)
