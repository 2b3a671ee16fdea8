"""Tables of many forms are read right, or refused in one clear line."""

from __future__ import annotations

import gzip
import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensenet.errors import InputError
from sensenet.tables import delimited, text
from sensenet.tables.source import Reading, open_table

ROWS = [("1", "x y"), ("-2.5", "é")]


def read(path, content, **reading):
    """Columns, rows and warnings of a file."""
    path.write_bytes(content)
    warnings = []
    source = open_table(path, Reading(**reading), warnings.append)
    frames = list(source.batches())
    rows = [row for frame in frames for row in frame.rows()]
    return source.columns, rows, warnings


def refusal(path, content, **reading):
    with pytest.raises(InputError) as caught:
        read(path, content, **reading)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    return message.removeprefix(str(path))


CSV = "a,b\n1,x y\n-2.5,é\n"
SAME = {
    "plain": CSV.encode(),
    "no newline at the end": CSV.strip().encode(),
    "CRLF": CSV.replace("\n", "\r\n").encode(),
    "CR": CSV.replace("\n", "\r").encode(),
    "byte order mark": CSV.encode("utf-8-sig"),
    "UTF-16": CSV.encode("utf-16"),
    "UTF-32": CSV.encode("utf-32"),
    "gzipped": gzip.compress(CSV.encode(), mtime=0),
    "tabs": CSV.replace(",", "\t").encode(),
    "semicolons": CSV.replace(",", ";").encode(),
    "bars": CSV.replace(",", "|").encode(),
    "colons": CSV.replace(",", ":").encode(),
    "decimal commas": CSV.replace(",", ";").replace("-2.5", "-2,5").encode(),
    "quoted": b'"a","b"\n"1","x y"\n"-2.5","\xc3\xa9"\n',
    "blank lines": b"\n\na,b\n\n1,x y\n\n\n-2.5,\xc3\xa9\n\n",
    "blank lines and quotes": b'a,b\n\n1,"x y"\n\n-2.5,\xc3\xa9\n\n',
    "JSON lines": '{"a":1,"b":"x y"}\n\n{"a":-2.5,"b":"é"}\n'.encode(),
    "JSON list": json.dumps([{"a": 1, "b": "x y"}, {"a": -2.5, "b": "é"}]).encode(),
}


@pytest.mark.parametrize("form", SAME)
def test_every_form_of_a_table_has_the_same_rows(tmp_path, form):
    assert read(tmp_path / "table.csv", SAME[form]) == (("a", "b"), ROWS, [])


def test_parquet_keeps_its_types(tmp_path):
    frame = pl.DataFrame({"a": [1, 2], "b": [True, None]})
    frame.write_parquet(tmp_path / "table.parquet")
    source = open_table(tmp_path / "table.parquet")
    assert pl.concat(source.batches()).equals(frame)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        (b'a,b\n"x\ny","p""q"\n', [("x\ny", 'p"q')]),
        (b'a,b\n12" pipe,3\n4,5" d\n', [('12" pipe', "3"), ("4", '5" d')]),
        (b'a,b\n1, "x, y"\n', [("1", "x, y")]),
        (b"a,b\n,\n", [(None, None)]),
        (b"a\n1\n\n3\n", [("1",), (None,), ("3",)]),
        (b"a,b\n", []),
        (b"a;b\n1,5;x,y\n", [("1.5", "x,y")]),
        (b"when,x\n12:30:00,1\n12:31:00,2\n", [("12:30:00", "1"), ("12:31:00", "2")]),
    ],
)
def test_quotes_delimiters_and_empty_values_are_those_that_people_mean(tmp_path, content, rows):
    assert read(tmp_path / "table.csv", content)[1] == rows


def test_columns_of_one_name_get_names_of_their_own(tmp_path):
    columns, _, warnings = read(tmp_path / "t.csv", b"a,a,,a_2\n1,2,3,4\n")
    assert columns == ("a", "a_3", "column_3", "a_2")
    assert len(warnings) == 1
    assert 'column 2 has the name "a" of another' in warnings[0]


def test_a_file_without_header_has_numbered_columns(tmp_path):
    assert read(tmp_path / "t.csv", b"1,2\n3,4\n", has_header=False) == (
        ("column_1", "column_2"),
        [("1", "2"), ("3", "4")],
        [],
    )


