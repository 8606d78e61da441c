"""Whatever a study file, a column or a model's name holds is shown as text, in pages and in spreadsheets."""

import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup

from postarrest.data.errors import safe_csv
from postarrest.report import body, rendering, site
from postarrest.report.tables import table_html
from report_project import make, run_all

SCRIPT = (rendering.TEMPLATES / "page.js").read_text(encoding="utf-8")
PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[l](javascript:alert(1))",
    "![i](javascript:alert(1))",
    "<svg/onload=alert(1)>",
    "<javascript:alert(1)>",
    "[l]: javascript:alert(1)\n\n[l]",
    "`a` *b* **c** | d | [](#tab-x)",
    "&lt;script&gt; & \\[x]",
    "<iframe src='javascript:alert(1)'></iframe>",
)


def active(html: str) -> list[str]:
    """Whatever in a page could run."""
    soup = BeautifulSoup(html, "html.parser")
    tags = soup.find_all(["script", "iframe", "object", "embed", "form"])
    # The script of every page, and data that it reads, which do not run.
    own = [tag for tag in tags if tag.string == SCRIPT or tag.get("type") == "application/json"]
    found = [str(tag) for tag in tags if tag not in own]
    for tag in soup.find_all(True):
        found += [f"{name}={value}" for name, value in tag.attrs.items() if name.startswith("on")]
        found += [str(tag[name]) for name in ("href", "src") if "javascript:" in tag.get(name, "")]
    return found


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_in_markdown_is_shown_as_written(payload):
    page = body.from_markdown(f"A **{rendering.as_text(payload)}** b.", name="x")
    assert active(str(page.soup)) == []
    assert [tag.name for tag in page.soup.find_all(["a", "img", "em", "code", "table"])] == []
    assert " ".join(payload.split()) in page.soup.get_text()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_text_in_tables_is_shown_as_written(payload):
    data = pd.DataFrame({"model": [payload], payload: [1.0]})
    html = table_html(data, anchor="a", caption=payload, note=payload)
    assert active(html) == []
    assert " ".join(payload.split()) in " ".join(BeautifulSoup(html, "html.parser").get_text().split())


def test_what_was_not_escaped_does_not_run():
    html = "<h1>T</h1><script>a</script><img alt='x' src='javascript:a' onerror='a'>"
    html += "<a href=' JavaScript:a'>b</a>"
    html += "<img alt='y' src='data:image/webp;base64,UklGRg=='>"
    safe = str(body.from_html(html + "<a href='tables/a:b.csv'>c</a><a href='#tab-x'>d</a>", name="x").soup)
    assert active(safe) == [] and "JavaScript" not in safe
    # A figure whose drawing is large is shown as WebP.
    assert 'src="data:image/webp;base64,UklGRg=="' in safe
    assert 'href="tables/a:b.csv"' in safe and 'href="#tab-x"' in safe


def test_a_study_named_by_an_attacker(tmp_path, monkeypatch):
    root = make(tmp_path / "project", protocols="nested", modalities="gwr")
    file = root / "params" / "tiny.yaml"
    content = yaml.safe_load(file.read_text())
    content["study"] |= {"title": PAYLOADS[0] + PAYLOADS[2], "question": PAYLOADS[1]}
    file.write_text(yaml.safe_dump(content))
    run_all(root, monkeypatch)
    site.write_study("tiny", root=root)
    pages = sorted((root / "reports").rglob("*.html"))
    assert len(pages) > 5
    for page in pages:
        assert active(page.read_text(encoding="utf-8")) == [], page.name


def test_no_cell_of_a_table_opens_as_a_formula(tmp_path):
    cells = ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "-0.5", "1e-05", "-inf", "plain"]
    safe_csv(pd.DataFrame({"=name": cells, "n": range(len(cells))}), tmp_path / "a.csv")
    table = pd.read_csv(tmp_path / "a.csv", dtype=str, keep_default_na=False)
    assert list(table.columns) == ["'=name", "n"]
    assert table["'=name"].tolist() == [*(f"'{cell}" for cell in cells[:5]), *cells[5:]]
