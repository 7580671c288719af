"""The same PPO on CartPole-v1 by kedja and by Stable-Baselines3, one thread each, in turns.

`python -m benchmarks.ppo_beside_sb3` runs each side in a process of its own for each seed, kedja
with an empty cache, so that all is compiled anew. Time counts from the first import of the library
to the end of training. Processor time is told beside the clock's, since other programs may run. Not
here: whether agents reach their goals (`systems/agents.py`). Next: `systems/agents.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time

import numpy as np

STEPS = 61_440  # 30 rounds of 128 steps in 16 copies
SEEDS = 3
ONE_THREAD = {"OMP_NUM_THREADS": "1", "KEDJA_THREADS": "1"}


def kedja(seed: int) -> float:
    """PPO with its usual options, but for goal and trials; the mean reward of 20 episodes."""
    from kedja.rl import learn
    from kedja.rl.trials import Trials

    options = {"steps": STEPS, "goal": np.inf, "every": STEPS, "episodes": 1, "progress": False}
    started = _started()
    found = learn("CartPole-v1", "ppo", seed=seed, **options)
    _tell(started)
    return float(Trials("CartPole-v1").rewards(found.policy, 20, [9]).mean())


def stable_baselines3(seed: int) -> float:
    """PPO with the same options; the mean reward of 20 episodes."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.evaluation import evaluate_policy
    from stable_baselines3.common.vec_env import VecNormalize

    torch.set_num_threads(1)
    env = VecNormalize(make_vec_env("CartPole-v1", 16, seed=seed))
    model = PPO(
        "MlpPolicy",
        env,
        n_steps=128,
        batch_size=128,
        n_epochs=10,
        learning_rate=lambda left: 1e-3 * left,
        seed=seed,
        device="cpu",
    )
    started = _started()
    model.learn(STEPS)
    _tell(started)
    env.training = env.norm_reward = False
    return float(evaluate_policy(model, env, 20)[0])


SIDES = {each.__name__: each for each in (kedja, stable_baselines3)}
_BEGIN = (time.perf_counter(), time.process_time())


def _started() -> tuple[float, float]:
    """How long importing and setting up took: seconds by the clock and of the processor."""
    return time.perf_counter() - _BEGIN[0], time.process_time() - _BEGIN[1]


def _tell(started: tuple[float, float]) -> None:
    whole = _started()
    print(
        f"{whole[0]:.1f} s by the clock, {whole[1]:.1f} s of the processor, "
        f"{started[1]:.1f} of them before training",
        end="; ",
        flush=True,
    )


def main() -> None:
    """Both sides in turns, each in a process of its own."""
    for seed in range(SEEDS):
        for side in SIDES:
            with tempfile.TemporaryDirectory() as cache:
                print(f"seed {seed}, {side}: ", end="", flush=True)
                known = {**os.environ, **ONE_THREAD, "KEDJA_CACHE": cache}
                line = [sys.executable, "-m", "benchmarks.ppo_beside_sb3", side, str(seed)]
                subprocess.run(line, check=True, env=known)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(f"reward {SIDES[sys.argv[1]](int(sys.argv[2])):.0f}", flush=True)
    else:
        main()
