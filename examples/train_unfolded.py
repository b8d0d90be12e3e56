"""Train an unfolded network through the differentiable physics, without critic or labels, and use it at a size it never saw.

    python examples/train_unfolded.py --minutes 2
"""

import argparse
import tempfile

import agents
import ris_gym

parser = argparse.ArgumentParser()
parser.add_argument("--minutes", type=float, default=2.0)
parser.add_argument("--elements", type=int, default=32)
parser.add_argument("--others", type=int, default=48, help="number of elements of the second comparison")
parser.add_argument("--scenes", type=int, default=50)
args = parser.parse_args()

system = ris_gym.systems.make("beampattern", num_elements=args.elements)
with tempfile.TemporaryDirectory() as folder:
    config = agents.TrainConfig(
        system=system, algorithm="unfolded", minutes=args.minutes, folder=folder, reference=None, progress=False
    )
    run = agents.train(config)
    for elements in (args.elements, args.others):
        other = ris_gym.systems.make("beampattern", num_elements=elements)
        policies = {"unfolded": str(run.folder), "prox_linear": "prox_linear", "random": "random"}
        table = agents.compare(other, policies, scenes=args.scenes, bound=False, single=0)
        scores = ", ".join(f"{row['policy']} {row['score']:.3f}" for row in table.rows)
        print(f"{elements} elements, mean penalised score over {args.scenes} unseen channels: {scores}")
