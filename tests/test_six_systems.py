"""The decision variables of all six systems, as their model pages print them, through everything that derives from them."""

from __future__ import annotations

from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces as gym_spaces

from ris_gym import variables as var
from ris_gym.envs import spaces
from ris_gym.variables import Variable

WIDTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)  # (x + 1) / 2 on {0, .25, .5, .75, 1}
SHARES = (0.0, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0)


def beams(*lead: int, antennas: int, users: int, sensing: int) -> var.Variables:
    """`beams` and `sensing_beams`."""
    return (
        Variable("beams", (*lead, antennas, users), "cartesian", "bs"),
        Variable("sensing_beams", (*lead, antennas, sensing), "cartesian", "bs"),
    )


def logits(users: int, targets: int) -> var.Variables:
    """The variables of regularised zero-forcing."""
    return (
        Variable("user_power", (users,), "level", "bs"),
        Variable("target_power", (targets,), "level", "bs"),
        Variable("regulariser", (1,), "level", "bs"),
    )


def beampattern(control: str, bits: int | None = None, sensing: int = 2) -> var.Variables:
    phase = (Variable("phase", (32,), "phase", "surface", bits and 2**bits),)
    if control == "full":
        return phase + beams(antennas=8, users=1, sensing=sensing)
    return phase + (logits(1, 5) if control == "structured" else ())


def active_crb(control: str, kind: str = "active", users: int = 3, sensing_only: bool = False) -> var.Variables:
    surface: var.Variables = (Variable("phase", (8,), "phase", "surface"),)
    if kind == "active":
        surface = (Variable("amplitude", (8,), "level", "surface"), *surface)
    if control == "full":
        return beams(antennas=16, users=users, sensing=8) + surface
    if control == "structured":
        return surface + (logits(users, 8)[1:2] if sensing_only else logits(users, 8))
    return surface


def nonorthogonal(blocks: int = 1, elements: int = 16, bits: int | None = 2) -> var.Variables:
    return (Variable("phase", (blocks, elements), "phase", "surface", bits and 2**bits),)


def multifunctional(control: str, kind: str, protocol: str = "", bits: int | None = None) -> var.Variables:
    n, k, s, m, targets = 8, 4, 2, 32, 4
    slots = (2,) if protocol == "ts" else ()
    both = protocol in ("es", "ts") or kind == "star"
    surface = [Variable("phase", (2, m) if both else (m,), "phase", "surface", bits and 2**bits)]
    if kind in ("mf", "active"):
        surface.append(Variable("amplitude", (*slots, m), "level", "surface"))
    if protocol == "es" or kind == "star":
        surface.append(Variable("split", (m,), "fraction", "surface"))
    if protocol == "ms":
        surface.append(Variable("mode", (m,), "mode", "surface"))
    if protocol == "ts":
        surface.append(Variable("time_fraction", (), "fraction", "time"))
    if control == "full":
        return beams(*slots, antennas=n, users=k, sensing=s) + tuple(surface)
    return tuple(surface) + (logits(k, targets) if control == "structured" else ())


def vehicular(control: str, radar: bool = False, reflector: bool = False, grid: bool = True) -> var.Variables:
    k, widths = 3, WIDTHS if grid else None
    out = [Variable("sensing_share", (k,), "fraction", "time", grid=SHARES if grid else None)] if control == "full" else []
    out += [Variable(f"{name}_width", (k,), "level", "surface", grid=widths) for name in ("reflect", "refract")]
    if radar:
        out.append(Variable("suppression", (k,), "level", "surface", grid=widths))
    if reflector:
        out.append(Variable("reflector", (k,), "choice", "surface", k))
    return tuple(out)


def anchor(elements: int = 64, stop: bool = False) -> var.Variables:
    return (Variable("codeword", (), "choice", "surface", 2 * elements - 2 + stop),)


