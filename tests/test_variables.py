"""One variable at a time: kinds, alphabets, grids, wrapping, errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ris_gym import variables as var
from ris_gym.variables import Variable

EVERY_KIND = (
    Variable("beams", (2, 3), "cartesian", "bs"),
    Variable("phase", (4,), "phase", "surface"),
    Variable("coarse_phase", (3,), "phase", "surface", 8),
    Variable("amplitude", (2,), "level", "surface"),
    Variable("width", (2,), "level", "surface", grid=(-1.0, -0.5, 0.0, 0.5, 1.0)),
    Variable("split", (), "fraction", "time"),
    Variable("share", (2,), "fraction", "time", grid=(0.0, 0.01, 0.02, 0.04, 1.0)),
    Variable("side", (3,), "mode", "surface"),
    Variable("codeword", (), "choice", "surface", 126),
)
WITH_ALPHABET = tuple(v for v in EVERY_KIND if v.n is not None)


@pytest.mark.parametrize("variable", EVERY_KIND, ids=lambda v: v.name)
def test_value_and_raw_are_inverse(variable: Variable) -> None:
    raw = np.random.default_rng(0).uniform(-1, 1, (50, variable.size))
    value = variable.value(raw)
    assert value.shape == (50, *variable.shape)
    again = variable.value(variable.raw(value))
    assert np.allclose(again, value, rtol=0, atol=1e-14) and variable.raw(value).shape == raw.shape
    if variable.kind not in ("mode", "choice"):
        assert np.allclose(variable.raw(value), raw, rtol=0, atol=1e-14)


@pytest.mark.parametrize("variable", EVERY_KIND, ids=lambda v: v.name)
def test_numpy_equals_torch(variable: Variable) -> None:
    raw = np.random.default_rng(1).uniform(-1, 1, (20, variable.size))
    tensor = torch.as_tensor(raw)
    assert np.array_equal(variable.value(tensor).numpy(), variable.value(raw))
    assert np.array_equal(variable.raw(variable.value(tensor)).numpy(), variable.raw(variable.value(raw)))
    if variable.n is not None:
        index = variable.index(raw)
        assert np.array_equal(variable.index(tensor).numpy(), index)
        assert np.array_equal(variable.from_index(torch.as_tensor(index)).numpy(), variable.from_index(index))


@pytest.mark.parametrize("variable", WITH_ALPHABET, ids=lambda v: v.name)
def test_every_index_returns(variable: Variable) -> None:
    assert variable.n is not None
    index = np.broadcast_to(np.arange(variable.n)[:, None], (variable.n, variable.size))
    for real in (np.float64, np.float32):
        raw = variable.from_index(index).astype(real)
        assert np.all(np.abs(raw) <= 1.0) and np.array_equal(variable.index(raw), index)
    assert variable.index(raw).dtype == np.int64


@pytest.mark.parametrize("variable", WITH_ALPHABET, ids=lambda v: v.name)
def test_index_is_the_nearest_letter(variable: Variable) -> None:
    raw = np.random.default_rng(2).uniform(-1, 1, (400, variable.size))
    chosen = variable.from_index(variable.index(raw))
    letters = variable.from_index(np.broadcast_to(np.arange(variable.n)[:, None], (variable.n, variable.size)))[:, 0]
    gap = np.abs(raw[..., None] - letters)
    gap = np.minimum(gap, 2.0 - gap) if variable.kind == "phase" else gap
    mine = np.abs(raw - chosen)
    mine = np.minimum(mine, 2.0 - mine) if variable.kind == "phase" else mine
    assert np.allclose(mine, gap.min(-1), atol=1e-12)


def test_extremes_of_each_kind() -> None:
    ends = np.array([[-1.0], [1.0]])
    assert Variable("a", (), "fraction", "time").value(ends).tolist() == [0.0, 1.0]
    assert Variable("a", (), "mode", "surface").value(np.array([[-1.0], [-1e-9], [0.0], [1.0]])).tolist() == [1, 1, 0, 0]
    assert Variable("a", (), "choice", "surface", 5).value(np.array([[-1.0], [0.0], [1.0]])).tolist() == [0, 2, 4]
    quarter = Variable("a", (), "phase", "surface", 4)
    assert quarter.index(np.array([[-1.0], [1.0], [0.74], [0.76]])).ravel().tolist() == [2, 2, 1, 2]
    grid = Variable("a", (), "fraction", "time", grid=(0.0, 0.1, 1.0))
    raw = np.array([[-1.0], [-0.91], [-0.89], [0.09], [0.11], [1.0]])
    assert grid.n == 3 and grid.index(raw).ravel().tolist() == [0, 0, 1, 1, 2, 2]
    assert np.allclose(grid.value(grid.from_index(np.array([[0], [1], [2]]))), [0.0, 0.1, 1.0], atol=1e-16)
    assert grid.value(np.array([[0.3]])) == pytest.approx(0.65), "a box action of a variable with a grid stays continuous"


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e6, 1e6))
def test_wrap(x: float) -> None:
    wrapped = var.wrap(np.array([x]))[0]
    assert -1.0 <= wrapped < 1.0
    assert math.isclose(math.cos(math.pi * (wrapped - x)), 1.0, abs_tol=1e-9)
    single = var.wrap(np.array([x], np.float32))[0]
    assert single.dtype == np.float32 and -1.0 <= single < 1.0


def test_wrap_keeps_the_left_end_and_is_idempotent() -> None:
    raw = np.array([-1.0, 1.0, 3.0, -3.0, 0.5, np.nextafter(1.0, 0.0), np.nextafter(-1.0, -2.0)])
    wrapped = var.wrap(raw)
    assert wrapped[:5].tolist() == [-1.0, -1.0, -1.0, -1.0, 0.5] and np.array_equal(var.wrap(wrapped), wrapped)


def test_move_wraps_phases_and_clips_the_rest() -> None:
    mask = var.periodic(EVERY_KIND[1:2] + EVERY_KIND[3:4])
    raw = np.full((1, 6), 0.9, np.float32)
    moved = var.move(mask, raw, np.full((1, 6), 0.25, np.float32))
    assert moved.dtype == np.float32
    assert np.allclose(moved, [[-0.85] * 4 + [1.0] * 2], atol=1e-6)


def test_split_join_and_slices() -> None:
    raw = np.random.default_rng(3).uniform(-1, 1, (7, var.length(EVERY_KIND)))
    values = var.split(EVERY_KIND, raw)
    assert list(values) == [v.name for v in EVERY_KIND]
    where = var.slices(EVERY_KIND)
    stops = [s.stop for s in where.values()]
    assert [s.start for s in where.values()] == [0, *stops[:-1]] and stops[-1] == raw.shape[1]
    joined = var.join(EVERY_KIND, values)
    again = var.split(EVERY_KIND, joined)
    assert all(np.allclose(again[name], values[name], atol=1e-14) for name in values)
    beams = values["beams"][0]
    assert np.array_equal(beams.real.ravel(), raw[0, :6]) and np.array_equal(beams.imag.ravel(), raw[0, 6:12])


def test_alphabet_needs_every_variable() -> None:
    assert not var.discrete(EVERY_KIND) and var.discrete(WITH_ALPHABET)
    with pytest.raises(ValueError, match=r"without an alphabet: \['beams', 'phase', 'amplitude', 'split'\]"):
        var.alphabet(EVERY_KIND)
    assert var.alphabet(WITH_ALPHABET).tolist() == [8] * 3 + [5] * 2 + [5] * 2 + [2] * 3 + [126]
    with pytest.raises(ValueError, match="'beams' has no alphabet"):
        EVERY_KIND[0].index(np.zeros((1, 12)))
    with pytest.raises(ValueError, match="'beams' has no alphabet"):
        EVERY_KIND[0].from_index(np.zeros((1, 12), int))


def test_action_table_lists_every_number_once() -> None:
    rows = var.action_table(EVERY_KIND).splitlines()[2:]
    assert len(rows) == len(EVERY_KIND)
    spans = [tuple(map(int, row.split("|")[1].strip().split("-"))) for row in rows]
    assert [n for a, b in spans for n in range(a, b + 1)] == list(range(var.length(EVERY_KIND)))
    assert "126 values" in rows[-1] and "`beams`" in rows[0] and "(2, 3)" in rows[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", (), "angle", "bs"), "kind of variable 'a' must be one of .*'angle'"),
        (("a", (), "phase", "user"), "owner of variable 'a' must be one of .*'user'"),
        (("a", (), "choice", "bs"), "n of variable 'a' must be a positive alphabet size, got None"),
        (("a", (), "phase", "bs", 0), "n of variable 'a' must be a positive alphabet size, got 0"),
        (("a", (), "level", "bs", 3), "n of variable 'a' must be None for kind 'level', got 3"),
        (("a", (), "mode", "bs", 3), "n of variable 'a' must be 2 for kind 'mode', got 3"),
        (("a", (), "phase", "bs", None, (0.0, 1.0)), "grid of variable 'a' must be None for kind 'phase'"),
        (("a", (), "fraction", "bs", None, (-0.1, 1.0)), r"grid of variable 'a' must increase in \[0, 1\]"),
        (("a", (), "level", "bs", None, (0.5, 0.5)), r"grid of variable 'a' must increase in \[-1, 1\]"),
        (("a", (), "level", "bs", None, ()), "grid of variable 'a' must increase"),
        (("a", (), "level", "bs", 3, (0.0, 1.0)), "n of variable 'a' must be None or 2 with this grid, got 3"),
    ],
)
def test_errors_name_field_and_value(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Variable(*arguments)
