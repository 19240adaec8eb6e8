import array_api_strict
import numpy as np
import pytest
import scipy.fft

from pipeline.backend.special import to_host
from pipeline.errors import DataError
from pipeline.grid import Grid
from pipeline.metrics.spectra import annuli, log_spectral_distance, power, spacing

STEP = (12.0, 12.0)


def _fields(shape=(6, 16, 16), seed=0):
    return np.random.default_rng(seed).normal(3.0, 2.0, shape)


def _everywhere(fields):
    return np.ones(fields.shape, bool)


def _by_loops(field, known, step):
    """Return {annulus: mean power}, mode by mode of the full transform, with its definition as a sum."""
    rows, columns = field.shape
    x = np.where(known, field - field[known].mean(), 0.0)
    side = min(rows * step[0], columns * step[1])
    found = {}
    for p in range(rows):
        for q in range(columns):
            phase = np.outer(
                np.exp(-2j * np.pi * p * np.arange(rows) / rows), np.exp(-2j * np.pi * q * np.arange(columns) / columns)
            )
            fp, fq = min(p, rows - p) / (rows * step[0]), min(q, columns - q) / (columns * step[1])
            ring = int(np.floor(np.hypot(fp, fq) * side + 0.5 + 1e-9))
            density = abs((x * phase).sum()) ** 2 * step[0] * step[1] / (rows * columns)
            found.setdefault(ring, []).append(density)
    return {ring: np.mean(values) for ring, values in found.items()}


@pytest.mark.parametrize(
    ("shape", "step"), [((8, 8), (10.0, 10.0)), ((7, 9), (10.0, 10.0)), ((8, 12), (11.0, 6.5)), ((9, 4), (5.0, 20.0))]
)
def test_it_is_the_mean_power_of_every_annulus(shape, step):
    field = _fields((1, *shape))
    known = np.random.default_rng(1).random((1, *shape)) < 0.8
    rings = annuli(shape, step)
    expected = _by_loops(field[0], known[0], step)
    expected = [expected[ring] for ring in range(1, len(rings.wavelength) + 1)]
    np.testing.assert_allclose(power(field, known, rings)[0], expected, rtol=1e-9)
    side = min(shape[0] * step[0], shape[1] * step[1])
    np.testing.assert_allclose(rings.wavelength, side / np.arange(1, len(expected) + 1))
    assert rings.wavelength[-1] >= 2.0 * max(step) - 1e-9  # Nyquist of the coarser spacing


def test_it_agrees_with_the_full_transform_of_scipy():
    fields = _fields((2, 16, 16))
    amplitude = np.abs(scipy.fft.fft2(fields - fields.mean((1, 2), keepdims=True))) ** 2 * 144.0 / 256.0
    k = np.fft.fftfreq(16) * 16
    ring = np.rint(np.hypot(k[:, None], k[None, :])).astype(int)
    expected = np.stack([amplitude[:, ring == number].mean(axis=1) for number in range(1, 9)], axis=1)
    np.testing.assert_allclose(power(fields, _everywhere(fields), annuli((16, 16), STEP)), expected, rtol=1e-9)


def test_parseval_the_modes_of_all_annuli_hold_the_variance_of_a_band_limited_field():
    y, x = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    field = 4.0 + np.cos(2 * np.pi * 3 * x / 16) + 2.0 * np.sin(2 * np.pi * (2 * x + 5 * y) / 16)
    rings = annuli((16, 16), STEP)
    found = power(field[None], _everywhere(field[None]), rings)[0]
    assert (found * rings.count).sum() / (16 * 12.0) ** 2 == pytest.approx(field.var(), rel=1e-12)


@pytest.mark.parametrize("waves", [(0, 1), (0, 5), (3, 0), (3, 4), (0, 8)])
@pytest.mark.parametrize("cells", [16, 17])
def test_a_pure_wave_is_one_peak_at_its_wavelength(waves, cells):
    y, x = np.meshgrid(np.arange(cells), np.arange(cells), indexing="ij")
    field = np.cos(2 * np.pi * (waves[0] * y + waves[1] * x) / cells + 0.3)[None]
    rings = annuli((cells, cells), STEP)
    found = power(field, _everywhere(field), rings)[0]
    peak = int(found.argmax())
    assert rings.wavelength[peak] == pytest.approx(cells * 12.0 / np.hypot(*waves))
    assert np.delete(found, peak).max() < 1e-20 * found[peak]


def test_waves_of_one_length_are_one_peak_whatever_their_direction_on_rectangular_cells():
    rings = annuli((16, 32), (20.0, 10.0))
    y, x = np.meshgrid(20.0 * np.arange(16), 10.0 * np.arange(32), indexing="ij")
    fields = np.stack([np.cos(2 * np.pi * y / 80.0), np.cos(2 * np.pi * x / 80.0)])
    found = power(fields, _everywhere(fields), rings)
    assert rings.wavelength[found.argmax(axis=1)].tolist() == [80.0, 80.0]
    np.testing.assert_allclose(found[0], found[1], atol=1e-12 * found.max())


