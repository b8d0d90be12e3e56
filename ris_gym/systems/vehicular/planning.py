"""What a frame of `vehicular` is expected to be worth under the belief; shares that meet the requirement (section 7A). numpy.

Everything is taken at the belief predicted to each vehicle's own slot. All echoes that a vehicle receives before its data count
as one dwell with the mean gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ris_gym.systems.vehicular import beams, dwell, frame, motion, radar
from ris_gym.systems.vehicular.records import VehicularDesign, VehicularMetrics

if TYPE_CHECKING:
    from ris_gym.systems.vehicular.parameters import Parameters

SAFETY_DB = 1.0
"""Margin of planned echoes against the requirement."""
TRIGGER_GAIN, TRIGGER_SHARE = 0.8, 0.1


@dataclass(frozen=True)
class Expected:
    """Expected rate (bit/s/Hz) and credited energy SNR, (B, K)."""

    rate: np.ndarray
    credit: np.ndarray


def mean_echo(system: Parameters, look: motion.Outlook, reflect_width: np.ndarray | float) -> np.ndarray:
    """L rho_e E A(2 Delta, W_e): mean energy SNR of a whole slot, (B, K)."""
    width = system.width_span * np.asarray(reflect_width, float) * (2.0 * look.spread)
    return look.echo * beams.mean_gain(system.num_cols, look.spread, width, beams.REFLECT)


def updated_spread(
    system: Parameters, mean: np.ndarray, covariance: np.ndarray, snr: np.ndarray, duration_s: np.ndarray
) -> np.ndarray:
    """s^+ after a detected dwell."""
    return motion.pointing(system, mean, dwell.planned_update(system, mean, covariance, snr, duration_s)).spread


def data_rate(
    system: Parameters, look: motion.Outlook, k: Any, own: np.ndarray, helped: np.ndarray, own_share: np.ndarray,
    helped_share: np.ndarray, width: np.ndarray | None = None, best: bool = False,
) -> np.ndarray:  # fmt: skip
    """phi_k of stage 2 after echoes of energy `own` and `helped` that last shares of the slot: P_d phi(s^+) + (1 - P_d) phi(s).

    Arrays broadcast against (B, ...) with the vehicle's entries (`k`: index into the axes behind B of the outlook).
    Args:
        width: b^c; None: focused. best: take the largest phi over the width rule's levels instead.
    """
    table = beams.rate_table(system.num_cols, system.width_span)

    def phi(spread: np.ndarray) -> np.ndarray:
        return table.best(snr, spread) if best else table(snr, spread, width)

    total = own + helped
    extra = (slice(None), *[None] * (total.ndim - 1))
    snr, before = look.comm[:, k][extra], look.spread[:, k][extra]
    if not system.s_assist:
        return np.broadcast_to(phi(look.report_spread[:, k][extra]), total.shape)
    duration = system.slot_s * (helped_share * helped + own_share * own) / np.maximum(total, 1e-30)
    mean, covariance = look.mean[:, k][extra], look.covariance[:, k][extra]
    after = updated_spread(system, mean, covariance, total, duration)
    detected = np.where(total > 0.0, dwell.detection(system.false_alarm, total), 0.0)
    return detected * phi(after) + (1.0 - detected) * phi(before)


def first_rate(system: Parameters, look: motion.Outlook, width: np.ndarray | None = None, best: bool = False) -> np.ndarray:
    """phi of stage 1, (B, K): power share 1 - eps; zero in mode switching."""
    if system.reflect_share == 1.0:
        return np.zeros_like(look.spread)
    table = beams.rate_table(system.num_cols, system.width_span)
    snr, spread = (1.0 - system.reflect_share) * look.comm, look.spread if system.s_assist else look.report_spread
    return table.best(snr, spread) if best else table(snr, spread, width)


def helped_by(system: Parameters, reflector: np.ndarray | None, k: int, batch: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Vehicles (B,) that reflect in stage 2 of slot k and have their own slot later in this frame, 1 where there is one (B,)."""
    if not system.assisted:
        return None
    step = np.ones(batch, np.int64) if not system.chooses or reflector is None else np.asarray(reflector)[:, k]
    inside = (step > 0) & (k + step < system.num_users)
    return np.where(inside, k + step, 0), inside.astype(float)


