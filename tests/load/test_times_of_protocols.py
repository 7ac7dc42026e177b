"""`python -m benchmarks.protocols` in small: what was seen beside what was sent, by HTTP and WebSocket."""

import re

import pytest

from benchmarks import protocols as benchmark


def test_a_small_run_has_a_line_for_each_way_and_sees_what_was_sent(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["protocols"])
    monkeypatch.setattr(benchmark, "protocols", lambda: ("openai_embeddings", "openai_responses", "openai_speech"))
    for name, value in {"REQUESTS": 4, "PARALLEL": 2, "TOKENS": 5}.items():
        monkeypatch.setattr(benchmark, name, value)
    benchmark.main()
    lines = re.findall(
        r"^(openai_\S+(?: \(ws\))?) +(\S+) +(\S+) +\S+ +(\S+) +(\S+)", capsys.readouterr().out, re.MULTILINE
    )
    assert [way for way, *_ in lines] == ["openai_responses", "openai_responses (ws)"]
    for _, sent, seen, sent_gap, seen_gap in lines:
        assert 100 <= float(sent) <= float(seen)
        assert float(sent_gap) == pytest.approx(float(seen_gap), rel=0.5)
