"""`ris_gym/MultiFunctional-v0`: echo SINRs of both half-spaces around a surface that reflects, refracts, amplifies and senses."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.multifunctional import MultiFunctional


class MultiFunctionalEnv(RisEnv):
    r"""Echo SINRs of both half-spaces around a surface that reflects, refracts, amplifies and senses, under rate thresholds.

    ## Description

    A base station (BS) with N antennas serves users and senses targets on both sides of a surface of M = M_h M_v elements in the
    y-z plane; its direct paths are blocked. Side 0 (r) is the half-space of the BS, reached by reflection, side 1 (t) the one
    behind the surface, reached by refraction. The BS sends `x = W s`: one beam per user, and S_0 sensing streams. Element m
    multiplies what arrives by `theta_rm` towards side r and by `theta_tm` towards side t, amplifies, and adds noise of power
    `sigma_s^2`. With H the channel from BS to surface, `g_k` from surface to user k, `a_l`, `b_l` the responses of surface and
    sensors towards target l, `alpha_l` its gain, `A_i = sum_{l in i} alpha_l b_l a_l^H`, and `i(k)` the side of user k:

    - `h_k^H = g_k^H diag(theta_i(k)) H`, `SINR_k = |h_k^H w_k|^2 / (sum_{j != k} |h_k^H w_j|^2
      + sigma_s^2 sum_m |g_km|^2 |theta_im|^2 + sigma_k^2)` over all streams j, `R_k = log2(1 + SINR_k)`;
    - M_s sensors on each side of the surface receive the echo of that side, and the BS directly by way of `G_i`. With
      `X_i = A_i diag(theta_i) H`, `Z_i = sigma_s^2 A_i diag|theta_i|^2 A_i^H + sigma_e^2 I`, and the best receive filter,
      `gamma_i = lambda_max((G_i W W^H G_i^H + Z_i)^-1 X_i W W^H X_i^H)` is the echo SINR of side i;
    - the surface radiates `P_surf = sum_i sum_m |theta_im|^2 (‖[H W]_m‖^2 + sigma_s^2)`.

    The task: maximise the echo SINRs of both sides (`objective_form`) subject to `R_k >= R_min`, `‖W‖^2 <= P_BS`,
    `P_surf <= P_MF` and the gain of the elements. Powers and gains hold for every action, the rates are a soft constraint (cost).
    Channels, users and targets are new in every episode: an agent must learn to design for scenes that it has never seen.

    | `kind`, `protocol` | elements serve | gains `|theta|^2` | surface noise, budget P_MF | echo received by |
    | --- | --- | --- | --- | --- |
    | `mf`, `es` (energy splitting) | both sides | sum over both sides at most `beta_max` | yes | sensors of each side |
    | `mf`, `ms` (mode switching) | one side each, chosen | at most `beta_max` | yes | sensors of each side |
    | `mf`, `ts` (time switching) | both sides in turn | at most `beta_max` | yes, in each slot | sensors of each side |
    | `active` | even ones r, odd ones t | at most `beta_max` | yes | BS, by way of the surface |
    | `star` | both sides | sum exactly 1 | no | BS, by way of the surface |
    | `passive` | even ones r, odd ones t | exactly 1 | no | BS, by way of the surface |

    With time switching side r has the part `lambda_r` of the time, side t the rest: each slot has beams and coefficients of its
    own, rates and echo SINRs count with their part of the time. Where the BS receives, the echo passes the surface twice and
    that of the other side interferes; without amplification echoes are 65 to 70 dB below those of `mf` (start rule, defaults).

    ## Action Space

    `Box(-1, 1, (n,), float32)`, by default n = 2 N (K + S_0) + 4 M, K users and L targets on both sides together. Complex arrays:
    all real, then all imaginary parts. Numbers outside the box are clipped; nan, inf and wrong shapes raise `ValueError`.

    | variable | `mf` `es` | `mf` `ms` | `mf` `ts` | `star` | `active` | `passive` |
    | --- | --- | --- | --- | --- | --- | --- |
    | `beams` (complex) | N K | N K | 2 N K | N K | N K | N K |
    | `sensing_beams` (complex) | N S_0 | N S_0 | 2 N S_0 | N S_0 | N S_0 | N S_0 |
    | `phase` | 2 M | M | 2 M | 2 M | M | M |
    | `amplitude` | M | M | 2 M | - | M | - |
    | `split` | M | - | - | M | - | - |
    | `mode` | - | M | - | - | - | - |
    | `time_fraction` | - | - | 1 | - | - | - |
    | n of `full`, default sizes | 224 | 192 | 321 | 192 | 160 | 128 |
    | n of `structured` | 137 | 105 | 138 | 105 | 73 | 41 |
    | n of `surface` | 128 | 96 | 129 | 96 | 64 | 32 |

    | variable | meaning of x in [-1, 1] |
    | --- | --- |
    | `beams`, `sensing_beams` | `W = sqrt(P_BS) x / max(1, ‖x‖)`; time switching: per slot, for the users of its side |
    | `phase` | pi x; periodic; with `phase_bits` the nearest of 2^b phases. Row r, then row t; else of the side in use |
    | `amplitude` | `sqrt(beta_m) = sqrt(beta_max) (x + 1) / 2` |
    | `split` | `psi = pi (x + 1) / 4`: `cos^2 psi` of `beta_m` towards r, `sin^2 psi` towards t |
    | `mode` | r if x >= 0, else t |
    | `time_fraction` | `lambda_r = 0.5 + 0.45 x` |
    | `user_power` (K), `target_power` (L) | `structured`: share of the BS's power, softmax of 4 x; with time switching per slot |
    | `regulariser` (1) | `structured`: loading of regularised zero-forcing, 10^(2 x - 1) of the mean power of its rows |

    `full` has the variables of the first table. `surface` has all but the beams, which follow in closed form: users get a margin
    of 1 dB over the SINR that they need, what power is left senses. `structured` adds `user_power`, `target_power` (none with
    `num_sensing_beams=0`) and `regulariser`: targets are virtual users with a beam each. For `mf`, beams in closed form avoid the
    sensors' direct paths. Last, all coefficients are scaled down together where the surface would radiate more than P_MF.

    `action="discrete"` needs an alphabet for every variable: `kind="passive"`, `phase_bits` and `control="surface"`; then the
    space is `MultiDiscrete` of M times 2^b. Anything else raises `ValueError`.

    What an action does depends on `episode`. `one_shot` and `fading`: it is the raw vector u of the design. `refine`: it
    moves the raw vector, `u <- u + step_size * action` (phases wrap, the rest is clipped); discrete actions are the design
    itself. `ris_gym.envs.DictActions` is the view by name; there `mode` is `MultiDiscrete` of zeros (r) and ones (t), in `refine`
    increments as all the others. Beams in closed form are computed from the channels as the agent knows them; the budgets are
    met on the true ones.

    ## Observation Space

    `Box(-10, 10, (size,), float32)`; `env.unwrapped.observation_layout` maps each name to (start, stop, shape). Real part
    before imaginary part in axes of length 2. Everything is computed from what is known (`csi_error`), and of order one:
    no running normalisation is needed.

    | name | shape | held in | meaning |
    | --- | --- | --- | --- |
    | `bs_ris` | (2, M, N) | always | H over its rms |
    | `bs_sensor` | (2, 2, M_s, N) | `mf` | `G_i` over the rms of its side |
    | `ris_user` | (2, K, M) | always | `g_k` over its rms |
    | `target_steering` | (2, L, M) | always | `a_l` |
    | `sensor_steering` | (2, L, M_s) | `mf` | `b_l` |
    | `target_phase` | (2, L) | always | `alpha_l` over its modulus |
    | `levels` | (1 + K + L,), `mf` (3 + K + L,) | always | rms of H, `G_i` (`mf`), `g_k`, modulus of `alpha_l`; see below |
    | `raw` | (n,) | a design | the current raw vector u |
    | `echo_sinr` | (2,) | a design | `gamma_r`, `gamma_t`, dB / 20, at least -100 dB |
    | `sinr` | (K,) | a design | `SINR_k` (with time switching within the slot), dB / 10, at least -60 dB |
    | `margins` | (K,) | a design | `m_k / 5`, `m_k = R_k - R_min` in bit/s/Hz |
    | `time_left` | (1,) | `refine` | part of the episode that is left |
    | `direction` | (n,) | `local` | `sqrt(n) d / ‖d‖`, d = derivative of score - penalty * cost with respect to u; see below |
    | `log_norm` | (1,) | `local` | `log10(‖d‖ + 1e-6)` |
    | `ascent` | (3, n) | `local` | prox-linear steps of lengths 0.03, 0.3, 1.5, in units of 0.25, at most of rms 1; see below |
    | `ascent_log_norm` | (3,) | `local` | `log10` of the rms of those steps |
    | `alignment` | (2, K + L, M) | `local` | the element's own path to each user and target; see below |
    | `gram` | (2, (K + L) (K + L - 1) / 2) | `local` | products of the unit rows of users and targets; see below |

    `levels` are in dB / 10 over the path loss, that of users and targets at 20 m. `alignment`: times the conjugate of the whole
    path, rms 1. `gram`: upper triangle, rows `h_k^H` and `a_l^H diag(theta_i) H`.

    "a design": in `refine` and `fading` (there the last block's design on the new channel), and with `observation="local"`.
    In `one_shot` with `local` it is the design of the start rule. A prox-linear step for the length t ascends `s + grad s . d -
    penalty * sum_k max(0, -(c_k + grad c_k . d)) - ‖d‖^2 / (2 t)`, s the score, `c_k = m_k / R_min`. `direction` and `ascent` are
    shortened where their largest entry would exceed 9.9. Rounded phases (`phase_bits`) have the derivative of unrounded ones, the
    derivative of a mode is that of `(1 + x) / 2`. For controls other than `full`, or R_min = 0, the derivatives need torch.

    ## Rewards

    | `objective_form` | `objective` | unit | default of |
    | --- | --- | --- | --- |
    | `log` | `sum_i log2(1 + gamma_i)` | bit | `mf`; other kinds raise `ValueError` |
    | `sum` | `10 log10(gamma_r + gamma_t)`, the paper's; may starve one side | dB | |
    | `db` | mean of both `10 log10 gamma_i` | dB | `active`, `star`, `passive` |

    - score = objective / 10, each `gamma_i` at least -100 dB; `auto` is the default of the kind;
    - cost = `sum_k max(0, -m_k) / R_min`, at most K; 0 if R_min = 0;
    - value V = score - `penalty` * cost, on the true channels.

    `one_shot` and `fading`: the reward is V of the design. `refine`: it is the gain of V, so that the return (without discount)
    is the last V minus the first.

    `info` holds `objective`, `score`, `cost`, `feasible`, `is_success` (= feasible), `margins` (`rate`, bit/s/Hz), whatever the
    objective `echo_sinr_db` (r, t), `sum_sinr_db`, `mean_sinr_db`, `min_sinr_db`, and `rate` (bit/s/Hz), `sinr_db` of the users,
    `power_w`, of amplifying kinds `surface_power_w` (with time switching of the slot that needs more), and with time switching
    `time_fraction`. With `diagnostics=True` also, from the true channels, of the users' rows `h_k^H` and the targets' `(a_l^* o
    theta_i)^T H` the gains `channel_gain_db`, `target_gain_db`, the mean correlations `channel_correlation` (all users; time
    switching: per slot), `target_correlation` (r, t), the effective ranks `channel_rank`, `target_rank` likewise (`exp(-sum q ln
    q)`, q the singular values over their sum), and per side `channel_coupling`, the mean `sigma^2(Q_c^H Q_s)` of bases of both.
    Each also with the suffix `_first`: of the episode's first design (`refine`: the start; else the start rule's).

    ## Starting State

    New channels: Rician from BS to surface, sensors and users; users and targets uniform in their ranges on their sides; or
    scenes of `scenes` / `reset(options={"scene": ...})`. The first design of `refine` comes from `start`: `rule` has phases that
    add up the strongest path from the BS towards users and targets of each side, full equal amplitudes, interleaved modes,
    `lambda_r` = 0.5, and the beams of `control="surface"`; `random` is uniform in the box. Of 200 scenes of the default the
    rule's design meets every rate in all for amplifying kinds, in about 6 (`star`) and 7 (`passive`) of 10 for the others.

    ## Episode End

    `one_shot` terminates after its only step, `refine` after `horizon` steps. `fading` is truncated after `horizon` steps
    (at least 2): the channels would go on. There the scattered parts of H, `G_i` and `g_k` evolve; positions and `alpha_l` stay.
    `max_episode_steps` truncates earlier.

    ## Arguments

    Of every environment (the first value is the default):

    | keyword | values | meaning |
    | --- | --- | --- |
    | `episode` | `refine`, `one_shot`, `fading` | improve one design step by step / one design per scene / one design per block |
    | `horizon`, `step_size`, `start` | 16, 0.25, `rule` / `random` | steps, increment per unit of action, first design |
    | `control` | `full`, `structured`, `surface` | what the action sets, see above |
    | `action` | `box`, `discrete` | see above |
    | `observation` | `csi`, `local` | channels and design, or with their local frame too |
    | `dtype` | `complex64`, `complex128` | precision of the rollout |
    | `penalty` | 5 | weight of the cost |
    | `csi_error` | 0 | e: the agent knows `X + e rms(X) CN` for H, every `G_i`, `g_k` and `alpha_l`; rewards use X |
    | `correlation` | 0.95 | of the scattered channels from block to block in `fading` |
    | `scenes`, `scenes_order` | None / path / Scene, `random` / `sequential` | draw scenes from a set |
    | `diagnostics` | False | True: `info` says how the surface shapes the channels; costs time |
    | `render_mode` | None, `rgb_array` | map, beampattern of both sides, coefficients, rates, budgets, echo SINRs |
    | `preset` | see below | named values of the system's keywords |

    Of this system (units in the names; pairs are (r, t)):

    | keyword | default | meaning |
    | --- | --- | --- |
    | `kind`, `protocol` | `mf`, `es` | see the table above; `protocol` is ignored for kinds other than `mf` |
    | `objective_form` | `auto` | `log`, `sum`, `db`, see Rewards |
    | `phase_bits` | None | b: 2^b phases; None: continuous |
    | `num_antennas` | 8 | N |
    | `num_elements_h`, `num_elements_v` | 8, 4 | M_h (along y), M_v (along z); M even for `active`, `passive` and `ms` |
    | `num_sensors_h`, `num_sensors_v` | 6, 6 | M_s is their sum, on each side |
    | `num_users`, `num_targets` | (2, 2), (2, 2) | of each side, at least one target on each |
    | `num_sensing_beams` | 2 | S_0 |
    | `bs_position_m`, `ris_position_m` | (-20, 10, 10), (0, 0, 10) | the BS in front of the surface, at smaller x |
    | `x_range_m`, `y_range_m` | (5, 20), (-20, 20) | users and targets: distance from the surface's plane, offset along it |
    | `user_height_m`, `target_height_range_m` | 1.5, (0, 20) | z of users, range of z of targets |
    | `target_angles_deg`, `target_distance_m` | None, 20 | fixed targets: (elevation, azimuth) of each seen from the surface |
    | `path_loss_1m_db` | 30 | path loss at 1 m |
    | `exponent_bs_ris`, `exponent_ris_user` | 2.2, 2.2 | path-loss exponents (the first one also to the sensors) |
    | `rician_db` | 3 | Rician factor of all links |
    | `target_rcs_m2` | 1 | radar cross section of every target |
    | `noise_user_dbm`, `noise_surface_dbm` | -80 each | `sigma_k^2`, `sigma_s^2` (of each element) |
    | `noise_sensor_dbm` | -80 | `sigma_e^2`, also of the BS's receiver |
    | `max_gain_db` | 30 | `beta_max`, power gain; 0 dB for `star` and `passive` whatever it says |
    | `total_power_dbm`, `surface_share` | 30, 0.1 | P_BS + P_MF, and P_MF over that; `star`, `passive`: all is P_BS |
    | `min_rate_bps_hz` | 1 | R_min of every user |
    | `isolation_db` | (0, 0) | by how much the direct path to the sensors of each side is weakened |

    | `preset` | values |
    | --- | --- |
    | `default` | as above |
    | `small` | `num_antennas=4`, 4 x 2 elements, 3 + 3 sensors, one user and target on each side, `num_sensing_beams=1` |
    | `tiny` | as `small` with 2 x 2 elements and `num_sensing_beams=4` |
    | `pattern` | `target_angles_deg=((-20, -40), (15, 30), (-15, -30), (20, 40))` |
    | `ms`, `ts` | `protocol="ms"`, `protocol="ts"` |
    | `active`, `star`, `passive` | `kind="active"`, `kind="star"`, `kind="passive"` |

    >>> import gymnasium as gym, ris_gym
    >>> env = gym.make("ris_gym/MultiFunctional-v0", control="surface", protocol="ms")
    >>> env.action_space.shape, env.observation_space.shape
    ((96,), (1630,))
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> info["echo_sinr_db"].shape, info["margins"]["rate"].shape, info["feasible"]
    ((2,), (4,), True)
    >>> discrete = gym.make("ris_gym/MultiFunctional-v0", kind="passive", phase_bits=2, control="surface", action="discrete")
    >>> discrete.action_space.nvec[:3].tolist(), discrete.action_space.shape
    ([4, 4, 4], (32,))
    >>> named = ris_gym.envs.DictActions(gym.make("ris_gym/MultiFunctional-v0", protocol="ms", episode="one_shot"))
    >>> {name: space.shape for name, space in named.action_space.items()}
    {'amplitude': (32,), 'beams': (2, 8, 4), 'mode': (32,), 'phase': (32,), 'sensing_beams': (2, 8, 2)}
    >>> envs = gym.make_vec("ris_gym/MultiFunctional-v0", num_envs=64, episode="one_shot", autoreset_mode="SameStep")
    >>> envs.reset(seed=0)[0].shape
    (64, 1523)

    ## References

    "Multi-Functional RIS Integrated Sensing and Communications for 6G Networks", arXiv 2412.01251, also IEEE Transactions on
    Wireless Communications 24(2), 2025, DOI 10.1109/TWC.2024.3505918: scene and surfaces, problem (17) with its objective (17a)
    (`objective_form="sum"`) and the surface's budget (17e), the receive filter (Lemma 1), the protocols and the conventional
    kinds. The formulas did not survive in the text at hand: all of them were reconstructed, checked by Monte-Carlo simulation of
    the signal model. Assumed where the text is silent: that `beta` is a power gain and (17e) counts the amplified noise; the
    sensors (a horizontal and a vertical line on each side); that rates and echo SINRs of time switching count with their part
    of the time; the interleaved elements of `active` and `passive`; a full-duplex BS without self-interference, reached again
    through `H^T`, for the kinds without sensors; the split of the power. All default numbers but N are assumptions, not the
    paper's (geometry, powers, noise, path loss, radar cross sections, gain, R_min). Added here: the objectives `log` and `db`,
    sensing streams fewer than N, the beams of `surface` and `structured`, CSI errors, fading, the episodes and observations.

    ## Version History

    - v0: initial version
    """

    system_class = MultiFunctional


class MultiFunctionalVectorEnv(RisVectorEnv):
    """The vector form of `MultiFunctionalEnv` (see there): `num_envs` episodes advanced together.

    Adds `num_envs`, `max_episode_steps` and `autoreset_mode` ("NextStep", "SameStep", "Disabled"). `reset(options=...)` takes
    `scene` (one entry per episode begun) and `reset_mask`.
    """

    system_class = MultiFunctional
