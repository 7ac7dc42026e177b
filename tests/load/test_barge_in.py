"""`--barge-in`: an answer by Realtime is stopped on its way, and how long that took is what the server's log says."""

import json
from argparse import Namespace
from pathlib import Path
from statistics import median

import openai
import pytest

from otel_llm.cli import main
from otel_llm.errors import ConfigError
from otel_llm.load.plan.leaving import parse_barge_in, parse_leaving
from otel_llm.load.plan.transport import check_transport
from otel_llm.record import AUDIO, StreamRecord, from_json, to_json
from otel_llm.sim import Behaviour, SimProcess
from otel_llm.sim.truth import STOPPED
from otel_llm.sinks.stored_run import read_records
from otel_llm.testing import timeline
from otel_llm.wire.discovery import load_protocol, protocols
from otel_llm.wire.messages import SocketProtocol
from otel_llm.wire.target import Target

TOKENS = 40


@pytest.fixture(scope="module")
def sim():
    behaviour = Behaviour(ttft_ms=200, itl_ms=20, tokens=TOKENS, stop_ms=100)  # 980 ms
    with SimProcess(behaviour, log=True) as server:
        yield server


def measured(sim: SimProcess, run: Path, *more: str) -> tuple[dict, list[StreamRecord], list[dict]]:
    """Return the report, the records and the server's log of a run in this process."""
    sim.reset()
    url = sim.url.replace("http", "ws", 1)
    main(
        ["perf", "--url", url, "--protocol", "openai_realtime", "--model", "m", "--prompt", "hi", "--name", str(run),
         "--json", str(run.with_suffix(".json")), *more]
    )  # fmt: skip
    report = json.loads(run.with_suffix(".json").read_text())
    assert report["requests"]["failed"] == 0
    return report, list(read_records(run)), sim.log()


