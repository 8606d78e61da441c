"""Settings that map a hospital's own columns, codes and units onto the data contract.

`ExportSettings` is what a study file says about its data, validated by pydantic; `setting_errors` returns
pydantic's errors as `Finding`, one per error.
"""

import codecs
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, ValidationError, ValidationInfo, WrapValidator, model_validator

from postarrest.data import contract
from postarrest.data.ct.reading import ImageSize
from postarrest.data.errors import Finding, nearest
from postarrest.settings import TYPES_IN_WORDS, Scalar, Settings, distinct, wrong

ROW_NUMBERS = "{row}"
ALL_COLUMNS = "*"


def as_code(value: Any) -> str:
    """Return one text for a value, however a YAML file or an export writes it (1, 1.0, '1'; yes, true)."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value).strip().casefold()
    try:
        return f"{float(text):.15g}"
    except ValueError:
        return {"true": "yes", "false": "no"}.get(text, text)


def _one_delimiter(delimiter: str) -> str:
    if delimiter.isalnum() or delimiter in ('"', "\n", "\r", ".", "-", "_", " "):
        raise wrong("a sign that separates cells, such as ';' or a tab")
    return delimiter


def _known_encoding(name: str) -> str:
    try:
        "".encode(name)
    except (LookupError, UnicodeError, ValueError):
        raise wrong("an encoding that Python knows, such as utf-8, shift_jis or latin-1") from None
    return codecs.lookup(name).name


class TableFormat(Settings):
    """How the table files are written.

    Parameters
    ----------
    encoding : str
        Of a CSV file; UTF-8 by default. The byte-order marks of UTF-8 and UTF-16 are honoured.
    delimiter : str
        Of a CSV file; by default a comma, or a tab for ``.tsv``.
    decimal : str
        ``"."`` or ``","``.
    sheet : str
        Of an Excel file; by default its only sheet with content, or the one named like the file.
    """

    encoding: Annotated[str, AfterValidator(_known_encoding)] = "utf-8"
    delimiter: Annotated[str, Field(max_length=1), AfterValidator(_one_delimiter)] = ""
    decimal: Literal[".", ","] = "."
    sheet: str = Field("", max_length=31)

    @model_validator(mode="after")
    def _told_apart(self) -> "TableFormat":
        if self.delimiter == self.decimal:
            raise wrong("different signs", f"{self.decimal!r} as delimiter and as decimal sign")
        return self


def _named(column: str) -> str:
    if column in ("", ROW_NUMBERS):
        raise wrong("the name of a column")
    return column


_NameInExport = Annotated[str, AfterValidator(_named)]


class Outcome(Settings):
    """An outcome other than CPC.

    Parameters
    ----------
    column : str
        The export's name.
    good, poor : list
        The values that mean a good, and a poor outcome.
    meaning : str
        The good outcome in words, such as ``"alive at discharge"``.
    """

    column: _NameInExport
    good: list[Scalar] = Field(min_length=1)
    poor: list[Scalar] = Field(min_length=1)
    meaning: str = Field(min_length=1, max_length=200)


def _exclusions(value: Any) -> Any:
    reasons = isinstance(value, list) and all(isinstance(reason, str) for reason in value)
    if not reasons and value not in ("all", "none"):
        raise wrong("'all', 'none' or a list of reasons")
    return value


class Criteria(Settings):
    """Inclusion criteria.

    Parameters
    ----------
    exclusions : str or list
        ``"all"`` reasons for exclusion that the data give, ``"none"``, or a list of reasons.
    min_age_years, max_age_years, max_rosc_to_ct_min : float
        Limits; a patient at the limit is included.
    require : list of str
        Columns that must not be blank.
    """

    exclusions: Annotated[Any, AfterValidator(_exclusions)] = "all"
    min_age_years: float = Field(0, ge=0, le=125)
    max_age_years: float = Field(125, ge=0, le=125)
    max_rosc_to_ct_min: float = Field(10080, ge=0, le=10080)
    require: Annotated[list[str], AfterValidator(distinct)] = Field([])

    @model_validator(mode="after")
    def _some_age(self) -> "Criteria":
        if self.min_age_years > self.max_age_years:
            found = f"min_age_years {self.min_age_years:g} above max_age_years {self.max_age_years:g}"
            raise wrong("min_age_years up to max_age_years", found)
        return self


def _in_given_order(criteria: Any, validate: Callable[[Any], Criteria]) -> Mapping[str, Any]:
    """Return criteria as given, since they are applied in that order."""
    validate(criteria)
    return criteria


def _contract_name(name: str, info: ValidationInfo) -> str:
    known = {*contract.COLUMNS, *info.data.get("predictors", [])}
    if name not in known and (info.field_name, name) != ("codes", ALL_COLUMNS):
        raise wrong(f"a column of the contract{nearest(name, known)}")
    return name


def _predictor(name: str) -> str:
    if name == "patient_id" or contract.is_outcome(name):
        raise wrong("a column known before the outcome")
    return name


def _ids_alone_numbered(columns: dict[str, str]) -> dict[str, str]:
    if numbered := [name for name in columns if columns[name] == ROW_NUMBERS and name != "patient_id"]:
        expected = "the name of a column; only for patient_id are the rows numbered"
        raise wrong(expected, ", ".join(f"{name}: '{ROW_NUMBERS}'" for name in numbered))
    return columns


def _each_its_own(columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    """Refuse two columns of one table that are read from the same column of the export."""
    predictors = info.data.get("predictors", [])
    for table in ([*contract.PATIENTS.columns, *predictors], list(contract.GWR.columns)):
        # A column that is not mapped is read under its own name.
        exports = {name: columns.get(name, name) for name in table}
        for name, export in exports.items():
            if others := [n for n in exports if exports[n] == export and n != name]:
                raise wrong("a column of the export for each", f"{export!r} for {name} and {others[0]}")
    return columns


def _fitting(codes: dict[str, dict[Any, Any]]) -> dict[str, dict[Any, Any]]:
    """Refuse codes that the contract does not have, and two meanings of one value."""
    for name, of_column in codes.items():
        meanings: dict[str, Any] = {}
        for value, meaning in of_column.items():
            if meanings.setdefault(as_code(value), meaning) != meaning:
                raise wrong("one meaning for each value", f"two for {value!r} in {name}")
        about = contract.COLUMNS[name].metadata if name in contract.COLUMNS else {}
        known = {as_code(code) for code in about.get("codes", ())}
        known |= {"0", "1"} if about.get("kind") == "yes or no" else set()
        for meaning in of_column.values() if "codes" in about else ():
            if as_code(meaning) not in known | {""}:
                allowed = ", ".join(map(str, about["codes"]))
                raise wrong(f"one of {allowed}, or null for missing", f"{name}: {meaning!r}")
    return codes


def _ids_for_files(columns: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    modalities = info.data.get("modalities")
    if modalities and columns.get("patient_id") == ROW_NUMBERS:
        raise wrong(f"a column with ids, to find {' and '.join(modalities)}", "patient_id: '{row}'")
    return columns


def _convertible(units: dict[str, str]) -> dict[str, str]:
    for name, unit in units.items():
        if name not in contract.UNITS:
            raise wrong(f"a column with a unit{nearest(name, contract.UNITS)}", repr(name))
        if unit not in contract.UNITS[name]:
            raise wrong(f"one of {', '.join(contract.UNITS[name])}", f"{name}: {unit!r}")
    return units


def _outcome(value: Any, validate: Callable[[Any], Outcome | None], info: ValidationInfo) -> Outcome | None:
    """Return an outcome with disjoint values that is not among the predictors; None for an empty one."""
    outcome = validate(value or None)
    if outcome is None:
        return None
    both = {as_code(v) for v in outcome.good} & {as_code(v) for v in outcome.poor}
    if both:
        raise wrong("each value as good or as poor", f"{', '.join(sorted(both))} as good and as poor")
    columns, predictors = info.data.get("columns", {}), info.data.get("predictors", [])
    if outcome.column in [columns.get(name, name) for name in predictors]:
        raise wrong("predictors known before the outcome", f"'{outcome.column}' among the predictors")
    return outcome


def _revised_cpc(labels: list[str], info: ValidationInfo) -> list[str]:
    if "revised" in labels and info.data.get("outcome"):
        found = "'revised' with an outcome of the study's own"
        raise wrong("CPC, which the revised label changes", found)
    return labels


_ColumnOfExport = Annotated[str, Field(min_length=1)]
_ContractName = Annotated[str, AfterValidator(_contract_name)]
_Label = Literal["standard", "revised"]


class ExportSettings(Settings):
    """How a study's export is mapped onto the contract, and what the study needs of it.

    Parameters
    ----------
    modalities : list of str
        What the study has besides its patient table: ``"gwr"``, ``"ct"``.
    predictors : list of str
        Further columns that models use: numbers or categories; also patterns such as ``"eeg24h_*"``.
    columns : dict
        Contract name -> the export's name. ``{"patient_id": "{row}"}`` numbers the rows.
    codes : dict
        Contract name -> {the export's value: the contract's value, or None for missing}. The name ``"*"``
        means every column.
    units : dict
        Contract name -> the export's unit, one of `contract.UNITS`.
    outcome : Outcome
        Empty for CPC.
    criteria : dict
        Fields of `Criteria`, applied in the order given. Outcome and CT are required for the patients who
        meet them.
    outcome_labels : list of str
        Outcome labels in use: ``"standard"``, ``"revised"``. The revised one needs columns of its own.
    table_format : TableFormat
        Encoding, delimiter, decimal sign and sheet of the tables.
    image_size : str
        ``"exact"``: a PNG has 256 x 256 pixels. ``"fit"``: a PNG or JPEG of any size is padded and resampled.
    for_scoring : bool
        Whether the patients are to be scored only: no outcome is needed, and a patient may lack a CT.
    """

    modalities: Annotated[list[Literal["gwr", "ct"]], AfterValidator(distinct)] = Field([])
    predictors: Annotated[
        list[Annotated[_NameInExport, AfterValidator(_predictor)]], AfterValidator(distinct)
    ] = Field([])
    columns: Annotated[
        dict[_ContractName, _ColumnOfExport],
        AfterValidator(_ids_alone_numbered),
        AfterValidator(_each_its_own),
        AfterValidator(_ids_for_files),
    ] = Field({})
    codes: Annotated[dict[_ContractName, dict[Scalar, Scalar]], AfterValidator(_fitting)] = Field({})
    units: Annotated[dict[str, str], AfterValidator(_convertible)] = Field({})
    outcome: Annotated[Outcome | None, WrapValidator(_outcome)] = None
    criteria: Annotated[Criteria, WrapValidator(_in_given_order)] = Field({})
    outcome_labels: Annotated[list[_Label], AfterValidator(distinct), AfterValidator(_revised_cpc)] = Field(
        []
    )
    table_format: TableFormat = TableFormat()
    image_size: ImageSize = "exact"
    for_scoring: bool = False

    @property
    def outcome_column(self) -> str:
        """The export's name of the column with the outcome."""
        return self.outcome.column if self.outcome else self.export_name("cpc")

    def export_name(self, name: str) -> str:
        """Return the export's name of a column."""
        return self.columns.get(name, name)

    def shown_name(self, name: str) -> str:
        """Return a column's name for messages: the contract's, and the export's if it differs."""
        export = self.export_name(name)
        return name if export in (name, ROW_NUMBERS) else f"{name} (export: {export})"

    def codes_of(self, name: str) -> dict[str, str | float]:
        """Return the codes of one column: as `as_code` writes the export's value -> the contract's text."""
        codes = {**self.codes.get(ALL_COLUMNS, {}), **self.codes.get(name, {})}
        return {as_code(key): _as_cell(value) for key, value in codes.items()}


