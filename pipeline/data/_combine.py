"""Several files of one entry as one dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import xarray as xr

from pipeline.data.axes import time_dim
from pipeline.data.calendars import decode_times
from pipeline.data.expver import merge_versions
from pipeline.data.records import ONE_GRID, Repair
from pipeline.errors import DataError


def combine(parts: Sequence[tuple[Path, xr.Dataset]], name: str) -> xr.Dataset:
    """Return the datasets joined by their coordinates: times after one another, variables side by side.

    Parameters
    ----------
    parts : sequence of (Path, Dataset)
        Files and what they hold. Files may count their times from different dates, so those of
        several files are decoded first. Values of ERA5 and ERA5T become one. What was mended is kept in
        ``attrs["repairs"]``.
    name : str
        The entry, for messages.

    Raises
    ------
    DataError
        If their grids differ, or variables side by side have different times.
    """
    merged = [(path, *merge_versions(data)) for path, data in parts]
    if len(merged) == 1:
        _, data, repairs = merged[0]
        return data.assign_attrs(repairs=repairs)
    parts, repairs = _decoded([(path, data) for path, data, _ in merged])
    for path, _, mended in merged:
        repairs += tuple(replace(repair, text=f"{path.name}: {repair.text}") for repair in mended)
    # Files with the same variables follow one another in time; the groups then stand side by side.
    groups: dict[tuple[str, ...], list[tuple[Path, xr.Dataset]]] = {}
    for path, data in parts:
        groups.setdefault(tuple(sorted(map(str, data.data_vars))), []).append((path, data))
    whole = _without_levels([(files[0][0], _along_time(files, name)) for files in groups.values()])
    first_path, first = whole[0]
    for path, data in whole[1:]:
        try:
            first = xr.merge([first, data], join="exact", compat="no_conflicts", combine_attrs="override")
        except (ValueError, xr.MergeError) as error:
            raise DataError(
                f"{name}: expected files on one grid and with the same times, got others in {path.name} than in "
                f"{first_path.name} ({_one_line(error)}). {ONE_GRID}"
            ) from error
    return first.assign_attrs(repairs=repairs)


def _decoded(
    parts: Sequence[tuple[Path, xr.Dataset]],
) -> tuple[list[tuple[Path, xr.Dataset]], tuple[Repair, ...]]:
    decoded, repairs = [], []
    for path, data in parts:
        dated, mended = decode_times(data, str(path))
        decoded.append((path, dated))
        repairs += [replace(repair, text=f"{path.name}: {repair.text}") for repair in mended]
    return decoded, tuple(repairs)


def _without_levels(parts: Sequence[tuple[Path, xr.Dataset]]) -> list[tuple[Path, xr.Dataset]]:
    """Drop coordinates of one value that differ between files: temperature stands at 2 m, wind at 10 m."""
    values: dict[object, set[object]] = {}
    for _, data in parts:
        for name, coord in data.coords.items():
            if coord.ndim == 0:
                values.setdefault(name, set()).add(coord.values.item())
    differ = [name for name, found in values.items() if len(found) > 1]
    return [(path, data.drop_vars(differ, errors="ignore")) for path, data in parts]


def _along_time(files: list[tuple[Path, xr.Dataset]], name: str) -> xr.Dataset:
    if len(files) == 1:
        return files[0][1]
    axis = time_dim(files[0][1])
    for path, data in files:
        if axis is None or axis not in data.dims:
            raise DataError(
                f"{name}: expected a time in {path.name}, which has the same variables as {files[0][0].name}, got none."
            )
    try:
        return xr.concat(
            [data for _, data in files],
            dim=axis,
            data_vars="minimal",
            coords="minimal",
            compat="override",
            join="exact",
            combine_attrs="override",
        )
    except (ValueError, TypeError) as error:
        raise DataError(
            f"{name}: expected {len(files)} files of one grid and calendar after one another, from "
            f"{files[0][0].name} to {files[-1][0].name}, got {_one_line(error)}."
        ) from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
