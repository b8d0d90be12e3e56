"""The README's program runs as printed (with fewer training steps), and its files and commands exist."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "learn(20_000)" in program
    names: dict[str, Any] = {}
    exec(compile(program.replace("learn(20_000)", "learn(1_024)"), "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "AO: -" in printed and "bound: -" in printed
    for policy in ("mine", "ao", "random"):
        assert policy in printed


def test_files_exist() -> None:
    paths = re.findall(r"\]\(([^)]+)\)", README) + re.findall(r"`((?:tests|examples|benchmarks|ris_gym|agents)/[\w/.]+)`", README)
    for path in paths:
        if "://" not in path and "<" not in path:
            assert (ROOT / path).exists(), path
