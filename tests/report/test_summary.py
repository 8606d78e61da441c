"""With few patients, the first page leads with the best supported model and says so."""

import pandas as pd
import pytest

from postarrest.report import summary
from postarrest.study import load

COLUMNS = "outcome_label set model metric positive_class estimate lower upper recommended n n_good"


@pytest.mark.parametrize(("n_good", "leads"), [(12, "ohca"), (30, "ensemble")])
def test_few_patients_do_not_support_a_model_of_models(tmp_path, n_good, leads):
    where = ["revised", "fold mean"]
    rows = [
        [*where, "ensemble", "roc_auc", "good", 0.48, 0.30, 0.66, True, 60, n_good],
        [*where, "ohca", "roc_auc", "good", 0.76, 0.60, 0.88, True, 60, n_good],
    ]
    rows += [[where[0], "pooled", *row[2:]] for row in rows]
    pd.DataFrame(rows, columns=COLUMNS.split()).to_csv(tmp_path / "performance.csv", index=False)
    result = summary.of(load.load("smoke", environment={}), tmp_path)
    text = " ".join(result.sentences)
    assert result.main == leads
    assert ("Only 12 patients have the rarer outcome" in text) == (n_good == 12)
    assert ("its AUC is optimistic" in text) == (n_good == 12)
    assert "0.48" in text and "0.76" in text
