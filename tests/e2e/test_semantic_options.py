"""Options of the semantic cache: guards, markers, ages, delays and categories. Provider and questions are test_semantic.py's."""
import contextlib
import json
import re
import signal
import subprocess
import threading
import time

import httpx
import pytest

from asking import cache_of, chat_body
from programs import BIN, ROOT, eventually
from test_semantic import PARIS, PASSWORD, PATIENT, ask, is_semantic, provider, start  # noqa: F401

GENEROUS = {"mode": "serve", "max_error": 0.2, "audit": 0}


def verdicts(remora, count):
    """What was decided, once so many requests are in the log, where loops write in no order."""
    eventually(lambda: len(remora.access()) >= count, 10, "not logged")
    return sorted(json.loads(line).get("semantic", "") for line in remora.access())


def age_of(answer):
    return int(answer.headers["age"])


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


def test_an_old_answer_serves_exact_repeats_only(start, provider):  # noqa: F811
    """The fresh answer takes its place: what is asked next is served from that one, even where the old one is nearer."""
    remora = start(cache={"semantic": {**GENEROUS, "ttl": "1ms"}}, embed=PATIENT)
    ask(remora, PASSWORD[0])
    eventually(lambda: age_of(ask(remora, PASSWORD[0])) >= 2, 10, "it does not age")
    assert cache_of(ask(remora, PASSWORD[4])) == "MISS" and provider.count == 2
    assert [ask(remora, PASSWORD[i]).headers["x-remora-cache-kind"] for i in (0, 4)] == ["exact", "exact"]
    assert "audit" in verdicts(remora, 4)  # what was to be a hit has got a label
    reload(remora, cache={"semantic": {"ttl": 0}})
    served = ask(remora, PASSWORD[1])
    assert is_semantic(served) and provider.count == 2 and age_of(served) < age_of(ask(remora, PASSWORD[0]))
    assert remora.metric("remora_faults_total") == 0


def test_who_takes_no_old_answer_takes_it_from_nobody(start, provider):  # noqa: F811
    remora = start(cache={"semantic": GENEROUS}, embed=PATIENT)
    ask(remora, PASSWORD[0])
    eventually(lambda: age_of(ask(remora, PASSWORD[0])) >= 1, 10, "it does not age")
    only = {"x-remora-cache": "only-if-cached"}
    assert ask(remora, PASSWORD[1], headers={**only, "cache-control": "max-age=0"}).status_code == 504
    assert is_semantic(ask(remora, PASSWORD[1], headers=only)) and provider.count == 1


TODAY = ["What is the current invoice number?", "what is the current invoice number"]


def test_marked_texts_are_for_the_exact_cache(start, provider):  # noqa: F811
    remora = start(cache={"semantic": {**GENEROUS, "exact_only": ["time"]}}, embed=PATIENT)
    assert [cache_of(ask(remora, text)) for text in (*TODAY, TODAY[0])] == ["MISS", "MISS", "HIT"]
    assert verdicts(remora, 3) == ["", "", ""] and remora.metric("remora_embed_texts_total") == 0
    ask(remora, PASSWORD[0])
    assert is_semantic(ask(remora, PASSWORD[1]))
    reload(remora, cache={"semantic": {"exact_only": ["personal"]}})
    assert cache_of(ask(remora, PASSWORD[2])) == "MISS"
    ask(remora, TODAY[0].replace("invoice", "refund"))
    assert is_semantic(ask(remora, TODAY[1].replace("invoice", "refund")))


def timed(call):
    begin = time.monotonic()
    answer = call()
    return answer, time.monotonic() - begin


@pytest.fixture
def delaying(start, provider):  # noqa: F811
    """Holds hits back by a second, and has one."""
    remora = start(cache={"scope": "shared", "semantic": {**GENEROUS, "hit_delay": "1s"}}, embed=PATIENT)
    ask(remora, PASSWORD[0])
    return remora


