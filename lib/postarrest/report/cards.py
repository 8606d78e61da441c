"""Pages that guidelines and reviewers ask for: TRIPOD+AI, model card, leakage, files for a manuscript."""

import html
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from postarrest.estimate import Estimate
from postarrest.places import Here
from postarrest.report import body, summary
from postarrest.report.body import Body
from postarrest.report.page import table_html
from postarrest.study.load import Study
from postarrest.study.schema import read_yaml

_MM_PER_POINT = 25.4 / 72
_FILES = {
    "tables.docx": "the report's tables, numbered as in the report; long ones are in the spreadsheet",
    "tables.xlsx": "every table of the report, a sheet each",
    "supplement.docx": "the supplementary tables S1 to S7; long ones are in the spreadsheet",
    "supplement.xlsx": "the supplementary tables S1 to S7, a sheet each",
    "methods.docx": "the methods below",
    "methods.md": "the methods below, as text",
}
_KIND = {
    "ensemble": "A stack: base models' probabilities, quantile-transformed, in a random forest, calibrated "
    "by Platt scaling.",
    "cnn": "A convolutional network that reads one CT slice.",
}
_TRAINED = {
    "head": "The network is frozen; only a head on its features is trained.",
    "last_block": "A head is trained on the network's features, and then the network's last block with it.",
    "all": "A head is trained on the network's features, and then the whole network with it.",
}
_MEASURES = {
    ("roc_auc", "good"): "ROC-AUC",
    ("pr_auc", "good"): "PR-AUC of the good outcome",
    ("pr_auc", "poor"): "PR-AUC of the poor outcome",
    ("brier", "good"): "Brier score",
    ("brier_skill", "good"): "Brier skill",
}


def leakage(here: Here) -> Body | None:
    """Return the page that counts, stage by stage, the patients who were scored by what had seen them.

    None where no model was fitted here: of scores that were made elsewhere there is nothing to count.
    """
    if not here.table("leakage").is_file():
        return None
    counted = pd.read_csv(here.table("leakage"))
    fitted_here = counted["run"] != "thresholds"
    if not fitted_here.any():
        return None
    test = counted["scored"] == "test"
    # The page is a summary of tables that stand where the models are fitted, so it has no number of its own.
    shown = table_html(counted)
    return _page(
        "leakage.md.j2",
        name="leakage",
        n_in_both=int(counted["n_in_both"].sum() + counted.loc[test, "n_indirect"].sum()),
        stages=counted["stage"].nunique(),
        runs=counted.loc[fitted_here, "run"].nunique(),
        n_scored=int(counted["n_scored"].sum()),
        n_test=int(counted.loc[test, "n_scored"].sum()),
        n_training=int(counted.loc[~test, "n_scored"].sum()),
        n_indirect=int(counted.loc[~test, "n_indirect"].sum()),
        table=_figure("leakage-all", "Every stage of every run (tables/leakage.csv).", shown),
    )


def tripod(*, root: Path) -> Body:
    """Return the page that says where each item of TRIPOD+AI is met, and what only authors can write."""
    content = read_yaml(root / "docs" / "tripod-ai.yaml")
    items = [item for section in content["sections"] for item in section["items"]]
    parts = [
        "# TRIPOD+AI: where each item is met",
        f"The checklist's {len({_number(i['item']) for i in items})} items, in our own short words "
        f"({content['source']}). What only the authors of a study can write is marked as "
        '<span class="open">left open</span>: '
        f"{sum(bool(i['open']) for i in items)} of {len(items)} parts need it, and "
        f"{sum(bool(i['met']) for i in items)} are met here, wholly or in part.",
    ]
    for section in content["sections"]:
        parts.append(f"## {section['title']}")
        rows = [_tripod_row(item) for item in section["items"]]
        parts.append(
            '<div class="scroll" tabindex="0" role="region" '
            f'aria-label="{html.escape(section["title"])}"><table class="data tripod"><thead><tr>'
            '<th scope="col">item</th><th scope="col">asks for</th><th scope="col">in this report</th>'
            '<th scope="col">left to the authors</th></tr></thead>'
            f"<tbody>{''.join(rows)}</tbody></table></div>"
        )
    return body.from_html(_html("\n\n".join(parts)), name="tripod-ai")


