"""An executed notebook in the report names no folder of this machine."""

import json
from functools import partial

import pytest

from postarrest.pipeline import notebook
from postarrest.places import ROOT, Here


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """Write a notebook of one cell, in a project of its own."""

    def written(cell: str) -> None:
        (tmp_path / "notebooks").mkdir()
        head = (ROOT / "notebooks" / "01_cohort.py").read_text(encoding="utf-8").split("# %% [markdown]")[0]
        declared = 'data_path: str = ""  # the data\nsave_to: str = ""  # where to'
        code = f'{head}# %% tags=["parameters"]\n{declared}\n\n# %%\n{cell}\n'
        (tmp_path / "notebooks" / "00_tiny.py").write_text(code, encoding="utf-8")

    monkeypatch.setattr(notebook, "ROOT", tmp_path)
    monkeypatch.setattr(notebook, "Here", partial(Here, root=tmp_path))
    return written


def test_an_executed_notebook_has_no_path_of_its_data(tiny, tmp_path):
    tiny("print(data_path)")
    data = tmp_path / "ward 7 of Dr. Tanaka" / "export"
    notebook.run_notebook("tiny", "00_tiny", {"data_path": str(data), "save_to": "report"})
    text = (tmp_path / "reports" / "tiny" / "00_tiny.ipynb").read_text(encoding="utf-8")
    assert str(tmp_path) not in text and "Tanaka" not in text and str(ROOT) not in text
    assert "postarrest-" not in text
    content = json.loads(text)
    assert content["metadata"]["papermill"]["parameters"]["data_path"] == "export"
    assert content["metadata"]["papermill"]["end_time"]


def test_a_kernel_that_the_system_ends_is_told_in_words(tiny):
    tiny("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(notebook.NotebookError) as stopped:
        notebook.run_notebook("tiny", "00_tiny", {"save_to": "report"})
    assert "notebooks/00_tiny.py: its Python process was ended from outside" in str(stopped.value)
    assert "its output is in build/tiny/logs/00_tiny.log" in str(stopped.value)