def during_the_delay(remora, action):
    """action() while a hit is held back; its answer, None where it was cut off."""
    answers = [None]

    def work():
        with contextlib.suppress(httpx.HTTPError):
            answers[0] = ask(remora, PASSWORD[1])
    thread = threading.Thread(target=work)
    thread.start()
    eventually(lambda: remora.metric("remora_semantic_served_total") == 1, 30, "never decided")
    action()
    thread.join()
    return answers[0]


def test_a_shared_hit_is_held_back(delaying, provider):  # noqa: F811
    for text in PASSWORD[1:3]:
        answer, seconds = timed(lambda text=text: ask(delaying, text))
        assert is_semantic(answer) and seconds > 0.9
    assert provider.count == 1


def test_hits_of_ones_own_are_not_held_back(start, provider):  # noqa: F811
    remora = start(cache={"semantic": {**GENEROUS, "hit_delay": "1s"}}, embed=PATIENT)
    ask(remora, PASSWORD[0])
    assert min(timed(lambda: ask(remora, text))[1] for text in PASSWORD[1:]) < 0.9 and provider.count == 1


def test_who_leaves_a_held_hit_was_not_served(delaying, provider):  # noqa: F811
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(delaying.base + "/chat/completions", json={"model": "gpt-4.1-mini", "messages": [
            {"role": "user", "content": PASSWORD[1]}]}, headers={"authorization": "Bearer k"}, timeout=0.5)
    eventually(lambda: any('"status":499' in line for line in delaying.access()), 20, "still there")
    assert delaying.metric("remora_semantic_served_total") == 0
    assert is_semantic(ask(delaying, PASSWORD[2])) and provider.count == 1


def test_a_stop_waits_for_a_held_hit(delaying, provider):  # noqa: F811
    assert is_semantic(during_the_delay(delaying, lambda: delaying.signal(signal.SIGTERM)))
    assert delaying.wait() == 0 and provider.count == 1


def test_a_hard_stop_cuts_a_held_hit(start, provider):  # noqa: F811
    remora = start(cache={"scope": "shared", "semantic": {**GENEROUS, "hit_delay": "1s"}}, embed=PATIENT,
                   timeouts={"drain": "10ms"})
    ask(remora, PASSWORD[0])
    during_the_delay(remora, lambda: remora.signal(signal.SIGTERM))
    assert remora.wait() == 0


def test_what_is_purged_in_the_delay_is_not_served(delaying, provider):  # noqa: F811
    purge = lambda: httpx.post(delaying.admin + "/api/cache/purge", json={"all": True}).raise_for_status()  # noqa: E731
    assert cache_of(during_the_delay(delaying, purge)) == "MISS" and provider.count == 2


def test_a_held_hit_keeps_its_settings(delaying, provider):  # noqa: F811
    assert is_semantic(during_the_delay(delaying, lambda: reload(delaying, cache={"semantic": {"mode": "off"}})))
    assert cache_of(ask(delaying, PASSWORD[2])) == "MISS"


def check(folder, text):
    """`remora check` of that text, as a person and as a program sees it."""
    path = folder / "c.yaml"
    path.write_text(text, encoding="utf-8")
    said, told = (subprocess.run([BIN / "remora", "check", "--offline", "-c", path, *more], capture_output=True, text=True, timeout=60,
                                 env={"REMORA_MODELS": str(ROOT / "build" / "models")}, check=False) for more in ([], ["--json"]))
    assert said.returncode == told.returncode
    return said, json.loads(told.stdout)


def test_a_semantic_cache_without_an_exact_one_is_a_warning(tmp_path):
    text = "cache:\n  exact:\n    mode: off\n  semantic: {mode: %s}\n"
    said, told = check(tmp_path, text % "serve")
    assert said.returncode == 0 and told["ok"] and not told["mistakes"]
    assert f"{tmp_path}/c.yaml:3: cache.exact.mode: warning: is off while cache.semantic.mode is serve" in said.stdout
    [warning] = told["warnings"]
    assert warning["line"] == 3 and warning["path"] == "cache.exact.mode" and warning["what"].startswith("warning: is off")
    said, told = check(tmp_path, text % "shadow")
    assert said.returncode == 0 and "warning" not in said.stdout and told["warnings"] == []