PRINTED: dict[str, tuple[var.Variables, int]] = {
    "beampattern full": (beampattern("full"), 80),
    "beampattern full without sensing beams": (beampattern("full", sensing=0), 48),
    "beampattern structured": (beampattern("structured"), 39),
    "beampattern surface": (beampattern("surface"), 32),
    "beampattern surface 2 bits": (beampattern("surface", bits=2), 32),
    "active_crb full": (active_crb("full"), 368),
    "active_crb surface": (active_crb("surface"), 16),
    "active_crb structured": (active_crb("structured"), 28),
    "active_crb structured sensing only": (active_crb("structured", sensing_only=True), 24),
    "active_crb passive full": (active_crb("full", "passive"), 360),
    "active_crb passive surface": (active_crb("surface", "passive"), 8),
    "active_crb passive structured": (active_crb("structured", "passive"), 20),
    "nonorthogonal": (nonorthogonal(), 16),
    "nonorthogonal tracking": (nonorthogonal(2, 64), 128),
    "nonorthogonal continuous": (nonorthogonal(bits=None), 16),
    "multifunctional mf es 1 bit": (multifunctional("full", "mf", "es", 1), 224),
    "multifunctional passive surface 2 bits": (multifunctional("surface", "passive", bits=2), 32),
    "vehicular": (vehicular("full"), 9),
    "vehicular continuous": (vehicular("full", grid=False), 9),
    "vehicular radar reflector": (vehicular("full", True, True), 15),
    "vehicular surface": (vehicular("surface"), 6),
    "anchor": (anchor(), 1),
    "anchor stop": (anchor(stop=True), 1),
}
TABLE = {  # multifunctional, section 12: full, surface, structured
    ("mf", "es"): (224, 128, 137),
    ("mf", "ms"): (192, 96, 105),
    ("mf", "ts"): (321, 129, 138),
    ("star", ""): (192, 96, 105),
    ("active", ""): (160, 64, 73),
    ("passive", ""): (128, 32, 41),
}
for (_kind, _protocol), _sizes in TABLE.items():
    for _control, _size in zip(("full", "surface", "structured"), _sizes, strict=True):
        PRINTED[f"multifunctional {_kind} {_protocol} {_control}"] = multifunctional(_control, _kind, _protocol), _size
DISCRETE = {name: case for name, case in PRINTED.items() if var.discrete(case[0])}
every = pytest.mark.parametrize(("variables", "size"), PRINTED.values(), ids=PRINTED.keys())
every_discrete = pytest.mark.parametrize(("variables", "size"), DISCRETE.values(), ids=DISCRETE.keys())


def raws(size: int) -> Iterator[np.ndarray]:
    """Uniform raw vectors and the corners of the box, in both precisions."""
    rng = np.random.default_rng(size)
    inside = np.concatenate([rng.uniform(-1, 1, (20, size)), np.full((1, size), -1.0), np.ones((1, size)), np.zeros((1, size))])
    yield inside
    yield inside.astype(np.float32)


def same(a: np.ndarray, b: np.ndarray, mask: np.ndarray, tolerance: float) -> bool:
    """Equality of raw vectors, phases on the circle."""
    gap = np.abs(a - b)
    return bool(np.all(np.where(mask, np.minimum(gap, 2.0 - gap), gap) <= tolerance))


def test_what_is_discrete() -> None:
    assert set(DISCRETE) == {
        "beampattern surface 2 bits",
        "nonorthogonal",
        "nonorthogonal tracking",
        "multifunctional passive surface 2 bits",
        "vehicular",
        "vehicular radar reflector",
        "vehicular surface",
        "anchor",
        "anchor stop",
    }


@every
def test_length_and_box(variables: var.Variables, size: int) -> None:
    assert var.length(variables) == size
    box = spaces.action_space(variables, "box")
    assert isinstance(box, gym_spaces.Box) and box.shape == (size,) and box.dtype == np.float32
    assert np.all(box.low == -1.0) and np.all(box.high == 1.0)
    assert var.periodic(variables).shape == (size,)


@every
def test_split_and_join(variables: var.Variables, size: int) -> None:
    for raw in raws(size):
        values = var.split(variables, raw)
        assert {v.name: (len(raw), *v.shape) for v in variables} == {name: value.shape for name, value in values.items()}
        joined = var.join(variables, values)
        again = var.split(variables, joined)
        for v in variables:
            limit = 1e-6 if raw.dtype == np.float32 else 1e-14
            if v.kind == "phase":
                assert np.allclose(np.exp(1j * again[v.name]), np.exp(1j * values[v.name]), atol=2 * limit)
            else:
                assert np.allclose(again[v.name], values[v.name], rtol=0, atol=limit)
        if not any(v.kind in ("mode", "choice") for v in variables):
            assert same(joined, raw, var.periodic(variables), limit)


