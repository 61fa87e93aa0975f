"""The results as a JUnit file, for whatever shows test results.

The form is the one that Jenkins and GitLab read: a ``testsuite`` for each boot, with a
``testcase`` for each check.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable
from pathlib import Path

from toiplab import files
from toiplab.exam.runner import Outcome, Report, Result

ELEMENTS = {Outcome.FAIL: "failure", Outcome.ERROR: "error", Outcome.SKIP: "skipped"}
NOT_XML = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2


def write(report: Report, path: Path) -> None:
    """Write the file, whole or not at all."""
    suites = ET.Element("testsuites", _counts(report.results))
    for part in dict.fromkeys(result.part for result in report.results):
        results = [result for result in report.results if result.part == part]
        suite = ET.SubElement(suites, "testsuite", {"name": part, **_counts(results)})
        for result in results:
            _case(suite, result)
    ET.indent(suites)
    files.write(path, ET.tostring(suites, encoding="utf-8", xml_declaration=True) + b"\n")


def _case(suite: ET.Element, result: Result) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        {
            "classname": result.check.row,
            "name": result.check.title,
            "time": f"{result.seconds:.3f}",
        },
    )
    told = NOT_XML.sub("?", result.told)
    if result.outcome is Outcome.PASS:
        ET.SubElement(case, "system-out").text = told
    else:
        element = ET.SubElement(case, ELEMENTS[result.outcome], {"message": told})
        element.text = told


def _counts(results: Iterable[Result]) -> dict[str, str]:
    results = tuple(results)
    return {
        "tests": str(len(results)),
        "failures": str(sum(result.outcome is Outcome.FAIL for result in results)),
        "errors": str(sum(result.outcome is Outcome.ERROR for result in results)),
        "skipped": str(sum(result.outcome is Outcome.SKIP for result in results)),
        "time": f"{sum(result.seconds for result in results):.3f}",
    }
