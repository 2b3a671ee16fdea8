"""Label maps: written and read again, and read as programs and people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensenet.errors import InputError
from sensenet.label_map import (
    LabelMapItem,
    label_map_text,
    labels_by_id,
    numbered_names,
    parse_label_map,
    read_label_map,
    write_label_map,
)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
ITEMS = st.builds(LabelMapItem, st.integers(0, 2**31 - 1), TEXTS.filter(bool), TEXTS)


@given(st.lists(ITEMS, min_size=1, max_size=5, unique_by=lambda item: item.id))
def test_what_is_written_is_read_again(items):
    assert parse_label_map(label_map_text(items)) == tuple(items)


def test_a_file_has_the_form_that_tensorflow_reads(tmp_path):
    path = tmp_path / "label_map.pbtxt"
    items = (LabelMapItem(1, "/m/011k07", "Tortoise"), LabelMapItem(2, 'a "big"\n\\ Hündin'))
    write_label_map(path, items)
    assert path.read_text(encoding="utf-8") == (
        'item {\n  name: "/m/011k07"\n  id: 1\n  display_name: "Tortoise"\n}\n'
        'item {\n  name: "a \\"big\\"\\n\\\\ Hündin"\n  id: 2\n}\n'
    )
    assert read_label_map(path) == items


def test_names_are_numbered_from_1():
    assert numbered_names(["cat", "dog"]) == (LabelMapItem(1, "cat"), LabelMapItem(2, "dog"))


def test_order_quotes_comments_and_what_nobody_asked_for_do_not_matter():
    text = """
    # of the models repository
    item { display_name: "Tort\\'oise" id: 1 name: '/m/011k07' } # the first
    item: <
      name: "a \\"b\\" \\303\\251" 'teria'   id:70, frequency: FREQUENT
      keypoints { id: 3 label: 'x' } ancestor_ids: [1, 2]
    >
    item { id: 2; display_name: "\\x41" }
    item { id: 3 name: 'A' }
    """
    items = parse_label_map(text)
    assert items[:2] == (LabelMapItem(1, "/m/011k07", "Tort'oise"), LabelMapItem(70, 'a "b" éteria'))
    assert items[2].name == "A"
    assert labels_by_id(items) == {1: "Tort'oise", 70: 'a "b" éteria', 2: "A", 3: "A"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got no class"),
        ("cat\ndog", r"labels: expected a label map, item .*: 2:1"),
        ("item { id: 1 }", r"item\[0\].name: expected a name"),
        ("item { id: 1 name: 'a' } item { name: 'b' }", r"item\[1\].id: expected a number"),
        ("item { id: -1 name: 'a' }", r"item\[0\].id: expected a number"),
        ("item { id: 1 name: 'a' } item { id: 1 name: 'b' }", r"item\[1\].id: 1 is the number of an earlier"),
        ("item { id: one name: 'a' }", "1:12"),
        ("item { id: 99999999999 name: 'a' }", "expected a label map"),
        ("item { id: 1 name: 'a'", "Expected"),
        ("item { id: 1 name: '\\377' }", "expected a label map"),
        ("[1, 2]", "expected a label map"),
        ("item { x {" + "a {" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_label_map_is_refused_with_its_place(text, said):
    with pytest.raises(InputError, match=said):
        parse_label_map(text, "labels")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "latin.pbtxt").write_bytes(b"item { id: 1 name: '\xe9' }")
    (tmp_path / "empty.pbtxt").touch()
    for name in ("none.pbtxt", "latin.pbtxt", "empty.pbtxt", ""):
        with pytest.raises(InputError, match=str(tmp_path / name)):
            read_label_map(tmp_path / name)


def test_a_number_that_is_none_is_not_written():
    with pytest.raises(InputError, match=r"item\[0\].id"):
        label_map_text([LabelMapItem(-1, "a")])
