"""Policies of the options of `vehicular`: suppression towards a radar (D4) and the choice of the reflecting vehicle (3A)."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

import baselines
from agents.rollouts import rollout
from ris_gym.systems.vehicular import Vehicular, motion, planning, radar

NEAR: dict[str, Any] = {"unauthorised_radar": True, "radar_position_m": (2.0, 0.0), "radar_snr_offset_db": 10.0}


def later(system: Vehicular, count: int, seed: int = 0) -> Any:
    """Known scenes after four frames, with beliefs of all kinds and echoes of helpers."""
    scene, rng = system.sample(np.random.default_rng(seed), count), np.random.default_rng(seed + 1)
    for _ in range(4):
        scene = system.step(scene, system.made(rng.uniform(0.0, 0.3, (count, system.num_users))))[1]
    return system.known(scene)


def reached(system: Vehicular, name: str, scene: Any, **options: Any) -> Any:
    return rollout(system, baselines.make(name, system, **options), scene, np.random.default_rng(0), 10.0)


def shortfall(ratio: np.ndarray) -> np.ndarray:
    return np.maximum(0.0, 1.0 - ratio)


# -- suppression ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [
    {"preset": "reciprocity", "start_m": -3.0}, {"preset": "requirement"}, {"preset": "reciprocity", "cyclic": False},
    {"preset": "reciprocity", "num_users": 2, "reflect_share": 0.5},
], ids=str)  # fmt: skip
def test_myopic_chooses_the_best_shares_and_suppressions(fields: dict[str, Any]) -> None:
    """By enumeration of the predicted objective, with the radar's echoes of the frame as `evaluate` expects them."""
    system = Vehicular.from_preset(**fields, **NEAR)
    users, grid, levels, penalty, count = system.num_users, (0.0, 0.1, 0.5), (0.0, 0.25, 0.75), 4.0, 5
    known = later(system, count)
    look = motion.outlook(system, known)

    def worth(share: np.ndarray, suppression: np.ndarray) -> np.ndarray:
        design = system.made(share, suppression=suppression)
        plan = planning.expect(system, known, design, look, safety_db=1.0)
        seen = radar.expected_snr(system, look, design)
        excess = shortfall(radar.limit(system) / np.maximum(seen, 1e-12))
        return np.sum(plan.rate - penalty * (shortfall(plan.credit / system.threshold) + excess), axis=1)

    policy = baselines.make("myopic", system, penalty=penalty, grid=grid, suppressions=levels)
    found = policy.solve(known, np.random.default_rng(0)).design
    best = np.full(count, -np.inf)
    for hidden in itertools.product(levels, repeat=users):
        for share in itertools.product(grid, repeat=users):
            best = np.maximum(best, worth(*(np.tile(np.array(a), (count, 1)) for a in (share, hidden))))
    assert np.allclose(worth(found.sensing_share, found.suppression), best, atol=5e-3)
    assert len(np.unique(found.suppression)) > 1
    open_policy = baselines.make("myopic", system, penalty=penalty, grid=grid, hide="never")
    other = open_policy.solve(known, np.random.default_rng(0)).design
    assert np.all(other.suppression == 0.0) and worth(other.sensing_share, other.suppression).mean() < best.mean() - 0.1


def test_one_vehicle_and_an_idle_radar() -> None:
    alone = Vehicular(num_users=1, sensing_threshold_db=18.0, **NEAR)
    known = later(alone, 30)
    found = baselines.make("myopic", alone).solve(known, np.random.default_rng(0)).design
    assert found.suppression.shape == (30, 1) and len(np.unique(found.suppression)) > 1
    system = Vehicular.from_preset("reciprocity")
    away = dataclasses.replace(system, unauthorised_radar=True, radar_snr_offset_db=-60.0)
    known = later(system, 20)
    plain, watched = (baselines.make("myopic", s).solve(known, np.random.default_rng(0)).design for s in (system, away))
    assert np.array_equal(plain.sensing_share, watched.sensing_share) and np.all(watched.suppression == 0.0)


def test_hidden_policies_stay_below_the_bound_and_hide() -> None:
    system = Vehicular.from_preset("reciprocity", num_frames=25, start_m=-9.0, **NEAR)
    scene = system.sample(np.random.default_rng(3), 6)
    bound = baselines.bound(system, scene).value
    found = {hide: reached(system, "need_only_wide", scene, hide=hide) for hide in ("never", "always", "apart")}
    found["chosen"] = reached(system, "myopic_wide", scene)
    assert all(np.all(result.score <= bound) for result in found.values())
    seen = {hide: result.physical["radar_detection"].mean() for hide, result in found.items()}
    assert seen["chosen"] < seen["always"] < seen["never"]
    assert found["chosen"].score.mean() > found["always"].score.mean() > found["never"].score.mean()


# -- reflecting vehicle --------------------------------------------------------------------------------------------------------


