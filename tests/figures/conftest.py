"""After each test of a figure: no label lies on another, and none is cut off."""

import matplotlib.pyplot as plt
import pytest

from overlap import on_another, outside


@pytest.fixture(autouse=True)
def _labels_are_readable():
    yield
    figures = [plt.figure(number) for number in plt.get_fignums()]
    found = [problem for fig in figures for problem in (*on_another(fig), *outside(fig))]
    plt.close("all")
    assert found == []
