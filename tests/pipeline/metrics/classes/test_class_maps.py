import numpy as np

from pipeline.metrics.classes.maps import class_maps


def test_maps_are_shares_of_the_times_with_truth(make_class_case):
    case = make_class_case(n=50, cells=12, missing=0.2)
    case.truth[:, 5] = np.nan
    found = class_maps(case)
    predicted = case.prediction.parameters["probabilities"].argmax(axis=0)
    for cell in range(12):
        known = np.isfinite(case.truth[:, cell])
        if cell == 5:
            assert np.isnan(found.accuracy[cell])
            assert np.isnan(found.predicted[:, cell]).all()
            continue
        truth, guess = case.truth[known, cell], predicted[known, cell]
        np.testing.assert_allclose(found.accuracy[cell], (truth == guess).mean())
        np.testing.assert_allclose(found.truth[:, cell], [(truth == of).mean() for of in range(3)])
        np.testing.assert_allclose(found.predicted[:, cell], [(guess == of).mean() for of in range(3)])
