from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2ag.corpus.blocks import UnreadableError
from r2ag.corpus.decoding import decode

RUSSIAN = "Мост через реку Влтаву был построен в пятнадцатом веке каменщиками из города."


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1251", "koi8_r"])
def test_encodings_of_russian(encoding):
    assert decode(RUSSIAN.encode(encoding)) == RUSSIAN


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1252", "“Café” – the bridge cost £100, says Müller."),
        ("gb18030", "蜜蜂用舞蹈告诉同伴花在哪里。这座桥建于一四七一年。"),
        ("shift_jis", "橋は一四七一年に建てられた。川の水は三メートル上がりました。"),
        ("euc-kr", "다리는 1471년에 도시의 석공들에 의해 지어졌습니다."),
    ],
)
def test_encodings_that_nothing_declares(encoding, text):
    assert decode(text.encode(encoding)) == text


def test_the_declared_encoding_counts_where_it_is_one():
    czech = "Žluťoučký kůň úpěl"
    assert decode(czech.encode("cp1250"), "windows-1250") == czech
    for wrong in ("no such thing", "hex", "rot13", "\udcff"):
        assert decode("Müller".encode("cp1252"), wrong) == "Müller"


def test_utf_8_with_broken_bytes_stays_utf_8():
    long = "Müller, Göß " * 500
    assert decode(long.encode() + b"\xff\0") == long + "\ufffd\ufffd"
    assert decode(codecs.BOM_UTF8 + b"Caf\xe9 by the bridge") == "Caf\ufffd by the bridge"


@pytest.mark.parametrize("content", [b"GGUF\0\0\1", b"\x7fELF\0", "no mark".encode("utf-16-le")])
def test_what_is_no_text_is_refused(content):
    with pytest.raises(UnreadableError, match="is not a text file"):
        decode(content)


@given(st.binary(), st.text())
def test_whatever_the_bytes_the_text_can_be_written(content, declared):
    try:
        text = decode(content, declared)
    except UnreadableError:
        assert b"\0" in content
    else:
        assert "\0" not in text
        text.encode()
