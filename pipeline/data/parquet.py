"""Reader of Parquet tables."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pipeline.backend import Backend
from pipeline.data import READERS
from pipeline.data._table import TableOptions, TableReader
from pipeline.errors import DataError


@READERS.register("parquet")
class ParquetReader(TableReader):
    """Reads Parquet tables of the same layouts as text tables."""

    suffixes: ClassVar[tuple[str, ...]] = (".parquet", ".pq")

    def frame(self, path: Path, options: TableOptions, text: Sequence[str], backend: Backend) -> Any:
        """Return the file as a frame of ``backend.xdf``."""
        try:
            frame = backend.xdf.read_parquet(path)
        except (OSError, ValueError, RuntimeError) as error:  # pyarrow's ArrowInvalid is a ValueError
            raise DataError(f"{path}: expected a Parquet file, got: {error}.") from error
        named = [name for name in frame.index.names if name is not None]
        return frame.reset_index() if named else frame
