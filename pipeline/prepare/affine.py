"""The way from a sample's numbers to units, where the day of the year has no part in it."""

from __future__ import annotations

import numpy as np

from pipeline.backend import Backend
from pipeline.prepare.inputs import InputTransform
from pipeline.prepare.scalars import ScalarTransform
from pipeline.prepare.transform import TargetTransform
from pipeline.samples import Affine


def channel_affine(encoder: InputTransform, scalars: ScalarTransform, backend: Backend) -> Affine | None:
    """Return scale and shift of every channel, lags and scalars too; None under anomalies by day of the year."""
    if encoder.anomaly is not None:
        return None
    scale, shift = (backend.to_host(part) for part in (encoder.scaler.deviation, encoder.scaler.mean))
    number = len(encoder.lags)
    parts = []
    for fields, own in zip((scale, shift), scalars.affine, strict=True):
        lagged = np.concatenate([fields] * number)
        numbers = np.broadcast_to(own[:, None, None], (len(own), *fields.shape[1:]))
        parts.append(np.concatenate([lagged, numbers]).astype(np.float32))
    kinds = (
        () if set(encoder.transforms) == {"none"} else encoder.transforms * number + ("none",) * len(scalars.affine[0])
    )
    return Affine(parts[0], parts[1], kinds)


def target_affine(transform: TargetTransform, backend: Backend, leads: int = 1) -> Affine | None:
    """Return scale and shift of every target at ``leads`` leads; None where one is an anomaly by day of the year."""
    if transform.shift.used:
        return None
    scale = backend.to_host(transform.scale)
    shift = backend.to_host(transform.shift.mean_at(np.zeros(1)))[0]
    scales, shifts = (np.concatenate([np.asarray(part, np.float32)] * leads) for part in (scale, shift))
    return Affine(scales, shifts)
