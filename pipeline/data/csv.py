"""Reader of text tables: comma, semicolon, tab or blank separated."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pandas.errors import ParserWarning

from pipeline.backend import Backend
from pipeline.data import READERS
from pipeline.data._table import Layout, TableOptions, TableReader
from pipeline.errors import DataError


@READERS.register("csv")
class CsvReader(TableReader):
    """Reads text tables, long (a row a station and time), wide (a column a station) or of one series."""

    class Options(TableOptions, Layout):
        """Keys of an entry of format ``csv``."""

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv", ".txt", ".dat", ".csv.gz")

    def unnamed(self, options: Options) -> bool:
        """Whether there is neither a header nor a list of columns."""
        return not options.header and options.columns is None

    def frame(self, path: Path, options: Options, text: Sequence[str], backend: Backend) -> Any:
        """Return the file as a frame of ``backend.xdf``."""
        return read_text(path, options, text, options.missing, backend)


def read_text(path: Path, layout: Layout, text: Sequence[str], missing: Sequence[str], backend: Backend) -> Any:
    """Return a text table as a frame of ``backend.xdf``.

    Parameters
    ----------
    path : Path
        The file.
    layout : Layout
        How it is written.
    text : sequence of str
        Columns that stay text, so that ids keep leading zeros.
    missing : sequence of str
        Text that stands for none, beside empty cells and NA.
    backend : Backend
        Its ``xdf`` reads.

    Raises
    ------
    DataError
        If the file is no such table.
    """
    blank = layout.separator == "blank"
    try:
        source = io.StringIO(_single_blanks(path.read_text(encoding="utf-8"))) if blank else path
        with warnings.catch_warnings():
            # Rows that are longer than the header would lose their ends with a warning alone.
            warnings.simplefilter("error", ParserWarning)
            return backend.xdf.read_csv(
                source,
                sep=" " if blank else layout.separator,
                header=0 if layout.header else None,
                names=layout.columns,
                comment=layout.comment,
                skiprows=layout.skip_rows,
                dtype=dict.fromkeys(text, "str"),
                na_values=list(missing) or None,
                index_col=False,
            )
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from error
    except (OSError, ValueError, RuntimeError, ParserWarning) as error:
        raise DataError(f"{path}: expected a table separated by {layout.separator!r}, got: {error}.") from error


def not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    """Return the error for a text file in another encoding."""
    return DataError(
        f"{path}: expected text in UTF-8, got another encoding (byte 0x{error.object[error.start]:02x} is none of it). "
        "Convert it, such as with: iconv -f latin1 -t utf-8"
    )


def _single_blanks(text: str) -> str:
    """Turn runs of blanks into one, which is the only form that both frame libraries read."""
    return "\n".join(re.sub(r"[ \t]+", " ", line.strip()) for line in text.splitlines())
