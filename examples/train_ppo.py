"""PPO of Stable-Baselines3 on the native vector environment in a few lines.

`ris-gym train` does this with a network shared over the elements, validation, TensorBoard and checkpoints.

    python examples/train_ppo.py --steps 100000
"""

import argparse

import gymnasium as gym
from stable_baselines3 import PPO

import ris_gym

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=100_000)
parser.add_argument("--num-envs", type=int, default=64)
args = parser.parse_args()

envs = gym.make_vec(
    "ris_gym/Beampattern-v0",
    num_envs=args.num_envs,
    num_elements=16,
    episode="refine",
    observation="local",
    horizon=8,
    autoreset_mode="SameStep",
)
model = PPO(
    "MlpPolicy",
    ris_gym.as_sb3(envs),
    n_steps=8,
    batch_size=256,
    n_epochs=4,
    learning_rate=1e-3,
    gamma=0.9,
    policy_kwargs={"log_std_init": -1.5, "net_arch": [128, 128]},
    seed=0,
    device="cpu",
)
model.learn(args.steps)
returns = [episode["r"] for episode in model.ep_info_buffer]
print(f"mean gain of the penalised score per episode: {sum(returns) / len(returns):.3f} over {len(returns)} episodes")
