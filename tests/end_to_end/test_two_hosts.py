"""A scheduler and its workers on two hosts, which are network namespaces of this machine joined by a cable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = str(Path(__file__).resolve().parents[2])
PLACED = '''
"""A ridge that notes where it was fitted."""

import time
from pathlib import Path

from models import MODELS
from models.ridge import Ridge


@MODELS.register("placed")
class Placed(Ridge):
    """See above."""

    def fit(self, train, validation, context):
        from distributed import get_worker

        try:
            host = get_worker().address.split("/")[-1].split(":")[0]
            time.sleep(2.0)  # so that the other has the other worker
        except ValueError:
            host = "here"
        (Path(__file__).parent / f"{context.name}.host").write_text(host)
        return super().fit(train, validation, context)
'''
CABLE = """
set -e
ip link set lo up
unshare -n sleep 900 & B=$!
trap 'kill $(jobs -p) 2>/dev/null' EXIT
for i in $(seq 50); do [ "$(readlink /proc/$B/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break; sleep 0.1; done
ip link add va type veth peer name vb
ip link set vb netns $B
ip addr add 10.77.0.1/24 dev va
ip link set va up
there="nsenter -t $B -n"
$there ip addr add 10.77.0.2/24 dev vb
$there ip link set vb up
$there ip link set lo up
"""
HOSTS = """
dask="$PYTHON -m distributed.cli"
worker="${dask}.dask_worker tcp://10.77.0.1:8786 --nthreads 1 --no-dashboard"
${dask}.dask_scheduler --host 10.77.0.1 --port 8786 --no-dashboard 2>scheduler.log &
$worker --host 10.77.0.1 2>first.log &
$FAR $worker --host 10.77.0.2 2>second.log &
$PYTHON - <<'END'
import distributed
with distributed.Client("tcp://10.77.0.1:8786", timeout=120) as client:
    client.wait_for_workers(2, timeout=120)
END
$PYTHON -m flows.cli run small.yaml --scheduler tcp://10.77.0.1:8786 --workers 2 --out runs --no-server
"""


def in_namespaces(script: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": ROOT, "OMP_NUM_THREADS": "1", "PYTHON": sys.executable, **environment}
    words = ["unshare", "--user", "--map-root-user", "--net", "--mount", "bash", "-c", CABLE + script]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True)


@pytest.fixture(autouse=True)
def namespaces(tmp_path):
    for tool in ("unshare", "nsenter", "ip"):
        if shutil.which(tool) is None:
            pytest.skip(f"needs the command {tool}")
    tried = in_namespaces("", tmp_path)
    if tried.returncode != 0:
        pytest.skip(f"network namespaces are not permitted here: {tried.stderr.strip()[-200:]}")


@pytest.fixture
def placed(world):
    world.experiment["models"] = {
        "a": {"kind": "placed"},
        "b": {"kind": "placed"},
        "climatology": {"kind": "climatology"},
    }
    world.experiment["plugins"] = ["placed.py"]
    world.experiment["compute"] = {"threads": 1}
    (world.folder / "placed.py").write_text(PLACED)
    return world.write()


def newest(folder: Path) -> Path:
    return max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)


@pytest.mark.timeout(900)
def test_a_run_over_two_hosts_has_the_numbers_of_one_process(placed):
    assert placed.run() == 0
    alone = newest(placed.folder / "runs")
    assert [(placed.folder / f"{name}.host").read_text() for name in "ab"] == ["here", "here"]
    done = in_namespaces(HOSTS.replace("$FAR", "$there"), placed.folder)
    assert done.returncode == 0, done.stderr
    spread = newest(placed.folder / "runs")
    assert spread != alone
    assert {(placed.folder / f"{name}.host").read_text() for name in "ab"} == {"10.77.0.1", "10.77.0.2"}
    assert (spread / "scores.csv").read_bytes() == (alone / "scores.csv").read_bytes()


@pytest.mark.timeout(900)
def test_a_host_that_does_not_share_the_run_folder_is_told_of_before_the_first_stage(placed):
    (placed.folder / "runs").mkdir()
    # Another disk lies over the folder of runs on the second host.
    far = "$there unshare --mount bash -c 'mount -t tmpfs none runs && exec \"$@\"' --"
    done = in_namespaces(HOSTS.replace("$FAR", far), placed.folder)
    assert done.returncode == 1
    assert "worker tcp://10.77.0.2:" in done.stderr
    assert "does not see the run folder" in done.stderr
    assert not (newest(placed.folder / "runs") / "stages/ingest.json").exists()
