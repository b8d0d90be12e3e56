"""Diagnostics of channels against their definitions, and where `info` tells them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from ris_gym import diagnostics, registry, systems
from ris_gym import variables as var


def complex_normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


# -- definitions --------------------------------------------------------------------------------------------------------------


def test_gain_correlation_and_rank_by_definition() -> None:
    rows = complex_normal(np.random.default_rng(0), 3, 4, 5)
    for b in range(3):
        h = rows[b]
        assert np.allclose(diagnostics.gain_db(rows)[b], [10 * np.log10(np.vdot(x, x).real) for x in h])
        wanted = [[abs(np.vdot(x, y)) ** 2 / (np.vdot(x, x) * np.vdot(y, y)).real for y in h] for x in h]
        assert np.allclose(diagnostics.correlations(rows)[b], wanted)
        off = [wanted[i][j] for i in range(4) for j in range(4) if i != j]
        assert diagnostics.mean_correlation(rows)[b] == pytest.approx(np.mean(off))
        q = np.sqrt(np.linalg.eigvalsh(h @ h.conj().T))
        q /= q.sum()
        assert diagnostics.effective_rank(rows)[b] == pytest.approx(np.exp(-np.sum(q * np.log(q))))
        assert diagnostics.matrix_gain_db(rows)[b] == pytest.approx(10 * np.log10(np.trace(h @ h.conj().T).real))


def test_coupling_by_projections() -> None:
    rng = np.random.default_rng(1)
    one, other = complex_normal(rng, 4, 2, 6), complex_normal(rng, 4, 3, 6)

    def projector(rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.linalg.pinv(rows) @ rows)

    wanted = [np.trace(projector(one[b]) @ projector(other[b])).real / 2 for b in range(4)]
    assert np.allclose(diagnostics.coupling(one, other), wanted) and np.allclose(diagnostics.coupling(other, one), wanted)
    mixed = complex_normal(rng, 4, 2, 2) @ one
    assert np.allclose(diagnostics.coupling(one, mixed), 1.0)
    twice = np.concatenate([one[:, :1], 2j * one[:, :1]], axis=1)  # rank one
    assert np.allclose(diagnostics.coupling(twice, one), 1.0) and np.allclose(diagnostics.effective_rank(twice), 1.0)


def test_zero_and_missing_rows() -> None:
    rows = np.zeros((2, 3, 4), complex)
    rows[1, 0, 0] = 1e-3
    assert np.array_equal(diagnostics.gain_db(rows), [[-200.0] * 3, [-60.0, -200.0, -200.0]])
    assert np.all(diagnostics.mean_correlation(rows) == 0.0) and np.allclose(diagnostics.effective_rank(rows), [0.0, 1.0])
    assert np.array_equal(diagnostics.coupling(rows, np.ones((2, 1, 4), complex)), [0.0, 0.25])
    none = rows[:, :0]
    assert np.all(diagnostics.coupling(none, rows) == 0.0) and np.all(diagnostics.effective_rank(none) == 0.0)
    assert np.all(diagnostics.mean_correlation(none) == 0.0) and np.all(diagnostics.mean_correlation(rows[:, :1]) == 0.0)


# -- systems ------------------------------------------------------------------------------------------------------------------


def made(name: str, **fields: Any) -> tuple[Any, Any, Any]:
    system = systems.make(name, **fields)
    scene = system.sample(np.random.default_rng(2), 2)
    raw = np.random.default_rng(3).uniform(-1.0, 1.0, (2, var.length(system.variables())))
    return system, scene, system.project(scene, system.decode(system.known(scene), raw))


def test_beampattern_and_active_crb_channels() -> None:
    system, scene, design = made("beampattern", num_elements=6, num_antennas=4, num_users=2)
    found = system.channel_diagnostics(scene, design)
    psi = np.diag(design.coefficients[1])
    users = scene.ris_user[1].conj() @ psi @ scene.bs_ris[1] + scene.bs_user[1].conj()
    targets = system.steering.conj() @ psi @ scene.bs_ris[1]
    assert np.allclose(found["channel_gain_db"][1], 10 * np.log10(np.sum(np.abs(users) ** 2, axis=1)))
    assert np.allclose(found["target_gain_db"][1], 10 * np.log10(np.sum(np.abs(targets) ** 2, axis=1)))
    assert found["channel_coupling"][1] == pytest.approx(diagnostics.coupling(users[None], targets[None])[0])
    system, scene, design = made("active_crb", num_elements=4, num_antennas=5, num_users=2, num_scatterers=3)
    found = system.channel_diagnostics(scene, design)
    psi = np.diag(design.coefficients[0])
    users = scene.ris_user[0].conj() @ psi @ scene.bs_ris[0]
    through = scene.target_response[0] @ psi @ scene.bs_ris[0]
    values, vectors = np.linalg.eigh(through.conj().T @ through)
    lit = vectors[:, np.argsort(values)[-2:]].conj().T
    assert np.allclose(found["channel_gain_db"][0], 10 * np.log10(np.sum(np.abs(users) ** 2, axis=1)))
    assert found["channel_coupling"][0] == pytest.approx(diagnostics.coupling(users[None], lit[None])[0], abs=1e-6)
    back = scene.bs_ris[0].T @ psi
    assert found["receive_rank"][0] == pytest.approx(diagnostics.effective_rank(back[None])[0])
    assert found["receive_gain_db"][0] == pytest.approx(20 * np.log10(np.linalg.norm(back)))


@pytest.mark.parametrize("protocol", ["es", "ts"])
def test_multifunctional_channels(protocol: str) -> None:
    system, scene, design = made("multifunctional", protocol=protocol, num_users=(2, 1), num_targets=(1, 2))
    found = system.channel_diagnostics(scene, design)
    theta, hop = design.coefficients[1], scene.bs_ris[1]
    users = np.stack([scene.ris_user[1, k].conj() @ np.diag(theta[i]) @ hop for k, i in enumerate((0, 0, 1))])
    targets = np.stack([scene.target_steering[1, t].conj() @ np.diag(theta[i]) @ hop for t, i in enumerate((0, 1, 1))])
    assert np.allclose(found["channel_gain_db"][1], diagnostics.gain_db(users))
    assert np.allclose(found["target_gain_db"][1], diagnostics.gain_db(targets))
    served = (users[:2], users[2:]) if protocol == "ts" else (users, users)
    sides = list(zip(served, (targets[:1], targets[1:]), strict=True))
    wanted = [diagnostics.coupling(c[None], s[None])[0] for c, s in sides]
    assert np.allclose(found["channel_coupling"][1], wanted)
    ranks = [diagnostics.effective_rank(c[None])[0] for c, _ in sides]
    assert np.allclose(found["channel_rank"][1], ranks if protocol == "ts" else ranks[0])
    assert found["target_correlation"][1, 0] == 0.0 < found["target_correlation"][1, 1]


@pytest.mark.parametrize("model", ["two_user", "consistent"])
def test_nonorthogonal_gains(model: str) -> None:
    system, scene, design = made("nonorthogonal", model=model, num_blocks=2)
    found = system.channel_diagnostics(scene, design)
    names = ("channel_gain_db", "target_gain_db")
    seen = [(scene.comm_spatial_frequency, scene.gain_ris_comm), (scene.spatial_frequency, scene.gain_ris_user)]
    for name, (u, gain) in zip(names, seen if model == "two_user" else [seen[1], seen[1]], strict=True):
        for i in range(2):
            ways = np.exp(1j * system.user_index @ u[0, i])[:, None] * np.exp(-1j * system.element_index @ u[0, i])
            hop = np.outer(scene.incident[0, i], scene.bs_steering[0, i].conj())
            channel = gain[0, i] * scene.gain_bs_ris[0, i] * ways @ np.diag(design.coefficients[0, i]) @ hop
            assert found[name][0, i] == pytest.approx(20 * np.log10(np.linalg.norm(channel))), name


# -- environments -------------------------------------------------------------------------------------------------------------

WANTED = {
    "beampattern": {"channel_gain_db", "channel_correlation", "channel_rank", "target_gain_db", "target_correlation",
                    "target_rank", "channel_coupling"},
    "active_crb": {"channel_gain_db", "channel_correlation", "channel_rank", "channel_coupling", "receive_gain_db",
                   "receive_rank"},
    "multifunctional": {"channel_gain_db", "channel_correlation", "channel_rank", "target_gain_db", "target_correlation",
                        "target_rank", "channel_coupling"},
    "nonorthogonal": {"channel_gain_db", "target_gain_db"},
    "anchor": {"channel_gain_db"},
}  # fmt: skip


@pytest.mark.parametrize("name", WANTED)
def test_info_tells_them_when_asked(name: str) -> None:
    paper, system_class = registry.get(name), systems.get(name)
    page = registry.load(paper.env).__doc__
    assert all(f"`{key}`" in page for key in WANTED[name])
    for episode in system_class.episodes:
        keywords: dict[str, Any] = {"episode": episode.name, "csi_error": 0.1 if system_class.csi_errors else 0.0}
        if "csi_error" in episode.fixed:
            keywords.pop("csi_error")
        quiet, env = (
            gymnasium.make_vec(paper.id, 2, **keywords, dtype="complex128", autoreset_mode="Disabled", **more).unwrapped
            for more in ({}, {"diagnostics": True})
        )
        env.action_space.seed(0)
        action = env.action_space.sample()
        quiet.reset(seed=0)
        env.reset(seed=0)
        system, scene = env.system, env.scene
        known = system.known(scene)
        start = system.project(scene, system.decode(known, system.start(known)))
        plain, info = quiet.step(action)[-1], env.step(action)[-1]
        sequential = episode.length is not None
        keys = WANTED[name] | (set() if sequential else {f"{key}_first" for key in WANTED[name]})
        assert {key for key in info.keys() - plain.keys() if not key.startswith("_")} == keys
        now, first = system.channel_diagnostics(scene, env.design), system.channel_diagnostics(scene, start)
        for key in WANTED[name]:
            assert np.allclose(info[key], now[key], atol=1e-9) and np.isfinite(info[key]).all()
            assert sequential or np.allclose(info[f"{key}_first"], first[key], atol=1e-6)
        assert info["objective"].tolist() == plain["objective"].tolist()


def test_first_design_of_episodes_that_begin_later() -> None:
    env = gymnasium.make_vec(
        "ris_gym/Beampattern-v0", 3, num_elements=4, horizon=4, diagnostics=True, start="random", autoreset_mode="Disabled"
    ).unwrapped  # fmt: skip
    env.reset(seed=0)
    one = env.step(env.action_space.sample())[-1]
    env.reset(options={"reset_mask": np.array([False, True, False])})
    begun = env.system.channel_diagnostics(env.scene, env.design)["channel_gain_db"]
    two = env.step(env.action_space.sample())[-1]
    key = "channel_gain_db_first"
    assert np.array_equal(one[key][[0, 2]], two[key][[0, 2]]) and np.allclose(two[key][1], begun[1])
    assert one[key][1] != two[key][1]
    with pytest.raises(TypeError, match="diagnostics must be True or False"):
        gymnasium.make("ris_gym/Beampattern-v0", diagnostics=1)
