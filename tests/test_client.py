"""What a command in a container wrote, as the Docker engine sends it."""

import struct
from typing import Any, cast
from unittest.mock import Mock

import pytest
from docker.errors import APIError
from hypothesis import given
from hypothesis import strategies as st

from lab.engine.client import STDERR, STDOUT, execute, frames

FRAMES = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.binary(max_size=50)))


def body(sent: list[tuple[int, bytes]]) -> bytes:
    return b"".join(struct.pack(">BxxxL", stream, len(data)) + data for stream, data in sent)


def engine(answer: Mock, *states: dict[str, Any]) -> Mock:
    """Return a client whose commands answer so, and end after these looks."""
    client = Mock()
    client.api.exec_create.return_value = {"Id": "1"}
    client.api.post.return_value = answer
    client.api.exec_inspect.side_effect = states
    return client


@given(FRAMES)
def test_frames_are_read_as_they_were_sent(sent: list[tuple[int, bytes]]) -> None:
    assert list(frames(body(sent))) == sent


def test_both_streams_are_told_apart_and_their_order_is_kept() -> None:
    sent = [(STDOUT, b"one\n"), (STDERR, b"two\n"), (STDOUT, b"three\n")]
    client = engine(Mock(ok=True, content=body(sent)), {"ExitCode": 3, "Running": False})
    done = execute(client, cast(Any, Mock()), ["true"])
    assert (done.code, done.wrote()) == (3, b"one\ntwo\nthree\n")
    assert (done.wrote(STDOUT), done.wrote(STDERR)) == (b"one\nthree\n", b"two\n")


def test_a_command_has_ended_when_the_engine_says_how() -> None:
    client = engine(
        Mock(ok=True, content=b""),
        {"ExitCode": None, "Running": True},
        {"ExitCode": 1, "Running": False},
    )
    assert execute(client, cast(Any, Mock()), ["false"]).code == 1


def test_what_the_engine_refuses_is_told_in_its_words() -> None:
    answer = Mock(ok=False, status_code=409)
    answer.json.return_value = {"message": "Container oslo is paused"}
    with pytest.raises(APIError) as told:
        execute(engine(answer), cast(Any, Mock()), ["true"])
    assert told.value.explanation == "Container oslo is paused"
