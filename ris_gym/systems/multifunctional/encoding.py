"""Designs back to raw actions, canonical form and start rule of `multifunctional` (model page, 3 and 12). numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ris_gym import channels
from ris_gym import variables as var
from ris_gym.arrays import abs2, herm
from ris_gym.systems.multifunctional import beams as rules
from ris_gym.systems.multifunctional import decoding, physics
from ris_gym.systems.multifunctional.records import MultiFunctionalDesign, MultiFunctionalScene

if TYPE_CHECKING:
    from ris_gym.systems.multifunctional.system import MultiFunctional

NEAR = 1e-6
"""Relative distance of the beams up to which a design counts as one of `structured`."""


def canonical(
    system: MultiFunctional, known: MultiFunctionalScene, design: MultiFunctionalDesign, columns: int | None = None
) -> MultiFunctionalDesign:
    """The projected design with S_0 sensing columns (or `columns`): more are replaced by the strongest of their covariance."""
    design = design.to_numpy()
    columns = system.num_sensing_beams if columns is None else columns
    sensing = design.sensing_beams
    if sensing.shape[-1] > columns:
        left, values, _ = np.linalg.svd(sensing, full_matrices=False)
        strongest = (left * values[..., None, :])[..., :columns].astype(sensing.dtype)
        missing = columns - strongest.shape[-1]
        design = design.replace(sensing_beams=_padded(strongest, missing))
    elif sensing.shape[-1] < columns:
        design = design.replace(sensing_beams=_padded(sensing, columns - sensing.shape[-1]))
    return decoding.project(system, known, design)


def _padded(columns: np.ndarray, more: int) -> np.ndarray:
    """`more` zero columns appended."""
    return np.concatenate([columns, np.zeros((*columns.shape[:-1], more), columns.dtype)], axis=-1)


def encode(
    system: MultiFunctional, known: MultiFunctionalScene, design: MultiFunctionalDesign, control: str
) -> np.ndarray:
    """Design -> raw vector (B, n). `full`: exact for canonical designs; `structured`: nearest powers; `surface`: theta only."""
    known, design = known.to_numpy(), design.to_numpy()
    design = decoding.project(system, known, design)
    values = surface_values(system, design)
    if control == "full":
        if design.sensing_beams.shape[-1] != system.num_sensing_beams:
            design = canonical(system, known, design)
        root = math.sqrt(system.power_w)
        beams = {"beams": design.beams / root, "sensing_beams": design.sensing_beams / root}
        values |= {name: bounded(array) for name, array in beams.items()}
    elif control == "structured":
        values |= _powers(system, known, design)
    return var.join(system.variables(control), values)


def bounded(array: np.ndarray) -> np.ndarray:
    """Real and imaginary parts clipped to [-1, 1] (beams of the full power in one entry exceed 1 by rounding)."""
    out = np.array(array)
    np.clip(out.real, -1.0, 1.0, out=out.real)
    np.clip(out.imag, -1.0, 1.0, out=out.imag)
    return out


def surface_values(system: MultiFunctional, design: MultiFunctionalDesign) -> dict[str, np.ndarray]:
    """Values of the variables of the surface and of time."""
    theta = design.coefficients
    real = theta.real.dtype
    modulus = np.abs(theta)
    phase = np.where(modulus > 0, np.angle(theta), 0.0).astype(real)
    cap = math.sqrt(system.max_gain)
    if system.time_switching:
        assert design.time_fraction is not None
        fraction = np.clip((np.asarray(design.time_fraction) - 0.05) / 0.9, 0.0, 1.0)
        return {"phase": phase, "amplitude": np.clip(2.0 * modulus / cap - 1.0, -1.0, 1.0), "time_fraction": fraction}
    values = {}
    total = np.sqrt(np.sum(modulus**2, axis=1))
    if system.split_phases:
        values["phase"] = phase
        angle = np.where(total > 0, np.arctan2(modulus[:, 1], modulus[:, 0]), 0.25 * math.pi)
        values["split"] = np.clip(2.0 * angle / math.pi, 0.0, 1.0).astype(real)
    else:
        second = modulus[:, 1] > modulus[:, 0]
        if system.mode_switching:
            values["mode"] = second.astype(np.int64)
        values["phase"] = np.where(second, phase[:, 1], phase[:, 0])
    if system.amplifies:
        values["amplitude"] = np.clip(2.0 * total / cap - 1.0, -1.0, 1.0)
    return values


# -- structured -----------------------------------------------------------------------------------------------------------------


def _powers(
    system: MultiFunctional, known: MultiFunctionalScene, design: MultiFunctionalDesign
) -> dict[str, np.ndarray]:
    """Powers and regulariser: exact in the image of `structured`, else least squares on the powers and regulariser 0."""
    level = _regulariser(system, known, design)
    values = {"regulariser": level, **_column_powers(system, known, design, level)}
    if design.sensing_beams.shape[-1] == _columns(system):
        exact = {**values, **_column_powers(system, known, design, None)}
        made = rules.structured(system, np, known, design.coefficients, exact)
        wanted = design.all_beams
        size = np.maximum(np.linalg.norm(wanted.reshape(len(made), -1), axis=1), 1e-30)
        near = np.linalg.norm((made - wanted).reshape(len(made), -1), axis=1) < NEAR * size
        if made.dtype == np.complex64:
            near |= np.linalg.norm((made - wanted).reshape(len(made), -1), axis=1) < 1e-2 * size
        zero = np.zeros_like(level)
        other = {"regulariser": zero, **_column_powers(system, known, design, zero)}
        return {name: np.where(near[:, None], exact[name], value) for name, value in other.items()}
    zero = np.zeros_like(level)
    return {"regulariser": zero, **_column_powers(system, known, design, zero)}


def _columns(system: MultiFunctional) -> int:
    """Sensing columns of `structured`."""
    return system.targets if system.num_sensing_beams else 0


def _column_powers(
    system: MultiFunctional, known: MultiFunctionalScene, design: MultiFunctionalDesign, level: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Logits of the powers. `level` None: each target has its own column; else powers along the target directions there."""
    time = system.time_switching
    beams = np.sum(abs2(np, design.beams), axis=-2)
    users = np.concatenate([beams[:, i, s] for i, s in enumerate(system.user_slices)], axis=1) if time else beams
    if not system.num_sensing_beams:
        return {"user_power": _logits(system, users, None)[0]}
    if level is None:
        power = np.sum(abs2(np, design.sensing_beams), axis=-2)
        targets = np.concatenate([power[:, i, s] for i, s in enumerate(system.target_slices)], axis=1) if time else power
    else:
        zeros = {"user_power": np.zeros_like(users), "target_power": np.zeros((len(users), system.targets), users.dtype)}
        made = rules.structured(system, np, known, design.coefficients, {"regulariser": level, **zeros})
        aims = rules.unit(np, made[..., system.users :])
        seen = np.sum(abs2(np, herm(np, aims) @ design.sensing_beams), axis=-1)
        targets = np.concatenate([seen[:, i, s] for i, s in enumerate(system.target_slices)], axis=1) if time else seen
    user_logits, target_logits = _logits(system, users, targets)
    return {"user_power": user_logits, "target_power": target_logits}


