import logging

from otel_llm.sinks import Ended, Fanout
from otel_llm.testing import CapturingSink, timeline


class Broken:
    def take(self, ended):
        raise RuntimeError("disk full")

    def close(self, report=None):
        raise RuntimeError("disk full")


def test_every_sink_gets_every_record_and_is_closed():
    one, other = CapturingSink(), CapturingSink()
    fanout = Fanout(one, other)
    first, second = timeline("r.a|"), timeline("r.b|")
    fanout.take(Ended.of(first, second))
    fanout.close()
    assert one.records == other.records == [first, second]
    assert (one.closes, other.closes) == (1, 1)


def test_a_sink_that_fails_is_counted_and_logged_once_and_stops_nobody(caplog):
    kept = CapturingSink()
    fanout = Fanout(Broken(), kept)
    with caplog.at_level(logging.WARNING, "otel_llm"):
        for _ in range(3):
            fanout.take(Ended.of(timeline("r.a|")))
        fanout.close()
    assert len(kept.records) == 3
    assert kept.closes == 1
    assert fanout.errors == {"Broken": 4}
    assert len(caplog.records) == 1
    assert "Broken" in caplog.text
