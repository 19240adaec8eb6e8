"""Variables of class numbers: their names on the way to the dataset, and what is no class."""

import numpy as np
import pytest

from pipeline.data.classes import check_classes
from pipeline.errors import CatalogError, DataError

NAMES = ["clear", "cloud", "shadow"]


@pytest.fixture
def load_mask(make_field, load_netcdf):
    def run(values, units=None, **spec):
        data = make_field("mask", days=1)
        data["mask"].values[...] = values
        data["mask"].attrs = {} if units is None else {"units": units}
        return load_netcdf(data, {"mask": {"units": "1", "classes": NAMES, **spec}})

    return run


@pytest.mark.parametrize("units", [None, "1", "class"])
def test_the_names_of_the_classes_come_with_the_numbers(load_mask, units):
    mask = load_mask(np.arange(12).reshape(3, 4) % 3, units).data["mask"]
    assert mask.attrs["flag_values"] == [0, 1, 2]
    assert mask.attrs["flag_meanings"].split() == NAMES
    np.testing.assert_array_equal(mask[0], np.arange(12).reshape(3, 4) % 3)


@pytest.mark.parametrize(("value", "shown"), [(3, "3"), (-1, "-1"), (1.5, "1.5")])
def test_a_number_that_is_no_class_is_named(load_mask, value, shown):
    values = np.zeros((3, 4))
    values[1, 2:] = value
    message = rf"variable 'mask': expected class numbers \(0 clear, 1 cloud, 2 shadow\), got {shown} at 2 places"
    with pytest.raises(DataError, match=message):
        load_mask(values)


def test_a_marker_of_unknown_is_missing_and_no_class(load_mask):
    values = np.zeros((3, 4))
    values[0, 0] = 255
    mask = load_mask(values, missing=[255]).data["mask"]
    assert int(np.isnan(mask).sum()) == 1


def test_many_strange_numbers_are_not_all_listed():
    with pytest.raises(DataError, match="got 2, 3, 4, 5, 6 and more at 8 places"):
        check_classes(np.arange(10.0), ["no", "yes"], "set")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"classes": ["only"]}, "expected two classes or more"),
        ({"classes": ["a", "a"]}, "each with a name of its own"),
        ({"classes": ["a", "b c"]}, "letters, digits and _, got 'b c'"),
        ({"classes": ["a", "b"], "units": "K"}, "expected units '1' and no minimum beside classes, got 'K'"),
        ({"classes": ["a", "b"], "minimum": 0}, "expected units '1' and no minimum beside classes, got '1', 0.0"),
    ],
)
def test_classes_that_make_no_sense_are_refused(entry_of, spec, message):
    with pytest.raises(CatalogError, match=message):
        entry_of("netcdf", ["a.nc"], {"mask": {"units": "1", **spec}})


def test_the_message_on_numbers_says_how_to_number_them_anew_and_what_is_unknown():
    with pytest.raises(DataError) as caught:
        check_classes(np.array([0.0, 255.0]), ["clear", "cloud"], "set: variable 'mask'")
    assert str(caught.value) == (
        "set: variable 'mask': expected class numbers (0 clear, 1 cloud), got 255 at 1 places. Where the file numbers "
        "the classes otherwise, say so in the catalog (format npz) for every number: options: remap: {VARIABLE: {0: 0, "
        "255: 1}}. Name a class that classes lacks; what stands for unknown goes under missing."
    )
