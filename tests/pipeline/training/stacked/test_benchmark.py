"""The benchmark of members as one runs, and says a ratio for every network."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]


@pytest.mark.slow
def test_every_network_has_a_ratio():
    words = ["--members", "2", "--samples", "16", "--rounds", "1", "--backend", "cpu"]
    command = [sys.executable, "-m", "benchmarks.stacked", *words]
    printed = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
    found = dict(re.findall(r"^(\w+): \d+ weights a member, ratio ([0-9.]+)$", printed, flags=re.MULTILINE))
    assert found.keys() == {"mlp", "unet", "lstm"}
    assert all(float(ratio) > 0 for ratio in found.values())
