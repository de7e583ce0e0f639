"""Options of the semantic cache: guards, markers, ages, delays and categories. Provider and questions are test_semantic.py's."""
import json
import signal

from asking import cache_of
from programs import eventually
from test_semantic import PATIENT, PASSWORD, ask, is_semantic, provider, start  # noqa: F401

GENEROUS = {"mode": "serve", "max_error": 0.2, "audit": 0}


def verdicts(remora, count):
    """What was decided for each request so far."""
    eventually(lambda: len(remora.access()) >= count, 10, "not logged")
    return [json.loads(line).get("semantic") for line in remora.access()]


def reload(remora, **changes):
    before = remora.text().count("configuration reloaded")
    remora.write_config(**changes)
    remora.signal(signal.SIGHUP)
    eventually(lambda: remora.text().count("configuration reloaded") > before, 60, "not reloaded")


QUOTED = ['How do I reset my "main" password?', 'How do I reset my "other" password?']


def test_a_guard_stops_a_hit(start, provider):  # noqa: F811
    remora = start(cache={"semantic": GENEROUS}, embed=PATIENT)
    assert [cache_of(ask(remora, text)) for text in QUOTED] == ["MISS", "MISS"]
    assert verdicts(remora, 2) == ["miss", "veto"]


def test_a_guard_that_is_off_stops_nothing(start, provider):  # noqa: F811
    remora = start(cache={"semantic": {**GENEROUS, "guards_off": ["quoted", "noise"]}}, embed=PATIENT)
    ask(remora, QUOTED[0])
    assert is_semantic(ask(remora, QUOTED[1])) and provider.count == 1
    assert json.loads(remora.run("check", "--offline", "--json").stdout)["ok"]


def test_guards_need_a_restart(start, provider):  # noqa: F811
    remora = start(cache={"semantic": GENEROUS}, embed=PATIENT)
    reload(remora, cache={"semantic": {"guards_off": ["quoted"]}})
    assert "need a restart (the old values stay in force): cache.semantic.guards_off" in remora.text()
    assert [cache_of(ask(remora, text)) for text in QUOTED] == ["MISS", "MISS"]