def test_the_mean_is_in_no_annulus():
    fields = _fields()
    rings = annuli((16, 16), STEP)
    plain = power(fields, _everywhere(fields), rings)
    np.testing.assert_allclose(power(fields + 300.0, _everywhere(fields), rings), plain, rtol=1e-9)
    assert power(np.full((1, 16, 16), 7.0), _everywhere(fields[:1]), rings).max() == 0.0
    assert rings.count[0] == 8  # the eight neighbours of mode 0, which is not among them
    assert 0 not in rings.modes


def test_white_noise_is_flat_at_its_variance_by_the_area_of_a_cell():
    fields = _fields((400, 16, 24))
    found = power(fields, _everywhere(fields), annuli((16, 24), (12.0, 8.0))).mean(axis=0)
    np.testing.assert_allclose(found, 4.0 * 96.0, rtol=0.06)


def test_power_grows_with_the_square_of_the_values():
    fields = _fields()
    rings = annuli((16, 16), STEP)
    np.testing.assert_allclose(
        power(3.0 * fields, _everywhere(fields), rings), 9.0 * power(fields, _everywhere(fields), rings)
    )


def test_what_stands_outside_the_known_cells_does_not_matter_and_none_known_is_nan():
    fields, rings = _fields(), annuli((16, 16), STEP)
    known = np.random.default_rng(2).random(fields.shape) < 0.6
    known[2] = False
    found = power(np.where(known, fields, np.nan), known, rings)
    np.testing.assert_array_equal(found, power(np.where(known, fields, 99.0), known, rings))
    assert np.isnan(found[2]).all()
    assert np.isfinite(np.delete(found, 2, axis=0)).all()


def test_many_fields_are_transformed_in_parts(monkeypatch):
    fields, rings = _fields((11, 16, 16)), annuli((16, 16), STEP)
    whole = power(fields, _everywhere(fields), rings)
    monkeypatch.setattr("pipeline.metrics.spectra._VALUES", 3 * 256)
    np.testing.assert_array_equal(power(fields, _everywhere(fields), rings), whole)


@pytest.mark.parametrize("kind", ["strict", "backend"])
def test_other_kinds_of_arrays_give_the_same(kind, backend):
    place = array_api_strict.asarray if kind == "strict" else backend.asarray
    fields, rings = _fields().astype(np.float32), annuli((16, 16), STEP)
    found = power(place(fields), place(_everywhere(fields)), rings)
    assert type(found) is type(place(fields))
    expected = power(fields, _everywhere(fields), rings)
    np.testing.assert_allclose(to_host(found), expected, rtol=1e-9)
    distance = log_spectral_distance(found, 2.0 * found)
    np.testing.assert_allclose(to_host(distance), 10.0 * np.log10(2.0), rtol=1e-9)


def test_distance_by_its_definition_with_the_square_root():
    truth, prediction = np.array([[4.0, 1.0, 0.5]]), np.array([[2.0, 3.0, 0.5]])
    expected = np.sqrt(np.mean([(10 * np.log10(4 / 2)) ** 2, (10 * np.log10(1 / 3)) ** 2, 0.0]))
    assert log_spectral_distance(truth, prediction)[0] == pytest.approx(expected, rel=1e-12)


def test_a_prediction_without_variation_is_120_decibel_below_the_strongest():
    truth = np.array([100.0, 100.0])
    assert log_spectral_distance(truth, np.zeros(2)) == pytest.approx(120.0)
    assert log_spectral_distance(np.zeros(2), np.zeros(2)) == 0.0


def test_spacing_follows_latitude_and_the_two_coordinates_of_a_projected_grid():
    dy, dx = spacing(Grid(np.array([44.9, 45.0, 45.1]), np.array([359.8, 359.9, 360.0])))
    assert dy == pytest.approx(6371.0 * np.deg2rad(0.1), rel=1e-9)
    assert dx == pytest.approx(6371.0 * np.deg2rad(0.1) * np.cos(np.deg2rad(45.0)), rel=1e-4)
    lat, lon = np.meshgrid([44.9, 45.0, 45.1], [-0.2, -0.1, 0.0], indexing="ij")
    assert spacing(Grid(lat, lon, ("y", "x"))) == pytest.approx((dy, dx))
    assert spacing(Grid(lat.T, lon.T, ("y", "x"))) == pytest.approx((dx, dy))


def test_stations_have_no_spacing():
    grid = Grid(np.array([[40.0, 41.0]]), np.array([[0.0, 1.0]]), ("row", "station"), ("a", "b"))
    with pytest.raises(DataError, match=r"expected a grid of at least 2 x 2 cells.*got \(1, 2\)"):
        spacing(grid)
