"""`ris_gym/NonOrthogonal-v0`: decoding and localisation from the same symbols, by way of a surface with discrete phases."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.nonorthogonal import NonOrthogonal


class NonOrthogonalEnv(RisEnv):
    r"""Decoding and localisation from the same symbols, by way of a surface with discrete phases.

    ## Description

    A base station (BS) with `N_t` antennas reaches a blind zone only by way of a distributed surface: two sub-surfaces of
    L = L_y L_z elements each, which take turns, one per time block. Element l multiplies what arrives by `xi_l = exp(j 2 pi i_l /
    2^b)`. In a block the BS sends T symbols x(t); a user with M = M_y M_z antennas estimates from them the angles (gamma, phi) of
    the path that arrives from the sub-surface, although it does not know the symbols, and a user decodes them. Two blocks
    (`num_blocks=2`) give the position. With `b_in` the wave that arrives at the sub-surface, l = (l_y, l_z) the indices of an
    element, `u = pi (k_y, k_z)` the spatial frequency of the direction k from the user to the sub-surface, and `o` elementwise,
    everything that depends on the phases is

    - `c_sense = b_in o exp(-j l.u)` and `c_comm`, which is `c_sense` if one user does both, else that of the user that decodes;
    - `g_2 = sum_l xi_l c_sense,l`, `g_1 = sum_l xi_l c_comm,l`, the gains of both paths;
    - the coupling `r = sum_l (m_bar - l) xi_l c_sense,l`, `m_bar` the middle of the user's array; 0 with two users.

    With `a = 2 |alpha_B2I alpha_I2U|^2 P_t N_t / sigma_z^2`, `E = sum_t |x(t)|^2`, `A = M diag(M_y^2 - 1, M_z^2 - 1) / 12` and
    `D = d u / d (gamma, phi)`, the Cramér-Rao bounds (CRLB) of both tasks are, for `fisher="complex"`,

    - `CRLB_angle = tr[D^-1 Lambda^-1 D^-T] / (2 a)` (rad^2, mean of both angles), `Lambda = E |g_2|^2 A`;
    - `CRLB_x = 1/T sum_t (2 / M + |x(t)|^2 tr[Lambda^-1 Re(r^* r^T)]) / (a_C |g_1|^2)` per symbol, `a_C` as a of the user that
      decodes; mutual information `I = 1/T sum_t log2(sigma_x^2 / CRLB(x(t)))` bit/symbol.

    The task: minimise `V = zeta lg CRLB_x + (1 - zeta) lg CRLB_angle` (lg = log10), the mean over the blocks; or
    (`objective_form="constrained"`) maximise I subject to `CRLB_angle <= Gamma_0`. The BS's best beam is known in closed form:
    `w = sqrt(P_t / N_t) a_B`, matched to the direction `a_B` of the block's sub-surface. What is left are the phases. Directions
    and symbols are new in every episode: an agent must learn to design for scenes that it has never seen.

    | `model` | users | physical |
    | --- | --- | --- |
    | `two_user` | one decodes, another one is localised: a trade-off between two directions | yes |
    | `consistent` | one user, the convention of eq. (58) throughout | yes |
    | `mixed` | one user, the paper's printed conventions: eqs. (4), (6) for the symbols, (58) for the angles | **no** |
    | `literal` | one user, the convention of (4), (6) throughout; for comparison | no |

    `mixed` is not a physical channel: no path has the phase `+l.u` for decoding and `-l.u` for localisation at once. It is a
    *reading* of conventions that contradict each other in print, kept because it makes one user's tasks compete as the paper's
    figures show it; so is the preset `paper`, which stands on it. That the authors computed this cannot be proven.

    | `fisher` | unknown beside the angles | Fisher matrix |
    | --- | --- | --- |
    | `complex` | the complex symbols | correct: phases matter for the angles by `g_2` alone |
    | `paper` | the real parts of the symbols; the imaginary parts are taken as known | Theorem 1: r helps the angles too |
    | `known` | nothing | that of pilots |

    **Tracking** (`episode="tracking"`): the localised user moves. One step is one coherence block with one design for both
    sub-surfaces. The design decides how well the position is measured, a Kalman filter turns measurements into a belief, and the
    belief is all that the next design may rely on: a beam that misses the user brings a bad measurement, after which the next
    beam is likely to miss, too. The true position is never observed. The user that decodes stands still (with one user: moves).

    ## Action Space

    | `episode` | `action="discrete"` (default where `phase_bits` is given) | `action="box"` |
    | --- | --- | --- |
    | `refine` | `Discrete(2^b)`: index `i_l` of **one** element, all in turn | `Box(-1, 1, (n,))`, increments of all phases |
    | `one_shot` | `MultiDiscrete([2^b] * n)`: all indices | `Box(-1, 1, (n,))`, all phases |
    | `tracking` | `MultiDiscrete([2^b] * n)`: all indices | `Box(-1, 1, (n,))`, all phases |

    n = `num_blocks` L numbers, the sub-surface of block 0 first: 16 by default, 128 in the preset `tracking`. There is one
    variable, owned by the surface:

    | variable | numbers | meaning of x in [-1, 1] |
    | --- | --- | --- |
    | `phase` | n | `arg xi = pi x`; periodic; `i = round(2^(b-1) x) mod 2^b`, with `phase_bits=None` not rounded |

    `refine` with discrete actions: step t sets element `t mod n` and leaves the others; `env.unwrapped.turn` and the
    feature `turn` say which one is next. With a box `u <- u + step_size * action`, phases wrap; the raw vector u stays
    continuous, so that small increments add up. Box numbers outside [-1, 1] are clipped; nan, inf, wrong shapes and indices
    outside the alphabet raise `ValueError`. `control="full"` and `"surface"` coincide, since the beam is known; a `structured`
    control does not exist. `action="discrete"` with `phase_bits=None` raises `ValueError`. `ris_gym.envs.DictActions` is the
    view by name of box actions.

    ## Observation Space

    `Box(-10, 10, (size,), float32)`; `env.unwrapped.observation_layout` maps each name to (start, stop, shape). Real part
    before imaginary part in axes of length 2; B = `num_blocks`. Everything is computed from what is known (`csi_error`,
    `design_symbols`, the belief), and of order one: no running normalisation is needed.

    | name | shape | held in | meaning |
    | --- | --- | --- | --- |
    | `sense` | (2, B, L) | always | `c_sense` |
    | `comm` | (2, B, L) | always | `c_comm` |
    | `jacobian` | (B, 2, 2) | always | `D / pi` |
    | `symbols` | (B, 3) | always | `E / T`, `Re X_2 / E`, `Im X_2 / E`, with `X_2 = sum_t x(t)^2` |
    | `levels` | (B, 2) | always | `lg(a / a_nom)`, `lg(a_C / a)`; `a_nom = 2 SNR P_t N_t`: at nominal distances |
    | `task` | (2,) | always | `zeta`, `snr_db / 10` |
    | `belief` | (7,) | `tracking` | mean position / 10 m, mean velocity / (5 m/s), std of x and y in m, their correlation |
    | `raw` | (n,) | a design | the current raw vector u |
    | `coefficients` | (2, B, L) | a design | the current `xi` |
    | `gains` | (B, 2) | a design | `\|g_1\| / L`, `\|g_2\| / L` |
    | `coupling` | (B, 4) | a design, one user | `Re r', Im r'` over `L^1.5`, y and z each, `r' = r exp(-j arg g_1)` |
    | `margins` | (B,) | a design, constrained | `m / 10`, see Rewards |
    | `time_left` | (1,) | `refine` | part of the episode that is left |
    | `turn` | (n,) | `refine`, discrete | one-hot: the element that the next action sets |
    | `direction` | (n,) | `local` | `sqrt(n) d / ‖d‖`, d = derivative of score - penalty * cost with respect to unrounded u |
    | `log_norm` | (1,) | `local` | `log10(‖d‖ + 1e-6)` |
    | `comm_alignment` | (2, B, L) | `local` | `xi_l c_comm,l g_1^*`, rms 1 in each block |
    | `sense_alignment` | (2, B, L) | `local` | `xi_l c_sense,l g_2^*`, rms 1 in each block |

    "a design": in `refine` and `tracking` (there the last frame's design at the new belief, at first the start rule's), and
    with `observation="local"`. In `one_shot` with `local` it is the design of the start rule. `tracking` has all features at
    the predicted mean of the belief. In the constrained form the derivative needs torch.

    ## Rewards

    | `objective_form` | `objective` | unit | score | `margins` |
    | --- | --- | --- | --- | --- |
    | `weighted` | V, minimised | lg | -V - 4 | none; cost is 0 |
    | `constrained` | I, maximised, in [-10, 40] | bit/symbol | I / 10 | `angle`: `m = 10 lg(Gamma_0 / CRLB_angle)`, dB |

    `Gamma_0` is `angle_bound_factor` times the bound that the largest possible `|g_2|` allows (exact, per scene and block): the
    phases of that gain meet it with 3 dB to spare. m is given per block, at most 40 dB. Cost = `sum max(0, -m) / 10`; value:
    score - `penalty` * cost, on the truth.

    `one_shot`: the reward is the value of the design. `refine`: it is the gain of the value, so that the return (without
    discount) is the last value minus the first. `tracking`: the value of the frame's design at the true position, so that the
    return is their sum. One unit of the weighted score is a factor of ten in both bounds.

    `info` holds `objective`, `score`, `cost`, `feasible`, `is_success` (= feasible), `margins`, and, means over the blocks,
    `crlb_symbol`, `crlb_angle` (rad^2), `mutual_information`, `rate` (`log2(1 + SNR)` of the user that decodes; bit/symbol),
    `gain_comm`, `gain_sense` (`|g| / L`); with two blocks `peb_m` (bound of the position error, m), in `tracking`
    `position_error_m` (mean of the belief on which the design was made to the true position, m). With `diagnostics=True` also,
    from the true channels, per block `channel_gain_db`, `target_gain_db`: `||H diag(xi) G||_F^2` in dB of the user that decodes
    and of the one that is localised; these channels have rank one, so that correlation, rank and coupling are 1 by construction.
    Each also with the suffix `_first`: of the episode's first design (`refine`: the start, `one_shot`: the start rule's).

    ## Starting State

    New azimuths of both users, uniform in +-`max_azimuth_deg` unless given, on a ring on the floor; new phases of the path gains
    and new symbols; or scenes of `scenes` / `reset(options={"scene": ...})` (static ones for `refine` and `one_shot`, those of
    `system.sample_tracking` for `tracking`). The first design of `refine` comes from `start`: `rule` is the localisation beam,
    `arg xi = -arg c_sense` rounded; `random` has uniform phases. Mean scores of the rule and of random phases (400 scenes):
    0.59 and -0.28 in `physical`, 1.31 and -0.08 in `theorem1`, -0.20 and -0.07 in `paper`; in the first frame of `tracking`
    -0.72 and -1.75.

    `tracking`: range uniform in 7 to 15 m from the foot of the surface, velocity `N(0, speed_mps^2 I)`; the belief has a mean
    position off by `N(0, initial_std_m^2 I)` and a mean velocity of zero. Between frames `r <- r + block_time_s v`, `v <- q v
    + sqrt(1 - q^2) speed_mps N(0, I)`, q = `speed_correlation`; the borders of the room reflect. After a design is used the
    position is measured with covariance `(J_r + I / (10 m)^2)^-1`, `J_r` the Fisher information of both blocks at the true
    position (complex symbols, floor height known); filter and prediction follow. All random numbers of an
    episode are in its scene: every policy meets the same user.

    ## Episode End

    `one_shot` terminates after its only step, `refine` after `horizon` steps. `tracking` is truncated after `num_frames` steps
    (the user would go on). `max_episode_steps` truncates earlier.

    ## Arguments

    Of every environment (the first value is the default):

    | keyword | values | meaning |
    | --- | --- | --- |
    | `episode` | `refine`, `one_shot`, `tracking` | improve one design step by step / one design per scene / one per frame |
    | `horizon` | n, 16 | steps of `refine`: n with discrete actions (each element once), 16 with a box |
    | `step_size`, `start` | 0.25, `rule` / `random` | `refine`: increment per unit of a box action, first design |
    | `control` | `full`, `surface` | the same here |
    | `action` | `discrete`, `box` | `box` is the default with `phase_bits=None` |
    | `observation` | `csi`, `local` | directions and design, or with their local frame too |
    | `dtype` | `complex64`, `complex128` | precision of the rollout |
    | `penalty` | 1 | weight of the cost |
    | `csi_error` | 0 | e: the agent knows `u + e (2 pi / L_y, 2 pi / L_z) o N(0, I)` of each user: e beam widths; rewards use u |
    | `correlation` | 0.95 | has no effect: nothing fades |
    | `scenes`, `scenes_order` | None / path / Scene, `random` / `sequential` | draw scenes from a set |
    | `diagnostics` | False | True: `info` says how the surface shapes the channels; costs time |
    | `render_mode` | None, `rgb_array` | map (path, belief), gain over azimuth, phases, gains, bounds |
    | `preset` | see below | named values of the system's keywords |

    In `tracking`, `horizon`, `step_size`, `start`, `csi_error` (the belief is the error) and `correlation` do not apply:
    anything but their default raises `ValueError`. There is no `fading`: all paths are lines of sight.

    Of this system (units in the names):

    | keyword | default | meaning |
    | --- | --- | --- |
    | `model`, `fisher` | `two_user`, `complex` | see Description |
    | `objective_form`, `angle_bound_factor` | `weighted`, 2 | see Rewards |
    | `weight` | 0.5 | zeta in [0, 1], weight of `CRLB_x` |
    | `design_symbols` | `realisation` | `statistical`: what is known has `E = T`, `X_2 = T mu_x^2`; rewards use the symbols |
    | `num_blocks` | 1 | 1: block 0 alone, 2: both sub-surfaces |
    | `num_antennas` | 8 | `N_t` |
    | `surface_shape`, `user_shape` | (4, 4), (4, 4) | (L_y, L_z) of each sub-surface, (M_y, M_z) of each user |
    | `power_dbm`, `snr_db` | 30, 0 | `P_t`; SNR before beamforming gain at nominal distances; it sets the noise |
    | `num_slots`, `symbol_variance` | 2, 1 | T; `x ~ CN(sqrt(1 - sigma_x^2), sigma_x^2)`, in (0, 1] |
    | `phase_bits` | 2 | b; None: continuous phases |
    | `bs_height_m`, `ris_height_m` | 10, 5 | users stand at height 0, both arrays along y (and z) |
    | `bs_ris_distance_m`, `ris_user_distance_m` | 30, 10 | nominal distances, to the middle of both sub-surfaces |
    | `path_loss_1m_db` | 30 | path loss at 1 m |
    | `exponent_bs_ris`, `exponent_ris_user` | 2.3, 2.2 | path-loss exponents |
    | `bs_azimuth_deg` | -45 | from the surface's normal |
    | `user_azimuth_deg`, `comm_azimuth_deg` | None, None | of the localised and of the decoding user; None: uniform |
    | `max_azimuth_deg` | 60 | largest azimuth of users |
    | `surface_spacing_m` | 2 | distance of the sub-surfaces, along y |
    | `block_time_s`, `speed_mps`, `speed_correlation` | 0.5, 4, 0.9 | `tracking`: time of a frame, motion |
    | `initial_std_m` | 1 | `tracking`: error of the first belief in x and in y |
    | `min_range_m`, `max_range_m` | 6, 20 | `tracking`: borders of the room, from the foot of the surface |
    | `num_frames` | 32 | `tracking`: length, at least 2 |
    | `measurement` | `gaussian` | `tracking`; `ml`: by an estimator on received samples instead of at the bound |

    | `preset` | values |
    | --- | --- |
    | `physical` | as above |
    | `theorem1` | `model="consistent"`, `fisher="paper"`, `user_azimuth_deg=0`, `surface_spacing_m=0` |
    | `paper` | as `theorem1` with `model="mixed"`: not a physical channel, see Description |
    | `tracking` | `num_blocks=2`, `surface_shape=(8, 8)`, `snr_db=-20`, `comm_azimuth_deg=-30`; taken by `episode="tracking"` |

    >>> import gymnasium as gym, ris_gym
    >>> env = gym.make("ris_gym/NonOrthogonal-v0")
    >>> env.action_space, env.observation_space.shape, env.unwrapped.horizon
    (Discrete(4), (142,), 16)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(3)
    >>> env.unwrapped.turn, info["crlb_angle"] < 1e-5
    (array([1]), True)
    >>> gym.make("ris_gym/NonOrthogonal-v0", episode="one_shot").action_space.shape
    (16,)
    >>> gym.make("ris_gym/NonOrthogonal-v0", phase_bits=None, objective_form="constrained").action_space.shape
    (16,)
    >>> track = gym.make("ris_gym/NonOrthogonal-v0", episode="tracking")
    >>> track.action_space.shape, track.unwrapped.horizon, track.unwrapped.system.num_blocks
    ((128,), 32, 2)
    >>> observation, info = track.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = track.step(track.action_space.sample())
    >>> start, stop, shape = track.unwrapped.observation_layout["belief"]
    >>> observation[start:stop].shape, sorted(info)[-3:]
    ((7,), ['position_error_m', 'rate', 'score'])
    >>> envs = gym.make_vec("ris_gym/NonOrthogonal-v0", num_envs=64, preset="theorem1", autoreset_mode="SameStep")
    >>> envs.reset(seed=0)[0].shape
    (64, 146)

    ## References

    Z. Yu, X. Hu, C. Liu, M. Peng, C. Zhong, "IRS-Aided Non-Orthogonal ISAC Systems: Performance Analysis and Beamforming
    Design", arXiv 2208.05324: the channels are those of its equations (4), (6), (58), the Fisher matrix that of Theorem 1,
    (22)-(31) with (26), (27), (63), (64), the mutual information Corollary 1, (32) and (47), the objective (37), (38), the beam
    (41). The paper contradicts itself where it matters: (4), (6) and the stated relation of the angles give the phases
    `(m + l).u`, (58) and the derivatives `(m - l).u`, and only the latter depends on differences of positions: hence `model`.
    Theorem 1 counts a complex symbol as one real parameter: hence `fisher`. (38) lacks a zeta; `J_P = 0` (53) comes from a
    holomorphic derivative and is not used. Assumed where the text is silent: all azimuths, the places of the sub-surfaces,
    `mu_x` and the default variance, the base of the logarithm, the averaging over symbols. Added here: `two_user`, `complex`,
    `known` for any design, the closed forms (a 2 x 2 matrix instead of T + 2 unknowns, equal to the explicit Fisher matrix),
    the constrained form, statistical symbols, angle errors, the moving user with its filter, the episodes and observations.

    ## Version History

    - v0: initial version
    """

    system_class = NonOrthogonal


class NonOrthogonalVectorEnv(RisVectorEnv):
    """The vector form of `NonOrthogonalEnv` (see there): `num_envs` episodes advanced together.

    Adds `num_envs`, `max_episode_steps` and `autoreset_mode` ("NextStep", "SameStep", "Disabled"). `reset(options=...)` takes
    `scene` (one entry per episode begun) and `reset_mask`.
    """

    system_class = NonOrthogonal