def _number(item: str) -> str:
    return item.rstrip("abcdefg")


def _tripod_row(item: Mapping[str, str]) -> str:
    # A blank line lets the Markdown of a cell be read as such, which HTML around it would prevent.
    met = _html(item["met"]).strip().removeprefix("<p>").removesuffix("</p>")
    left = f'<span class="open">{html.escape(item["open"])}</span>' if item["open"] else ""
    return (
        f'<tr><th scope="row">{item["item"]}</th><td>{html.escape(item["asks"])}</td>'
        f"<td>{met}</td><td>{left}</td></tr>"
    )


def model_card(study: Study, here: Here, told: summary.Summary, *, good: str, weights: str) -> Body:
    """Return the card of the study's main model.

    Parameters
    ----------
    study : Study
        The study.
    here : Here
        Its places.
    told : summary.Summary
        Its main result.
    good : str
        What a good outcome is, in words.
    weights : str
        Where the network's weights are from; blank without a network.
    """
    performance = pd.read_csv(here.table("performance"))
    own = summary.main_rows(study, performance, performance)
    measures = [
        {
            "metric": _MEASURES[row.metric, row.positive_class],
            "value": str(Estimate(row.estimate, row.lower, row.upper)).replace("95 % CI ", ""),
            "n": row.n,
            "n_good": row.n_good,
        }
        for row in own[own["recommended"]].itertuples()
        if (row.metric, row.positive_class) in _MEASURES
    ]
    return _page(
        "model-card.md.j2",
        name="model-card",
        study=study,
        model=summary.model_in_words(told.main),
        kind=_KIND.get(told.main, ""),
        good=good,
        data=told.data,
        sentences=told.sentences,
        measures=measures,
        network=bool(weights),
        trained=_TRAINED[study.parameters("03_cnn").get("depth", "head")] if weights else "",
        weights=f"Its weights: {weights}." if weights else "",
    )


def manuscript(here: Here, *, methods: Sequence[tuple[str, str]], figures: Sequence[str]) -> Body:
    """Return the page of what a manuscript takes from the report.

    Parameters
    ----------
    here : Here
        The study's places; the files are in ``manuscript/`` already.
    methods : sequence of (str, str)
        Heading and paragraph, from :func:`postarrest.manuscript.methods`.
    figures : sequence of str
        Names of the figures, in reading order.
    """
    sizes = pd.DataFrame(
        [(name, *_size_mm(here.figure(f"{name}.pdf"))) for name in figures],
        columns=["figure", "width, mm", "height, mm"],
    )
    folder = here.report_dir / "manuscript"
    return _page(
        "manuscript.md.j2",
        name="manuscript",
        files=[(name, what) for name, what in _FILES.items() if (folder / name).is_file()],
        methods=methods,
        sizes=_figure("sizes", "Size of each figure.", table_html(sizes)),
    )


def _size_mm(pdf: Path) -> tuple[int, int]:
    # matplotlib writes the page's size in points: "/MediaBox [ 0 0 252 144 ]".
    box = pdf.read_bytes().split(b"/MediaBox [", 1)[1].split(b"]", 1)[0].split()
    return round(float(box[2]) * _MM_PER_POINT), round(float(box[3]) * _MM_PER_POINT)


def _figure(name: str, caption: str, table: str) -> str:
    return (
        f'<figure class="table" id="tab-{name}"><figcaption id="cap-{name}">{caption}</figcaption>'
        f'<div class="scroll" tabindex="0" role="region" aria-labelledby="cap-{name}">{table}</div></figure>'
    )


def _page(template: str, *, name: str, **values: Any) -> Body:
    return body.from_html(_html(_templates().get_template(template).render(**values)), name=name)


def _html(markdown: str) -> str:
    from nbconvert.filters import markdown2html

    return markdown2html(markdown)


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(body.TEMPLATES),
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