def _logits(system: MultiFunctional, users: np.ndarray, targets: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Logits in [-1, 1] whose softmax (time switching: per side) has these ratios, as far as they fit."""
    aims = users[:, :0] if targets is None else targets
    groups: list[tuple[slice, slice]] = [(slice(None), slice(None))]
    if system.time_switching:
        groups = list(zip(system.user_slices, system.target_slices, strict=True))
    out = np.zeros_like(users), np.zeros_like(aims)
    for own, theirs in groups:
        both = np.concatenate([users[:, own], aims[:, theirs]], axis=1)
        if not both.shape[1]:
            continue
        dark = both < 1e-12 * system.power_w  # a direction that reaches nobody is 0 whatever its power: the rest of the budget
        rest = np.maximum(system.power_w - np.sum(both, axis=1, keepdims=True), 0.0)
        rest = rest / np.maximum(dark.sum(axis=1, keepdims=True), 1)
        both = np.where(dark, rest, both)
        log = np.log(np.maximum(both, np.finfo(both.dtype).tiny)) / rules.LOGIT_GAIN
        high = log.max(axis=1, keepdims=True)
        low = np.maximum(log.min(axis=1, keepdims=True), high - 2.0)
        logits = np.clip(log - 0.5 * (low + high), -1.0, 1.0)
        count = users[:, own].shape[1]
        out[0][:, own], out[1][:, theirs] = logits[:, :count], logits[:, count:]
    return out


def _regulariser(
    system: MultiFunctional, known: MultiFunctionalScene, design: MultiFunctionalDesign
) -> np.ndarray:
    """The `regulariser` of a design of `structured`, (B, 1); of another one a least-squares fit.

    A column `w` along `(h^H h + lambda I)^-1 c` meets `h^H h w + lambda w = s c`; with c projected away,
    `lambda = -<w', (h^H h w)'> / ||w'||^2`, summed over the columns that show it.
    """
    wide = known.astype("complex128")
    rows, eta, amplified = rules.raw_rows(system, np, wide, design.coefficients.astype(np.complex128))
    rows = rows / np.sqrt(amplified + system.noise_user_w)[..., None]
    both = rules.quiet(system, np, wide, np.concatenate([rows, eta], axis=1))
    h, eta = both[:, : system.users], both[:, system.users :]
    w = design.all_beams.astype(np.complex128)
    slots = list(zip(system.user_slices, system.target_slices, strict=True)) if system.time_switching else [None]
    ratio, weight = np.zeros(len(w)), np.zeros(len(w))
    for i, slot in enumerate(slots):
        users, targets = (slice(None), slice(None)) if slot is None else slot
        own, aims, columns = h[:, users], eta[:, targets], w if slot is None else w[:, i]
        if not own.shape[1]:
            continue
        sent = [columns[..., : system.users][..., users]]
        wanted = [herm(np, own)]
        if columns.shape[-1] == system.users + system.targets:
            sent.append(columns[..., system.users :][..., targets])
            wanted.append(herm(np, aims))
        mean = rules.mean_energy(np, own)[:, None, None]
        column, direction = rules.unit(np, np.concatenate(sent, -1)), rules.unit(np, np.concatenate(wanted, -1))
        image = herm(np, own) @ (own @ column) / mean
        for _ in range(2):  # twice, for the digits
            column = column - direction * np.sum(direction.conj() * column, axis=1, keepdims=True)
            image = image - direction * np.sum(direction.conj() * image, axis=1, keepdims=True)
        ratio += -np.sum((column.conj() * image).real, axis=(1, 2))
        weight += np.sum(abs2(np, column), axis=(1, 2))
    level = 0.5 * (np.log10(np.maximum(ratio, 1e-300) / np.maximum(weight, 1e-300)) + 1.0)
    level = np.where((weight > 1e-24) & (ratio > 0.0), level, 0.0)
    return np.clip(level, -1.0, 1.0)[:, None].astype(design.coefficients.real.dtype)


# -- start ----------------------------------------------------------------------------------------------------------------------


def start_coefficients(system: MultiFunctional, known: MultiFunctionalScene) -> np.ndarray:
    """Coefficients of the start rule (B, 2, M): in phase with the sum of all paths of their side, full amplitudes."""
    h = known.bs_ris
    through = h @ _first_right(h)[..., None]  # H v
    users = known.ris_user / channels.rms(known.ris_user, (2,))
    wanted = [
        known.target_steering[:, t].sum(axis=1) + users[:, u].sum(axis=1)
        for u, t in zip(system.user_slices, system.target_slices, strict=True)
    ]
    theta = np.exp(1j * np.angle(np.stack(wanted, axis=1) * np.conj(through[:, None, :, 0])))
    shared = system.split_phases and not system.time_switching
    theta = theta * math.sqrt(system.max_gain * (0.5 if shared else 1.0))
    if not system.split_phases:
        theta = theta * system.mask
    return np.asarray(theta.astype(h.dtype))


def _first_right(h: np.ndarray) -> np.ndarray:
    """First right singular vector of (B, M, N), (B, N)."""
    return np.asarray(np.linalg.eigh(np.conj(h.mT) @ h)[1][..., -1])


def start(system: MultiFunctional, known: MultiFunctionalScene, control: str) -> np.ndarray:
    """Raw vector of the start rule (section 12): phases towards users and targets, beams by the rule, half of the time."""
    theta = start_coefficients(system, known)
    theta = decoding.discrete(system, theta)
    time = np.full(len(theta), 0.5, theta.real.dtype) if system.time_switching else None
    w = rules.rule(system, np, known, theta, time)
    load = physics.energy(np, physics.incoming(system, known, w))
    theta = decoding.within_surface(system, theta, load)
    return encode(system, known, decoding.assembled(system, np, w, theta, time), control)
