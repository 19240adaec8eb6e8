"""``finescale predict``: a trained model applied to a new period or model run, in blocks of time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from flows.apply.bundle import OWN_PAST, Bundle
from flows.apply.change import Span, require_dates
from flows.apply.draws import drawn
from flows.apply.exporting import NATIVE
from flows.apply.inputs import Inputs, require_apart
from flows.apply.novelty import Strange, Watch
from flows.apply.past import OwnPast, lacking_past, past_of
from flows.apply.stations import require_separate, without_stations
from flows.header import of_command
from flows.passes import in_passes
from flows.workspace import leads_of, target_variables
from pipeline.errors import ConfigError, DataError, SplitError
from pipeline.export.reading import Given, encode_in_units
from pipeline.files import require_no_folder, write_atomic
from pipeline.prediction import Prediction
from pipeline.prediction.serial import Forecast, write_forecasts
from pipeline.prepare.dates import calendar_of, elapsed, iso, microseconds, parse
from pipeline.prepare.windows import require_step
from pipeline.rows.parts import spans
from pipeline.samples import Samples
from pipeline.seeding import derive_seed

log = logging.getLogger(__name__)

SPLIT = "input"
Answerer = Callable[[Samples, Given | None], Prediction]
_MEMORY = 2**28  # bytes of inputs and answers that a block takes, before what a network needs in between


@dataclass(frozen=True)
class Request:
    """What ``finescale predict`` asks for.

    Parameters
    ----------
    inputs : tuple of str
        Paths, or DATASET=PATH.
    out : Path
        The file that is written.
    span : tuple of str, optional
        First and last date; all by default.
    members : int, optional
        Draws of the predictive distribution that are written as members.
    block : int, optional
        Dates a block; by memory by default.
    change : tuple of tuple of str, optional
        Two periods that are to be compared; one without dates is refused before the work, not after.
    """

    inputs: tuple[str, ...]
    out: Path
    span: tuple[str, str] | None = None
    members: int | None = None
    block: int | None = None
    change: tuple[Span, Span] | None = None


@dataclass(frozen=True)
class Applied:
    """What was written, and what was not.

    Parameters
    ----------
    path : Path
        The file.
    first, last : str
        Its first and last date.
    times : int
        How many it has.
    left_out : int
        Dates of the input that lack a value or a lag.
    months : tuple of int, or None
        The only months that the models were trained on.
    other_months : int
        Dates of the input in other months, which are left out, too.
    stations : tuple of str
        Stations without predictors, of which nothing is said.
    unknown : int
        Dates at which a model that goes on from the target's own past knows none of it: its mean cycle stands there.
    without_past : tuple of str
        Stations of whose own past such a model knows nothing: its mean cycle stands there at all dates.
    strange : Strange or None
        How many dates are unlike those of the training; None where the run or bundle does not know.
    """

    path: Path
    first: str
    last: str
    times: int
    left_out: int
    months: tuple[int, ...] | None
    other_months: int
    stations: tuple[str, ...] = ()
    unknown: int = 0
    without_past: tuple[str, ...] = ()
    strange: Strange | None = None


def apply(bundle: Bundle, request: Request) -> Applied:
    """Predict every date of the input that has all predictors; write one CF netCDF file.

    Of a model that was trained on some months of the year only dates of these are predicted. Memory holds
    one block of dates, whatever the length of the input. The answers do not depend on the size of blocks;
    only the draws that ``members`` asks for do.

    Raises
    ------
    UserError
        If the inputs do not fit the bundle.
    """
    space, schema = bundle.space, bundle.recipe.schema
    if schema.target_grid.image:
        raise ConfigError(
            f"predict: expected a model of data with dates, got {bundle.name!r} of images. Give new images to a run: "
            "put them under data.images and into a test set of split.images."
        )
    require_no_folder(request.out, "--to")
    months = space.plan.experiment.data.months
    with Inputs.open(space, request.inputs, bool(bundle.traits & OWN_PAST)) as opened:
        require_apart(request.out, request.inputs)
        require_step(elapsed(opened.time), schema.step_us, "--input", opened.step)
        inputs = opened.of_months(months).of_stations(schema.input_grid)
        require_separate(bundle, inputs.lacking)
        past = past_of(bundle, inputs)
        chosen = _within(inputs.time, request.span, months)
        if request.change is not None:
            require_dates(inputs.time[slice(*chosen)], request.change)
        asked = chosen[1] - chosen[0]
        other_months = len(_inside(opened.time, request.span)) - asked
        size = request.block or _block_size(bundle, inputs)
        counted, answerer = _Counted(Watch.of(bundle)), bundle.answerer()
        forecasts = _forecasts(bundle, answerer, inputs, past, chosen, size, request, counted)
        with write_atomic(request.out) as temporary:
            write_forecasts(
                temporary,
                forecasts,
                model=bundle.name,
                variables=target_variables(schema),
                grid=schema.target_grid,
                splits=False,
                attrs=_origin(bundle, inputs),
                leads=leads_of(schema),
            )
            strange = counted.watch.write(temporary)
    left_out = asked - counted.times
    kept = None if months is None else tuple(months)
    return Applied(
        request.out,
        counted.first,
        counted.last,
        counted.times,
        left_out,
        kept,
        other_months,
        inputs.lacking,
        counted.unknown,
        () if past is None else tuple(name for name in past.without if name not in inputs.lacking),
        strange,
    )


def _origin(bundle: Bundle, inputs: Inputs) -> dict[str, str]:
    """Return the global attributes that say where a file comes from."""
    settings = bundle.space.run.read_json("work/settings.json")
    said = of_command(bundle.name, bundle.origin, settings)
    return {**said, "run": bundle.origin, "input_files": "; ".join(inputs.files)}


class _Counted:
    """Which dates were written, and how far they lie from those of the training."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.first, self.last, self.times, self.unknown = "", "", 0, 0

    def add(self, forecast: Forecast) -> None:
        self.first = self.first or iso(forecast.time[0])
        self.last = iso(forecast.time[-1])
        self.times += len(forecast.time)


