"""`ris_gym/ActiveCrb-v0`: Cramér-Rao bound of an extended target behind an amplifying surface under an SINR constraint."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.active_crb import ActiveCrb


class ActiveCrbEnv(RisEnv):
    r"""Cramér-Rao bound of an extended target behind an amplifying surface under an SINR constraint.

    ## Description

    A base station (BS) with M antennas serves K users and senses an extended target through an active surface of N elements,
    N <= M; the direct paths are blocked. It sends `x = W s + x_r`: one beam per user and a sensing signal `x_r` of covariance
    `R_0 = L L^H`. Element n of the surface multiplies what arrives by `v_n = a_n exp(j phi_n)`, `a_n <= a_max`, and adds noise of
    power `sigma_r^2` each time the signal passes: on the way to users and target, and on the way back from the target to the BS.
    With G the channel from BS to surface, `h_k` that from surface to user k, `H` (N x N, symmetric) the response of the target,
    `Psi = diag(v)`, `A = diag(a)` and `R = W W^H + R_0`:

    - the BS receives `Y = G^T Psi H Psi G X + G^T Psi N_2 + N_b` over T snapshots and estimates all N^2 entries of H. Their
      Cramér-Rao bound (CRB), the same for all phases of the surface, is
      `CRB = 1/T (sum_n [(G R G^H)^-1]_nn / a_n^2) (N sigma_r^2 + sigma_b^2 sum_n [(G G^H)^-1]_nn / a_n^2)`;
    - `c_k = h_k^H Psi G`, `SINR_k = |c_k w_k|^2 / (sum_{j != k} |c_k w_j|^2 + c_k R_0 c_k^H + sigma_r^2 sum_n |h_kn|^2 a_n^2
      + sigma_u^2)`;
    - the surface radiates, with `B = G R G^H`, `sum_n a_n^2 (B_nn + sigma_r^2)` in the first pass and
      `sum_n a_n^2 ([H Psi (B + sigma_r^2 I) Psi^H H^H]_nn + sigma_r^2)` in the second.

    The task: minimise the CRB subject to `SINR_k >= gamma_k`, `tr R <= P_0`, both passes together `<= P_s`, `a_n <= a_max`.
    Powers and amplitudes hold for every action, the SINR is a soft constraint (cost). Channels and target are new in every
    episode: an agent must learn to design for channels that it has never seen.

    Phases and amplitudes matter by way of the users and the surface's power budget. Without users
    (`sinr_threshold_db=None`, `kind="passive"` with it) a closed form is within 0.01 dB of the optimum: those presets are
    references, little is left to learn in them.

    ## Action Space

    `Box(-1, 1, (n,), float32)`, n = 2 M (K + N) + 2 N by default. Complex arrays: all real, then all imaginary parts. Numbers
    outside the box are clipped; nan, inf and wrong shapes raise `ValueError`. There is no discrete alphabet: `action="discrete"`
    raises `ValueError`.

    | `control` | part | numbers | meaning of x in [-1, 1] |
    | --- | --- | --- | --- |
    | `full` | `beams` | 2 M K | W, and |
    | `full` | `sensing_beams` | 2 M N | L: `[W, L]` is scaled, up or down, to the first budget (P_0 or P_s) that binds |
    | all | `amplitude` | N | `20 log10(a_n / a_cap) = 30 (x - 1)` dB; not for `kind="passive"` |
    | all | `phase` | N | `phi_n = pi x`; periodic |
    | `structured` | `user_power` | K | share of power of user k: softmax of 4 x over users and target |
    | `structured` | `target_power` | N | share of power of the n-th direction of the row space of G |
    | `structured` | `regulariser` | 1 | loading of regularised zero-forcing: 10^(2 x - 2) of the mean power of its rows |
    | `surface` | (`amplitude`, `phase` only) | - | the beams follow in closed form: no interference, what power is left senses |

    `a_cap` is `a_max`, or less where the surface's own noise would take more than half of P_s (never in the presets). Sensing
    only: `structured` has neither `user_power` nor `regulariser`. In `full`, sensing beams that leave `G R G^H` singular are
    lifted a little (else the CRB is infinite).

    What an action does depends on `episode`. `one_shot` and `fading`: it is the raw vector u of the design. `refine`: it
    moves the raw vector, `u <- u + step_size * action` (phases wrap, the rest is clipped). Beams in closed form are computed
    from the channels as the agent knows them; the budgets are met on the true ones.

    ## Observation Space

    `Box(-10, 10, (size,), float32)`; `env.unwrapped.observation_layout` maps each name to (start, stop, shape). Real part
    before imaginary part in axes of length 2. Everything is computed from what is known (`csi_error`,
    `target_response_error`), and of order one: no running normalisation is needed.

    | name | shape | held in | meaning |
    | --- | --- | --- | --- |
    | `bs_ris` | (2, N, M) | always | G over its path-loss amplitude |
    | `ris_user` | (2, K, N) | always | `h_k` over its rms |
    | `ris_user_level` | (K,) | always | rms of `h_k` over the path loss to the centre of the users' area, dB / 10 |
    | `target_response` | (2, N (N + 1) / 2) | always | upper triangle of H over its nominal rms |
    | `raw` | (n,) | a design | the current raw vector u |
    | `score` | (1,) | a design | see Rewards |
    | `margins` | (K,) | a design | `m_k / 10`, `m_k = 10 log10(SINR_k / gamma_k)` dB, within 4; not in sensing only |
    | `budgets` | (2,) | a design | BS and surface power over P_0 and P_s; passive: (1,), the BS's |
    | `time_left` | (1,) | `refine` | part of the episode that is left |
    | `direction` | (n,) | `local` | `sqrt(n) d / ‖d‖`, d = derivative of score - penalty * cost with respect to u; see below |
    | `log_norm` | (1,) | `local` | `log10(‖d‖ + 1e-6)` |
    | `ascent` | (3, n) | `local` | prox-linear steps of lengths 0.03, 0.3, 1.5, in units of 0.25, at most of rms 1; see below |
    | `ascent_log_norm` | (3,) | `local` | `log10` of the rms of those steps |
    | `alignment` | (2, K, N) | `local` | the element's own path to user k times the conjugate of the whole path, rms 1 |
    | `share` | (3, N) | `local` | `log10(N s + 1e-3)`, s = share of both sums of the CRB, of the power (passive: (2, N)) |
    | `gram` | (2, K (K - 1) / 2) | `local` | products of the unit rows `c_k`, upper triangle |

    "a design": in `refine` and `fading` (there the last block's design on the new channel), and with `observation="local"`.
    In `one_shot` with `local` it is the design of the start rule. A prox-linear step for the length t ascends `min_i (s_i
    + grad s_i . d) - penalty * sum_k max(0, -(c_k + grad c_k . d)) - ‖d‖^2 / (2 t)`, `s_i` the score that each power budget
    alone would allow (their least is the score), `c_k = max(m_k / 10, -3)`. `direction` and `ascent` are shortened where their
    largest entry would exceed 9.9. For controls other than `full` the derivatives need torch.

    ## Rewards

    With LB a lower bound of the CRB over all designs (SINR, noise of the surface in its budget and second pass dropped), in
    closed form for each scene:

    - `objective = 10 log10 CRB`, at most 100 dB above LB; score = `-(objective - LB) / 10`, at least -6: 0 is optimal, -1 is
      10 dB off. The start rule of the default has -0.15 on average; designs uniform in the box of `full` lie at -6;
    - cost = `sum_k max(0, -m_k) / 10`, at most 3 per user; 0 in sensing only;
    - value V = score - `penalty` * cost, on the true channels.

    `one_shot` and `fading`: the reward is V of the design. `refine`: it is the gain of V, so that the return (without
    discount) is the last V minus the first. V lies between -6 - 3 K penalty and 0, a gain of V within the width of that range.

    `info` holds `objective` (dB), `score`, `cost`, `feasible`, `is_success` (= feasible), `margins` (`sinr`, dB; empty in sensing
    only), `nmse_bound_db` (CRB over `‖H‖^2`), `gap_db` (objective over LB), `sinr_db`, `rate` (bit/s/Hz), `min_sinr_margin_db`
    (not in sensing only), `power_w`, `power_slack_db`, and of an active surface `surface_power_w`, `first_pass_w`,
    `second_pass_w`, `surface_slack_db` (slack: budget over power) and `surface_room_db` (by how much R may grow within P_s).
    With `diagnostics=True` also, from the true channels, of the users' rows `c_k = (h_k^* o v)^T G` the gains `channel_gain_db`,
    the mean `channel_correlation` and the effective `channel_rank` (`exp(-sum q ln q)`, q the singular values over their sum);
    `channel_coupling`, the mean `sigma^2(Q_c^H Q_s)` of bases of them and of the K leading right singular vectors of `H Psi G`
    (1: same subspace); of the way back `G^T Psi` `receive_gain_db` (`||.||_F^2`) and `receive_rank`. Each also with the suffix
    `_first`: of the episode's first design (`refine`: the start; else the start rule's).
    `env.unwrapped.system.diagnostics(scene, design)` adds an MSE that stays finite for singular designs and the power of the
    noise that the CRB neglects.

    ## Starting State

    New channels: Rician from and to the surface, users uniform in their rectangle, scatterers of the target uniform in
    theirs with complex Gaussian amplitudes by the radar equation; or scenes of `scenes` /
    `reset(options={"scene": ...})`. The first design of `refine` comes from `start`: `rule` has all amplitudes at the cap, the
    best of 2 N linear phase profiles and the beams of `control="surface"`; `random` is uniform in the box.

    ## Episode End

    `one_shot` terminates after its only step, `refine` after `horizon` steps. `fading` is truncated after `horizon` steps
    (at least 2): the channel would go on. There the scattered parts of G and `h_k` evolve, the target stays.
    `max_episode_steps` truncates earlier.

    ## Arguments

    Of every environment (the first value is the default):

    | keyword | values | meaning |
    | --- | --- | --- |
    | `episode` | `refine`, `one_shot`, `fading` | improve one design step by step / one design per scene / one design per block |
    | `horizon`, `step_size`, `start` | 16, 0.25, `rule` / `random` | steps, increment per unit of action, first design |
    | `control` | `full`, `structured`, `surface` | what the action sets, see above |
    | `action` | `box` | |
    | `observation` | `csi`, `local` | channels and design, or with their local frame too |
    | `dtype` | `complex64`, `complex128` | precision of the rollout |
    | `penalty` | 2 | weight of the cost |
    | `csi_error` | 0 | e: the agent knows `X + e rms(X) CN` for X = G and every `h_k`; rewards use X |
    | `correlation` | 0.95 | of the scattered channels from block to block in `fading` |
    | `scenes`, `scenes_order` | None / path / Scene, `random` / `sequential` | draw scenes from a set |
    | `diagnostics` | False | True: `info` says how the surface shapes the channels; costs time |
    | `render_mode` | None, `rgb_array` | map, radiated power, amplitudes, phases, SINR, budgets, bound |
    | `preset` | see below | named values of the system's keywords |

    Of this system (units in the names):

    | keyword | default | meaning |
    | --- | --- | --- |
    | `num_antennas`, `num_elements`, `num_users` | 16, 8, 3 | M, N, K; M >= N >= K, else `ValueError` |
    | `num_scatterers` | 12 | of the target |
    | `kind` | `active` | `passive`: `a_n` = 1, no noise and no power budget of the surface |
    | `bs_position_m`, `ris_position_m`, `target_position_m` | (0, 0), (30, 10), (35, 4) | plane geometry; both arrays along x |
    | `target_size_m` | (4.5, 2) | x by y of the rectangle of the scatterers |
    | `target_rcs_m2` | 10 | radar cross section |
    | `user_area_m` | (50, 70, -35, -10) | x_min, x_max, y_min, y_max of the users' rectangle |
    | `path_loss_1m_db` | 30 | path loss at 1 m |
    | `exponent_bs_ris`, `exponent_ris_user` | 2.2, 2.8 | path-loss exponents; to and from the target 2 |
    | `rician_db` | 5 | Rician factor of both links |
    | `power_dbm`, `surface_power_dbm` | 30, 5 | P_0, P_s |
    | `max_gain_db` | 30 | `a_max^2`, power gain |
    | `noise_bs_dbm`, `noise_user_dbm`, `noise_surface_dbm` | -90 each | `sigma_b^2`, `sigma_u^2`, `sigma_r^2` |
    | `num_snapshots` | 256 | T |
    | `sinr_threshold_db` | 12 | gamma, one number, K numbers, or None: sensing only |
    | `target_response_error` | 0 | e: the agent knows `H + e rms(H) Z`, Z symmetric with CN entries |

    | `preset` | values |
    | --- | --- |
    | `default` | as above |
    | `sensing_only` | `sinr_threshold_db=None` |
    | `hard` | `sinr_threshold_db=15` |
    | `surface_limited` | `surface_power_dbm=0` |
    | `surface_limited_sensing` | `surface_power_dbm=-5`, `sinr_threshold_db=None` |
    | `passive` | `kind="passive"`, `sinr_threshold_db=None` |
    | `large` | `num_antennas=32`, `num_elements=16`, `num_users=4` |

    >>> import gymnasium as gym, ris_gym
    >>> env = gym.make("ris_gym/ActiveCrb-v0", control="surface", preset="hard")
    >>> env.action_space.shape, env.observation_space.shape
    ((16,), (402,))
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> info["margins"]["sinr"].shape, info["gap_db"] >= 0.0
    ((3,), True)
    >>> envs = gym.make_vec("ris_gym/ActiveCrb-v0", num_envs=64, episode="one_shot", autoreset_mode="SameStep")
    >>> envs.reset(seed=0)[0].shape
    (64, 379)

    ## References

    Y. Fang et al., "Active IRS-Enabled Integrated Sensing and Communications with Extended Targets", arXiv 2508.00379: the
    model is that of its equations (3) (SINR), (6) (power of the surface), (7)-(9) (echo) and (16) (CRB), the tasks its problems
    (P1), and (P2) for sensing only. Their formulas did not survive in the text at hand: they were re-derived from the signal
    model and checked numerically, the CRB against a Fisher matrix by finite differences. Assumed where the text is silent: the
    way back is `G^T`, through the same `Psi`; (6) is the sum of both passes without their coherent cross term; the noises of the
    passes are independent and of equal power; users cannot cancel the sensing signal; the bound is for an unstructured H
    although H is symmetric; the noise `G^T Psi H Psi N_1` is neglected as in the paper. All default numbers (geometry, powers,
    path loss, Rician factor, thresholds, T) and the way in which targets are drawn are assumptions, not the paper's. Added here:
    the lower bound in the score, the beams of `surface` and `structured`, the floor for singular designs, CSI and target
    response errors, fading, the episodes and observations.

    ## Version History

    - v0: initial version
    """

    system_class = ActiveCrb


class ActiveCrbVectorEnv(RisVectorEnv):
    """The vector form of `ActiveCrbEnv` (see there): `num_envs` episodes advanced together.

    Adds `num_envs`, `max_episode_steps` and `autoreset_mode` ("NextStep", "SameStep", "Disabled"). `reset(options=...)` takes
    `scene` (one entry per episode begun) and `reset_mask`.
    """

    system_class = ActiveCrb
