"""What continuous integration reads of a run: JUnit XML, and the annotations of GitHub."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as Xml

from otel_llm.errors import ConfigError
from otel_llm.sinks.private_file import write_private
from otel_llm.visible import visible

__all__ = ["Verdict", "annotations", "verdicts", "write_junit", "write_suite"]


class Verdict(NamedTuple):
    """On one condition of a run. said: a sentence with the figure, also where it passed."""

    name: str
    passed: bool
    said: str


def verdicts(report: Mapping[str, Any], *, strict: bool = False) -> Iterator[Verdict]:
    """Yield a verdict for each gate, each term of the SLO and, if strict, the client."""
    for gate in report["gates"]:
        yield Verdict(f"fail if {gate['fail_if']}", not gate["failed"], f"it is {gate['shown']}")
    slo = report["slo"] or {"terms": {}}
    for name, term in slo["terms"].items():
        share, wanted = term["attainment"], slo["required_attainment"]
        said = "no answer has it" if share is None else f"{share:.2%} of requests are, {wanted:.2%} have to be"
        yield Verdict(f"{name} within {term['limit']:g} s", share is not None and share >= wanted, said)
    if strict:
        client = report["client"]
        yield Verdict(
            "the client is not the limit", not client["saturated"], "; ".join(client["reasons"]) or "it is not"
        )
    if not report["requests"]["succeeded"]:
        yield Verdict("a request succeeds", passed=False, said=f"none of {report['requests']['planned']:,} did")


def write_junit(path: Path, report: Mapping[str, Any], *, strict: bool = False) -> None:
    """Write the verdicts on a run, as `write_suite` does."""
    run = report["run"]
    found = list(verdicts(report, strict=strict))
    write_suite(path, "otel-llm perf", run["name"], found, report["duration"], run["started_at"])


def write_suite(
    path: Path, suite_name: str, of: str, found: Sequence[Verdict], duration: float, started_at: str
) -> None:
    """Write verdicts as a test suite of JUnit, a case each. Raises ConfigError when the file cannot be written.

    of: what they are on; duration: seconds; started_at: in ISO 8601
    """
    counts = {"tests": str(len(found)), "failures": str(sum(not each.passed for each in found)), "errors": "0"}
    suites = Xml.Element("testsuites", counts)
    suite = Xml.SubElement(
        suites, "testsuite", {"name": suite_name, **counts, "skipped": "0", "time": f"{duration:.3f}",
        "timestamp": started_at.partition("+")[0].partition(".")[0]},
    )  # fmt: skip
    for each in found:
        case = Xml.SubElement(suite, "testcase", {"classname": _text(of), "name": _text(each.name)})
        if each.passed:
            Xml.SubElement(case, "system-out").text = _text(each.said)
        else:
            Xml.SubElement(case, "failure", {"message": _text(each.said), "type": "missed"})
    Xml.indent(suites)
    try:
        write_private(path, Xml.tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n")
    except OSError as error:
        raise ConfigError("a place to write the JUnit report", error, "look at --junit") from error


def annotations(report: Mapping[str, Any], *, strict: bool = False) -> Iterator[str]:
    """Yield workflow commands of GitHub Actions, a line for each verdict that failed."""
    for each in verdicts(report, strict=strict):
        if not each.passed:
            yield f"::error title={_escaped(each.name, ':,')}::{_escaped(f'{each.name}: {each.said}')}"


def _text(text: str) -> str:
    """Return the text as XML can hold it: a control character as an escape."""
    return visible(text).replace("\ufffe", "\\ufffe").replace("\uffff", "\\uffff")


def _escaped(text: str, more: str = "") -> str:
    """Return the text as GitHub reads it: percent signs and line ends, and what `more` has, by their numbers."""
    return "".join(f"%{ord(each):02X}" if each in f"%\r\n{more}" else each for each in text)