@every
def test_dict_space(variables: var.Variables, size: int) -> None:
    space = spaces.dict_space(variables)
    space.seed(0)
    assert set(space.keys()) == {v.name for v in variables}
    for _ in range(3):
        chosen = space.sample()
        raw = spaces.from_dict(variables, chosen)
        assert raw.shape == (size,) and raw.dtype == np.float32 and np.all(np.abs(raw) <= 1.0)
        back = spaces.to_dict(variables, raw)
        assert space.contains(back)
        assert all(np.array_equal(back[name], chosen[name]) for name in chosen)


@every
def test_action_table(variables: var.Variables, size: int) -> None:
    rows = var.action_table(variables).splitlines()[2:]
    assert len(rows) == len(variables)
    for row, variable in zip(rows, variables, strict=True):
        assert f"`{variable.name}`" in row and f"| {variable.owner} |" in row and f"| {variable.kind} |" in row
    spans = [row.split("|")[1].strip() for row in rows]
    assert [span == "none" for span in spans] == [v.size == 0 for v in variables]
    assert [n for span in spans if span != "none" for n in range(*_ends(span))] == list(range(size))


def _ends(span: str) -> tuple[int, int]:
    first, last = span.split("-")
    return int(first), int(last) + 1


@every
def test_moves_stay_in_the_box(variables: var.Variables, size: int) -> None:
    mask = var.periodic(variables)
    for raw in raws(size):
        step = np.random.default_rng(1).uniform(-1, 1, raw.shape).astype(raw.dtype)
        moved = var.move(mask, raw, step)
        assert moved.dtype == raw.dtype and np.all(np.abs(moved) <= 1.0)
        assert np.array_equal(moved[:, ~mask], np.clip(raw + step, -1, 1)[:, ~mask])
        assert np.allclose(np.exp(1j * np.pi * moved)[:, mask], np.exp(1j * np.pi * (raw + step))[:, mask], atol=1e-5)


@every_discrete
def test_indices(variables: var.Variables, size: int) -> None:
    sizes = var.alphabet(variables)
    space = spaces.action_space(variables, "discrete")
    assert isinstance(space, gym_spaces.Discrete if size == 1 else gym_spaces.MultiDiscrete)
    assert sizes.shape == (size,) and np.array_equal(np.atleast_1d(space.n if size == 1 else space.nvec), sizes)
    batch = gymnasium.vector.utils.batch_space(space, 40)
    batch.seed(0)
    index = batch.sample().reshape(40, size)
    for real in (np.float32, np.float64):
        raw = var.from_index(variables, index).astype(real)
        assert np.all(np.abs(raw) <= 1.0) and np.array_equal(var.to_index(variables, raw), index)
    for raw in raws(size):
        once = var.to_index(variables, raw)
        assert np.all((once >= 0) & (once < sizes))
        assert np.array_equal(var.to_index(variables, var.from_index(variables, once)), once)


def test_vehicular_grids_are_the_pages() -> None:
    variables = vehicular("full", radar=True, reflector=True)
    assert var.alphabet(variables).tolist() == [9] * 3 + [5] * 9 + [3] * 3
    values = var.split(variables, var.from_index(variables, np.arange(9)[:, None] % var.alphabet(variables)))
    assert np.allclose(values["sensing_share"][:, 0], SHARES, atol=1e-15)
    assert np.allclose(0.5 * (values["suppression"][:5, 0] + 1.0), [0, 0.25, 0.5, 0.75, 1], atol=1e-15)
    assert values["reflector"][:3, 0].tolist() == [0, 1, 2]


def test_nonorthogonal_phase_of_an_index() -> None:
    variables = nonorthogonal()
    raw = var.from_index(variables, np.tile(np.arange(4), 4)[None])
    assert np.allclose(raw[0, :4], [0.0, 0.5, -1.0, -0.5])
    assert np.allclose(np.exp(1j * var.split(variables, raw)["phase"][0, 0, :4]), [1, 1j, -1, -1j], atol=1e-15)


def test_anchor_box_is_the_pages() -> None:
    (codeword,) = anchor()
    x = np.linspace(-1, 1, 1001)[:, None]
    assert np.array_equal(codeword.value(x), np.minimum(125, np.floor(126 * (x[:, 0] + 1) / 2)))
