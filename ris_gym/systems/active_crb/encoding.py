"""Designs back to raw actions, canonical form, start rule and repair of `active_crb` (model page, 3 and 12). numpy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import abs2, herm
from ris_gym.systems.active_crb import beams as rules
from ris_gym.systems.active_crb import features, physics
from ris_gym.systems.active_crb.records import ActiveCrbDesign, ActiveCrbScene

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb

BLENDS = np.arange(17) / 16.0
START_BATCH = 64
"""Phase profiles of the start rule that are tried at once, over all scenes."""


def canonical(system: ActiveCrb, known: ActiveCrbScene, design: ActiveCrbDesign) -> ActiveCrbDesign:
    """`L = V (V^H R_0 V)^(1/2)` with N columns, decode's floor where it would act, F scaled up to its first budget."""
    design = rules.project(system, known, design.to_numpy())
    design = refactored(known, design)
    f = design.all_beams
    if (needy := rules.needs_floor(known, f, known.bs_ris @ f, None)).any():
        lifted = rules.lift(system, np, known, f)[..., design.beams.shape[-1] :]
        design = design.replace(sensing_beams=np.where(needy[:, None, None], lifted, design.sensing_beams))
    return rules.project(system, known, design, grow=True)


def refactored(known: ActiveCrbScene, design: ActiveCrbDesign) -> ActiveCrbDesign:
    """The design with `sensing_beams` the square root of its covariance within the row space of G, N columns."""
    assert known.reference is not None
    basis = known.reference["basis"]
    seen = herm(np, basis) @ design.sensing_beams
    return design.replace(sensing_beams=basis @ square_root(seen @ herm(np, seen)).astype(seen.dtype, copy=False))


def square_root(covariance: np.ndarray) -> np.ndarray:
    """Hermitian square root of Hermitian matrices (B, N, N), negative eigenvalues to 0."""
    values, vectors = np.linalg.eigh(covariance.astype(np.complex128, copy=False))
    root = np.sqrt(np.clip(values, 0.0, None))
    return np.asarray((vectors * root[:, None, :]) @ herm(np, vectors))


def encode(system: ActiveCrb, known: ActiveCrbScene, design: ActiveCrbDesign, control: str) -> np.ndarray:
    """Design -> raw vector (B, n). `full`: exact with a budget met; `structured`: nearest powers; `surface`: v only."""
    known, design = known.to_numpy(), design.to_numpy()
    assert known.reference is not None
    design = rules.project(system, known, design)
    values = {"phase": np.angle(design.coefficients)}
    if not system.passive:
        level = 20.0 * np.log10(np.abs(design.coefficients) / known.reference["cap"][:, None])
        values["amplitude"] = np.clip(1.0 + 2.0 * level / rules.AMPLITUDE_RANGE_DB, -1.0, 1.0)
    if control == "full":
        if design.sensing_beams.shape[-1] != system.num_elements:
            design = refactored(known, design)
        f = design.all_beams
        largest = np.max(np.maximum(np.abs(f.real), np.abs(f.imag)), axis=(1, 2), keepdims=True)
        f = f / np.where(largest > 0, largest, 1.0)
        values |= {"beams": f[..., : system.num_users], "sensing_beams": f[..., system.num_users :]}
    elif control == "structured":
        values |= _powers(system, known, design)
    return var.join(system.variables(control), values)


NEAR = 1e-2
"""Relative distance of the beams up to which a design counts as one of regularised zero-forcing."""


def _powers(system: ActiveCrb, known: ActiveCrbScene, design: ActiveCrbDesign) -> dict[str, np.ndarray]:
    """Powers and regulariser of a design: exact in the image of `decode`; the rule's beams have the regulariser -1.

    Of any other design the powers are `||w_k||^2` and `[V^H R_0 V]_nn`, and the regulariser is -1.
    """
    assert known.reference is not None
    seen = herm(np, known.reference["basis"]) @ design.sensing_beams
    powers = np.sum(abs2(np, seen), axis=2)
    if system.sinr_threshold is None:
        return {"target_power": _logits(powers)}
    users = system.num_users
    powers = np.concatenate([np.sum(abs2(np, design.beams), axis=1), powers], axis=1)
    values = _named(powers, np.full((len(powers), 1), -1.0, powers.dtype), users)
    if seen.shape[2] != system.num_elements:
        return values
    found = _named(*_zero_forcing(system, known, design, seen), users)
    made, wanted = rules.structured(system, np, known, design.coefficients, found), design.all_beams
    near = np.linalg.norm(_unit(made) - _unit(wanted), axis=(1, 2)) < NEAR
    return {name: np.where(near[:, None], found[name], value) for name, value in values.items()}


