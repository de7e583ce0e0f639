#!/usr/bin/env python3
"""tally.py FILE: prints "passed failed skipped" for what a test runner left behind.

FILE.xml is JUnit's format, by ctest or pytest. A ctest entry is a program of many cmocka cases, so the cases are counted from
its output; a program that died counts as one failure more. Any other FILE is a log that ends with "N passed, M failed".
"""
import re
import sys
import xml.etree.ElementTree as xml


def of_ctest_case(case):
    output = "".join(case.itertext())
    passed = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) test", output))
    # cmocka has used both spellings of its closing line.
    failed = sum(int(n) for n in re.findall(r"\[  FAILED  \] (\d+) test", output))
    skipped = sum(int(n) for n in re.findall(r"\[  SKIPPED \] (\d+) test", output))
    broken = case.get("status") == "fail" or case.find("failure") is not None
    if broken and failed == 0:
        failed = 1
    if passed + failed + skipped == 0:  # not cmocka: a replayer or a script, one test
        if case.get("status") in ("disabled", "notrun") or case.find("skipped") is not None:
            return 0, 0, 1
        return 1, 0, 0
    return passed, failed, skipped


def of_pytest_case(case):
    if case.find("failure") is not None or case.find("error") is not None:
        return 0, 1, 0
    if case.find("skipped") is not None:
        return 0, 0, 1
    return 1, 0, 0


def of_junit(path):
    root = xml.parse(path).getroot()
    one = of_pytest_case if root.tag == "testsuites" else of_ctest_case
    counts = [one(case) for case in root.iter("testcase")]
    return tuple(sum(column) for column in zip(*counts)) if counts else (0, 0, 0)


def of_log(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        found = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", log.read(), re.M)
    return tuple(int(n or 0) for n in found[-1]) if found else (0, 0, 0)


if __name__ == "__main__":
    print(*(of_junit if sys.argv[1].endswith(".xml") else of_log)(sys.argv[1]))
