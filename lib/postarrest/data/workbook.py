"""What a spreadsheet shows and a reader of cells doesn't see: merged and hidden cells, percent."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from postarrest.data.errors import Finding

# Of a larger file, or of more cells merged into one, openpyxl's whole model would fill the memory.
_MOST_BYTES = 64 * 2**20
_MOST_MERGED = 100_000
_MOST_NAMED = 3


def hidden_from_readers(
    content: bytes, *, sheet: str, file: str, columns: Mapping[str, int], rows: Iterable[int]
) -> tuple[list[Finding], list[Finding]]:
    """Return errors and warnings about cells that are other than they look, where a table is read.

    Parameters
    ----------
    content : bytes
        Of an ``.xlsx`` file.
    sheet : str
        The sheet that is read.
    file : str
        Name of the file in messages.
    columns : Mapping
        Name of a column that is read -> its number, counted from 1.
    rows : iterable of int
        The rows that are read.

    Returns
    -------
    errors : list of Finding
        Merged cells, since all but one are blank to a reader; percent beside plain numbers.
    warnings : list of Finding
        Hidden or filtered rows, and hidden columns, which are read like others; numbers shown in percent.
    """
    import openpyxl

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        size = sum(item.file_size for item in archive.infolist())
        parts = [archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/")]
        # The formats 9 and 10 are percent without a word of it.
        styles = [archive.read(name) for name in archive.namelist() if name == "xl/styles.xml"]
    if (largest := max(map(_largest_merge, parts), default=0)) > _MOST_MERGED:
        return [Finding(file, "merged", f"{largest:,} cells merged into one", "one value in each cell")], []
    marked = any(re.search(b'mergeCell|hidden="', part) for part in parts)
    if not marked and not any(re.search(b'numFmtId="(9|10)"|%', part) for part in styles):
        return [], []
    if size > _MOST_BYTES:
        found = f"{size / 2**20:.0f} MB when unpacked, too much to look for merged cells and hidden rows"
        return [], [Finding(file, "size", found, f"at most {_MOST_BYTES // 2**20} MB, or a CSV file")]
    page, rows = openpyxl.load_workbook(io.BytesIO(content), data_only=True)[sheet], list(rows)
    errors, warnings = list(_merged(page, file, columns)), list(_hidden(page, file, columns, rows))
    for name, number in columns.items():
        percent, plain = _numbers(page, rows, number)
        if percent and plain:
            found = f"{len(percent)} cells shown in percent among {plain} plain numbers"
            expected = "one form; 45 % is stored as 0.45"
            errors.append(Finding(file, "percent", found, expected, percent[0], column=name))
        elif percent:
            found = f"{len(percent)} cells shown in percent, read as stored: 45 % is 0.45"
            warnings.append(Finding(file, "percent", found, "plain numbers", column=name))
    return errors, warnings


def _largest_merge(part: bytes) -> int:
    from openpyxl.utils import range_boundaries

    largest = 0
    for reference in re.findall(rb'mergeCell [^>]*ref="([A-Z0-9:]+)"', part):
        left, top, right, bottom = range_boundaries(reference.decode())
        largest = max(largest, (right - left + 1) * (bottom - top + 1))
    return largest


def _merged(page: Any, file: str, columns: Mapping[str, int]) -> Iterator[Finding]:
    read = set(columns.values())
    ranges = [one for one in page.merged_cells.ranges if read & set(range(one.min_col, one.max_col + 1))]
    if ranges:
        ranges.sort(key=lambda one: (one.min_col, one.min_row))
        found = f"merged cells {_some(one.coord for one in ranges)}"
        yield Finding(file, "merged", found, "one value in each cell; unmerge them and fill each")


def _hidden(page: Any, file: str, columns: Mapping[str, int], rows: Sequence[int]) -> Iterator[Finding]:
    hidden = [row for row in rows if row in page.row_dimensions and page.row_dimensions[row].hidden]
    if hidden:
        what = "rows hidden by a filter" if page.auto_filter.ref else "hidden rows"
        found = f"{what}: {len(hidden)} ({_some(_ranges(hidden))}), read like the others"
        yield Finding(file, "hidden", found, "rows that are all shown; delete those that are not meant")
    ranges = [
        range(one.min or 0, (one.max or 0) + 1) for one in page.column_dimensions.values() if one.hidden
    ]
    for name, number in columns.items():
        if any(number in one for one in ranges):
            found = "a hidden column, which is read like the others"
            yield Finding(file, "hidden", found, "columns that are all shown", column=name)


def _numbers(page: Any, rows: Sequence[int], column: int) -> tuple[list[int], int]:
    """Return the rows with a number that is shown in percent, and how many numbers are not."""
    cells = [page.cell(row, column) for row in rows]
    numbers = [c for c in cells if isinstance(c.value, int | float) and not isinstance(c.value, bool)]
    percent = [cell.row for cell in numbers if "%" in cell.number_format]
    return percent, len(numbers) - len(percent)


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    for _, group in groupby(enumerate(numbers), key=lambda one: one[1] - one[0]):
        run = [number for _, number in group]
        yield str(run[0]) if len(run) == 1 else f"{run[0]} to {run[-1]}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - _MOST_NAMED
    return ", ".join(listed[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
