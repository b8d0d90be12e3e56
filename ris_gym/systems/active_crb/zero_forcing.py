"""Derivatives of the regularised zero-forcing of `control="structured"`, in numpy (its forward form: `beams.structured`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ris_gym import variables as var
from ris_gym.arrays import abs2, herm
from ris_gym.systems.active_crb import beams as rules
from ris_gym.systems.active_crb.records import ActiveCrbScene

if TYPE_CHECKING:
    from ris_gym.systems.active_crb.system import ActiveCrb


def chain(
    system: ActiveCrb,
    known: ActiveCrbScene,
    v: np.ndarray,
    raw: np.ndarray,
    by_z: np.ndarray,
    through: np.ndarray,
    out: np.ndarray,
) -> np.ndarray:
    """From gradients with respect to Z, (B, P, N, C), to those of powers and regulariser, written into `out` (B, P, n).

    With `F = V Z`, `Z = [A sqrt(p_u) / |A|, T - A D]`, `A = T Kl`, `Kl = D^H S`, `S = (D D^H + lambda I)^-1`, `D = C V T`,
    `T = diag(sqrt(p_t))`; gradients are those of `d = 2 Re<g, dx>`.

    Args:
        through: `G V`, (B, N, N).

    Returns:
        gradients with respect to `ln v`, (B, P, N), by way of the beams.
    """
    where = var.slices(system.variables("structured"))
    values = var.split(system.variables("structured"), raw)
    users = system.num_users
    if system.sinr_threshold is None:
        shares = rules.softmax(np, rules.LOGIT_GAIN * values["target_power"])
        by_root = 2.0 * np.einsum("bpnn->bpn", by_z[..., users:]).real
        out[..., where["target_power"]] = _logits(shares, by_root)
        return np.zeros((*by_z.shape[:2], v.shape[1]), v.dtype)
    shares = rules.softmax(np, rules.LOGIT_GAIN * np.concatenate([values["user_power"], values["target_power"]], axis=1))
    root = np.sqrt(shares)
    t = root[:, users:]
    own = known.ris_user.conj() * v[:, None, :]
    plain = own @ through  # C V
    d = plain * t[:, None, :]
    level = 10.0 ** (2.0 * values["regulariser"] - 2.0)  # (B, 1)
    mean = np.sum(abs2(np, d), axis=(1, 2)) / users
    mean = np.maximum(mean, np.finfo(mean.dtype).tiny)
    loading = (level[:, 0] * mean)[:, None, None]
    scale = mean[:, None, None]
    s = np.linalg.inv(d @ herm(np, d) / scale + (loading / scale) * np.eye(users, dtype=d.dtype)) / scale
    kl = herm(np, d) @ s
    a = t[..., None] * kl
    norm = np.sqrt(np.maximum(np.sum(abs2(np, a), axis=1), np.finfo(mean.dtype).tiny))
    unit = a / norm[:, None, :]

    by_w, by_l = by_z[..., :users], by_z[..., users:]
    along = np.sum((by_w.conj() * unit[:, None]).real, axis=2)  # (B, P, K)
    by_a = (by_w - unit[:, None] * along[:, :, None, :]) * (root[:, None, None, :users] / norm[:, None, None, :])
    by_a -= by_l @ herm(np, d)[:, None]
    by_d = -(herm(np, a)[:, None] @ by_l)
    by_t = np.einsum("bpnn->bpn", by_l).real + np.sum((by_a.conj() * kl[:, None]).real, axis=3)
    by_kl = t[:, None, :, None] * by_a
    off = by_kl - herm(np, d)[:, None] @ (herm(np, kl)[:, None] @ by_kl)  # (I - D^H Kl^H) g, Kl D Hermitian
    by_d += s[:, None] @ herm(np, off) - herm(np, kl)[:, None] @ by_kl @ herm(np, kl)[:, None]
    by_loading = -2.0 * np.sum((by_kl.conj() * (kl @ s)[:, None]).real, axis=(2, 3))  # (B, P)
    by_d += (by_loading * (level / users))[..., None, None] * d[:, None]
    by_t += np.sum((by_d.conj() * plain[:, None]).real, axis=2)
    by_plain = by_d * t[:, None, None, :]
    by_root = 2.0 * np.concatenate([along, by_t], axis=2)
    logits = _logits(shares, by_root)
    out[..., where["user_power"]], out[..., where["target_power"]] = logits[..., :users], logits[..., users:]
    out[..., where["regulariser"]] = (by_loading * (mean[:, None] * level * 2.0 * math.log(10.0)))[..., None]
    return np.asarray(np.sum(own[:, None] * (by_plain.conj() @ through.mT[:, None]), axis=2))


def _logits(shares: np.ndarray, by_root: np.ndarray) -> np.ndarray:
    """Derivatives with respect to the numbers x of `softmax(4 x)`, from those of the square roots of the shares, (B, P, n)."""
    by_share = by_root / (2.0 * np.sqrt(shares))[:, None]
    mean = np.sum(by_share * shares[:, None], axis=2, keepdims=True)
    return np.asarray(rules.LOGIT_GAIN * shares[:, None] * (by_share - mean))
