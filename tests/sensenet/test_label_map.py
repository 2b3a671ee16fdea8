"""Label maps, as programs and people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensenet.errors import ModelFormatError
from sensenet.label_map import (
    Label,
    class_labels,
    label_map_text,
    parse_label_map,
    read_label_map,
    shown_names,
    write_label_map,
)

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
LABELS = st.builds(Label, st.integers(0, 2**31 - 1), NAMES, st.none() | NAMES)


@given(st.lists(LABELS, min_size=1, max_size=5, unique_by=lambda label: label.id))
def test_what_is_written_is_read_again(labels):
    assert parse_label_map(label_map_text(labels)) == tuple(labels)


def test_names_are_escaped_and_numbers_begin_with_1():
    text = label_map_text(class_labels(["cat", 'a "big"\n\\ dog', "čača"]))
    assert text.startswith('item {\n  name: "cat"\n  id: 1\n}\n')
    assert '  name: "a \\"big\\"\\n\\\\ dog"\n' in text
    assert 'name: "čača"\n  id: 3' in text


def test_any_order_comments_both_quotes_and_other_attributes():
    text = """
    # of the models repository
    item { display_name: "Tort\\'oise" id: 1 name: '/m/011k07' } # the first
    item: {
      name: "a \\"b\\" \\303\\251"   id:2
      keypoints { id: 3 label: 'x' } ancestor_ids: "y"
    }
    item < id: 70, name: '70' ; >
    """
    labels = parse_label_map(text)
    assert labels == (Label(1, "/m/011k07", "Tort'oise"), Label(2, 'a "b" é'), Label(70, "70"))
    assert shown_names(labels) == {1: "Tort'oise", 2: 'a "b" é', 70: "70"}


def test_a_file_is_written_whole_and_read(tmp_path):
    write_label_map(class_labels(["cat", "Hündin"]), tmp_path / "label_map.pbtxt")
    assert read_label_map(tmp_path / "label_map.pbtxt") == (Label(1, "cat"), Label(2, "Hündin"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got no class"),
        ("cat\ndog", r"labels: expected a label map, item .*: 2:1"),
        ("item { id: 1 }", r"item\[0\].name: expected a name"),
        ("item { name: 'a' }", r"item\[0\].id: expected a number"),
        ("item { id: -1 name: 'a' }", r"item\[0\].id: expected a number"),
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", r"item\[1\].id: 1 is the number of an earlier"),
        ("item { id: x name: 'a' }", "1:12"),
        ("item { id: 1 name: 'a'", "Expected"),
        ("item { id: 1 name: '\\377' }", "expected a label map"),
        ("item {" + "a {" * 5000, "recursion"),
    ],
)
def test_other_text_is_refused_with_its_place(text, message):
    with pytest.raises(ModelFormatError, match=message):
        parse_label_map(text, "labels")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    path.write_bytes(b"item { id: 1 name: '\xff' }")
    with pytest.raises(ModelFormatError, match=r"label_map\.pbtxt: expected UTF-8"):
        read_label_map(path)
