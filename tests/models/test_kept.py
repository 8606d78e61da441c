"""What the name of a kept result depends on."""

import numpy as np
import pandas as pd

from postarrest.models import kept


def test_features_do_not_depend_on_the_code_of_other_models():
    of_features = kept._code(("cnn/network", "cnn/features"))
    assert "ResNet50" in of_features
    assert "RandomForestClassifier" not in of_features
    assert "RandomForestClassifier" in kept._code(("**/*",))


def test_comments_and_docstrings_do_not_count():
    code = kept._code(("kept",))
    assert "hash_pandas_object" in code
    assert "Return a short hash" not in code


def test_any_value_name_or_order_changes_the_digest():
    table = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]}, index=["p", "q"])
    others = [
        table.rename(columns={"a": "c"}),
        table.iloc[::-1],
        table.set_axis(["p", "r"]),
        table.replace(4.0, 4.5),
        table["a"],
        table.to_numpy(),
        {"a": 1, "b": 2},
        {"b": 2, "a": 1},
    ]
    digests = {kept.digest(one) for one in [table, *others]}
    assert len(digests) == len(others) + 1
    assert kept.digest(np.arange(3)) == kept.digest(np.arange(3))