# ---- categories
FAQ = {"x-remora-cache-namespace": "faq"}
EAGER = {"name": "faq", "semantic": "serve", "max_error": 0.2}


@pytest.fixture
def categories(start, provider):  # noqa: F811
    """A Remora whose semantic cache is off but in these namespaces."""
    return lambda *rows, **cache: start(cache={"semantic": {"mode": "off", "audit": 0}, "namespaces": list(rows), **cache}, embed=PATIENT)


def spaces(remora, name):
    """{namespace: value} of a counter."""
    found = ((re.search(r'namespace="([^"]*)"', key), value) for key, value in remora.metrics().items()
             if key.startswith(name + "{"))
    return {key.group(1): value for key, value in found if value}


def test_a_category_by_name(categories, provider):  # noqa: F811
    remora = categories(EAGER)
    assert [cache_of(ask(remora, text)) for text in PASSWORD[:2]] == ["MISS", "MISS"]
    assert remora.metric("remora_embed_texts_total") == 0
    assert cache_of(ask(remora, PASSWORD[0], headers=FAQ)) == "MISS"
    assert is_semantic(ask(remora, PASSWORD[1], headers=FAQ))
    assert is_semantic(ask(remora, {**chat_body(PASSWORD[2]), "cache": {"namespace": "faq"}}))  # as LiteLLM says it
    assert cache_of(ask(remora, PASSWORD[3], headers={"x-remora-cache-namespace": "fa"})) == "MISS"
    assert provider.count == 4 and spaces(remora, "remora_semantic_served_total") == {"faq": 2}


@pytest.mark.parametrize("match", [{"model": "gpt-4o-mini"}, {"path": "/v1/chat/completions"},
                                   {"path": "/v1/chat/completions", "model": "gpt-4o-mini"}])
def test_a_category_by_route(categories, provider, match):  # noqa: F811
    """Who matches shares entries with who names it."""
    remora = categories({**EAGER, "match": match})
    body = {"model": "gpt-4o-mini"}
    assert cache_of(ask(remora, {**chat_body(PASSWORD[0]), **body}, headers=FAQ)) == "MISS"
    assert ask(remora, {**chat_body(PASSWORD[0]), **body}).headers["x-remora-cache-kind"] == "exact"
    assert is_semantic(ask(remora, {**chat_body(PASSWORD[1]), **body}))
    other = {"x-remora-cache-namespace": "other"}
    assert [cache_of(ask(remora, {**chat_body(text), **body}, headers=other)) for text in PASSWORD[:2]] == ["MISS", "MISS"]
    eventually(lambda: sum('"namespace":"faq"' in line for line in remora.access()) == 3, 10, "not logged")


def test_what_does_not_match_is_in_no_category(categories, provider):  # noqa: F811
    remora = categories({**EAGER, "match": {"model": "gpt-4o-mini"}}, {"name": "messages", "semantic": "serve", "match": {"path": "/v1/messages"}})
    assert [cache_of(ask(remora, text)) for text in PASSWORD[:2]] == ["MISS", "MISS"]
    assert remora.metric("remora_embed_texts_total") == 0


def test_the_first_match_counts(categories, provider):  # noqa: F811
    remora = categories({"name": "off", "match": {"model": "gpt-4.1-mini"}}, {**EAGER, "match": {"path": "/v1/chat/completions"}})
    assert [cache_of(ask(remora, text)) for text in PASSWORD[:2]] == ["MISS", "MISS"]
    eventually(lambda: sum('"namespace":"off"' in line for line in remora.access()) == 2, 10, "not logged")


@pytest.mark.parametrize("everywhere, row, asked, served", [
    (0, 0.2, None, True), (0, 0.2, "0.2", True), (0, 0.2, "0", False), (0.2, 0, None, False), (0.2, 0, "0.5", False)])