def test_bytes_that_are_no_utf_8_are_western_with_a_warning(tmp_path):
    _, rows, warnings = read(tmp_path / "t.csv", "a,b\n1,2\né,€\n".encode("cp1252"))
    assert rows == [("1", "2"), ("é", "€")]
    assert len(warnings) == 1
    assert "line 3: a byte that is not UTF-8" in warnings[0]


def test_the_encoding_can_be_given(tmp_path):
    content = "a,b\nя,2\n".encode("koi8-r")
    assert read(tmp_path / "t.csv", content, encoding="koi8-r")[1:] == ([("я", "2")], [])
    assert "line 2: this is no utf-8" in refusal(tmp_path / "t.csv", content, encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", ": the file is empty"),
        (b"\n \n"[:1] * 3, ": the file is empty"),
        (b"a,b\n1,2\n3\n", ', line 3: expected 2 values as in the header, found 1, there is none for "b"'),
        (b"a,b\n1,2\n3,4,5\n", ", line 3: expected 2 values as in the header, found 3"),
        (b"a,b\n1,2,3\n3\n", ", line 2: expected 2 values as in the header, found 3"),
        (b'a,b\n"1\n2",3\n\n4\n', ", line 5: expected 2 values as in the header, found 1"),
        (b'a,b\n1,2\n1,"2\n3,4\n', ", line 3: a quoted value that begins here is never closed"),
        (b"a,b\n1,2\n1,\0\n", ", line 3: a NUL character"),
        (
            gzip.compress(b"a,b\n1,2\n" * 999, mtime=0)[:-12],
            ", after line 1: the gzipped file ends too early",
        ),
        (b"PAR1 and no more", ": a Parquet file that is damaged"),
        (b"PK\x03\x04...", ": a zip archive or a spreadsheet"),
        (b'{"a":1}\n{"a":[2]}\n', ', line 2, "a": expected a text, a number'),
        (b'{"a":1}\n{"a" 2}\n', ", line 2: no valid JSON"),
        (b'{"a":1}\n3\n', ", line 2: expected an object"),
        (b'[{"a":1},\n{"a"}]', ", line 2: no valid JSON"),
        (b"{}\n", ": there is no row in it"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_place(tmp_path, content, message):
    assert refusal(tmp_path / "table", content).startswith(message)


def test_what_is_no_file_is_told(tmp_path):
    with pytest.raises(InputError, match="it is a directory"):
        open_table(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(InputError, match="expected the path of a table"):
        open_table(3)


@pytest.mark.parametrize("reading", [{"delimiter": "ab"}, {"delimiter": '"'}, {"encoding": "klingon"}])
def test_choices_that_cannot_be_are_told(tmp_path, reading):
    (tmp_path / "t.csv").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(InputError):
        open_table(tmp_path / "t.csv", Reading(**reading))


def test_ten_thousand_columns(tmp_path):
    header, row = ",".join(f"c{i}" for i in range(10_000)), ",".join(map(str, range(10_000)))
    columns, rows, _ = read(tmp_path / "t.csv", f"{header}\n{row}\n".encode())
    assert (len(columns), rows[0][-1]) == (10_000, "9999")


def test_a_value_without_end_does_not_take_all_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "MAX_RECORD_BYTES", 1000)
    monkeypatch.setattr(text, "PIECE_BYTES", 100)
    message = refusal(tmp_path / "t.csv", b'a,b\n1,"' + b"x,y\n" * 1000)
    assert message.startswith(", line 2: a quoted value that begins here has no end within 1,000 bytes")


CELLS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0\r"), max_size=6)
QUOTABLE = st.one_of(CELLS, st.text(st.sampled_from('",;\n ab1')), st.sampled_from(["1", "2.5", ""]))


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(QUOTABLE, QUOTABLE, QUOTABLE), min_size=1, max_size=12),
    delimiter=st.sampled_from(",\t|"),
    piece=st.integers(1, 60),
)
def test_what_was_written_is_read_whatever_the_pieces(tmp_path_factory, rows, delimiter, piece):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    frame = pl.DataFrame(rows, schema={"one": pl.String, "two": pl.String, "three": pl.String}, orient="row")
    frame.write_csv(path, separator=delimiter)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text, "PIECE_BYTES", piece)
        found = [row for part in open_table(path, Reading(delimiter)).batches() for row in part.rows()]
    # the careful reader drops spaces before a value, and all readers of values those around it
    plain = [tuple((cell or "").strip() for cell in row) for row in found]
    assert plain == [tuple(cell.strip() for cell in row) for row in rows]
