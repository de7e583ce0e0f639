"""Whatever breaks inside, the caller gets the upstream's answer. Needs a build with REMORA_FAULTS (the dev preset)."""
import time

import httpx
import pytest

from asking import ask, chat_body, content_of
from programs import BIN, SANITIZER, Program, Remora, base_config, eventually


def exercise(remora, upstream, rounds=3):
    """Every kind of request there is, several times; each must get an answer of the upstream's."""
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer k"}, timeout=60) as http:
        for turn in range(rounds):
            for stream in (False, True):
                answer = ask(http, chat_body(f"fault {turn}", stream=stream))
                assert answer.status_code == 200, answer.text
                assert content_of(answer).startswith("answer ") and content_of(answer).endswith("end"), answer.text
            answer = ask(http, {"model": "text-embedding-3-small", "input": f"fault {turn}"}, "/embeddings")
            assert answer.status_code == 200 and answer.json()["data"]
            assert http.get("/models").status_code == 200
            assert http.post("/files", content=b"x" * 100_000).status_code == 200


@pytest.mark.parametrize("fault", ["store_read", "store_read:2!", "store_full", "store_full:2!", "store_queue_full", "store_slow",
                                   "store_commit", "store_commit:2!", "flight", "flight:2!", "log_write", "json", "json:3!",
                                   "ledger", "store_read,store_commit,flight,log_write,ledger"])
def test_each_stage(tmp_path, upstream, fault):
    remora = Remora(tmp_path, upstream.url, env={"REMORA_FAULTS": fault}, timeouts={"drain": "2s"})
    try:
        exercise(remora, upstream)
        assert httpx.get(remora.admin + "/healthz").status_code == 200
    finally:
        remora.stop()


def starts(tmp_path, upstream, fault):
    """A Remora, or None where the fault kept it from starting (which it must say, not crash)."""
    try:
        return Remora(tmp_path, upstream.url, env={"REMORA_FAULTS": fault}, name=fault.rstrip("!").replace(":", "-"))
    except AssertionError as error:
        assert "ended with 1" in str(error) and "Sanitizer" not in str(error), str(error)
        return None


def serves(tmp_path, upstream, nth):
    """Whether a Remora all of whose allocations fail from the nth on gets as far as saying that it serves."""
    config = Remora.__new__(Remora)
    config.config, config.file = base_config(tmp_path, upstream.url), tmp_path / f"all-{nth}.yaml"
    config.write_config()
    program = Program(f"all-{nth}", [BIN / "remora", "serve", "-c", config.file], tmp_path, {"REMORA_FAULTS": f"alloc:{nth}"})
    try:
        return eventually(lambda: "yes" if "serves on" in program.text() else program.child.poll() is not None and "no", 60) == "yes"
    finally:
        program.kill()
        assert not SANITIZER.search(program.text()), program.text()[-4000:]


def allocations_at_start(tmp_path, upstream):
    """About how many allocations a start takes."""
    low, high = 1, 1 << 14
    while high - low > 8:
        middle = (low + high) // 2
        if serves(tmp_path, upstream, middle):
            high = middle
        else:
            low = middle
    return low


def test_the_nth_allocation_fails(tmp_path, upstream):
    """Sweeps one failing allocation over what the first requests take. A connection may be dropped for want of memory before
    anything was asked; an answer that comes must be the upstream's."""
    begin = allocations_at_start(tmp_path, upstream)
    dropped = tried = 0
    wrong = []
    end = time.monotonic() + 100
    for nth in [begin + step for step in (*range(0, 120, 4), *range(120, 400, 20))]:
        if time.monotonic() > end:
            break
        remora = starts(tmp_path, upstream, f"alloc:{nth}!")
        if remora is None:
            continue
        tried += 1
        with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer k"}, timeout=60) as http:
            for stream in (False, True, False):
                try:
                    answer = ask(http, chat_body(f"alloc {nth}", stream=stream))
                except (httpx.RemoteProtocolError, httpx.ReadError, httpx.ConnectError):
                    dropped += 1
                    answer = ask(http, chat_body(f"alloc {nth}", stream=stream))
                if answer.status_code != 200 or b"end" not in answer.content:
                    wrong.append((nth, answer.status_code, answer.text[:200]))
        remora.stop()
    assert tried >= 5
    assert not wrong, "\n".join(f"allocation {n}: {status} {text}" for n, status, text in wrong)
    print(f"{tried} starts from allocation {begin}, {dropped} connections dropped")


def test_a_full_disk_is_survived(tmp_path, upstream):
    """The data folder cannot be made: everything goes through uncached."""
    (tmp_path / "data").write_text("a file where the folder should be", encoding="utf-8")
    try:
        remora = Remora(tmp_path, upstream.url)
    except AssertionError as error:
        assert "ended with 1" in str(error) and "data" in str(error)  # saying so and ending is as good before any request
        return
    exercise(remora, upstream, 1)
    remora.stop()


def test_release_builds_have_no_faults(tmp_path, upstream):
    """The switch exists in test builds alone; there it refuses names it does not know."""
    program = Program("odd", [BIN / "remora", "--version"], tmp_path, {"REMORA_FAULTS": "store_read"})
    assert program.wait() == 0
