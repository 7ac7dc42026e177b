"""What each knob does to an answer, seen through a socket. One server for all: the knobs come with the request."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from otel_llm.sim import SimServer
from tests.sim.plain_client import Client, Heard, ask


@pytest.fixture(scope="module")
def sim() -> Iterator[SimServer]:
    with SimServer() as server:
        yield server


def row_of(sim: SimServer, heard: Heard) -> dict[str, Any]:
    return next(row for row in sim.log if row["id"] == heard.headers["x-request-id"])


def writes(row: dict[str, Any]) -> list[tuple[int, int]]:
    return [(tokens, events) for _, _, tokens, events in row["w"]]


def test_a_chat_stream_is_a_role_tokens_and_done(sim: SimServer) -> None:
    heard = ask(sim.url, max_tokens=3)
    assert (heard.status, heard.complete, heard.keep_alive) == (200, True, True)
    assert heard.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert heard.events()[-1] == b"[DONE]"
    assert [chunk["choices"][0]["delta"] for chunk in heard.chunks()] == [
        {"role": "assistant", "content": ""},
        *[{"content": " tok"}] * 3,
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in heard.chunks()] == [None, None, None, "length"]
    assert {(c["object"], c["model"]) for c in heard.chunks()} == {("chat.completion.chunk", "m")}


def test_a_text_completion_has_no_role_chunk(sim: SimServer) -> None:
    heard = ask(sim.url, path="/v1/completions", prompt="hi", max_tokens=2)
    assert [chunk["choices"][0]["text"] for chunk in heard.chunks()] == [" tok", " tok"]
    assert {chunk["object"] for chunk in heard.chunks()} == {"text_completion"}


def test_an_answer_that_is_not_streamed_counts_its_tokens(sim: SimServer) -> None:
    chat = json.loads(ask(sim.url, stream=False, max_tokens=3).body)
    assert chat["object"] == "chat.completion"
    assert chat["choices"][0]["message"] == {"role": "assistant", "content": " tok tok tok"}
    assert chat["usage"]["completion_tokens"] == 3
    plain = json.loads(ask(sim.url, path="/v1/completions", stream=False, sim={"tokens": 2}).body)
    assert (plain["object"], plain["choices"][0]["text"]) == ("text_completion", " tok tok")
    assert plain["choices"][0]["finish_reason"] == "stop"


def test_tokens_come_from_the_knob_then_from_the_request_then_are_sixteen(sim: SimServer) -> None:
    assert len(ask(sim.url, sim={"tokens": 5}, max_tokens=9).texts()) == 5
    assert len(ask(sim.url, max_completion_tokens=4, max_tokens=9).texts()) == 4
    assert len(ask(sim.url).texts()) == 16


def test_knobs_come_by_path_then_header_then_body_and_the_later_wins(sim: SimServer) -> None:
    path, headers = "/x/tokens=2;text=p;pad=3/v1/chat/completions", {"x-sim": "tokens=3,text=h"}
    heard = ask(sim.url, path=path, headers=headers, sim={"tokens": 4})
    assert heard.texts() == ["h"] * 4
    assert heard.chunks()[0]["pad"] == "xxx"


def test_grouping(sim: SimServer) -> None:
    heard = ask(sim.url, sim={"tokens": 5, "tok_per_event": 2, "role": False})
    assert heard.texts() == [" tok tok", " tok tok", " tok"]
    assert writes(row_of(sim, heard)) == [(2, 1), (4, 2), (5, 3), (5, 4)]
    heard = ask(sim.url, sim={"tokens": 5, "ev_per_write": 2, "role": False})
    assert writes(row_of(sim, heard)) == [(2, 2), (4, 4), (5, 5), (5, 6)]


def test_split_cuts_an_event_over_writes_and_loses_nothing(sim: SimServer) -> None:
    heard = ask(sim.url, sim={"tokens": 2, "split": 3, "split_gap_ms": 1, "role": False, "done": False})
    assert heard.texts() == [" tok", " tok"]
    assert writes(row_of(sim, heard)) == [(1, 1)] * 3 + [(2, 2)] * 3 + [(2, 2)] * 3
    due = row_of(sim, heard)["due"]
    assert [due[1] - due[0], due[2] - due[1]] == [1_000_000] * 2


def test_the_role_chunk_leaves_early_or_not_at_all(sim: SimServer) -> None:
    assert ask(sim.url, sim={"role": "off", "tokens": 1}).chunks()[0]["choices"][0]["delta"] == {"content": " tok"}
    early = row_of(sim, ask(sim.url, sim={"role_ms": 0, "ttft_ms": 30, "tokens": 1}))
    assert early["due"][:2] == [0, 30_000_000]
    assert early["first_token"] - early["recv"] >= 30_000_000 > early["w"][0][0]
    late = row_of(sim, ask(sim.url, sim={"ttft_ms": 5, "tokens": 1}))
    assert late["due"][:2] == [5_000_000, 5_000_000]


def test_empty_chunks_and_comments_bring_no_token(sim: SimServer) -> None:
    heard = ask(sim.url, sim={"empty": 2, "comments": 3, "ttft_ms": 8, "tokens": 1})
    assert [chunk["choices"][0]["delta"].get("content") for chunk in heard.chunks()] == ["", "", "", " tok"]
    assert heard.body.count(b": keep-alive\n\n") == 3
    row = row_of(sim, heard)
    assert row["due"][:4] == [2_000_000, 4_000_000, 6_000_000, 8_000_000]
    assert writes(row)[:5] == [(0, 0), (0, 0), (0, 0), (0, 3), (1, 4)]


def test_reasoning_comes_first_under_the_name_it_is_given(sim: SimServer) -> None:
    heard = ask(sim.url, sim={"reasoning": 2, "tokens": 5, "usage": "always"})
    assert (len(heard.texts("reasoning_content")), len(heard.texts())) == (2, 3)
    assert heard.chunks()[-1]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}
    assert len(ask(sim.url, sim={"reasoning": 2, "reasoning_field": "reasoning", "tokens": 5}).texts("reasoning")) == 2


@pytest.mark.parametrize(
    ("knobs", "asked", "counts"),
    [
        ({}, {}, []),
        ({}, {"stream_options": {"include_usage": True}}, [3]),
        ({"usage": "always"}, {}, [3]),
        ({"usage": "never"}, {"stream_options": {"include_usage": True}}, []),
        ({"usage": "every"}, {}, [1, 2, 3, 3]),
        ({}, {"stream_options": {"continuous_usage_stats": True}}, [1, 2, 3, 3]),
        ({"usage": "lying"}, {}, [13]),
        ({"usage": "lying", "usage_lie": -1}, {}, [2]),
    ],
)
def test_usage(sim: SimServer, knobs: dict[str, Any], asked: dict[str, Any], counts: list[int]) -> None:
    heard = ask(sim.url, sim={"tokens": 3, **knobs}, **asked)
    assert [chunk["usage"]["completion_tokens"] for chunk in heard.chunks() if "usage" in chunk] == counts


def test_done_crlf_and_pad(sim: SimServer) -> None:
    assert b"[DONE]" not in ask(sim.url, sim={"done": "off"}).body
    crlf = ask(sim.url, sim={"crlf": True, "tokens": 2, "comments": 1})
    assert crlf.body.count(b"\n") == crlf.body.count(b"\r\n") == 2 * 5
    assert crlf.texts() == [" tok", " tok"]
    assert ask(sim.url, sim={"pad": 100, "tokens": 1}).chunks()[1]["pad"] == "x" * 100


def test_headers_leave_before_the_first_byte_of_the_body_or_with_it(sim: SimServer) -> None:
    knobs = {"ttft_ms": 40, "tokens": 1}
    early = ask(sim.url, sim=knobs)
    assert early.head_ns < row_of(sim, early)["recv"] + 40_000_000 <= early.reads[0][0]
    late = ask(sim.url, sim={**knobs, "header_ms": -1})
    assert late.head_ns == late.reads[0][0]
    later = ask(sim.url, sim={**knobs, "header_ms": 20})
    assert later.head_ns >= row_of(sim, later)["recv"] + 20_000_000


@pytest.mark.parametrize("code", [429, 500, 503])
@pytest.mark.parametrize("stream", [True, False])
def test_an_error_status_says_when_to_come_back(sim: SimServer, code: int, stream: bool) -> None:
    heard = ask(sim.url, stream=stream, sim={"fault": code, "retry_after": "7"})
    assert (heard.status, heard.headers["retry-after"], heard.keep_alive) == (code, "7", True)
    assert json.loads(heard.body)["error"]["code"] == code
    row = row_of(sim, heard)
    assert (row["status"], row["fault"], row["tokens"], row["first_token"]) == (code, str(code), 0, 0)


def test_a_disconnect_comes_before_its_token(sim: SimServer) -> None:
    heard = ask(sim.url, sim={"fault": "disconnect", "fault_at": 3, "tokens": 8})
    assert (heard.complete, len(heard.texts())) == (False, 3)
    assert row_of(sim, heard)["tokens"] == 3
    assert row_of(sim, heard)["fault"] == "disconnect"


def test_a_stall_holds_what_follows(sim: SimServer) -> None:
    heard = ask(sim.url, sim={"fault": "stall", "fault_at": 2, "stall_ms": 50, "itl_ms": 1, "tokens": 4})
    row = row_of(sim, heard)
    assert heard.complete
    assert row["due"] == [0, 0, 1_000_000, 51_000_000, 51_000_000, 51_000_000]
    assert heard.arrivals()[3] - row["recv"] >= 51_000_000


def test_bad_json_is_one_event_and_the_stream_goes_on(sim: SimServer) -> None:
    events = ask(sim.url, sim={"fault": "badjson", "fault_at": 1, "tokens": 3, "role": False}).events()
    with pytest.raises(json.JSONDecodeError):
        json.loads(events[1])
    assert (len(events), events[-1]) == (5, b"[DONE]")


def test_an_error_in_the_stream_ends_it_in_order(sim: SimServer) -> None:
    heard = ask(sim.url, sim={"fault": "error", "fault_at": 2, "tokens": 8, "usage": "always"})
    assert (heard.status, heard.complete) == (200, True)
    assert json.loads(heard.events()[-1])["error"]["message"] == "injected stream error"
    assert len(heard.events()) == 1 + 2 + 1


def test_faults_of_an_answer_that_is_not_streamed(sim: SimServer) -> None:
    assert ask(sim.url, stream=False, sim={"fault": "disconnect"}).status == 0
    with pytest.raises(json.JSONDecodeError):
        json.loads(ask(sim.url, stream=False, sim={"fault": "badjson"}).body)
    assert "error" in json.loads(ask(sim.url, stream=False, sim={"fault": "error"}).body)
    stalled = ask(sim.url, stream=False, sim={"fault": "stall", "stall_ms": 20})
    assert stalled.head_ns - row_of(sim, stalled)["recv"] >= 20_000_000


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"sim": {"speed": 1}}, "expected the name of a knob, got 'speed'"),
        ({"sim": 3}, "expected an object as sim, got 3"),
        ({"max_tokens": 0}, "expected a whole number above 0 as max_tokens, got 0"),
        ({"headers": {"x-sim": "tokens=x"}}, "expected a whole number for the knob tokens, got 'x'"),
        ({"sim": {"slots": 2}}, "expected slots as an option of the server, got 2"),
    ],
)
def test_a_request_that_cannot_be_used_is_told_why(sim: SimServer, how: dict[str, Any], says: str) -> None:
    heard = ask(sim.url, **how)
    assert heard.status == 400
    assert says in json.loads(heard.body)["error"]["message"]
    assert row_of(sim, heard)["status"] == 400


def test_models_health_and_what_is_not_there(sim: SimServer) -> None:
    with Client(sim.url) as client:
        assert json.loads(client.ask("GET", "/v1/models").body)["data"][0]["id"] == "sim"
        for health in ("/healthz", "/health"):
            assert json.loads(client.ask("GET", health).body) == {"status": "ok"}
        assert client.ask("GET", "/v1/moderations").status == 404
        assert client.ask("GET", "/v1/completions").status == 405
        assert client.ask("POST", "/v1/chat/completions", b"[1]").status == 400
        assert client.ask("POST", "/v1/chat/completions", b"{").status == 400


def test_http_1_0_is_answered_without_chunks_and_closed(sim: SimServer) -> None:
    heard = ask(sim.url, version="1.0", sim={"tokens": 3})
    assert "transfer-encoding" not in heard.headers
    assert (heard.texts(), heard.events()[-1]) == ([" tok"] * 3, b"[DONE]")
    assert ask(sim.url, version="1.0", stream=False).complete


def test_a_connection_is_kept_unless_the_client_says_otherwise(sim: SimServer) -> None:
    body = json.dumps({"stream": True, "max_tokens": 2}).encode()
    with Client(sim.url) as client:
        assert [client.ask("POST", "/v1/chat/completions", body).complete for _ in range(3)] == [True] * 3
        last = client.ask("POST", "/v1/chat/completions", body, headers={"Connection": "close"})
        assert (last.complete, last.keep_alive, client.socket.recv(1)) == (True, False, b"")


def test_pipelined_requests_are_answered_in_order(sim: SimServer) -> None:
    with Client(sim.url) as client:
        for name in "ab":
            body = json.dumps({"stream": False, "sim": {"text": name, "tokens": 1, "ttft_ms": 5}}).encode()
            client.send("POST", "/v1/completions", body)
        came = b""
        while b'"text":"b"' not in came:
            came += client.socket.recv(65536)
        assert came.index(b'"text":"a"') < came.index(b'"text":"b"')


def test_what_is_no_http_is_refused(sim: SimServer) -> None:
    with Client(sim.url) as client:
        client.socket.sendall(b"hello\r\n\r\n")
        assert client.hear().status == 400
