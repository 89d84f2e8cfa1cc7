"""Entries, marks and ids: what is written is read again, and nothing else is taken for it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mail_journal.auth import Seal, new_nonce, same
from mail_journal.entry import EntryError, Head, Path, header_value, id_in, is_id, new_id

NAMES = st.text(
    st.characters(codec="utf-8", exclude_characters="<>\x7f", exclude_categories=["Cc", "Zs"])
    .filter(lambda one: not one.isspace()),
    max_size=20,
)  # fmt: skip
PATHS = st.builds(
    Path,
    address=st.builds("{}@{}.test".format, NAMES, st.sampled_from("abc")),
    options=st.sampled_from([(), ("NOTIFY=NEVER",), ("BODY=8BITMIME", "SMTPUTF8")]),
)
HEADS = st.builds(
    Head,
    id=st.builds(new_id),
    instance=st.builds(new_id),
    queue_id=st.sampled_from(["4jcsRr50RpzLNsC", "ABCDEF"]),
    sender=st.one_of(PATHS, st.just(Path(address=""))),
    recipients=st.lists(PATHS, min_size=1, max_size=5).map(tuple),
)


@given(HEADS)
def test_a_head_is_read_as_it_was_written(head: Head) -> None:
    line = head.encode()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert Head.parse(line) == head


def test_addresses_that_are_no_text_come_through() -> None:
    odd = Path(address="caf\udce9@a.test")
    head = Head(
        id=new_id(),
        instance=new_id(),
        queue_id="ABCDEF",
        sender=odd,
        recipients=(odd, Path(address='"two words"@a.test')),
    )
    assert Head.parse(head.encode()) == head


@given(st.binary(max_size=300))
def test_garbage_is_no_head(garbage: bytes) -> None:
    with pytest.raises(EntryError):
        Head.parse(garbage)


@given(
    HEADS,
    st.sampled_from(["id", "instance", "queue_id", "sender", "recipients"]),
    st.sampled_from(["null", "3", '"../../etc"', "[]", '[["a@b\\r\\nRCPT TO:<c@d>"]]', "{}"]),
)
def test_a_head_with_one_thing_wrong_is_none(head: Head, name: str, wrong: str) -> None:
    document = json.loads(head.encode())
    document[name] = json.loads(wrong)
    with pytest.raises(EntryError):
        Head.parse(json.dumps(document).encode())


@given(st.text(max_size=60))
def test_only_what_was_made_as_an_id_is_one(text: str) -> None:
    assert not is_id(text) or (len(text) == 32 and set(text) <= set("0123456789abcdef"))
    assert not is_id(new_id() + "\n")


@pytest.mark.parametrize("degraded", [True, False])
def test_the_header_says_the_id(degraded: bool) -> None:  # noqa: FBT001
    entry_id = new_id()
    assert id_in(f" {header_value(entry_id, degraded=degraded)}") == entry_id
    assert id_in("something else") == id_in("  ") == ""


def test_a_mark_holds_for_one_request_and_one_secret() -> None:
    seal = Seal(secret="s" * 32)
    nonce = new_nonce()
    mark = seal.request(method="PUT", path="/v1/entries/a", nonce=nonce, digest="d")
    others = {
        seal.request(method="POST", path="/v1/entries/a", nonce=nonce, digest="d"),
        seal.request(method="PUT", path="/v1/entries/b", nonce=nonce, digest="d"),
        seal.request(method="PUT", path="/v1/entries/a", nonce=new_nonce(), digest="d"),
        seal.request(method="PUT", path="/v1/entries/a", nonce=nonce, digest="e"),
        Seal(secret="t" * 32).request(method="PUT", path="/v1/entries/a", nonce=nonce, digest="d"),
        seal.answer(status=201, path="/v1/entries/a", nonce=nonce, digest="d"),
    }
    assert not any(same(mark, other) for other in others)
    assert same(mark, seal.request(method="PUT", path="/v1/entries/a", nonce=nonce, digest="d"))
