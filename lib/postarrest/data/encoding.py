"""Encoding and delimiter of a text table."""

import codecs
import csv
import re
from pathlib import Path

from postarrest.data.errors import refusal

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
CHUNK = 2**20


def known_encoding(encoding: str, label: str) -> str:
    # Japanese Windows software says Shift-JIS and writes its superset cp932.
    named = {
        "shift_jis": "cp932",
        "shift-jis": "cp932",
        "sjis": "cp932",
        "utf-8": "utf-8-sig",
        "utf8": "utf-8-sig",
    }
    encoding = named.get(encoding.lower(), encoding)
    try:
        info = codecs.lookup(encoding)
    except LookupError:
        info = None
    # Python also calls some transformations that give no text (zip, hex) codecs.
    if info is None or not info._is_text_encoding:
        raise refusal(
            label,
            "encoding",
            f"the encoding {encoding!r}",
            "one that Python knows, such as utf-8, shift_jis, latin-1",
        )
    return encoding


def told_encoding(path: Path, label: str) -> str:
    with path.open("rb") as file:
        sample = file.read(8 * CHUNK)
        for mark, encoding in _BOMS.items():
            if sample.startswith(mark):
                return encoding
        if b"\0" in sample:
            raise refusal(
                label, "text", "bytes that are not text", "a CSV as text in UTF-8, Latin-1 or Shift-JIS"
            )
        decoder = codecs.getincrementaldecoder("utf-8")()
        chunk = sample
        try:
            while chunk:
                decoder.decode(chunk)
                chunk = file.read(CHUNK)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _legacy_encoding(sample[: sample.rfind(b"\n") + 1] or sample, label)
    return "utf-8-sig"


_JAPANESE_RUN = re.compile("[\u3005-\u30ff\u4e00-\u9fff\uff61-\uff9f]+")


def _legacy_encoding(sample: bytes, label: str) -> str:
    """Tell Shift-JIS from Latin-1 (and its Windows form), or refuse.

    Latin-1 read as Shift-JIS makes single Japanese characters in the middle of Latin words, since there an
    accented letter swallows the letter after it; real Japanese stands in runs, or alone in a cell.
    """
    latin = "cp1252" if re.search(rb"[\x80-\x9f]", sample) else "latin-1"
    try:
        japanese = sample.decode("cp932")
    except UnicodeDecodeError:
        japanese = ""
    runs = list(_JAPANESE_RUN.finditer(japanese))
    as_japanese = sum(_is_japanese(run, japanese) for run in runs)
    if not runs or as_japanese <= 0.1 * len(runs):
        try:
            sample.decode(latin)
        except UnicodeDecodeError:
            runs, as_japanese = [None, None], 1
        else:
            return latin
    if as_japanese >= 0.9 * len(runs):
        return "cp932"
    raise refusal(
        label,
        "encoding",
        "letters that are neither UTF-8 nor surely Shift-JIS or Latin-1",
        "the encoding named by table_format: {encoding: shift_jis}",
    )


def _is_japanese(run: re.Match, text: str) -> bool:
    around = text[max(run.start() - 1, 0) : run.start()] + text[run.end() : run.end() + 1]
    if len(run[0]) > 1:
        return True
    return run[0] < "\uff61" and not re.search(r"[A-Za-z]", around)


def told_delimiter(header: str, names: set[str]) -> str:
    def quality(delimiter: str) -> tuple[int, int]:
        try:
            fields = next(csv.reader([header], delimiter=delimiter), [])
        except csv.Error:
            fields = []
        return len({f.strip() for f in fields} & names), len(fields)

    return max(DELIMITERS, key=quality)
