"""What a query asks for, read from its syntax."""

import contextlib
import re

import promql_parser

from tests.dashboards.boards import BOARDS, Expression, variables
from tests.dashboards.grafana import Chosen, built_in, interpolate

COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
PLAIN = re.compile(r"[\w:]+(\|[\w:]+)*")


def text_of(expression: Expression) -> str:
    """The query with some value for each variable; of a variable, what it asks of Prometheus, if not all there is."""
    if not expression.board:
        return expression.text
    chosen = {each["name"]: Chosen(["0.99"]) for each in variables(BOARDS[expression.board])}
    text = interpolate(expression.text, chosen, built_in(3600, 15))
    if expression.kind != "variable":
        return text
    asked = re.fullmatch(r"label_values\((?:(.+),)?\s*\w+\s*\)|query_result\((.+)\)", text, re.DOTALL)
    if asked is None:
        raise ValueError(f"expected label_values(...) or query_result(...), got {text}")
    return asked[1] or asked[2] or ""


def names(expression: Expression) -> set[str]:
    """The names of series that it asks for, as regular expressions; none of one that does not parse."""
    found: set[str] = set()

    def see(part: promql_parser.Expr) -> bool:
        if isinstance(part, promql_parser.MatrixSelector):
            part = part.vector_selector
        if isinstance(part, promql_parser.VectorSelector):
            found.update([part.name] if part.name else [])
            asked = [each.value for each in part.matchers.matchers if each.name == "__name__"]
            found.update(name for each in asked for name in (each.split("|") if PLAIN.fullmatch(each) else [each]))
        return True

    with contextlib.suppress(ValueError):
        if text := text_of(expression):
            promql_parser.walk(promql_parser.parse(text), see)
    return found


def compared(text: str) -> list[str]:
    """What an alert compares: it gives data when something is wrong, and its two sides must at any time.

    A side that is a number is left out.
    """
    sides: list[str] = []

    def see(found: promql_parser.Expr) -> bool:
        if isinstance(found, promql_parser.BinaryExpr) and str(found.op).strip() in COMPARISONS:
            both = (found.lhs, found.rhs)
            sides.extend(side.prettify() for side in both if not isinstance(side, promql_parser.NumberLiteral))
        return True

    promql_parser.walk(promql_parser.parse(text), see)
    return sides or [text]