def expect(
    system: Parameters, known: Any, design: VehicularDesign, look: motion.Outlook | None = None, safety_db: float = 0.0
) -> Expected:
    """The frame's expected rates and credits. `safety_db`: margin of echoes to come, in the credit alone."""
    look = motion.outlook(system, known) if look is None else look
    share, batch = np.asarray(design.sensing_share, float), len(known)
    width = np.asarray(design.refract_width, float)
    full = mean_echo(system, look, design.reflect_width)
    if system.unauthorised_radar:
        full = full * radar.kept(system, look, design)
    helped, lasting, rate = np.zeros_like(share), np.zeros_like(share), np.zeros_like(share)
    credit = np.array(known.helper_snr, float)
    first, each = first_rate(system, look, width), np.arange(batch)
    for k in range(system.num_users):
        a = share[:, k]
        own = system.reflect_share * a * full[:, k]
        credit[:, k] += (own + helped[:, k]) * 10.0 ** (-0.1 * safety_db)
        longest = lasting[:, k] / np.maximum(helped[:, k], 1e-30)
        phi = data_rate(system, look, k, own, helped[:, k], a, longest, width[:, k])
        rate[:, k] = (1.0 - a) * phi + a * first[:, k]
        if (there := helped_by(system, design.reflector, k, batch)) is not None:
            j, inside = there
            gamma = inside * (1.0 - a) * full[each, j]
            helped[each, j] += gamma
            lasting[each, j] += gamma * (1.0 - a)
    return Expected(rate, credit)


def evaluate(system: Parameters, known: Any, design: VehicularDesign) -> VehicularMetrics:
    """Expected metrics at what is known: mean gains, expected rates; no error of position."""
    look = motion.outlook(system, known)
    found = expect(system, known, design, look)
    width_c = system.width_span * np.asarray(design.refract_width, float) * look.spread
    refract = beams.mean_gain(system.num_cols, look.spread, width_c, beams.REFRACT)
    reflect = mean_echo(system, look, design.reflect_width) / look.echo
    share = np.asarray(design.sensing_share, float)
    leaked = radar.expected_snr(system, look, design) if system.unauthorised_radar else np.zeros_like(share)
    real = np.asarray(known.belief_mean).dtype
    arrays = (found.rate, found.credit, share, refract, reflect, leaked)
    rate, credit, share, refract, reflect, leaked = (array.astype(real) for array in arrays)
    return frame.assemble(
        system, known, rate=rate, credit=credit, share=share, refract_gain=refract, reflect_gain=reflect, radar_snr=leaked
    )


# -- shares ---------------------------------------------------------------------------------------------------------------------


def needed_share(
    system: Parameters, known: Any, full: np.ndarray, reflector: np.ndarray | None = None
) -> np.ndarray:
    """Least shares (B, K) with predicted gamma >= Gamma and 1 dB to spare; 0 without a requirement.

    `a_k = clip((Gamma - have_k) / (eps f_k), 0, 1)`, f = `full` (mean echo of a whole slot, B, K) less 1 dB, have: `helper_snr`
    and the helper echoes of slots before in this frame, `(1 - a) f`.
    """
    share = np.zeros_like(full)
    if system.threshold is None:
        return share
    batch, each = len(full), np.arange(len(full))
    planned, have = full * 10.0 ** (-0.1 * SAFETY_DB), np.array(known.helper_snr, float)
    for k in range(system.num_users):
        own = np.maximum(system.reflect_share * planned[:, k], 1e-30)
        share[:, k] = np.clip((system.threshold - have[:, k]) / own, 0.0, 1.0)
        if (there := helped_by(system, reflector, k, batch)) is not None:
            j, inside = there
            have[each, j] += inside * (1.0 - share[:, k]) * planned[each, j]
    return share


def triggered_share(system: Parameters, look: motion.Outlook) -> np.ndarray:
    """a = 0.1 where the predicted mean gain of a focused data beam is below 0.8, else 0, (B, K)."""
    gain = beams.mean_gain(system.num_cols, look.spread, np.zeros_like(look.spread), beams.REFRACT)
    return np.where(gain < TRIGGER_GAIN, TRIGGER_SHARE, 0.0)


def ruled_share(
    system: Parameters, known: Any, reflect_width: np.ndarray, reflector: np.ndarray | None = None
) -> np.ndarray:
    """Need-only shares where there is a requirement, else event-triggered ones: `control="surface"`."""
    look = motion.outlook(system, known)
    if system.threshold is None:
        return triggered_share(system, look)
    return needed_share(system, known, mean_echo(system, look, reflect_width), reflector)
