"""Whether bytes are text in the encoding declared: many decode to other words without an error."""

import re
from collections.abc import Iterable, Sequence
from functools import partial

# Encodings of exports, in the order in which they are proposed.
COMMON = ("utf-8", "shift_jis", "euc_jp", "gb18030", "big5", "euc_kr", "koi8-r", "cp1251", "cp1252")
# Windows software in Japan writes cp932, a superset of Shift-JIS, under the name of the latter.
CODECS = {"shift_jis": "cp932"}
_HIGH = re.compile(rb"[\x80-\xff]+")
_LETTERS = re.compile(r"[^\W\d_]+")
_KANA, _HALF_KANA, _HAN = re.compile("[ぁ-ゖァ-ヺ]"), re.compile("[｡-ﾟ]"), re.compile("[一-鿿]")
# Fewer runs of bytes above 127 fit another encoding by chance.
_FEWEST = 3
_RARE_SHARE = 0.2


def fitting(content: bytes) -> list[str]:
    """Return the common encodings in which some bytes may be text, the likeliest first.

    Examples
    --------
    >>> fitting("心筋梗塞,くも膜下出血".encode("euc_jp"))[0], fitting("né à Liège, où".encode("cp1252"))[0]
    ('euc_jp', 'cp1252')
    """
    return [name for name in COMMON if _decoded(content, name) is not None and not doubt(content, name)]


def doubt(content: bytes, encoding: str) -> str:
    """Return why bytes that can be decoded are hardly text in an encoding; "" if they may be.

    Parameters
    ----------
    content : bytes
        Of a table, or its beginning.
    encoding : str
        As declared.

    Examples
    --------
    >>> doubt("心筋梗塞,肺塞栓,くも膜下出血".encode("euc_jp"), "gb18030")
    'Japanese kana, as where euc_jp is read as gb18030'
    >>> doubt("心筋梗塞,肺塞栓".encode("shift_jis"), "shift_jis")
    ''
    """
    text, high = _decoded(content, encoding), _HIGH.findall(content)
    if text is None or not high:
        return ""
    if encoding != "utf-8" and _decoded(content, "utf-8") is not None:
        return f"text in utf-8, which is read as {encoding}"
    kinds = {
        "shift_jis": _odd_shift_jis,
        "euc_jp": _odd_euc_jp,
        "gb18030": _odd_gb18030,
        "cp932": _odd_shift_jis,
        "gbk": _odd_gb18030,
        "gb2312": _odd_gb18030,
        "koi8-r": partial(_odd_cyrillic, other="cp1251"),
        "cp1251": partial(_odd_cyrillic, other="koi8-r"),
    }
    single = encoding.startswith(("cp125", "iso8859", "latin", "koi8"))
    western = single and encoding not in ("koi8-r", "cp1251")
    found = kinds[encoding](text, high) if encoding in kinds else ""
    if single and not found:
        found = _odd_single_byte(high, western=western)
    accented = sum(len(run) == 1 and run >= b"\xc0" for run in high)
    if not western and not found and accented >= _FEWEST and accented > 0.75 * len(high):
        found = "single letters, as where cp1252"
    return f"{found} is read as {encoding}" if found else ""


def _odd_shift_jis(text: str, high: Sequence[bytes]) -> str:
    if len(_HALF_KANA.findall(text)) <= sum(not c.isascii() for c in text) / 2:
        return ""
    if _in_pairs(high, "euc_jp") and not _rare(b"".join(high).decode("euc_jp", "ignore"), "euc_jp"):
        return "half-width katakana, as where euc_jp"
    # Half-width katakana without a single one of the first 31, where KOI8-R has no letters.
    return "half-width katakana, as where koi8-r" if len(set(high)) >= _FEWEST and _letters(high) else ""


def _odd_euc_jp(text: str, high: Sequence[bytes]) -> str:
    return "rare kanji, as where gb18030" if not _KANA.search(text) and _rare(text, "euc_jp") else ""


def _odd_gb18030(text: str, high: Sequence[bytes]) -> str:
    if _KANA.search(text):
        return "Japanese kana, as where euc_jp"
    return "rare characters, as where shift_jis" if _rare(text, "gb2312") else ""


def _odd_cyrillic(text: str, high: Sequence[bytes], *, other: str) -> str:
    words = [word for word in _LETTERS.findall(text) if len(word) > 1 and not word.isascii()]
    inverted = sum(word[0].islower() and word[1:].isupper() for word in words)
    if inverted >= _FEWEST and inverted > len(words) / 2:
        return f"words whose first letter alone is small, as where {other}"
    return ""


def _odd_single_byte(high: Sequence[bytes], *, western: bool) -> str:
    pairs = [name for name in ("euc_jp", "gb18030") if _in_pairs(high, name)]
    if pairs:
        return f"letters in pairs, as where {' or '.join(pairs)}"
    different = set(high)
    if len(different) < _FEWEST:
        return ""
    if western and _letters(high) and sum(map(len, different)) >= _FEWEST * len(different):
        return "whole words of accented letters, as where koi8-r or cp1251"
    # The signs that single-byte encodings have there are not letters.
    signs = [byte for run in high for byte in run if byte < 0xA0]
    together = sum(map(len, high))
    odd = len(set(signs)) >= _FEWEST and len(signs) > _RARE_SHARE * together and together > 1.5 * len(high)
    return "signs among letters, as where shift_jis" if odd else ""


def _decoded(content: bytes, encoding: str) -> str | None:
    try:
        # What is cut off at the end is no error.
        return content.decode(CODECS.get(encoding, encoding))
    except UnicodeDecodeError as error:
        rest = len(content) - error.start
        return content[: error.start].decode(CODECS.get(encoding, encoding)) if 0 < rest < 4 else None


def _in_pairs(high: Iterable[bytes], encoding: str) -> bool:
    """Return whether bytes above 127 stand in pairs of an encoding, often enough not to be chance."""
    different = set(high)
    paired = all(len(run) % 2 == 0 and _decoded(run, encoding) is not None for run in different)
    return len(different) >= _FEWEST and paired


def _letters(high: Iterable[bytes]) -> bool:
    """Return whether bytes above 127 are all among those that are letters in KOI8-R."""
    return all(byte >= 0xC0 or byte in b"\xa3\xb3" for run in high for byte in run)


def _rare(text: str, encoding: str) -> bool:
    """Return whether many Han characters are rare ones: not in JIS level 1 for ``euc_jp``, or in GB2312."""
    han = _HAN.findall(text)
    if encoding == "euc_jp":
        # Level 1, the 2,965 most common kanji, are the bytes B0 to CF of EUC-JP.
        common = sum(b"\xb0" <= c.encode(encoding, "replace")[:1] <= b"\xcf" for c in han)
    else:
        common = sum(c.encode(encoding, "ignore") != b"" for c in han)
    return len(han) >= 2 * _FEWEST and len(han) - common > _RARE_SHARE * len(han)
