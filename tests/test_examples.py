"""Every program in `examples/` runs, at a small size."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"
ARGUMENTS = {
    "active_surface": ["--scenes", "3", "--policies", "gradient"],
    "compare_own": ["--scenes", "3", "--policies", "random"],
    "gradient_ascent": ["--steps", "5", "--scenes", "4"],
    "random_agent": ["--steps", "5", "--num-envs", "4"],
    "train_ppo": ["--steps", "64", "--num-envs", "8"],
    "train_unfolded": ["--minutes", "0.02", "--elements", "6", "--others", "9", "--scenes", "4"],
}


def test_every_example_is_listed() -> None:
    assert sorted(ARGUMENTS) == sorted(path.stem for path in EXAMPLES.glob("*.py"))


@pytest.mark.parametrize("name", sorted(ARGUMENTS))
def test_example(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error::RuntimeWarning", str(EXAMPLES / f"{name}.py"), *ARGUMENTS[name]]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(EXAMPLES.parent)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    assert not list(tmp_path.iterdir()), "an example left files behind"
