"""Length of a classic netCDF file, from its header.

The netCDF library reads zeros behind the end of a file that was cut off, without an error.

References
----------
The NetCDF Classic Format Specification, https://docs.unidata.ucar.edu/netcdf-c/current/file_format_specifications.html
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}


@dataclass(frozen=True)
class _Variable:
    dims: tuple[int, ...]
    size: int
    begin: int


class _Header:
    """Reads the header's big-endian numbers, whose width depends on the version (1, 2 or 5)."""

    def __init__(self, file: BinaryIO, version: int) -> None:
        self._file = file
        self.count_width = 8 if version == 5 else 4
        self.offset_width = 4 if version == 1 else 8

    def number(self, width: int = 4) -> int:
        data = self._file.read(width)
        if len(data) < width:
            raise EOFError
        return int(struct.unpack(">q" if width == 8 else ">i", data)[0])

    def count(self) -> int:
        return self.number(self.count_width)

    def skip(self, length: int) -> None:
        self._file.seek(length + (-length) % 4, 1)

    def attributes(self) -> None:
        self.number()
        for _ in range(self.count()):
            self.skip(self.count())
            kind = self.number()
            self.skip(self.count() * _SIZES[kind])


def missing_bytes(path: Path) -> int:
    """Return how many bytes a classic netCDF file lacks; 0 if it is whole or of another format."""
    with path.open("rb") as file:
        magic = file.read(4)
        if magic[:3] != b"CDF" or magic[3] not in (1, 2, 5):
            return 0
        length = path.stat().st_size
        try:
            return max(0, _expected(_Header(file, magic[3])) - length)
        except (EOFError, KeyError):
            return 1


def _expected(header: _Header) -> int:
    records = header.count()
    header.number()
    dims = []
    for _ in range(header.count()):
        header.skip(header.count())
        dims.append(header.count())
    header.attributes()
    header.number()
    variables = [_variable(header) for _ in range(header.count())]
    fixed: list[tuple[int, int]] = []
    moving: list[tuple[int, int]] = []
    for variable in variables:
        is_record = bool(variable.dims) and dims[variable.dims[0]] == 0
        inner = variable.dims[1:] if is_record else variable.dims
        length = variable.size * math.prod(dims[dim] for dim in inner)
        (moving if is_record else fixed).append((variable.begin, length))
    end = max((begin + length for begin, length in fixed), default=0)
    if records > 0 and moving:
        # A single record variable is not padded to four bytes.
        stride = sum(length if len(moving) == 1 else length + (-length) % 4 for _, length in moving)
        end = max(end, max(begin + length for begin, length in moving) + (records - 1) * stride)
    return end


def _variable(header: _Header) -> _Variable:
    header.skip(header.count())
    dims = tuple(header.count() for _ in range(header.count()))
    header.attributes()
    size = _SIZES[header.number()]
    header.count()
    return _Variable(dims, size, header.number(header.offset_width))
