"""The truth and its mask."""

import numpy as np
import pytest

from pipeline.errors import DataError, SplitError
from pipeline.prepare.align import align
from pipeline.prepare.config import TargetConfig
from pipeline.prepare.targets import build_truth, fit_mask
from pipeline.rows import Room


def build(target, predictor, split, backend, **options):
    axis = align([("era", predictor)], target, split, None)
    return axis, build_truth(target, axis, TargetConfig(**options), axis.split.train_split(axis.time), Room(backend))


def test_cells_need_truth_on_enough_train_days(field, split, backend):
    target = field("tas", "tasmax")
    target.tas[dict(lat=0, lon=0)] = np.nan
    target.tasmax[dict(lat=0, lon=1, time=slice(0, 366))] = np.nan
    target.tas[dict(lat=0, lon=2, time=slice(0, 364))] = np.nan
    target.tas[dict(lat=0, lon=3, time=slice(730, None))] = np.nan
    axis, truth = build(target, field("psl"), split, backend)
    assert truth.mask[0].tolist() == [False, False, True, True]
    assert truth.mask[1:].all()
    values = backend.to_host(truth.values)
    assert np.isnan(values[:, :, 0, :2]).all()
    np.testing.assert_array_equal(values[:, 1, 1], target.tasmax.values[axis.target][:, 1])
    assert (truth.names, truth.units) == (("tas", "tasmax"), ("K", "K"))


def test_days_without_any_truth_do_not_count_against_a_cell(field, split, cpu):
    target = field("tas")
    target.tas[dict(time=slice(0, 500))] = np.nan
    _, truth = build(target, field("psl"), split, cpu)
    assert truth.mask.all()
    assert truth.known[:730].sum() == 230


def test_infinite_truth_is_missing(field, split, backend):
    target = field("tas")
    target.tas[dict(lat=1, lon=1, time=5)] = np.inf
    assert np.isnan(backend.to_host(build(target, field("psl"), split, backend)[1].values)[5, 0, 1, 1])


def test_a_test_set_may_go_without_truth_and_no_other(field, split, cpu):
    assert build(field("tas").isel(time=slice(0, 1096)), field("psl"), split, cpu)[1].without == {"test"}
    message = (
        r"^split 'validation' \(1992-01-11 to 1992-12-31\) has predictors and no truth; "
        r"only a test set may go without\.$"
    )
    with pytest.raises(SplitError, match=message):
        build(field("tas").isel(time=slice(0, 730)), field("psl"), split, cpu)


def test_no_cell_left_is_an_error(field, split, cpu):
    target = field("tas")
    target.tas[:] = target.tas.where(np.arange(12).reshape(3, 4) == np.arange(1461)[:, None, None] % 12)
    message = (
        r"^no cell has truth on 0\.5 of the 730 train days with truth; lower prepare\.target\.min_share, "
        r"or look at the target's file\.$"
    )
    with pytest.raises(DataError, match=message):
        build(target, field("psl"), split, cpu)
    assert build(target, field("psl"), split, cpu, min_share=0.05)[1].mask.all()


def test_every_cell_is_refused_where_one_has_nothing_to_learn_from(field, split, cpu):
    target = field("tas")
    assert build(target, field("psl"), split, cpu, mask="all")[1].mask.all()
    target.tas[dict(lat=0, lon=0)] = np.nan
    message = r"^prepare\.target\.mask 'all': 1 cells have no truth on any train day, so nothing can be learned there; "
    with pytest.raises(DataError, match=message):
        build(target, field("psl"), split, cpu, mask="all")


def test_a_target_without_variables_is_refused(field, split, cpu):
    with pytest.raises(DataError, match=r"^the target: expected a variable, got a dataset without any\.$"):
        build(field("tas").drop_vars("tas"), field("psl"), split, cpu)


def test_the_mask_is_fitted_on_a_train_split_alone():
    with pytest.raises(TypeError, match=r"^The mask is fitted on a TrainSplit alone, got None; use "):
        fit_mask(np.zeros((2, 1, 1, 1)), None, TargetConfig())
