"""A model whose members fail at some cells: the run ends well, scores what is there, and says so at the top."""

import pandas as pd

PLUGIN = '''
import numpy as np

from models import MODELS
from models.climatology import Climatology
from pipeline.prediction import Prediction


@MODELS.register("gappy")
class Gappy(Climatology):
    """Members about the climatology; the last of them fails in one cell of 48."""

    def predict(self, inputs, context):
        mean = super().predict(inputs, context).mean()
        members = np.stack([mean - 1.0, mean, mean + 1.0]).astype(np.float32)
        members[2, :, :, 3, 4] = np.nan
        return Prediction("members", {"members": members})
'''


def test_the_report_says_how_many_members_are_missing(world, command, capsys):
    (world.folder / "gappy.py").write_text(PLUGIN)
    world.experiment["plugins"] = ["gappy.py"]
    world.experiment["models"]["gappy"] = {"kind": "gappy"}
    world.experiment["scores"] = ["rmse", "crps", "crps_fair", "spread_skill"]
    assert world.write().run() == 0
    (run,) = (world.folder / "runs").iterdir()
    sentence = "2.1 % of the values of tas from gappy on 'test' lack one or more of their 3 members: scored with those"
    assert sentence in capsys.readouterr().err
    assert sentence in (run / "report.html").read_text(encoding="utf-8").replace("&#39;", "'").replace("\u00a0", " ")
    scores = pd.read_csv(run / "scores.csv")
    scores = scores[(scores["model"] == "gappy") & (scores["split"] == "test") & (scores["group"] == "all")]
    assert set(scores["metric"]) == {"rmse", "crps", "crps_fair", "spread_skill"}
    assert scores["value"].notna().all()
