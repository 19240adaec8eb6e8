"""GPUs: what the driver and torch see, which RAPIDS libraries are there, and why there is no gpu backend."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from packaging.requirements import Requirement

from flows.health import Finding, State
from flows.health.software import pip, requirements
from pipeline.backend import why_no_gpu
from pipeline.backend.inventory import Driver, Gpu, Library, Torch, driver, libraries, torch

SUBJECT = "gpu"
WHAT = "torch and GPUs"
CUDA = 13
INSTALL = "-c constraints.txt 'finescale[gpu]'"


def driver_finding(found: Driver | None) -> Finding:
    """Say what the NVIDIA driver is and sees; none is no fault, for runs work on the CPU."""
    if found is None:
        return Finding(SUBJECT, "NVIDIA driver", "none (no nvidia-smi here); runs compute on the CPU")
    if found.fault:
        return Finding(
            SUBJECT, "NVIDIA driver", "does not answer", "fault", f"nvidia-smi says: {found.fault}", "nvidia-smi"
        )
    told = f"{found.version}, serves CUDA {found.cuda or 'of an unknown version'}; {_gpus(found.gpus)}"
    major = found.cuda.partition(".")[0]
    if major.isdigit() and int(major) < CUDA:
        wrong = f"the libraries of the gpu backend are built with CUDA {CUDA}, which needs a driver of 580 or newer"
        return Finding(SUBJECT, "NVIDIA driver", told, "note", wrong, "sudo apt install nvidia-driver-580")
    return Finding(SUBJECT, "NVIDIA driver", told)


def torch_finding(found: Torch, card: Driver | None) -> Finding:
    """Say which build of torch this is and which GPUs it sees."""
    seen_by_driver = bool(card and card.gpus)
    if found.fault and not found.version:
        mend = pip("--force-reinstall", "'torch>=2.11,<2.14'")
        return Finding(SUBJECT, WHAT, "does not import", "fault", found.fault, mend)
    build = f"{found.version}, built with CUDA {found.cuda}" if found.cuda else f"{found.version}, a CPU build"
    if found.gpus:
        return Finding(SUBJECT, WHAT, f"{build}, sees {_gpus(found.gpus)}")
    if seen_by_driver and not found.cuda:
        wrong = "the driver sees a GPU that this build of torch cannot use; runs compute on the CPU"
        mend = pip("--force-reinstall", "'torch>=2.11,<2.14'")
        return Finding(SUBJECT, WHAT, build, "note", wrong, mend)
    if seen_by_driver:
        wrong = f"the driver sees a GPU and torch none{f' ({found.fault})' if found.fault else ''}"
        mend = "unset CUDA_VISIBLE_DEVICES; nvidia-smi; " + f'{sys.executable} -c "import torch; torch.cuda.init()"'
        return Finding(SUBJECT, WHAT, build, "fault", wrong, mend)
    return Finding(SUBJECT, WHAT, f"{build}; no GPU to see")


def library_finding(found: Library, asked: Sequence[Requirement], wanted: bool) -> Finding:
    """Say whether a library of the gpu backend is there, imports and is of the release that fits the others.

    ``wanted`` says whether there is a GPU that it would be used on; else its absence is nothing to mend.
    """
    want = next((one for one in asked if one.name == found.package), None)
    mend = pip(INSTALL)
    if not found.version:
        wrong = f"the gpu backend needs {found.package}" if wanted else ""
        return Finding(SUBJECT, found.name, "not installed", "note" if wanted else "ok", wrong, mend if wanted else "")
    if want is not None and not want.specifier.contains(found.version, prereleases=True):
        wrong = f"{want.specifier} is needed: releases that are mixed do not load"
        return Finding(SUBJECT, found.name, f"{found.package} {found.version}", "fault", wrong, mend)
    if found.fault:
        wrong = f"it does not import: {found.fault}"
        told = f"{found.package} {found.version}"
        return Finding(SUBJECT, found.name, told, "fault" if wanted else "note", wrong, mend if wanted else "")
    return Finding(SUBJECT, found.name, f"{found.package} {found.version}, imports")


def findings() -> list[Finding]:
    """Return everything about GPUs; imports torch, and RAPIDS where it is installed."""
    card, network = driver(), torch()
    wanted = bool(card and card.gpus) or bool(network.gpus)
    asked = requirements()
    found = [driver_finding(card), torch_finding(network, card)]
    parts = libraries()
    if any(part.version for part in parts) or wanted:
        found += [library_finding(part, asked, wanted) for part in parts]
    else:
        found.append(Finding(SUBJECT, "RAPIDS", f"not installed ({', '.join(part.name for part in parts)})"))
    reason = why_no_gpu()
    if reason is None:
        found.append(Finding(SUBJECT, "backend gpu", "works"))
    else:
        state: State = "note" if wanted else "ok"
        wrong = "runs compute on the CPU though there is a GPU" if wanted else ""
        mend = pip(INSTALL) if wanted else ""
        found.append(Finding(SUBJECT, "backend gpu", f"not here: {reason}", state, wrong, mend))
    return found


def _gpus(gpus: Sequence[Gpu]) -> str:
    told = [f"{one.name} ({one.memory:g} GiB)" for one in gpus]
    return (
        ", ".join(f"{told.count(one)} x {one}" if told.count(one) > 1 else one for one in dict.fromkeys(told))
        or "no GPU"
    )
