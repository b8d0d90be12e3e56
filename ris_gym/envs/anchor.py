"""`ris_gym/Anchor-v0`: a device finds its own direction from the powers of pilots that a surface sends back."""

from __future__ import annotations

from ris_gym.envs.single import RisEnv
from ris_gym.envs.vector import RisVectorEnv
from ris_gym.systems.anchor import Anchor


class AnchorEnv(RisEnv):
    r"""A device finds its own direction from the powers of pilots that a surface sends back.

    ## Description

    A device at an unknown direction `psi = sin(theta)`, uniform in [-1, 1], sends pilots and receives their echo from a surface
    of N elements (a power of two, a quarter of a wavelength apart). The surface is the anchor: before every pilot one of its
    codewords w, with coefficients `v_i`, is chosen. On the way there and back element i turns the phase by `pi i psi`, so
    the gain is `g_w(psi) = sum_i v_i exp(j pi i psi)`, i = 0, ..., N - 1. Of a pilot only the received power counts:

    - `z = |sqrt(S) exp(j phi) + n|^2`, `S = snr |g_w(psi)|^2`, phi uniform and unknown, `n ~ CN(0, 1)`;
    - `log p(z | S) = -(z + S) + log I_0(2 sqrt(z S))`.

    What was measured so far is in the posterior of psi on the points `psi_g = -1 + (2 g + 1) / (4 N)`, g = 0, ..., 4 N - 1. It is
    all that the agent sees; the direction is never observed. The space of directions has N beams of width 2 / N, the mass of a
    beam is the sum over its four points. For directions on the points the belief is exact; between them it trusts itself a
    little too much (`information_greedy`, 600 directions: mass 0.91, hit rate 0.90; at -18 dB 0.996 and 0.982), which a larger
    `oversample` lessens. At the end the beam of largest mass is announced: is it the right one? Each pilot
    costs something, and a full scan needs N of them.

    The codebook is hierarchical: level l = 1, ..., log2 N has 2^l codewords, each for a sector of the width `W = 2 / 2^l` around
    `psi_c = -1 + (2 j + 1) / 2^l`, j = 0, ..., 2^l - 1. Wide sectors cost gain: the mean gain in the sector is 21.0, 24.0, 26.8,
    29.8, 32.2, 35.1 dB for the levels 1 to 6 (N = 64), while the mean of `|g|^2` over all directions is N for any phases.
    A single wide pilot says little, a narrow one says little about most directions: what to ask next depends on the belief.

    | `wide_codewords` | codewords below the finest level |
    | --- | --- |
    | `phase` | unit modulus: a chirp, then `codeword_iterations` alternating projections onto the wanted gain |
    | `off` | the first 2^l elements matched to `psi_c`, the others off: 5.1 dB instead of 21.0 dB at level 1 |

    ## Action Space

    `Discrete(2 N - 2)`, 126 by default: the flat index `2^l - 2 + j` of the codeword of the next pilot. `allow_stop` adds
    one more, `2 N - 2`: the episode ends at once, without a pilot and its cost. There is one variable, owned by the surface:

    | variable | numbers | meaning of x in [-1, 1] (`action="box"`) |
    | --- | --- | --- |
    | `codeword` | 1 | `min(n - 1, floor(n (x + 1) / 2))`, n the number of actions |

    Box numbers outside [-1, 1] are clipped; nan, inf, wrong shapes and indices outside the range raise `ValueError`.
    `control="full"` and `"surface"` coincide; `structured` (there are no beams) raises `ValueError`. `ris_gym.envs.DictActions`
    is the view by name of box actions. Whoever works with designs instead of actions may announce a beam of its own:
    `AnchorDesign(codeword, decision)`, `decision` = -1 for the beam of largest mass; it is read when the episode ends.

    ## Observation Space

    `Box(-10, 10, (N + 3,), float32)`; `env.unwrapped.observation_layout` maps each name to (start, stop, shape). Everything is of
    order one: no running normalisation is needed.

    | name | shape | meaning |
    | --- | --- | --- |
    | `beam_mass` | (N,) | `log10(N p_b + 10^-3)`, `p_b` the mass of beam b |
    | `entropy` | (1,) | entropy of the posterior on its 4 N points, bit / log2 N |
    | `pilots_left` | (1,) | pilots left / T |
    | `element_snr` | (1,) | `element_snr_db / 20` |

    `observation="local"` raises `ValueError`: a choice has no derivative.

    ## Rewards

    `objective` is 1 if the announced beam is the right one, else 0 (in every step as if it were the last; the last one counts;
    unit hit, maximised). There is no constraint: `margins` is empty, cost is 0, every design is feasible. Reward = score:

    | `score_kind` | score of a step |
    | --- | --- |
    | `hit` | -`pilot_cost` per pilot; at the end + 1 for the right beam |
    | `gain` | -`pilot_cost` per pilot; at the end + `log10(G / N^2) + 1`, G: gain of the announced beam at psi, floor -40 dB |
    | `entropy` | -`pilot_cost` per pilot, + the fall of the posterior's entropy, bit / log2 N |

    `info` holds `objective`, `score`, `cost`, `feasible`, `is_success` (the right beam), `margins`, and, after the pilot,
    `entropy_bits`, `pilots` (used so far) and `direction_error` (most likely psi to psi).
    With `diagnostics=True` also `channel_gain_db`: `|g_w(psi)|^2 / N^2` of the pilot in dB, at least -200.

    ## Starting State

    A new direction, new phases and noises of all pilots, drawn in advance (whatever is asked, pilot t has the same ones), and the
    uniform posterior; or scenes of `scenes` / `reset(options={"scene": ...})`, of which nothing may have been sent yet.

    ## Episode End

    Terminated after T = `num_pilots` pilots or when the device stops. `max_episode_steps` truncates earlier.

    ## Arguments

    Of every environment:

    | keyword | values | meaning |
    | --- | --- | --- |
    | `episode` | `pilots` | the only form |
    | `control` | `full`, `surface` | the same here |
    | `action` | `discrete`, `box` | see Action Space |
    | `observation` | `csi` | the belief |
    | `dtype` | `complex64`, `complex128` | precision of the rollout |
    | `penalty` | 0 | weight of the cost, which is 0 |
    | `scenes`, `scenes_order` | None / path / Scene, `random` / `sequential` | draw scenes from a set |
    | `diagnostics` | False | True: `info` says how the surface shapes the channel; costs time |
    | `render_mode` | None, `rgb_array` | posterior, pattern of the last codeword, pilots so far |
    | `preset` | see below | named values of the system's keywords |

    `horizon`, `start`, `step_size`, `csi_error` and `correlation` do not apply: anything but their default raises `ValueError`.

    Of this system:

    | keyword | default | meaning |
    | --- | --- | --- |
    | `num_elements` | 64 | N, a power of two |
    | `num_pilots` | 24 | T, at least 2 |
    | `oversample` | 4 | points of the posterior per beam |
    | `element_snr_db` | -22 | SNR of one element; all N in phase have 20 lg N more (14.1 dB) |
    | `wide_codewords`, `codeword_iterations` | `phase`, 200 | see Description |
    | `pilot_cost` | 0.02 | of a pilot, in [0, 1] |
    | `score_kind` | `hit` | see Rewards |
    | `allow_stop` | False | one more action, which ends the episode |

    | `preset` | values |
    | --- | --- |
    | `default` | as above |
    | `low`, `high` | `element_snr_db` -26, -18 |
    | `stop` | `allow_stop=True`, `num_pilots=48` |

    >>> import gymnasium as gym, ris_gym
    >>> env = gym.make("ris_gym/Anchor-v0")
    >>> env.action_space, env.observation_space.shape, env.unwrapped.horizon
    (Discrete(126), (67,), 24)
    >>> observation, info = env.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = env.step(0)
    >>> reward, terminated, info["pilots"], info["entropy_bits"] < 8.0
    (-0.019999999552965164, False, 1, True)
    >>> stop = gym.make("ris_gym/Anchor-v0", preset="stop")
    >>> observation, info = stop.reset(seed=0)
    >>> observation, reward, terminated, truncated, info = stop.step(126)
    >>> terminated, info["pilots"]
    (True, 0)
    >>> envs = gym.make_vec("ris_gym/Anchor-v0", num_envs=64, preset="low", autoreset_mode="SameStep")
    >>> envs.reset(seed=0)[0].shape
    (64, 67)

    ## References

    K. Meng, Q. Wu, W. Chen et al., "Intelligent Surface Empowered Integrated Sensing and Communication: From Coexistence to
    Reciprocity": the device that uses a surface as an anchor and the hierarchical codebook, in words (Section IV-D). The text has
    no formulas and no numbers: the model, its numbers, the belief, rewards and episodes are ours. The spacing of a quarter of a
    wavelength is chosen because with half a wavelength psi and psi +- 1 have the same echo.

    ## Version History

    - v0: initial version
    """

    system_class = Anchor


class AnchorVectorEnv(RisVectorEnv):
    """The vector form of `AnchorEnv` (see there): `num_envs` episodes advanced together.

    Adds `num_envs`, `max_episode_steps` and `autoreset_mode` ("NextStep", "SameStep", "Disabled"). `reset(options=...)` takes
    `scene` (one entry per episode begun) and `reset_mask`.
    """

    system_class = Anchor
