"""reasoning-gym without pycosat, as on a machine without a C compiler."""

import subprocess
import sys

CODE = """
import importlib.abc, sys

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == "pycosat":
            raise ModuleNotFoundError(name)

import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name == "pycosat" else find(name, package)
sys.meta_path.insert(0, Missing())
from mathwright.problems.gym import load_gym
train, test, solutions, dropped = load_gym("chain_sum", difficulty=1, num_train=3, num_test=1, seed=0)
print(len(train), len(test))
"""


def test_arithmetic_sets_load_without_pycosat() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["3", "1"]
