"""An encoding that decodes to other words is noticed; the right one never is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postarrest.data.encodings import CODECS, COMMON, doubt, fitting

TABLES = {
    "Japanese": (["心筋梗塞", "肺塞栓", "くも膜下出血", "札幌医科大学附属病院"], ["shift_jis", "euc_jp"]),
    "katakana": (["アナフィラキシー", "トリアージ", "カテーテル", "ショック"], ["shift_jis", "euc_jp"]),
    "kanji alone": (["心筋梗塞", "肺塞栓", "大動脈解離", "窒息", "心室細動"], ["shift_jis", "euc_jp"]),
    "half-width": (["ｼﾝｷﾝｺｳｿｸ", "ﾊｲｿｸｾﾝ", "ﾁｯｿｸ", "ﾀｲﾎﾞｳ"], ["shift_jis"]),
    "Chinese": (["心肌梗死", "北京协和医院", "窒息", "浙江大学", "四川大学华西医院"], ["gb18030"]),
    "Russian": (["Инфаркт миокарда", "Тромбоэмболия", "Утопление", "Асфиксия"], ["koi8-r", "cp1251"]),
    "small letters": (["инфаркт миокарда", "тромбоэмболия", "да", "нет"], ["koi8-r", "cp1251"]),
    "French": (["né à Liège", "arrêt cardiaque", "étouffement", "hémorragie"], ["cp1252", "iso8859-1"]),
    "German": (["Müller", "Lübeck", "Ärztin", "Köln"], ["cp1252", "iso8859-1"]),
    "Korean": (["심근경색", "폐색전증", "질식", "뇌출혈"], ["euc_kr"]),
    "a few signs": (["5 µmol/L", "37 °C", "± 2", "“quoted” – text…"], ["cp1252"]),
    "English": (["cardiac", "asphyxia", "drowning"], ["cp1252", "koi8-r", "shift_jis", "euc_jp", "gb18030"]),
}
RIGHT = [(name, encoding) for name, (_, encodings) in TABLES.items() for encoding in (*encodings, "utf-8")]


def written(name: str, encoding: str) -> bytes:
    lines = [f"P{number},{cause}" for number, cause in enumerate(TABLES[name][0])]
    return "\n".join(["patient_id,cause", *lines]).encode(CODECS.get(encoding, encoding))


@pytest.mark.parametrize(("name", "encoding"), RIGHT)
def test_the_right_encoding_is_never_doubted(name: str, encoding: str):
    assert doubt(written(name, encoding), encoding) == ""


@pytest.mark.parametrize(
    ("name", "encoding", "read_as"),
    [
        ("Japanese", "euc_jp", "gb18030"),
        ("Japanese", "euc_jp", "cp1252"),
        ("Japanese", "shift_jis", "gb18030"),
        ("Japanese", "shift_jis", "iso8859-1"),
        ("kanji alone", "shift_jis", "koi8-r"),
        ("kanji alone", "euc_jp", "koi8-r"),
        ("Chinese", "gb18030", "euc_jp"),
        ("Chinese", "gb18030", "cp1251"),
        ("Russian", "koi8-r", "cp1251"),
        ("Russian", "cp1251", "koi8-r"),
        ("Russian", "koi8-r", "shift_jis"),
        ("small letters", "koi8-r", "shift_jis"),
        ("Russian", "koi8-r", "cp1252"),
        ("French", "cp1252", "koi8-r"),
        ("Korean", "euc_kr", "cp1252"),
        ("German", "utf-8", "iso8859-1"),
        ("Japanese", "utf-8", "cp1251"),
    ],
)
def test_a_wrong_encoding_is_doubted_although_it_decodes(name: str, encoding: str, read_as: str):
    content = written(name, encoding)
    content.decode(CODECS.get(read_as, read_as))
    assert doubt(content, read_as)


@pytest.mark.parametrize(("name", "encoding"), [(n, e) for n, e in RIGHT if e in COMMON and n != "Korean"])
def test_the_right_encoding_is_among_the_first_that_are_proposed(name: str, encoding: str):
    assert encoding in fitting(written(name, encoding))[:2] or name in ("English", "a few signs")


def test_a_sample_may_end_within_a_character():
    content = written("Japanese", "euc_jp")
    for end in range(len(content) - 6, len(content)):
        assert doubt(content[:end], "euc_jp") == ""
        assert "euc_jp" in fitting(content[:end])


@given(st.binary(max_size=40), st.sampled_from([*COMMON, "cp932", "gbk", "iso8859-1"]))
def test_any_bytes_are_judged_without_an_error(content: bytes, encoding: str):
    assert isinstance(doubt(content, encoding), str)
    assert set(fitting(content)) <= set(COMMON)