def _unit(f: np.ndarray) -> np.ndarray:
    return np.asarray(f / np.maximum(np.linalg.norm(f, axis=(1, 2), keepdims=True), 1e-30))


def _zero_forcing(
    system: ActiveCrb, known: ActiveCrbScene, design: ActiveCrbDesign, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Powers (B, K + N) up to a factor and regulariser (B, 1) of beams `V^H [W, L] = [Z, (I - Z T c) Q^(1/2)]`, `c = C V`.

    There T is diagonal and `Z T = Q c^H (c Q c^H + mu I)^-1`, Q the target's powers. `Q^(-1/2)` and T are the least-squares
    solution of `seen Q^(-1/2) + Z T c = I`. With singular values s and vectors v of `D = c Q^(1/2)`,
    `v^H Q^(-1/2) seen v = mu / (s^2 + mu)`, read where that is farthest from 0 and 1. Finite for other beams, but meaningless.
    """
    assert known.reference is not None
    batch, n, users = len(seen), system.num_elements, system.num_users
    if n == 1:  # only the ratio of two powers is seen: the largest regulariser with which the logits fit
        served, sensed = np.linalg.norm(design.beams, axis=1), np.abs(seen[:, 0])
        part = np.clip(np.exp(rules.LOGIT_GAIN) * sensed / np.maximum(served, 1e-300), 1e-12, 0.5)
        level = np.clip(0.5 * np.log10(part / (1.0 - part)) + 1.0, -1.0, 1.0)
        return np.concatenate([served**2, (sensed / part) ** 2], axis=1), level
    basis = known.reference["basis"].astype(np.complex128, copy=False)
    z = herm(np, basis) @ design.beams
    c = physics.effective_rows(np, known, design.coefficients) @ basis
    system_matrix = np.zeros((batch, n, n, n + users), np.complex128)
    index = np.arange(n)
    system_matrix[:, :, index, index] = seen
    system_matrix[..., n:] = np.einsum("bik,bkn->bink", z, c)
    flat = system_matrix.reshape(batch, n * n, n + users)
    both = np.concatenate([flat.real, flat.imag], axis=1)
    size = np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1e-300)
    wanted = np.concatenate([np.eye(n).ravel(), np.zeros(n * n)])
    solved = (np.linalg.pinv(both / size, rcond=1e-13) @ wanted) / size[:, 0]
    root = 1.0 / np.maximum(solved[:, :n], 1e-30)
    _, strength, right = np.linalg.svd(c * root[:, None, :], full_matrices=False)
    left = np.clip(np.einsum("bki,bij,bkj->bk", right, seen / root[..., None], right.conj()).real, 1e-12, 1.0 - 1e-12)
    clear = np.argmax(left * (1.0 - left), axis=1)[:, None]
    mu = np.take_along_axis(strength**2 * left / (1.0 - left), clear, axis=1)[:, 0]
    mean = np.maximum(np.mean(strength**2, axis=1), 1e-300)
    level = np.clip(0.5 * np.log10(np.clip(mu / mean, 1e-10, 1e10)) + 1.0, -1.0, 1.0)
    level = np.where(level < -1.0 + 1e-9, -1.0, level)[:, None]
    powers = np.concatenate([np.sum(abs2(np, design.beams), axis=1), root**2], axis=1)
    return powers, level


def _named(powers: np.ndarray, level: np.ndarray, users: int) -> dict[str, np.ndarray]:
    logits = _logits(powers)
    return {"user_power": logits[:, :users], "target_power": logits[:, users:], "regulariser": level}


def _logits(powers: np.ndarray) -> np.ndarray:
    """Logits in [-1, 1] whose softmax has these ratios, as far as they fit."""
    log = np.log(np.maximum(powers, np.finfo(powers.dtype).tiny)) / rules.LOGIT_GAIN
    high = log.max(axis=1, keepdims=True)
    low = np.maximum(log.min(axis=1, keepdims=True), high - 2.0)
    return np.asarray(np.clip(log - 0.5 * (low + high), -1.0, 1.0))


def start(system: ActiveCrb, known: ActiveCrbScene, control: str) -> np.ndarray:
    """Raw vector of the start rule: amplitudes at the cap, the best by penalised score of 2 N linear phase profiles."""
    n, batch = system.num_elements, len(known)
    profiles = np.exp(1j * np.pi * np.arange(n)[None, :] * (np.arange(2 * n)[:, None] / n - 1.0)).astype(known.bs_ris.dtype)
    assert known.reference is not None
    cap = known.reference["cap"]
    bare = features.bare(known)
    at_once = max(1, START_BATCH // max(batch, 1))
    values = []
    for some in np.split(profiles, range(at_once, 2 * n, at_once)):
        many = bare[np.tile(np.arange(batch), len(some))]
        v = np.tile(cap, len(some))[:, None] * np.repeat(some, batch, axis=0)
        f = rules.rule(system, np, many, v)
        made = rules.realise(system, np, many, v, f, floor=False)
        values.append(system.penalised(made.evaluate(system, many)).reshape(len(some), batch))
    value = np.concatenate(values)
    v = cap[:, None] * profiles[np.argmax(value, axis=0)]
    made = rules.realise(system, np, known, v, rules.rule(system, np, known, v), floor=False)
    return encode(system, known, made.design, control)


def repair(system: ActiveCrb, known: ActiveCrbScene, design: ActiveCrbDesign) -> ActiveCrbDesign:
    """Blend with the rule at the same v, s = 0, 1/16, .., 1: the feasible blend of least CRB; none feasible: unchanged."""
    design = canonical(system, known, design)
    if system.sinr_threshold is None or not len(known):
        return design
    v, users = design.coefficients, system.num_users
    f = rules.rule(system, np, known, v)
    rule = ActiveCrbDesign(beams=f[..., :users], sensing_beams=f[..., users:], coefficients=v)
    rule = rules.project(system, known, rule, grow=True)
    own = np.einsum("bkm,bmk->bk", physics.effective_rows(np, known, v), design.beams)
    turn = np.exp(-1j * np.angle(own)).astype(v.dtype, copy=False)
    turned = design.replace(beams=design.beams * turn[:, None, :])
    share = _best_share(system, known, turned, rule)
    moved = share > 0.0
    if not moved.any():
        return design
    known, turned, rule, share = known[moved], turned[moved], rule[moved], share[moved][:, None, None]
    assert known.reference is not None
    root = square_root((1.0 - share) * _seen(known, turned) + share * _seen(known, rule))
    blend = ActiveCrbDesign(
        beams=((1.0 - share) * turned.beams + share * rule.beams).astype(v.dtype, copy=False),
        sensing_beams=known.reference["basis"] @ root.astype(v.dtype, copy=False),
        coefficients=turned.coefficients,
    )
    return design.put(moved, rules.project(system, known, blend, grow=True))


def _best_share(system: ActiveCrb, known: ActiveCrbScene, own: ActiveCrbDesign, rule: ActiveCrbDesign) -> np.ndarray:
    """The s of the feasible blend of least CRB, 0 where none is feasible, (B,).

    A covariance needs no square root here: `(1 - s) L L^H + s L' L'^H` has the columns `[sqrt(1 - s) L, sqrt(s) L']`.
    """
    g = known.bs_ris
    columns = [g @ part for part in (own.beams, rule.beams, own.sensing_beams, rule.sensing_beams)]
    spent = [rules.total(np, part.sensing_beams) for part in (own, rule)]
    best, value = np.zeros(len(g)), np.full(len(g), np.inf)
    for s in BLENDS:
        x = np.concatenate(
            [(1.0 - s) * columns[0] + s * columns[1], np.sqrt(1.0 - s) * columns[2], np.sqrt(s) * columns[3]], axis=2
        ).astype(g.dtype, copy=False)
        power = rules.total(np, (1.0 - s) * own.beams + s * rule.beams) + (1.0 - s) * spent[0] + s * spent[1]
        radiated = physics.passes(system, np, known, own.coefficients, x)
        factor = rules.fill(system, np, power, radiated)
        radiated = None if radiated is None else radiated.scaled(factor)
        metrics = physics.evaluate(
            system, np, known, own, x * np.sqrt(factor)[:, None, None].astype(x.real.dtype), power * factor, radiated
        )
        better = np.asarray(metrics.feasible) & (metrics.objective < value)
        best, value = np.where(better, s, best), np.where(better, metrics.objective, value)
    return best


def _seen(known: ActiveCrbScene, design: ActiveCrbDesign) -> np.ndarray:
    """`V^H R_0 V`, (B, N, N)."""
    assert known.reference is not None
    seen = herm(np, known.reference["basis"]) @ design.sensing_beams
    return np.asarray(seen @ herm(np, seen))