def test_a_category_states_its_own_error(start, provider, everywhere, row, asked, served):  # noqa: F811
    remora = start(cache={"semantic": {**GENEROUS, "max_error": everywhere}, "namespaces": [{"name": "faq", "max_error": row}]},
                   embed=PATIENT)
    headers = {**FAQ, **({"x-remora-max-error": asked} if asked else {})}
    ask(remora, PASSWORD[0], headers=FAQ)
    assert is_semantic(ask(remora, PASSWORD[1], headers=headers)) == served


def test_a_category_has_its_own_ages(start, provider):  # noqa: F811
    remora = start(cache={"semantic": GENEROUS, "namespaces": [{"name": "short", "ttl": "1s"}, {"name": "faq", "semantic_ttl": "1ms"}]},
                   embed=PATIENT)
    short = {"x-remora-cache-namespace": "short"}
    for headers in (short, FAQ, {}):
        ask(remora, PASSWORD[0], headers=headers)
    time.sleep(1.1)  # the only way to grow old
    assert cache_of(ask(remora, PASSWORD[0], headers=short)) == "MISS"
    assert cache_of(ask(remora, PASSWORD[0], headers=FAQ)) == "HIT" and cache_of(ask(remora, PASSWORD[1], headers=FAQ)) == "MISS"
    assert is_semantic(ask(remora, PASSWORD[1]))
    long = ask(remora, PASSWORD[2], headers={**short, "x-remora-cache-ttl": "1h", "x-remora-cache": "no-cache"})
    assert cache_of(long) == "MISS"
    time.sleep(1.1)
    assert cache_of(ask(remora, PASSWORD[2], headers=short)) == "HIT"


def test_a_category_can_be_in_shadow_or_off(start, provider):  # noqa: F811
    remora = start(cache={"semantic": GENEROUS, "namespaces": [{"name": "faq", "semantic": "shadow"}, {"name": "none", "semantic": "off"}]},
                   embed=PATIENT)
    for name in ("faq", "none"):
        headers = {"x-remora-cache-namespace": name}
        assert [cache_of(ask(remora, text, headers=headers)) for text in PASSWORD[:2]] == ["MISS", "MISS"]
    eventually(lambda: remora.metric("remora_embed_texts_total") == 2, 20, "the shadow was not measured")
    ask(remora, PASSWORD[0])
    assert is_semantic(ask(remora, PASSWORD[1]))


def test_a_reload_changes_categories(categories, provider):  # noqa: F811
    remora = categories()
    assert [cache_of(ask(remora, text, headers=FAQ)) for text in PASSWORD[:2]] == ["MISS", "MISS"]
    reload(remora, cache={"namespaces": [EAGER]})
    ask(remora, PARIS[0], headers=FAQ)
    assert is_semantic(ask(remora, PARIS[1], headers=FAQ))
    assert httpx.get(remora.admin + "/api/config").json()["cache"]["namespaces"] == [
        {**EAGER, "match": {"path": None, "model": None}, "ttl": "7d", "semantic_ttl": "0"}]
    reload(remora, cache={"namespaces": []})
    assert cache_of(ask(remora, PARIS[2], headers=FAQ)) == "MISS"


def test_check_knows_categories(tmp_path):
    text = "cache:\n  exact: {mode: off}\n  semantic: {mode: off}\n  namespaces:\n    - {name: a}\n    - name: b\n" \
           "      semantic: serve\n      match: {path: /v1/mesages}\n"
    said, told = check(tmp_path, text)
    assert said.returncode == 0 and [w["path"] for w in told["warnings"]] == ["cache.exact.mode", "cache.namespaces[1].match.path"]
    assert told["warnings"][1]["line"] == 8 and "cache.namespaces[1].semantic is serve" in told["warnings"][0]["what"]
    said, told = check(tmp_path, text + "    - name: a\n      ttl: soon\n")
    assert said.returncode == 1 and [m["path"] for m in told["mistakes"]] == ["cache.namespaces[2].ttl", "cache.namespaces[2].name"]
    said, told = check(tmp_path, "cache: {semantic: {mode: off, model: no-such}, namespaces: [{name: a, semantic: shadow}]}\n")
    assert said.returncode == 1 and told["mistakes"][0]["path"] == "cache.semantic.model"