def _as_cell(value: Any) -> str | float:
    if value is None or value == "":
        return np.nan
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


_SECTIONS = {"criteria": Criteria, "outcome": Outcome, "table_format": TableFormat}


def setting_errors(error: ValidationError, *section: str) -> list[Finding]:
    """Return the errors that pydantic found in a study's settings, one finding per error.

    Parameters
    ----------
    error : pydantic.ValidationError
        Of `ExportSettings`, or of the model of one section.
    section : str
        The section that was validated, such as ``"criteria"``; nothing for all settings.

    Examples
    --------
    >>> try:
    ...     ExportSettings(criteria={"minimum_age": 18})
    ... except ValidationError as error:
    ...     setting_errors(error)[0].found
    "'minimum_age'"
    """
    findings = []
    for item in error.errors(include_url=False):
        where, kind, context = [*section, *map(str, item["loc"])], item["type"], item.get("ctx", {})
        found = context.get("found") or repr(item["input"])
        words = TYPES_IN_WORDS | {"string_too_long": "one character"}
        expected = context.get("expected") or words.get(kind.removesuffix("_type"), item["msg"])
        if where[-1] == "[key]":
            where = where[:-2]
        elif kind in ("extra_forbidden", "missing"):
            name = where.pop()
            known = list(_SECTIONS.get(where[0] if where else "", ExportSettings).model_fields)
            found, expected = repr(name), f"one of {', '.join(known)}{nearest(name, known)}"
            if kind == "missing":
                found, expected = f"no '{name}'", f"all of {', '.join(known)}"
        findings.append(Finding("study file", "settings", found, expected, column=".".join(where)))
    return findings
