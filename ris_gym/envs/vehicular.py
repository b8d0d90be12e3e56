"""`ris_gym/Vehicular-v0`: sense or send, for a platoon whose vehicles carry surfaces."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.vehicular import Vehicular


class VehicularEnv(RisEnv):
    r"""Sense or send: a base station serves vehicles whose surfaces make it possible to track them, through beams that may miss.

    ## Description

    A base station (BS) at the origin has one transmit antenna and a receive array of M antennas. K vehicles pass on a straight
    road at the distance D. Each carries a surface of N = N_x N_z elements and a passenger. Time runs in frames of K slots, slot k
    belongs to vehicle k, and its surface splits it:

    - **stage 1**, a share `a_k` of the slot: the surface reflects. The BS hears the echo and measures the vehicle.
    - **stage 2**, the rest: the surface refracts, and the data reach the passenger. Meanwhile (`c_assist`) the surface of the
      next vehicle reflects the same signal: an echo that costs no time, by which the BS measures the *next* vehicle.

    A vehicle at `x` (m along the road) has the distance `r = sqrt(x^2 + D^2)` and the direction cosine `u = x / r`. Beams are
    made from the belief, `u_hat` with standard deviation `s`, never from the truth. With `Delta = u_hat - u` and the gain

        A(delta, W) = | sum_i exp(j pi (i delta + W i^2 / (2 N_x))) |^2 / N_x^2 ,   i = -(N_x - 1)/2, ..., (N_x - 1)/2,

    data arrive with `A(Delta, W_c)`, echoes with `A(2 Delta, W_e)`: out and back, so an echo beam is half as wide, and a poor
    belief hurts sensing twice as fast as data. A lost vehicle stays lost until its next report, unless the echo beam is widened:
    `W_c = 6 b^c s` and `W_e = 6 b^e 2 s` spread a beam over the belief, at the price of gain (about `2 / (N_x W)`).

    | quantity | value |
    | --- | --- |
    | SNR of the data | `rho_c = P g^2 beta(r) beta(d_u) N^2 / sigma^2`, `beta(d) = (lambda / 4 pi d)^2` |
    | energy SNR of an echo | `gamma = eps f L rho_e A(2 Delta, W_e)`, f the share of the slot, `L = B_w T_s` samples |
    | SNR of the echo | `rho_e = P g^2 beta(r)^2 N^2 M / (sigma^2 + P 10^(-SI / 10))` |
    | rate of vehicle k | `R_k = (1 - a) log2(1 + rho_c A(Delta, W_c)) + a log2(1 + (1 - eps) rho_c A(Delta, W_c))` bit/s/Hz |
    | detection | with probability `Q_1(sqrt(2 gamma), sqrt(-2 ln P_fa))`; a missed echo changes nothing |
    | `sigma_u^2` | `6 / (pi^2 gamma (M^2 - 1))`, Cramér-Rao bound of the direction cosine |
    | `sigma_r^2` | `(c / 2)^2 3 / (2 pi^2 B_w^2 gamma)`, of the distance |
    | `sigma_v^2` | `(lambda / 2)^2 3 / (2 pi^2 T_d^2 gamma)`, of the radial speed; `T_d` the duration |

    `eps` = `reflect_share` is the power share that stage 1 reflects: 1 is mode switching, below 1 a joint stage that also sends.
    A detected echo updates an extended Kalman filter of (x, v). Vehicles move at a nearly constant speed (white acceleration);
    every `report_period` frames each reports its position and speed with errors of 2 m and 0.5 m/s, while the half beam is 0.4 m
    wide at x = 0. The question is therefore when to spend time on sensing, and how wide to look: a decision under uncertainty
    whose price is paid now and whose value comes in later frames. The true state is never observed.

    With a requirement (`sensing_threshold_db`), every vehicle must collect in every frame the energy SNR Gamma: its own dwell and
    the helper dwells since its last own slot, detected or not.

    ## Action Space

    `Box(-1, 1, (3 K,), float32)`, 9 numbers by default; or `action="discrete"`: `MultiDiscrete`. One step is one frame.

    | variable | numbers | meaning of x in [-1, 1] | discrete | when |
    | --- | --- | --- | --- | --- |
    | `sensing_share` | K | `a = (x + 1) / 2` | 0, .01, .02, .04, .08, .16, .32, .64, 1 | not in `surface` |
    | `reflect_width` | K | `b^e = (x + 1) / 2`, of the vehicle's surface wherever it reflects | 0, .25, .5, .75, 1 | always |
    | `refract_width` | K | `b^c = (x + 1) / 2` | 0, .25, .5, .75, 1 | always |
    | `suppression` | K | `q = (x + 1) / 2`: 40 q dB less towards the radar | 0, .25, .5, .75, 1 | `unauthorised_radar` |
    | `reflector` | K | `c = min(K - 1, floor(K (x + 1) / 2))` | 0, ..., K - 1 | `choose_reflector` |

    `reflector`: in stage 2 of slot k vehicle (k + c) mod K reflects, 0: none; else it is the next vehicle. `control="full"` sets
    all; `control="surface"` all but the share, which is then the least one that meets the requirement by prediction with 1 dB to
    spare, or without a requirement 0.1 where the expected gain `E A(Delta)` of a focused data beam is below 0.8. Numbers outside
    [-1, 1] are clipped; nan, inf and wrong shapes raise `ValueError`. `structured` is not offered (one transmit antenna: no
    beams at the BS). `ris_gym.envs.DictActions` is the view by name of box actions.

    ## Observation Space

    `Box(-10, 10, (size,), float32)`, 27 numbers by default; `env.unwrapped.observation_layout` maps each name to (start, stop,
    shape). The belief is predicted to each vehicle's own slot; entries are of order one.

    | name | shape | held | meaning |
    | --- | --- | --- | --- |
    | `position`, `velocity` | (K,) each | always | `x_hat / 50`, `(v_hat - 15) / 5` |
    | `spread` | (K,) | always | `lg s`, standard deviation of the direction cosine |
    | `speed_std` | (K,) | always | `lg sqrt(P_vv)` |
    | `correlation` | (K,) | always | of position and speed |
    | `comm_snr`, `echo_snr` | (K,) each | always | `lg rho_c`, `lg(L rho_e)` at the mean |
    | `helper_snr` | (K,) | always | lg of the energy SNR collected from helper dwells, at least -1 |
    | `report_position`, `report_spread` | (K,) each | `s_assist=False` | `x_hat / 50`, `lg s` of the belief from reports alone |
    | `radar_offset`, `radar_cosine` | (K,) each | `unauthorised_radar` | `u_hat - u_e_hat`, `u_e_hat` towards the radar |
    | `radar_snr` | (K,) | `unauthorised_radar` | lg of the radar's energy SNR of a whole aligned slot |
    | `clock` | (3,) | always | frames to the next report / period, frames left / T, Gamma in dB / 20 (0: none) |

    There is one kind, `observation="csi"`. `local` is not offered: score and cost of a frame depend on detections and on the
    hidden state, and what counts is the return, so there is no derivative at what is known.

    ## Rewards

    `objective` = score = mean rate of the frame over the vehicles, bit/s/Hz. With a requirement `margins` holds `sensing` (K):
    `10 lg(gamma_k / Gamma)` dB, in [-40, 60], and cost = `mean_k max(0, 1 - gamma_k / Gamma)`, in [0, 1]. With the radar also
    `radar` (K): `10 lg(gamma_max / gamma_e)`, and the same form of cost. Reward = score - `penalty` * cost.

    Frame 0 has no helper echoes from before: its cost and margins are 0. Tables, the bound and J, the mean reward, leave it out
    (`counted`). J of policies that know the belief alone, on 72 passes, and the bound that knows the true states and takes every
    gain as 1 (`ris-gym reproduce reciprocity-policies`; `_wide`: with the width rule, a broader beam for a poor belief):

    | preset | `never` | `never_wide` | `need_only_wide` | `myopic_wide` | `look_ahead_wide` | `random` | bound |
    | --- | --- | --- | --- | --- | --- | --- | --- |
    | `tracking` | 2.81 | 3.26 | 3.26 | 4.04 | 4.58 | 2.56 | 5.18 |
    | `requirement` | -7.19 | -6.74 | 3.75 | 3.73 | 3.75 | 1.54 | 4.41 |
    | `reciprocity` | 3.61 | 4.92 | 4.87 | 4.88 | 4.87 | 2.22 | 5.16 |

    With `unauthorised_radar`, `myopic` chooses the suppression together with the share; with `choose_reflector`, `reflector`
    chooses the reflecting vehicles, all other policies let the next one reflect.

    `info` holds `objective`, `score`, `cost`, `feasible`, `is_success` (= feasible), `margins`, `counted`, per vehicle `rate`
    (bit/s/Hz), `sensing_snr_db` (gamma, dB), `refract_gain_db` and `reflect_gain_db` (`A(Delta, W_c)`, `A(2 Delta, W_e)` at the
    end of the own slot), `position_error_m` and its square `position_error_m2` (of the belief that points the data beam), `nees`
    (normalised squared error of the filter; 2 in the mean where it is consistent); `time_sensing` (mean share), `detections`
    (number), with a requirement `requirement_met` (share of vehicles), with the radar `radar_snr_db`, `radar_detection`.

    ## Starting State

    Vehicle k at `start_m - (k - (K - 1) / 2) spacing_m`, off by up to `jitter_m`; a common speed, uniform, and a deviation of
    each vehicle. The belief is a first report. Or scenes of `scenes` / `reset(options={"scene": ...})`. All noise of a pass is
    in its scene, drawn at the start: every policy meets the same world.

    ## Episode End

    `pass` terminates after `num_frames` steps: the platoon has gone by. `max_episode_steps` truncates earlier. Observations show
    no design, so that `env.unwrapped.design` and `metrics` are those of the frame just played, None before the first one.

    ## Arguments

    Of every environment (the first value is the default):

    | keyword | values | meaning |
    | --- | --- | --- |
    | `episode` | `pass` | one action per frame |
    | `control` | `full`, `surface` | see Action Space |
    | `action` | `box`, `discrete` | see Action Space |
    | `observation` | `csi` | see Observation Space |
    | `dtype` | `complex64`, `complex128` | precision of the rollout: single or double |
    | `penalty` | 10 | weight of the cost |
    | `scenes`, `scenes_order` | None / path / Scene, `random` / `sequential` | draw passes from a set |
    | `diagnostics` | False | no effect: the gains of the beams are in `info` in any case |
    | `render_mode` | None, `rgb_array` | the frame played: road, beliefs, beams, shares, echoes, traces |
    | `preset` | see below | named values of the system's keywords |

    `horizon`, `step_size`, `start`, `csi_error` (the belief is the error) and `correlation` do not apply: anything but their
    default raises `ValueError`.

    Of this system (units in the names):

    | keyword | default | meaning |
    | --- | --- | --- |
    | `num_users`, `num_frames`, `frame_s` | 3, 80, 0.05 | K, T, length of a frame |
    | `road_offset_m`, `start_m`, `spacing_m`, `jitter_m` | 30, -30, 10, 2 | D; places at the start |
    | `speed_min_mps`, `speed_max_mps`, `speed_std_mps` | 13, 17, 0.3 | common speed; deviation of each vehicle |
    | `acceleration_psd_m2ps3` | 0.5 | q: variance of a speed grows by q per second |
    | `report_period`, `report_std_m`, `report_std_mps` | 20, 2, 0.5 | frames; errors of a report |
    | `carrier_hz`, `bandwidth_hz` | 28e9, 10e6 | f, B_w |
    | `power_dbm`, `noise_dbm`, `self_interference_db` | 20, -97, 95 | P, sigma^2, SI: suppression of the own signal |
    | `num_cols`, `num_rows`, `num_antennas` | 64, 2, 16 | N_x, N_z, M |
    | `user_distance_m`, `element_gain` | 1, pi | d_u; g, linear, per pass |
    | `false_alarm` | 1e-4 | P_fa |
    | `sensing_threshold_db` | None | Gamma; None: no requirement |
    | `reflect_share`, `width_span` | 1, 6 | eps; the 6 in W |
    | `c_assist`, `s_assist` | False, True | helper echoes; data beams use echoes |
    | `cyclic` | True | the last slot helps vehicle 0 |
    | `choose_reflector` | False | the reflecting vehicle is a decision (with `c_assist` and K > 1) |
    | `unauthorised_radar` | False | a radar must not detect the vehicles |
    | `radar_position_m`, `radar_snr_offset_db` | (20, 0), 0 | where it is; its SNR against the BS's |
    | `radar_detection_max`, `radar_robust` | 0.1, False | allowed probability; suppress beside the believed direction, too |
    | `suppression_span_db` | 40 | suppression at q = 1 |

    | `preset` | values |
    | --- | --- |
    | `tracking` | as above: no helper, no requirement |
    | `requirement` | `sensing_threshold_db=18` |
    | `reciprocity` | `c_assist=True`, `sensing_threshold_db=21`: the survey's system |

    >>> import gymnasium as gym, ris_gym
    >>> env = gym.make("ris_gym/Vehicular-v0", preset="reciprocity")
    >>> env.action_space.shape, env.observation_space.shape, env.unwrapped.horizon
    ((9,), (27,), 80)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> info["counted"], info["cost"], info["rate"].shape
    (0.0, 0.0, (3,))
    >>> gym.make("ris_gym/Vehicular-v0", control="surface", action="discrete").action_space
    MultiDiscrete([5 5 5 5 5 5])
    >>> envs = gym.make_vec("ris_gym/Vehicular-v0", num_envs=64, autoreset_mode="SameStep")
    >>> envs.reset(seed=0)[0].shape
    (64, 27)

    ## References

    K. Meng, Q. Wu, W. Chen et al., "Intelligent Surface Empowered Integrated Sensing and Communication: From Coexistence to
    Reciprocity": the system (slots over vehicles, surface k refracts while surface k + 1 reflects, the benchmarks without one
    assistance, the requirement on the sensing SNR). It has no formulas and no values. The joint stage is that of
    "Sensing-Assisted Communication in Vehicular Networks with Intelligent Surface" (arXiv 2211.11475), of which, as of "... A
    Novel Mutual Assistance Design" (arXiv 2212.12909), the abstracts alone were at hand. All formulas, kinematics, detection,
    measurement noise, filter, reports and every number are ours; the link budget was chosen so that rates fall near the 4.9
    bit/s/Hz that the survey mentions, so that the agreement of levels is no evidence. Beam widths and the choice of the
    reflecting vehicle are not in the survey.

    ## Version History

    - v0: initial version
    """

    system_class = Vehicular


class VehicularVectorEnv(RisVectorEnv):
    """The vector form of `VehicularEnv` (see there): `num_envs` episodes advanced together.

    Adds `num_envs`, `max_episode_steps` and `autoreset_mode` ("NextStep", "SameStep", "Disabled"). `reset(options=...)` takes
    `scene` (one entry per episode begun) and `reset_mask`.
    """

    system_class = Vehicular
