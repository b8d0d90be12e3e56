"""`ris_gym/Beampattern-v0`: max-min beampattern gain of a surface under an SINR constraint."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.beampattern import Beampattern


class BeampatternEnv(RisEnv):
    r"""Max-min beampattern gain of a reconfigurable surface under an SINR constraint.

    ## Description

    A base station (BS) with M antennas serves K users and lights up L sensing directions through a passive surface of N
    elements; the directions are seen by way of the surface only. It sends `x = W s + x_r`: one beam per user and a sensing
    signal `x_r` of covariance `R_0 = F_0 F_0^H`, with total power P. The surface multiplies what arrives at element n by
    `v_n`, `|v_n| = 1`. With G the channel from BS to surface, `h_rk` and `h_dk` those from surface and BS to user k, and
    `a_l` the steering vector towards angle l:

    - beampattern gain (W): `p_l = a_l^H diag(v) G R G^H diag(v)^H a_l`, `R = W W^H + R_0`;
    - effective channel of user k: `h_k^H = h_rk^H diag(v) G + h_dk^H`;
    - `SINR_k = |h_k^H w_k|^2 / (sum_{j != k} |h_k^H w_j|^2 + e h_k^H R_0 h_k + sigma^2)`, e = 0 if users cancel the sensing
      signal.

    The task: maximise `min_l p_l` subject to `SINR_k >= Gamma_k`, `tr R <= P`, `|v_n| = 1`. Power and unit modulus hold for
    every action, the SINR is a soft constraint (cost). Channels are new in every episode: an agent must learn to design for
    channels that it has never seen.

    ## Action Space

    `Box(-1, 1, (n,), float32)`, n = N + 2 M (K + S) by default, S = `num_sensing_beams`. Complex arrays: all real, then all
    imaginary parts. Numbers outside the box are clipped; nan, inf and wrong shapes raise `ValueError`.

    | `control` | part | numbers | meaning of x in [-1, 1] |
    | --- | --- | --- | --- |
    | all | `phase` | N | `v_n = exp(j pi x)`, with `phase_bits` b rounded to the nearest of 2^b phases; periodic |
    | `full` | `beams` | 2 M K | W, and |
    | `full` | `sensing_beams` | 2 M S | F_0: `[W, F_0]` is scaled to power P |
    | `structured` | `user_power` | K | share of power of user k: softmax of 4 x over users and directions |
    | `structured` | `target_power` | L | share of power of direction l |
    | `structured` | `regulariser` | 1 | loading of the regularised zero-forcing beams: 10^(2 x) of the mean power of its rows |
    | `surface` | (phases only) | - | the beams follow from the phases in closed form |

    `action="discrete"` (needs `phase_bits` and `control="surface"`): `MultiDiscrete` with 2^b values for each element,
    value i for the phase `2 pi i / 2^b`.

    What an action does depends on `episode`. `one_shot` and `fading`: it is the raw vector u of the design. `refine`: it
    moves the raw vector, `u <- u + step_size * action` (phases wrap, the rest is clipped); a discrete action sets the whole
    raw vector. In `structured` and `surface` the beams are computed from the channels as the agent knows them.

    ## Observation Space

    `Box(-10, 10, (size,), float32)`; `env.unwrapped.observation_layout` maps each name to (start, stop, shape). Real part
    before imaginary part in axes of length 2. Everything is computed from what is known (`csi_error`), and of order one: no
    running normalisation is needed.

    | name | shape | held in | meaning |
    | --- | --- | --- | --- |
    | `bs_ris` | (2, N, M) | always | G over its path-loss amplitude |
    | `ris_user` | (2, K, N) | always | `h_rk` over its path-loss amplitude |
    | `bs_user` | (2, K, M) | always | `sqrt(M) h_dk / ‖h_dk‖` |
    | `bs_user_level` | (K,) | always | level of `h_dk` over its path loss, dB / 10 |
    | `raw` | (n,) | a design | the current raw vector u |
    | `gains` | (L,) | a design | `10 log10(p_l / p_ref) / 10`, at least -6 |
    | `margins` | (K,) | a design | `m_k / 10`, `m_k = 10 log10(SINR_k / Gamma_k)` dB, at least -4 |
    | `time_left` | (1,) | `refine` | part of the episode that is left |
    | `direction` | (n,) | `local` | `sqrt(n) d / ‖d‖`, d = derivative of score - penalty * cost with respect to u |
    | `log_norm` | (1,) | `local` | `log10(‖d‖ + 1e-6)` |
    | `ascent` | (3, n) | `local` | prox-linear steps of lengths 0.03, 0.3, 1.5, in units of 0.25, at most of rms 1 |
    | `ascent_log_norm` | (3,) | `local` | `log10` of the rms of those steps |
    | `alignment` | (2, K + L, N) | `local` | conj(whole path) times the element's own path, per user and direction, rms 1 |
    | `gram` | (2, pairs) | `local` | products of the unit effective channels of users and directions, upper triangle |

    "a design": in `refine` and `fading` (there the last block's design on the new channel), and with `observation="local"`.
    In `one_shot` with `local` it is the design of the start rule. A prox-linear step for the length t ascends `min_l (s_l
    + grad s_l . d) - penalty * sum_k max(0, -(c_k + grad c_k . d)) - ‖d‖^2 / (2 t)`: where several gains tie, it raises all
    of them together, while d jumps between them. For controls other than `full` the derivatives need torch.

    ## Rewards

    With `p_ref = P rho^2 N^2 M / L`, rho the path-loss amplitude from BS to surface (of scenes from a file: the rms of the
    file's `bs_ris`):

    - score = `10 log10(min_l p_l / p_ref) / 10`, at least -6; near-optimal designs of the default have about -0.4, random
      ones -2.2;
    - cost = `sum_k max(0, -m_k) / 10`, in [0, 4 K];
    - value V = score - `penalty` * cost, on the true channels.

    `one_shot` and `fading`: the reward is V of the design. `refine`: it is the gain of V, so that the return (without
    discount) is the last V minus the first. V lies between -6 - 4 K penalty and about 0, a gain of V within the width of
    that range.

    `info` holds `objective` (dBm), `score`, `cost`, `feasible`, `is_success` (= feasible), `margins` (`sinr`, dB),
    `gains_dbm`, `sinr_db`, `rate` (bit/s/Hz) and `power_w`. With `diagnostics=True` also, from the true channels, of the users'
    rows `h_k^H` and the angles' `g_l^H` the gains `channel_gain_db`, `target_gain_db` (`||h||^2` in dB), the mean correlations
    `channel_correlation`, `target_correlation` (`|h_i^H h_j|^2 / (||h_i||^2 ||h_j||^2)`), the effective ranks `channel_rank`,
    `target_rank` (`exp(-sum q ln q)`, q the singular values over their sum), and `channel_coupling`, the mean `sigma^2(Q_c^H
    Q_s)` of bases of both (1: same subspace). Each also with the suffix `_first`: of the episode's first design (`refine`: the
    start; else the start rule's).

    ## Starting State

    New channels: Rician from and to the surface, Rayleigh with log-normal shadowing for the direct path, users uniform in
    their disc; or scenes of `scenes` / `reset(options={"scene": ...})`. The first design of `refine` comes from `start`:
    `rule` is a quadratic-phase superposition of all desired directions with closed-form beams, about 9 dB below `p_ref`;
    `random` is uniform in the box.

    ## Episode End

    `one_shot` terminates after its only step, `refine` after `horizon` steps. `fading` is truncated after `horizon` steps
    (at least 2): the channel would go on. `max_episode_steps` truncates earlier.

    ## Arguments

    Of every environment (the first value is the default):

    | keyword | values | meaning |
    | --- | --- | --- |
    | `episode` | `refine`, `one_shot`, `fading` | improve one design step by step / one design per scene / one design per block |
    | `horizon`, `step_size`, `start` | 16, 0.25, `rule` / `random` | steps, increment per unit of action, first design |
    | `control` | `full`, `structured`, `surface` | what the action sets, see above |
    | `action` | `box`, `discrete` | |
    | `observation` | `csi`, `local` | channels and design, or with their local frame too |
    | `dtype` | `complex64`, `complex128` | precision of the rollout |
    | `penalty` | 1 | weight of the cost |
    | `csi_error` | 0 | e: the agent knows `X + e rms(X) CN` for every channel X; rewards use X |
    | `correlation` | 0.95 | of the scattered channels from block to block in `fading` |
    | `scenes`, `scenes_order` | None / path / Scene, `random` / `sequential` | draw scenes from a set |
    | `diagnostics` | False | True: `info` says how the surface shapes the channels; costs time |
    | `render_mode` | None, `rgb_array` | map, beampattern, phases, SINR, power |
    | `preset` | `five`, `sectors` | five directions, or 25 in five sectors (with `num_sensing_beams` 4) |

    Of this system (units in the names):

    | keyword | default | meaning |
    | --- | --- | --- |
    | `num_antennas`, `num_elements`, `num_users` | 8, 32, 1 | M, N, K |
    | `angles_deg` | (-60, -30, 0, 30, 60) | sensing directions from the normal of the surface |
    | `num_sensing_beams` | 2 | S; 0: information beams only |
    | `spacing` | 0.5 | element spacing over wavelength |
    | `bs_position_m`, `ris_position_m`, `user_position_m` | (0, 0), (40, 10), (45, 0) | plane geometry |
    | `user_radius_m` | 0 | radius of the users' disc |
    | `path_loss_1m_db` | 30 | path loss at 1 m |
    | `exponent_bs_ris`, `exponent_ris_user`, `exponent_bs_user` | 2.2, 2.2, 3.5 | path-loss exponents |
    | `rician_db` | -3.01 | Rician factor of both links of the surface |
    | `shadowing_db` | 10 | standard deviation, direct link |
    | `los_bs_ris` | False | G without scattering |
    | `power_dbm`, `noise_dbm` | 30, -80 | P, noise power |
    | `sinr_threshold_db` | 22 | Gamma, one number or K |
    | `cancel_sensing` | True | e = 0 |
    | `phase_bits` | None | b; None: continuous phases |

    >>> import gymnasium as gym, ris_gym
    >>> env = gym.make("ris_gym/Beampattern-v0", num_elements=16, control="surface", phase_bits=2, action="discrete")
    >>> env.action_space
    MultiDiscrete([4 4 4 4 4 4 4 4 4 4 4 4 4 4 4 4])
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> sorted(info["margins"]), info["margins"]["sinr"].shape
    (['sinr'], (1,))
    >>> envs = gym.make_vec("ris_gym/Beampattern-v0", num_envs=64, episode="one_shot", autoreset_mode="SameStep")
    >>> envs.reset(seed=0)[0].shape
    (64, 593)

    ## References

    X. Song, D. Zhao, H. Hua, T. X. Han, X. Yang, J. Xu, "Joint Transmit and Reflective Beamforming for IRS-Assisted ISAC",
    arXiv 2111.13511: the model is that of its equations (1)-(23), the task its problem (P1). Their definitions were
    re-derived from the text and checked numerically; the default numbers (geometry, path loss, noise, threshold) are
    assumptions, not the paper's. Added here: several users, a sensing signal that is not cancelled, discrete phases, CSI
    error, fading, the episodes and observations.

    ## Version History

    - v0: initial version
    """

    system_class = Beampattern


class BeampatternVectorEnv(RisVectorEnv):
    """The vector form of `BeampatternEnv` (see there): `num_envs` episodes advanced together.

    Adds `num_envs`, `max_episode_steps` and `autoreset_mode` ("NextStep", "SameStep", "Disabled"). `reset(options=...)` takes
    `scene` (one entry per episode begun) and `reset_mask`.
    """

    system_class = Beampattern
