from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payload.records.bit_stream import BitReader, BitWriter
from payload.records.text_packing import CLASS_BITS, CLASSES, read_text, text_bits, write_text


def packed(text: str) -> BitReader:
    writer = BitWriter()
    write_text(writer, text)
    return BitReader(writer.to_bytes(-(-writer.count // 8)))


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=300))
def test_texts_come_back(text: str) -> None:
    reader = packed(text)
    assert read_text(reader) == text
    assert reader.rest_is_zero()


@pytest.mark.parametrize("each", CLASSES, ids=lambda each: each.name)
@given(data=st.data())
def test_every_class_keeps_its_characters(each, data: st.DataObject) -> None:
    text = data.draw(st.text(st.sampled_from(each.alphabet or "åß日"), min_size=1, max_size=40))
    assert read_text(packed(text)) == text


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("123", 4 + 5 + 10),
        ("007", 4 + 5 + 10),
        ("acme", 4 + 5 + 20),
        ("ACME", 4 + 5 + 20),
        ("deadbeef", 4 + 5 + 32),
        ("6f1c1b1e-1c2d-4a5b-8c9d-0123456789ab", 4 + 128),
        ("z" * 17, 4 + 10 + 85),
        ("Ünï", 4 + 5 + 40),
    ],
)
def test_texts_take_as_few_bits_as_their_class_needs(text: str, bits: int) -> None:
    assert text_bits(text) == bits


def test_alphabets_have_no_symbol_twice() -> None:
    for each in CLASSES:
        assert len(set(each.alphabet)) == len(each.alphabet)
    assert len(CLASSES) <= 1 << CLASS_BITS


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([(15, 4), (0, 12)], "expected a class below 11, found 15"),
        ([(0, 4), (0, 5), (15, 4)], "found a larger number"),
        ([(10, 4), (0, 5), (0xFF, 8)], "can't decode"),
        ([(8, 4), (31, 5)], "expected .* more bits"),
    ],
)
def test_bits_that_are_no_text_are_refused(fields: list[tuple[int, int]], message: str) -> None:
    writer = BitWriter()
    for value, bits in fields:
        writer.write(value, bits)
    reader = BitReader(writer.to_bytes(-(-writer.count // 8)))
    with pytest.raises(ValueError, match=message):
        read_text(reader)
