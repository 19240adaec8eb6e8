"""Every registered augmentation keeps the form of a batch, and its own promise is written down."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.errors import ConfigError
from pipeline.grid import Grid
from pipeline.samples import Schema
from pipeline.training.augment import AUGMENTATIONS, Augmentation, Batch, make_augmentations, make_augmenter
from pipeline.training.losses import Place

NEEDED = {"patches": {"size": [4, 6]}}  # options without a default
ROWS, COLUMNS = 8, 12
DOCS = Path(__file__).resolve().parents[2] / "docs/augmentation.md"


def schema(**changed) -> Schema:
    grid = Grid(np.linspace(-70.0, 70.0, ROWS), np.arange(COLUMNS) * 30.0)
    return Schema(
        **{
            "channels": ("u", "v", "tmq", "v@-1", "day_cos"),
            "channel_units": ("1",) * 5,
            "targets": ("event",),
            "target_units": ("1",),
            "input_grid": grid,
            "target_grid": grid,
            "mask": np.ones(grid.shape, bool),
            "static": np.zeros((0, *grid.shape), np.float32),
            "statics": (),
            "step": np.timedelta64(1, "D"),
            "scalars": ("day_cos",),
            "classes": ("background", "storm"),
        }
        | changed
    )


@pytest.fixture(params=AUGMENTATIONS.names())
def name(request) -> str:
    return request.param


@pytest.fixture
def step(name) -> Augmentation:
    return make_augmentations([{"kind": name, **NEEDED.get(name, {})}])[0].prepare(schema())


@pytest.fixture
def batch() -> Batch:
    random = torch.Generator().manual_seed(0)
    inputs = torch.randn(10, 5, ROWS, COLUMNS, generator=random)
    target = torch.randint(0, 2, (10, 1, ROWS, COLUMNS), generator=random).float()
    target[torch.rand(target.shape, generator=random) < 0.1] = torch.nan
    area = 0.5 + torch.rand(ROWS, 1, generator=random).expand(ROWS, COLUMNS).clone()
    return Batch(inputs=inputs, target=target, area=area)


def run(step: Augmentation, batch: Batch, seed: int) -> Batch:
    torch.manual_seed(seed)
    return step(batch)


def same(one: Batch, other: Batch) -> bool:
    if (one.second is None) != (other.second is None) or one.share != other.share:
        return False
    pairs = [(getattr(one, part), getattr(other, part)) for part in ("inputs", "target", "area", "second")]
    return all(a is b or (a.shape == b.shape and torch.equal(a.nan_to_num(9.0), b.nan_to_num(9.0))) for a, b in pairs)


def test_says_what_it_keeps_in_one_sentence_of_the_docs(name):
    kind = AUGMENTATIONS.get(name)
    assert re.fullmatch(r"[A-Z][^.]{20,}\.", kind.keeps)
    assert kind.__doc__
    text = " ".join(DOCS.read_text(encoding="utf-8").split())
    assert f"`{name}`" in text
    assert kind.keeps in text


def test_options_say_what_they_are(name):
    fields = AUGMENTATIONS.get(name).Config.model_fields
    assert "probability" in fields
    assert all(field.description for field in fields.values())
    with pytest.raises(
        ConfigError, match=rf"^augmentation '{name}': probabilty: unknown key\. Did you mean 'probability'\?"
    ):
        make_augmentations([{"kind": name, **NEEDED.get(name, {}), "probabilty": 1}])


def test_needs_what_there_is(name, known_traits):
    assert AUGMENTATIONS.get(name).needs <= known_traits


def test_gives_a_batch_of_the_same_form(step, batch):
    for seed in range(5):
        after = run(step, batch, seed)
        assert len(after) == len(batch)
        assert after.inputs.shape[:2] == batch.inputs.shape[:2]
        assert after.inputs.shape[2:] == after.target.shape[2:] == after.area.shape
        assert (after.inputs.dtype, after.target.dtype) == (torch.float32, torch.float32)
        assert bool(after.inputs.isfinite().all())
        assert 0.0 <= after.share <= 1.0
        assert after.second is None or after.second.shape == after.target.shape


def test_never_makes_a_class_that_there_is_none_of(step, batch):
    for seed in range(5):
        after = run(step, batch, seed)
        for truth in [after.target] + ([] if after.second is None else [after.second]):
            assert set(truth[truth.isfinite()].tolist()) <= {0.0, 1.0}


def test_leaves_the_batch_that_it_was_given_as_it_is(step, batch):
    kept = replace(batch, inputs=batch.inputs.clone(), target=batch.target.clone(), area=batch.area.clone())
    run(step, batch, 1)
    assert same(batch, kept)


def test_the_same_seed_gives_the_same_and_others_do_not(step, batch):
    numbers = np.random.get_state()[1].copy()
    assert same(run(step, batch, 1), run(step, batch, 1))
    assert not all(same(run(step, batch, 1), run(step, batch, seed)) for seed in range(2, 6))
    assert (np.random.get_state()[1] == numbers).all()


def test_does_nothing_where_the_probability_says_so(name, batch):
    rare = {"kind": name, **NEEDED.get(name, {}), "probability": 1e-12}
    assert same(run(make_augmentations([rare])[0].prepare(schema()), batch, 1), batch)


def test_one_sample_is_a_batch_too(step, batch):
    one = Batch(inputs=batch.inputs[:1], target=batch.target[:1], area=batch.area)
    assert len(run(step, one, 1)) == 1


def test_preparing_changes_nothing_of_the_one_that_is_prepared(name):
    raw = make_augmentations([{"kind": name, **NEEDED.get(name, {})}])[0]
    before = {key: repr(value) for key, value in vars(raw).items()}
    raw.prepare(schema())
    assert {key: repr(value) for key, value in vars(raw).items()} == before


def test_serves_stations_or_refuses_them(name, batch):
    stations = Grid(
        np.full((1, COLUMNS), 50.0), np.arange(float(COLUMNS))[None], ("row", "station"), tuple("abcdefghijkl")
    )
    raw = make_augmentations([{"kind": name, **NEEDED.get(name, {})}])[0]
    basins = schema(input_grid=stations, target_grid=stations, mask=np.ones((1, COLUMNS), bool))
    row = Batch(inputs=batch.inputs[:, :, :1], target=batch.target[:, :, :1], area=batch.area[:1])
    try:
        prepared = raw.prepare(basins)
    except ConfigError as refused:
        message, prepared = str(refused), None
    if prepared is None:
        assert message.startswith(f"{name}: expected ")
    else:
        assert run(prepared, row, 1).inputs.shape == row.inputs.shape


def test_no_cell_outside_of_the_mask_has_truth_and_weight(name):
    """Through the loop's own door: what is given to the loss counts only what was known."""
    mask = torch.rand(ROWS, COLUMNS, generator=torch.Generator().manual_seed(1)) < 0.7
    index = mask.flatten().nonzero()[:, 0]
    place = Place(area=torch.ones(len(index)), index=index, shape=(ROWS, COLUMNS))
    kind = AUGMENTATIONS.get(name)
    augmenter = make_augmenter([{"kind": name, **NEEDED.get(name, {})}], schema(), kind.needs, "a model")
    inputs = torch.randn(6, 5, ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))
    torch.manual_seed(1)
    changed = augmenter(inputs, torch.ones(6, 1, len(index)), place)
    assert sum(share for share, _ in changed.targets) == pytest.approx(1.0)
    for _, truth in changed.targets:
        assert truth.shape == (6, 1, len(changed.place.area))
        assert len(changed.place.area) == len(changed.place.index)
        assert bool((changed.place.area.expand_as(truth)[truth.isfinite()] > 0).all())
        assert truth[truth.isfinite()].unique().tolist() == [1.0]