def two_frames(system: Vehicular, known: Any, choice: tuple[int, ...]) -> np.ndarray:
    """The value of a choice in the page's words, one scene and vehicle at a time (mode switching, focused beams)."""
    look = motion.outlook(system, known)
    full = planning.mean_echo(system, look, 0.0)
    out = np.zeros(len(known))
    for b in range(len(known)):
        have, echoes = np.array(known.helper_snr[b]), [[] for _ in choice]
        for _ in range(2):
            for k, c in enumerate(choice):
                a = np.clip((system.threshold - have[k]) / (full[b, k] * 10**-0.1), 0.0, 1.0)
                parts = [*echoes[k], (a * full[b, k], a)]
                gamma = sum(g for g, _ in parts)
                length = sum(g * t for g, t in parts) / max(gamma, 1e-30)
                args = (np.array([[gamma]]), np.zeros((1, 1)), np.array([[length]]), np.zeros((1, 1)))
                one = dataclasses.replace(look, **{name: getattr(look, name)[b : b + 1] for name in vars(look)})
                rate = (1.0 - a) * planning.data_rate(system, one, k, *args)[0, 0]
                out[b] += rate - 10.0 * max(0.0, 1.0 - (have[k] + a * full[b, k] * 10**-0.1) / system.threshold)
                have[k], echoes[k] = 0.0, []
                if c:
                    j = (k + c) % len(choice)
                    have[j] += (1.0 - a) * full[b, j] * 10**-0.1
                    echoes[j].append(((1.0 - a) * full[b, j], 1.0 - a))
    return out


def test_reflector_is_the_best_of_all_choices() -> None:
    system = Vehicular.from_preset("reciprocity", choose_reflector=True, sensing_threshold_db=25.0, start_m=-8.0)
    known = later(system, 6)
    choices = list(itertools.product(range(3), repeat=3))
    values = np.stack([two_frames(system, known, choice) for choice in choices])
    found = baselines.make("reflector", system).solve(known, np.random.default_rng(0)).design
    place = [choices.index(tuple(row)) for row in found.reflector.tolist()]
    assert np.allclose(values[place, np.arange(6)], values.max(axis=0), atol=5e-3)
    assert len(set(place)) > 2 and np.all(values.max(axis=0) >= values[choices.index((1, 1, 1))])
    outset = baselines.make("reflector", system).outset(known)
    needed = planning.needed_share(system, known, outset.full, found.reflector)
    assert np.allclose(found.sensing_share, needed)


def test_pairs_in_turns_are_never_worse_than_the_next_vehicle_and_near_the_best() -> None:
    system = Vehicular.from_preset("reciprocity", choose_reflector=True, sensing_threshold_db=26.0, start_m=-8.0)
    policy: Any = baselines.make("reflector", system)
    outset = policy.outset(later(system, 20))
    default, turns, best = (
        policy.value(outset, c) for c in (np.ones((20, 3), int), policy.in_turns(outset), policy.enumerated(outset))
    )
    assert np.all(turns >= default) and np.all(best >= turns - 1e-9) and (best - default).mean() > 0.1
    assert (best - turns).mean() < 0.05 * (best - default).mean()
    large = dataclasses.replace(system, num_users=5, sensing_threshold_db=20.0)
    found = baselines.make("reflector", large).solve(later(large, 6), np.random.default_rng(0)).design
    assert found.reflector.shape == (6, 5) and found.reflector.max() < 5 and np.any(found.reflector != 1)


def test_next_vehicle_is_the_default_system() -> None:
    """Need-only with c = 1 plays the same passes with and without the choice; `reflector` without it is need-only."""
    system = Vehicular.from_preset("reciprocity", num_frames=20)
    chooses = dataclasses.replace(system, choose_reflector=True)
    scene = system.sample(np.random.default_rng(5), 4)
    plain, same, without = (
        reached(s, name, scene).score
        for s, name in ((system, "need_only_wide"), (chooses, "need_only_wide"), (system, "reflector_wide"))
    )
    assert np.array_equal(plain, same) and np.array_equal(plain, without)


def test_reflector_gains_where_the_requirement_is_high_and_stays_below_the_bound() -> None:
    system = Vehicular.from_preset("reciprocity", choose_reflector=True, sensing_threshold_db=24.0, num_frames=40)
    scene = system.sample(np.random.default_rng(2), 6)
    chosen, default = (reached(system, name, scene).score for name in ("reflector_wide", "need_only_wide"))
    assert np.all(chosen <= baselines.bound(system, scene).value) and (chosen - default).mean() > 0.05


def test_wrong_options() -> None:
    for options in ({"hide": "maybe"}, {"suppressions": ()}, {"suppressions": (0.0, 1.5)}):
        with pytest.raises(ValueError, match=next(iter(options))):
            baselines.make("myopic", Vehicular(), **options)
    with pytest.raises(ValueError, match="hide"):
        baselines.make("need_only", Vehicular(), hide="chosen")