def test_answers_are_stopped_and_counted_apart(
    sim: SimProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those that were not to be stopped are the only ones in the figures of answers."""
    report, records, rows = measured(
        sim, tmp_path / "run", "-n", "12", "--parallel", "4", "--barge-in", "50%:0.3s", "--slo", "latency=60",
        "--parameters", 'output_modalities=["audio"]',
    )  # fmt: skip
    stopped = [record for record in records if record.stop_ns is not None]
    assert len(stopped) == sum(row["err"] == STOPPED for row in rows) > 2
    requests, measures = report["requests"], report["measures"]
    assert (requests["closed_early"], requests["succeeded"], requests["failed"]) == (len(stopped), 12 - len(stopped), 0)
    assert measures["time_to_stop"]["count"] == len(stopped)
    assert measures["request_latency"]["count"] == measures["time_to_first_audio"]["count"] == 12 - len(stopped)
    assert report["slo"]["terms"]["latency"]["attainment"] == 1
    assert f"left early  {len(stopped)} of 12, as planned (--barge-in)" in capsys.readouterr().out
    assert sum(record.connect_ns is not None for record in records) == 4, "expected connections to be kept"
    for record in stopped:
        assert (record.outcome, record.finish_reasons) == ("closed_early", ("client_cancelled",))
        assert record.stop_ns - record.sent_ns >= 0.29e9
        assert record.sent_ns < record.stop_ns < record.ended_ns
        assert record.output_tokens == record.chunks.kind.count(AUDIO) < TOKENS


def test_the_time_to_stop_is_that_of_the_servers_log(sim: SimProcess, tmp_path: Path) -> None:
    error = 1.0
    for number in range(8):  # a machine that is busy adds to some of them; an error of ours would be in each
        report, _, rows = measured(
            sim,
            tmp_path / str(number),
            "-n",
            "8",
            "--parallel",
            "8",
            "--barge-in",
            "100%:0.3s",
            "--headers",
            "x-sim=stop_ms=300",
        )
        took = [(row["recv"] + row["w"][-1][0] - row["stop"]) / 1e9 for row in rows]
        error = report["measures"]["time_to_stop"]["p50"] / median(took) - 1
        if abs(error) <= 0.03:
            return
    pytest.fail(f"expected a median within 3 %, got {error:.1%}")


def test_an_answer_that_has_not_begun_is_stopped_as_soon_as_it_has(sim: SimProcess, tmp_path: Path) -> None:
    report, records, _ = measured(sim, tmp_path / "run", "-n", "2", "--barge-in", "100%:10ms")
    assert report["requests"]["closed_early"] == 2
    assert all(record.stop_ns - record.sent_ns >= 0.19e9 for record in records)
    assert all(0 < record.output_tokens < TOKENS for record in records)


def test_an_answer_that_comes_whole_all_the_same_is_one_and_shows_that_it_did(sim: SimProcess, tmp_path: Path) -> None:
    report, records, rows = measured(
        sim, tmp_path / "run", "-n", "3", "--barge-in", "100%:0.4s", "--headers", "x-sim=stop_ms=60000"
    )
    assert (report["requests"]["succeeded"], report["measures"]["time_to_stop"]["count"]) == (3, 3)
    assert [record.output_tokens for record in records] == [row["tokens"] for row in rows] == [TOKENS] * 3
    assert report["measures"]["time_to_stop"]["min"] > 0.3
    assert all(record.connect_ns is not None for record in records), "expected a new connection for each"


def test_openais_client_stops_an_answer_of_the_same_server(sim: SimProcess) -> None:
    """Of an answer that would take a minute, as a busy client may take a second for its first event."""
    long = {"x-sim": "tokens=3000"}
    with (
        openai.OpenAI(base_url=sim.url + "/v1", api_key="none") as client,
        client.realtime.connect(model="m", extra_headers=long) as talk,
    ):
        for _ in range(2):
            talk.response.create(response={"conversation": "none", "input": []})
            for event in talk:
                if event.type == "response.output_audio.delta":
                    talk.response.cancel(response_id=event.response_id)
                    break
            done = next(event for event in talk if event.type == "response.done")
            assert done.response.status == "cancelled"
            assert done.response.status_details.reason == "client_cancelled"
        talk.response.cancel()
        error = next(event for event in talk if event.type == "error")
        assert error.error.code == "response_cancel_not_active"


def test_who_is_stopped_is_not_who_leaves() -> None:
    stopped, left = parse_barge_in("20%:1s"), parse_leaving("20%:1s")
    both = [(stopped.takes(0, request), left.takes(0, request)) for request in range(10_000)]
    assert sum(map(all, both)) == pytest.approx(400, rel=0.3)
    with pytest.raises(ConfigError, match="--barge-in SHARE:TIME"):
        parse_barge_in("20%")


def test_a_protocol_that_cannot_is_refused_before_the_run() -> None:
    able = {name for name in protocols() if issubclass(p := load_protocol(name), SocketProtocol) and p.stops}
    assert able == {"openai_realtime"}
    args = Namespace(barge_in="5%:1s", http2=False)
    with pytest.raises(ConfigError, match="expected --barge-in with a protocol by which an answer can be stopped"):
        check_transport([Target.parse("http://h/v1/messages")], load_protocol("anthropic_messages"), args)


def test_an_answer_that_is_cancelled_unasked_has_failed() -> None:
    realtime = load_protocol("openai_realtime")()
    event = {
        "type": "response.done",
        "response": {"status": "cancelled", "status_details": {"reason": "turn_detected"}},
    }
    realtime.decode(json.dumps(event).encode())
    assert realtime.said.error == ("cancelled", "turn_detected")


def test_the_moment_is_kept_moved_and_absent_in_older_files() -> None:
    record = timeline("r.a|")
    assert b"stop_ns" not in to_json(record)
    assert from_json(to_json(record)).stop_ns is None
    stopped = from_json(to_json(record).replace(b'"ended_ns"', b'"stop_ns":7,"ended_ns"'))
    assert (stopped.stop_ns, stopped.moved(5).stop_ns) == (7, 12)
