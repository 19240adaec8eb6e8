import array_api_strict
import numpy as np
import pytest
import scipy.special

from pipeline.backend import special

CASES = {"erf": [-2.0, 0.0, 1.5], "ndtr": [-3.0, 0.0, 2.0], "ndtri": [0.01, 0.5, 0.99], "gammaln": [0.5, 1.0, 7.0]}

SEVERAL = {
    "gammainc": ([0.5, 1.0, 40.0], [0.2, 3.0, 38.0]),
    "gammaincinv": ([0.5, 1.0, 40.0], [0.1, 0.5, 0.99]),
    "betainc": ([0.5, 1.0, 40.0], [2.0, 3.0, 38.0], [0.2, 0.5, 0.6]),
}


@pytest.mark.parametrize("name", CASES)
def test_numpy_arrays_get_what_scipy_says(name):
    x = np.array(CASES[name])
    np.testing.assert_array_equal(getattr(special, name)(x), getattr(scipy.special, name)(x))


@pytest.mark.parametrize("name", CASES)
def test_other_arrays_keep_their_kind_and_dtype(name):
    x = array_api_strict.asarray(np.array(CASES[name], np.float32))
    found = getattr(special, name)(x)
    assert type(found) is type(x)
    assert found.dtype == array_api_strict.float32
    np.testing.assert_allclose(np.asarray(found), getattr(scipy.special, name)(np.array(CASES[name])), rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CASES)
def test_device_arrays_stay_on_the_device(name, backend):
    x = backend.asarray(np.array(CASES[name]))
    found = getattr(special, name)(x)
    assert type(found) is type(x)
    np.testing.assert_allclose(special.to_host(found), getattr(scipy.special, name)(np.array(CASES[name])), rtol=1e-10)


@pytest.mark.parametrize("name", SEVERAL)
def test_functions_of_several_arguments(name):
    arrays = [np.array(values) for values in SEVERAL[name]]
    expected = getattr(scipy.special, name)(*arrays)
    np.testing.assert_array_equal(getattr(special, name)(*arrays), expected)
    strict = [array_api_strict.asarray(array) for array in arrays]
    found = getattr(special, name)(*strict)
    assert type(found) is type(strict[0])
    np.testing.assert_array_equal(np.asarray(found), expected)
    # One row against a column.
    column = getattr(special, name)(arrays[0][:, None], *arrays[1:])
    assert column.shape == (3, 3)
    np.testing.assert_array_equal(np.diagonal(column), expected)


@pytest.mark.gpu
@pytest.mark.parametrize("name", SEVERAL)
def test_functions_of_several_arguments_on_the_device(name, backend):
    arrays = [np.array(values) for values in SEVERAL[name]]
    found = getattr(special, name)(*map(backend.asarray, arrays))
    np.testing.assert_allclose(special.to_host(found), getattr(scipy.special, name)(*arrays), rtol=1e-10)


def test_to_host_gives_numpy():
    assert isinstance(special.to_host(array_api_strict.ones(2)), np.ndarray)
