"""What a hospital of a network shares, and the page of them all: ``make site-summary`` and ``make pool``."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from postarrest import places, scores
from postarrest.describe import sites as describe_sites
from postarrest.evaluation import network, sites
from postarrest.evaluation.shared import Summary
from postarrest.files import kind_at, write_text
from postarrest.models import bundle
from postarrest.refused import Refused
from postarrest.report import pooled
from postarrest.settings import MOST_HIDDEN
from postarrest.study import load
from postarrest.study.schema import StudyError

# What decides which models are fitted; a hospital's own columns, codes and paths do not.
_PROCEDURE = ("splits", "03_cnn", "04_stacking")
# A summary of ten thousand hospitals is smaller.
_MOST_BYTES = 256 * 2**20
_MOST_SHOWN = 80


def site_summary(study: str, *, mask_below: int, model: str) -> None:
    """Write what the hospitals of a study share, ``reports/<study>/site-summary.json``: aggregates only.

    Parameters
    ----------
    study : str
        The study, whose report has been made.
    mask_below : int
        Counts from 1 to below this are hidden.
    model : str
        Name of the model whose scores these are, the same in all hospitals; blank: the study's procedure.

    Raises
    ------
    Refused
        If fewer counts would be hidden than a summary promises, or the study has no scores.
    """
    if not network.BELOW <= mask_below <= MOST_HIDDEN:
        # Below 2 nothing would be hidden; a hospital may hide more than is promised to patients, not less.
        expected = f"a whole number from {network.BELOW} to {MOST_HIDDEN}, below which counts are hidden"
        raise Refused(f"MASK (--mask-below): found {mask_below}; expected {expected}.")
    loaded, here = load.load(study), places.open(study, save_to="report")
    place = Path(loaded.scores) if loaded.scores else here.build("scores.csv")
    if not place.is_file():
        raise StudyError(f"{study}: no scores yet; make report STUDY={study}.")
    table = scores.read(place)
    rows = scores.main(scores.sets(table[table["stage"] == "final"]))
    rows = rows.assign(site=_sites(rows, here))
    given = load.complete_parameters(loaded, "09_sites")
    decisions = sites.at_thresholds(rows, table, fixed=given["fixed_thresholds"])
    outcome = loaded.sections["common"].get("outcome", {}).get("meaning", "CPC 1 or 2")
    about = {
        "model": model or _procedure(loaded),
        "outcome": f"{outcome} ({rows['outcome_label'].iloc[0]} label)",
    }
    fewest = given["fewest_per_outcome"]
    found = network.summarise(rows, decisions, **about, below=mask_below, fewest=fewest)
    try:
        Summary.model_validate(found)
    except ValidationError as error:
        # Now, and not in the hospital that pools it: a name, for example, that cannot be printed.
        raise StudyError(f"{study}: no summary of these scores: {_in_words(error)}") from None
    to = here.report_dir / "site-summary.json"
    write_text(to, json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
    n = len(found["sites"])
    print(
        f"{to.relative_to(here.root)}: {n} hospital{'s' if n > 1 else ''}, counts below {mask_below} hidden."
    )


def _sites(rows: pd.DataFrame, here: places.Here) -> pd.Series:
    """Return the site of each row: that of the cohort, by its number, or one for all."""
    cohort = here.build("cohort.parquet")
    known = pd.read_parquet(cohort) if cohort.is_file() else pd.DataFrame()
    if "site" not in known:
        return pd.Series("site 1", index=rows.index)
    return rows["patient_id"].map(describe_sites.names(known["site"]))


def _procedure(study: load.Study) -> str:
    if study.scores:
        return "a scores table"
    if study.model:
        manifest = bundle.read_manifest(Path(study.parameters("08_external")["model_path"]))
        return f"frozen model {manifest['sha256'][:12]}"
    sections = {name: study.sections[name] for name in _PROCEDURE if name in study.sections}
    content = json.dumps([study.protocols, sections], sort_keys=True)
    return f"procedure {hashlib.sha256(content.encode()).hexdigest()[:12]}"


def pool(summaries: Sequence[str]) -> None:
    """Pool the summaries of any number of hospitals into one page, ``reports/pool/index.html``.

    Parameters
    ----------
    summaries : sequence of str
        Files of :func:`site_summary`.

    Raises
    ------
    StudyError
        With one line for each file that cannot be pooled.
    """
    found = [_read(Path(name)) for name in summaries]
    errors = [one for one in found if isinstance(one, str)]
    both = zip(summaries, found, strict=True)
    valid = [(name, one) for name, one in both if isinstance(one, Summary)]
    errors += _differences(valid)
    if not errors and not any(one.models for _, summary in valid for one in summary.sites):
        errors = ["No hospital of these summaries has enough patients of either outcome to be judged."]
    if errors:
        raise StudyError("\n".join(errors))
    to = pooled.write([one for _, one in valid], places.ROOT / "reports" / "pool")
    for number, (name, _) in enumerate(valid, start=1):
        print(f"hospital {number}: {name}")
    print(f"Open {to.relative_to(places.ROOT)}")


def _read(path: Path) -> Summary | str:
    """Return a summary, or why it cannot be used."""
    # The name may be too long for the file system, too.
    name = path.name[:200]
    if kind_at(path) != "file":
        return f"{name}: no such file."
    try:
        if path.stat().st_size > _MOST_BYTES:
            return f"{name}: more than {_MOST_BYTES // 2**20} MB; expected a file of 'make site-summary'."
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return f"{name}: cannot be read ({error.strerror}); expected a file of 'make site-summary'."
    except (ValueError, RecursionError):
        # No JSON, not UTF-8, a number of thousands of digits, or thousands of brackets in each other.
        return f"{name}: not JSON; expected a file of 'make site-summary'."
    if not isinstance(content, dict) or content.get("format") != network.FORMAT:
        return f"{name}: another format; expected a file of 'make site-summary'."
    if content.get("version") != network.VERSION:
        return (
            f"{name}: version {str(content.get('version'))[:_MOST_SHOWN]} of the format, "
            f"expected {network.VERSION}; use the same version of this software in every hospital."
        )
    try:
        return Summary.model_validate(content)
    except ValidationError as error:
        return f"{name}: {_in_words(error)}"


def _in_words(error: ValidationError) -> str:
    """Return the first thing that is wrong; names of patients cannot be in it, but a text is not repeated."""
    first = error.errors(include_url=False)[0]
    # Names of models are keys, in which anything may be.
    place = ".".join(str(part)[:_MOST_SHOWN] for part in first["loc"] if part != "[key]")
    place = "".join(sign if sign.isprintable() else "?" for sign in place)
    value = first["input"]
    shown = f"found {str(value)[:_MOST_SHOWN]}; " if isinstance(value, int | float) else ""
    message = first["msg"].removeprefix("Value error, ").replace("Input should be", "expected")
    further = error.error_count() - 1
    more = f" ({further} further error{'s' if further > 1 else ''})" if further else ""
    return f"{place or 'summary'}: {shown}{message[:1].lower() + message[1:].rstrip('.')}{more}."


def _differences(summaries: Sequence[tuple[str, Summary]]) -> list[str]:
    """Return why summaries do not belong together, one line for each that differs from the first."""
    errors: list[str] = []
    names, seen = [name for name, _ in summaries], [one for _, one in summaries]
    for at, name in enumerate(names[1:], start=1):
        one, first = seen[at], seen[0]
        if one in seen[:at]:
            errors.append(f"{name}: the same as {names[seen.index(one)]}; its patients would count twice.")
        for field in ("model", "outcome"):
            mine, theirs = getattr(one, field), getattr(first, field)
            if mine != theirs:
                errors.append(f"{name}: the {field} is '{mine}', that of {names[0]} '{theirs}'.")
    return errors + list(dict.fromkeys(_models_that_differ(summaries)))


def _models_that_differ(summaries: Sequence[tuple[str, Summary]]) -> Iterator[str]:
    """Yield models of one name that are of two kinds, or have a fixed threshold of two values."""
    first: dict[tuple[str, str], tuple[str, str]] = {}
    for name, summary in summaries:
        for model, found in ((m, f) for one in summary.sites for m, f in one.models.items()):
            said = {f"'{model}'": found.kind}
            for one in found.decisions:
                if one.chosen_on == "fixed":
                    said[f"the fixed threshold '{one.rule}' of '{model}'"] = str(one.threshold)
            for what, value in said.items():
                earlier, theirs = first.setdefault((model, what), (name, value))
                if value != theirs:
                    yield f"{name}: {what} is {value}, in {earlier} {theirs}; expected the same."
