"""A trained model in Python: what ``finescale predict`` and ``finescale bundle`` do."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xarray as xr

    from flows.apply.bundle import Bundle


@dataclass(frozen=True, eq=False)
class Predictor:
    """A trained model of a run or a bundle, ready to be applied.

    Parameters
    ----------
    path : Path
        The run or bundle, a folder or a ``.zip``.
    name : str, optional
        A model or method; by default the best on the validation split.
    engine : str, optional
        What answers, as in :func:`load_bundle`.
    """

    path: Path
    name: str | None = None
    engine: str | None = None

    def require(self) -> None:
        """Refuse a model that is not there, before it is asked for anything."""
        with ExitStack() as closing:
            self._opened(closing)

    def predict(
        self,
        inputs: str | Path | xr.Dataset | Sequence[str | Path],
        to: str | Path | None = None,
        *,
        period: tuple[str, str] | None = None,
        members: int | None = None,
    ) -> xr.Dataset:
        """Return predictions for new predictors, in memory, and write them where ``to`` says.

        Parameters
        ----------
        inputs : str, Path, Dataset or sequence of paths
            Files with the predictors, ``DATASET=PATH`` where one file is for one dataset; or a dataset with all.
        to : str or Path, optional
            A netCDF file.
        period : tuple of str, optional
            First and last date.
        members : int, optional
            Draws that are written as members.

        Raises
        ------
        pipeline.errors.UserError
            If the predictors do not fit the model.
        """
        import xarray as xr

        from flows.apply.predict import Request, apply
        from pipeline.cf import names_back

        with ExitStack() as closing:
            folder = Path(closing.enter_context(tempfile.TemporaryDirectory()))
            if isinstance(inputs, xr.Dataset):
                inputs.to_netcdf(folder / "input.nc", engine="netcdf4")
                inputs = folder / "input.nc"
            words = [inputs] if isinstance(inputs, (str, Path)) else list(inputs)
            out = folder / "prediction.nc" if to is None else Path(to)
            apply(self._opened(closing), Request(tuple(map(str, words)), out, period, members))
            with names_back(xr.open_dataset(out, engine="netcdf4")) as data:
                return data.load()

    def export(self, folder: str | Path, formats: Sequence[str] = ("native",), *, zipped: bool = False) -> Path:
        """Write a bundle to carry away; see ``finescale bundle`` and docs/outputs.md."""
        with ExitStack() as closing:
            return self._opened(closing).export(Path(folder), tuple(formats), zipped=zipped)

    def _opened(self, closing: ExitStack) -> Bundle:
        from flows.apply.bundle import Bundle
        from flows.apply.exporting import unpacked

        packed = self.path.suffix == ".zip" and self.path.is_file()
        return Bundle.open(
            closing.enter_context(unpacked(self.path)) if packed else self.path, self.name, engine=self.engine
        )
