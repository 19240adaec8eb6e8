import math

import pandas as pd

from pipeline.metrics.tables import (
    Comparison,
    Score,
    write_comparisons,
    write_scores,
)

ROWS = (
    Score("unet", "test", "tas", "all", "rmse", 1.23456789, "K", 1.1, 1.4, 451),
    Score("unet+deep_ensemble", "test", "tas", "season=DJF", "nll", math.nan, "1", math.nan, math.nan, 451),
    Score("unet", "test", "pr", "all", "bias", -0.0, "mm day-1", -1e-9, math.inf, 3),
)


def test_scores_are_tidy_and_always_the_same_bytes(tmp_path):
    write_scores(tmp_path / "a.csv", ROWS)
    write_scores(tmp_path / "b.csv", iter(ROWS))
    text = (tmp_path / "a.csv").read_bytes()
    assert text == (tmp_path / "b.csv").read_bytes()
    assert text == (
        b"model,split,variable,group,metric,value,units,low,high,n\n"
        b"unet,test,tas,all,rmse,1.23457,K,1.1,1.4,451\n"
        b"unet+deep_ensemble,test,tas,season=DJF,nll,,1,,,451\n"
        b"unet,test,pr,all,bias,0,mm day-1,-1e-09,inf,3\n"
    )


def test_scores_are_read_as_numbers_of_six_digits(tmp_path):
    write_scores(tmp_path / "scores.csv", ROWS)
    found = pd.read_csv(tmp_path / "scores.csv")
    assert found["value"][0] == 1.23457
    assert found["value"].isna().tolist() == [False, True, False]
    assert found["high"][2] == math.inf
    assert found["n"].tolist() == [451, 451, 3]


def test_comparisons_have_the_columns_of_the_run_folder(tmp_path):
    rows = (Comparison("unet", "ridge", "test", "tas", "all", "rmse", -0.25, -0.5, -0.125, -0.0625, 451, 0.0123456789),)
    write_comparisons(tmp_path / "comparisons.csv", rows)
    assert (tmp_path / "comparisons.csv").read_text().splitlines() == [
        "model,reference,split,variable,group,metric,difference,low,high,relative,n,p_dm,p_sign",
        "unet,ridge,test,tas,all,rmse,-0.25,-0.5,-0.125,-0.0625,451,0.0123457,",
    ]
