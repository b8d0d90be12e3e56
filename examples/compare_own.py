"""An algorithm of your own beside the published ones, on the same channels.

Any callable `(known, rng) -> design` is a policy. This one points the surface at the user and beams by matched filter.

    python examples/compare_own.py --scenes 20
"""

import argparse

import numpy as np

import agents
import ris_gym

parser = argparse.ArgumentParser()
parser.add_argument("--scenes", type=int, default=20)
parser.add_argument("--policies", nargs="+", default=["ao", "random"])
args = parser.parse_args()

system = ris_gym.systems.make("beampattern", num_elements=16, sinr_threshold_db=15.0)


def point_at_user(known, rng):
    """Phases that add up the paths over the surface at the first user; all power in the matched filter of the total channel."""
    strongest = np.linalg.svd(known.bs_ris)[2][:, 0].conj()
    path = known.ris_user[:, 0].conj() * (known.bs_ris @ strongest[..., None])[..., 0]
    coefficients = np.exp(-1j * np.angle(path))
    row = ((known.ris_user[:, 0].conj() * coefficients)[:, None] @ known.bs_ris)[:, 0] + known.bs_user[:, 0].conj()
    beams = row.conj()[..., None]
    silent = np.zeros((len(row), system.num_antennas, system.num_sensing_beams), complex)
    return system.project(known, system.design(beams=beams, sensing_beams=silent, coefficients=coefficients))


table = agents.compare(system, [*args.policies, point_at_user], scenes=args.scenes)
print(table)
