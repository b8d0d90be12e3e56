"""A random agent in 64 parallel scenes: the whole Gymnasium interface in one loop.

    python examples/random_agent.py --steps 100
"""

import argparse

import gymnasium as gym

import ris_gym  # noqa: F401 - registers the environments

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=100)
parser.add_argument("--num-envs", type=int, default=64)
args = parser.parse_args()

envs = gym.make_vec("ris_gym/Beampattern-v0", num_envs=args.num_envs, num_elements=16)
envs.action_space.seed(0)
observation, info = envs.reset(seed=0)
total = 0.0
for _ in range(args.steps):
    observation, reward, terminated, truncated, info = envs.step(envs.action_space.sample())
    total += reward.mean()
print(f"observation {observation.shape}, mean reward per step {total / args.steps:.3f}")
print(f"mean objective now {info['objective'].mean():.1f} {envs.unwrapped.system.unit}, feasible {info['feasible'].mean():.0%}")
envs.close()
