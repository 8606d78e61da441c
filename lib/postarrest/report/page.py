"""What a notebook displays and saves: tables, figures and the numbers of its sentences."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown, display
from matplotlib.figure import Figure

from postarrest.data.errors import safe_csv_text
from postarrest.estimate import Estimate
from postarrest.files import write_text
from postarrest.places import Here, run_name
from postarrest.report import absent, environment
from postarrest.report.drawings import figure_html
from postarrest.report.rendering import as_json, as_text
from postarrest.report.tables import table_html
from postarrest.report.used import used_network
from postarrest.words import model_in_words, number_in_words, with_minus, words

KINDS = {"tab": "Table", "fig": "Figure"}


@dataclass
class Page:
    """The page of the report that a notebook writes.

    Whatever the notebook shows goes through its page, which displays it (in JupyterLab and in the HTML report
    alike) and saves it: tables as CSV, figures as SVG, PDF and PNG, numbers in ``numbers.json``. A link
    ``[words](#tab-<name>)`` or ``[](#fig-<name>)`` in any text reads "Table 5.1" in the HTML report. In the
    anchor, hyphens replace every character of the name that is not a letter or digit.

    Parameters
    ----------
    here : Here
        The study's places, from :func:`postarrest.places.open`.
    notebook : str
        Name of the notebook, such as ``"05_evaluation"``.
    part : str
        Which of several runs of this notebook it is (an outer fold, say); blank if there is only one.
    """

    here: Here
    notebook: str
    part: str = ""
    _record: dict[str, Any] = field(default_factory=lambda: {"numbers": {}, "tables": {}})

    def __post_init__(self) -> None:
        # Saved with the numbers: the report is written later, perhaps on another machine.
        self._record["environment"] = environment.describe(root=self.here.root)
        self._save()

    def _save(self) -> None:
        """Save what the report needs from this run in addition to the executed notebook."""
        write_text(self.here.page(run_name(self.notebook, self.part)), as_json(self._record))

    def table(
        self,
        data: pd.DataFrame,
        *,
        name: str,
        caption: str,
        note: str = "",
        digits: int = 2,
        part: str = "",
        if_empty: str = "",
    ) -> None:
        """Show a table and save it as ``tables/<name>.csv``.

        A table without rows is shown as one sentence, which the report moves to the end of the page.

        Parameters
        ----------
        data : pandas.DataFrame
            The table; its index is not shown.
        name : str
            File name without ending.
        caption : str
            What the table holds, in one sentence.
        note : str
            How to read it; words between backticks are set as code.
        digits : int
            Decimals of real numbers as shown; the CSV keeps all.
        part : str
            Name of these rows in a table that several notebooks contribute to; otherwise this run's own part.
        if_empty : str
            Why the table does not apply to this study if it has no rows. It is then neither shown nor saved.
        """
        if data.empty and if_empty:
            self.here.table(name).unlink(missing_ok=True)
            display(HTML(absent.sentence(if_empty)))
            return
        # A notebook that runs once per fold saves a part of the table; the report joins the parts.
        part = part or self.part
        text = safe_csv_text(data)
        if part:
            self._record["tables"].setdefault(name, {})[part] = text
            self._save()
        else:
            write_text(self.here.table(name), text)
        anchor = self._anchor(name)
        shown = {"anchor": anchor, "name": name, "caption": caption, "note": note, "digits": digits}
        display(HTML(table_html(data, **shown, network=used_network(self.here).name)))

    def standard_table(self, data: pd.DataFrame, *, name: str, part: str = "", described: str = "") -> None:
        """Show and save a table whose caption, note and decimals are in ``words.yaml``.

        Parameters
        ----------
        data, name, part
            As in :meth:`table`.
        described : str
            Entry of ``words.yaml`` that describes it, where a table of several notebooks has other rows here
            than its name says; blank: that of its name.

        Raises
        ------
        KeyError
            If ``words.yaml`` has no such entry.
        """
        self.table(data, name=name, part=part, **words()["tables"][described or name])

    def figure(self, fig: Figure, *, name: str, caption: str, alt: str) -> None:
        """Show a figure, save it as SVG, PDF and 300-dpi PNG, and close it.

        Parameters
        ----------
        fig : matplotlib.figure.Figure
            The figure.
        name : str
            File name without ending.
        caption : str
            What is drawn, in which patients (n), with which interval.
        alt : str
            The figure's message in words, for those who can't see it.
        """
        stem = run_name(name, self.part)
        shown = {"anchor": self._anchor(name), "name": stem, "caption": caption, "alt": alt}
        display(HTML(figure_html(fig, self.here.report_dir / "figures", **shown)))

    def figures(
        self, figs: Mapping[str, Figure], *, name: str, caption: str, alt: str, main_first: bool = False
    ) -> None:
        """Show several figures of one kind, each saved as ``<name>_<key>``.

        Parameters
        ----------
        figs : Mapping of Figure
            The figures by key.
        name, alt : str
            As in :meth:`figure`.
        caption : str
            As in :meth:`figure`; ``{label}`` is replaced by the figure's label, which says what differs.
        main_first : bool
            Whether the first figure is of the main result, and is saved as ``<name>``.
        """
        for i, (key, fig) in enumerate(figs.items()):
            stem = name if main_first and i == 0 else f"{name}_{key}"
            self.figure(fig, name=stem, caption=caption.format(label=fig.get_label()), alt=alt)

    def text(
        self,
        template: str,
        *,
        table: str = "",
        units: Mapping[str, str] | None = None,
        of: str = "",
        **numbers: Estimate | float | int | str,
    ) -> None:
        """Show a sentence whose numbers come from the run, and save every number in ``numbers.json``.

        Parameters
        ----------
        template : str
            Markdown with ``{name}`` for each number.
        table : str
            Name of the table that the numbers are from; blank if none has them.
        units : Mapping
            Units by number; a count or proportion has none.
        of : str
            Subject of the sentence, such as a model, if several sentences give the same numbers: a
            number ``n`` is saved as ``n_<of>``.
        **numbers : Estimate, float, int or str
            The numbers by name. Text is shown as it is written, without markup, and is not saved; ``model``
            is a model's identifier and is shown as its name.

        Raises
        ------
        KeyError
            If the template names a number that was not given.

        Examples
        --------
        ``page.text("AUC {auc} in {n} patients ([](#tab-performance)).", table="performance", auc=auc, n=90)``
        """
        shown = {}
        for name, value in numbers.items():
            if isinstance(value, str):
                # Sentences name a model by its identifier.
                text = model_in_words(value, used_network(self.here).name) if name == "model" else value
                shown[name] = as_text(text)
            else:
                is_real = isinstance(value, float | np.floating)
                shown[name] = number_in_words(value) if is_real else with_minus(str(value))
                unit = (units or {}).get(name, "")
                self.number(f"{name}_{of}" if of else name, value, unit=unit, table=table)
        # A link without words is invisible in JupyterLab; the HTML report shows the item's number instead.
        text = re.sub(
            r"\[\]\(#([\w-]+)\)", lambda m: f"[{reference(m[1])}](#{m[1]})", template.format(**shown)
        )
        display(Markdown(text))

    def number(self, name: str, value: Estimate | float | int, *, unit: str = "", table: str = "") -> None:
        """Save a number that the report states, without showing it.

        Parameters
        ----------
        name : str
            Its name within this page.
        value : Estimate, float or int
            The number.
        unit : str
            Its unit; blank for a count or a proportion.
        table : str
            Name of the table that it is from.
        """
        key = ".".join(filter(None, (self.notebook, self.part, name)))
        self._record["numbers"][key] = number_entry(value, unit=unit, table=table)
        self._save()

    def _anchor(self, name: str) -> str:
        return re.sub(r"[^a-z0-9]+", "-", f"{name} {self.part}".strip().lower())


def reference(anchor: str) -> str:
    """Return the words of a link to a table or figure that has no number yet.

    Examples
    --------
    >>> reference("tab-gwr-values")
    'Table "gwr values"'
    """
    kind, _, name = anchor.partition("-")
    return f'{KINDS.get(kind, kind)} "{name.replace("-", " ")}"'


def number_entry(value: Estimate | float | int, *, unit: str = "", table: str = "") -> dict[str, Any]:
    """Return a number as ``numbers.json`` keeps it; an undefined value or limit is null.

    Examples
    --------
    >>> number_entry(Estimate(0.82, 0.77, 0.86), table="performance")
    {'value': 0.82, 'lower': 0.77, 'upper': 0.86, 'unit': '', 'table': 'performance'}
    """
    estimate = value if isinstance(value, Estimate) else Estimate(value)
    # Counts stay integers; NumPy's numbers become Python's.
    limits = {name: np.asarray(getattr(estimate, name)).item() for name in ("value", "lower", "upper")}
    return {k: (None if math.isnan(v) else v) for k, v in limits.items()} | {"unit": unit, "table": table}