def _forecasts(
    bundle: Bundle,
    answerer: Answerer,
    inputs: Inputs,
    past: OwnPast | None,
    chosen: tuple[int, int],
    size: int,
    request: Request,
    counted: _Counted,
) -> Iterator[Forecast]:
    """Yield the forecasts of the dates of ``chosen``, ``size`` of them at a time; say what there is to ``counted``."""
    start, blocks = chosen[0], list(spans(chosen[1] - chosen[0], size))
    with bundle.space.progress(f"predict with {bundle.name}", len(blocks)) as bar:
        for first, last in blocks:
            found = _block(bundle, inputs, (start + first, start + last))
            if found is not None:
                samples, given = found
                counted.watch.see(samples)
                if past is not None:
                    samples, unknown = past.known_to(samples)
                    counted.unknown += unknown
                for forecast in _answers(bundle, answerer, samples, given, start + first, request):
                    counted.add(forecast)
                    yield forecast
            bar.advance(note=iso(inputs.time[start + first]))
    inputs.judge()
    if not counted.times:
        raise DataError(
            f"expected a date with all predictors and their lags, got none among the {chosen[1] - start} of the input."
        )
    if counted.unknown == counted.times:
        raise lacking_past(bundle, "none of it is known up to any of the dates")


def _block(bundle: Bundle, inputs: Inputs, span: tuple[int, int]) -> tuple[Samples, Given | None] | None:
    """Return the samples of the dates of ``span``, and what graphs take; None where none of them is complete."""
    recipe, (first, last) = bundle.recipe, span
    # The dates before, which lags reach back to, of this period or not; they are predicted elsewhere or not at all.
    # Where the last known value fills a gap, it may lie anywhere before.
    before = 0 if recipe.encoder.missing == "last" else max(0, first - max(recipe.encoder.lags))
    try:
        read, given = inputs.read(before, last), None
        if bundle.engine == NATIVE:
            samples = recipe.encode(read, inputs.forcings, name=SPLIT, step=inputs.step)
        else:
            samples, given = encode_in_units(recipe, read, inputs.forcings, name=SPLIT, step=inputs.step)
    except SplitError:
        return None  # no date of the block has all its predictors
    own = np.flatnonzero(microseconds(samples.time) >= microseconds(inputs.time[first : first + 1])[0])
    if not own.size:
        return None
    return without_stations(samples.take(own), inputs.lacking), None if given is None else given.take(own)


def _answers(
    bundle: Bundle, answerer: Answerer, samples: Samples, given: Given | None, first: int, request: Request
) -> Iterator[Forecast]:
    """Yield the forecasts for a block, whose first date is the one at ``first`` of the input; in parts, if need be."""

    def answer(part: slice) -> Forecast:
        some = samples if part.stop - part.start == len(samples) else samples.take(part)
        prediction = answerer(some, None if given is None else given.take(part))
        if request.members is not None and prediction.is_categorical:
            raise ConfigError(
                f"--members: expected a model of numbers, got {bundle.name!r}, which answers classes: a class has no "
                "members. Its file holds the probability of every class."
            )
        return Forecast(SPLIT, some.time, prediction, None, some.valid)

    tell = partial(bundle.space.warn, bundle.name)
    made = in_passes(bundle.name, len(samples), answer, tell)
    if request.members is None:
        yield from made
        return
    # What is drawn depends on how many dates there are, so it is drawn once for all of the block.
    seed = derive_seed(bundle.space.plan.experiment.seed, "predict", first)
    members = drawn([part.prediction for part in made], request.members, seed, bundle.space.backend, tell)
    yield Forecast(SPLIT, samples.time, members, None, samples.valid)


def _within(time: np.ndarray, span: tuple[str, str] | None, months: Sequence[int] | None) -> tuple[int, int]:
    """Return the first position inside the span and the one behind its last.

    Raises
    ------
    ConfigError
        If a date is none of the calendar.
    DataError
        If fewer than two dates are inside.
    """
    inside = _inside(time, span)
    if span is not None and len(inside) < 2:
        kept = f" and the months {', '.join(map(str, months))} of the training" if months else ""
        raise DataError(
            f"expected two or more dates from {span[0]} to {span[1]}{kept} in the input, got {len(inside)}; it spans "
            f"{iso(time[0])} to {iso(time[-1])}."
        )
    return int(inside[0]), int(inside[-1]) + 1


def _inside(time: np.ndarray, span: tuple[str, str] | None) -> np.ndarray:
    """Return the positions of the dates in the span, all of them for None."""
    if span is None:
        return np.arange(len(time))
    calendar = calendar_of(time)
    try:
        edges = parse(span[0], calendar)[0], parse(span[1], calendar)[1]
    except ValueError as error:
        raise ConfigError(f"--period: {error}.") from error
    count = microseconds(time)
    return np.flatnonzero((count >= edges[0]) & (count < edges[1]))


def _block_size(bundle: Bundle, inputs: Inputs) -> int:
    """Return how many dates a block has, so that it fits the memory that is meant for it."""
    schema, lags = bundle.recipe.schema, len(bundle.recipe.encoder.lags)
    cells = len(schema.targets) * schema.mask.size
    # An answer is held several times over: in numbers, in units, as fields of the file; fifty members is a lot.
    step = (2 + lags) * inputs.bytes_per_step() + 4 * cells * 64
    return int(np.clip(_MEMORY // max(1, step), 16, 4096))
