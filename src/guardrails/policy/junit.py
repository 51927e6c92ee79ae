"""The outcome of a policy's examples as JUnit XML, which CI systems show."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape, quoteattr

from guardrails.policy.examples import Failure
from guardrails.policy.problems import Problem


def junit(file: str, outcomes: Sequence[tuple[str, Failure | None]]) -> str:
    """One test suite, one test case an example."""
    failed = sum(failure is not None for _, failure in outcomes)
    cases = []
    for name, failure in outcomes:
        opening = f"  <testcase classname={quoteattr(file)} name={quoteattr(_clean(name))}"
        if failure is None:
            cases.append(f"{opening}/>")
        else:
            where = f"{failure.place}: " if failure.place else ""
            text = _clean(f"{where}{failure.text}")
            cases.append(f"{opening}>\n    <failure message={quoteattr(text)}>{escape(text)}</failure>\n  </testcase>")
    suite = f'<testsuite name={quoteattr(file)} tests="{len(outcomes)}" failures="{failed}" errors="0" skipped="0">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', suite, *cases, "</testsuite>", ""])


def broken(file: str, problems: Sequence[Problem]) -> str:
    """The same for a policy that cannot be used: one test case that ends with an error."""
    text = _clean("\n".join(map(str, problems)))
    case = f'  <testcase classname={quoteattr(file)} name="policy">\n    <error message={quoteattr(text)}>{escape(text)}</error>'
    suite = f'<testsuite name={quoteattr(file)} tests="1" failures="0" errors="1" skipped="0">'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{suite}\n{case}\n  </testcase>\n</testsuite>\n'


def _clean(text: str) -> str:
    """Without what XML 1.0 cannot hold."""
    return "".join(one if one.isprintable() or one in "\n\t" else "?" for one in text)
