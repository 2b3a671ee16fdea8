"""Label maps: written and read again, and read as others write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensenet.errors import InputError
from sensenet.label_maps import (
    LabelMapItem,
    label_map_text,
    parse_label_map,
    read_label_map,
    write_label_map,
)

NAMES = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.dictionaries(NAMES, st.text(st.characters(codec="utf-8")), min_size=1))
def test_what_is_written_is_read_again(names):
    items = tuple(LabelMapItem(i, *pair) for i, pair in enumerate(names.items(), start=1))
    assert parse_label_map(label_map_text(items)) == items


def test_a_file_has_the_form_that_tensorflow_reads(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    write_label_map(path, [LabelMapItem(1, "/m/011k07", "Tortoise"), LabelMapItem(2, "it's")])
    assert path.read_text() == (
        "item {\n  id: 1\n  name: '/m/011k07'\n  display_name: 'Tortoise'\n}\n"
        "item {\n  id: 2\n  name: 'it\\'s'\n}\n"
    )
    assert [item.label for item in read_label_map(path)] == ["Tortoise", "it's"]


def test_order_quotes_comments_and_what_nobody_asked_for_do_not_matter():
    text = """
    # of two classes
    item: <
      display_name: "caf\\303\\251" 'teria'
      name: 'a "b"'  # quoted
      id: 7, frequency: FREQUENT
      keypoints { id: 3 label: "nose" }
      ancestor_ids: [1, 2]
    >
    item { id: 2; name: "\\x41" }
    """
    assert parse_label_map(text) == (LabelMapItem(7, 'a "b"', "caféteria"), LabelMapItem(2, "A"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at least one item"),
        ("item { id: 1 }", "item 0: expected an id of at least 0 and a name"),
        ("item { id: 1 name: 'a' } item { name: 'b' }", "item 1"),
        ("item { id: -1 name: 'a' }", "item 0"),
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", "different ids, got 1"),
        ("item { id: 1 name: 'a' } item { id: 2 name: 'a' }", "different names, got 'a'"),
        ("item { id: one name: 'a' }", "1:12"),
        ("item { id: 1 name: 'a", "label map"),
        ("item { id: 1 name: '\\xff' }", "label map"),
        ("item { id: 99999999999 name: 'a' }", "label map"),
        ("[1, 2]", "label map"),
        ("item { x {" + "a {" * 100_000, "label map"),
    ],
)
def test_what_is_no_label_map_is_one_clear_error(text, said):
    with pytest.raises(InputError, match=said):
        parse_label_map(text)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.pbtxt").write_bytes(b"item { id: 1 name: '\xe9' }")
    for name in ("none.pbtxt", "latin.pbtxt", ""):
        with pytest.raises(InputError, match=str(tmp_path / name)):
            read_label_map(tmp_path / name)


def test_an_id_that_is_none_is_not_written():
    with pytest.raises(InputError, match=r"items\[0\].id"):
        label_map_text([LabelMapItem(-1, "a")])
