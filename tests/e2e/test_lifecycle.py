"""Signals: reload without a dropped request, drain, and the second signal."""
import concurrent.futures
import signal
import socket
import threading
import time

import httpx
import pytest

from asking import ask, cache_of, chat_body, content_of
from programs import BIN, Program, eventually


def test_sighup_takes_the_new_configuration(remora, client, upstream):
    ask(client)
    remora.write_config(cache={"exact": {"mode": "off"}})
    remora.signal(signal.SIGHUP)
    eventually(lambda: cache_of(ask(client)) == "BYPASS", what="the new configuration was not taken")


def test_sighup_with_a_mistake_keeps_the_old(remora, client):
    good = remora.file.read_text(encoding="utf-8")
    remora.file.write_text(good + "nonsense: 1\n", encoding="utf-8")
    remora.signal(signal.SIGHUP)
    eventually(lambda: "nonsense" in remora.text(), what="the mistake was not reported")
    assert ask(client).status_code == 200 and remora.child.poll() is None


def test_sighup_keeps_what_only_a_restart_can_change(remora, client):
    """Said each time, in one line, and /api/config shows what is in force."""
    before = httpx.get(remora.admin + "/api/config").json()
    remora.write_config(listen="127.0.0.1:1", loops=3, cache={"exact": {"bytes_max": "1GiB", "mode": "off"}},
                        log={"access": "off"})
    for turn in (1, 2):
        remora.signal(signal.SIGHUP)
        eventually(lambda: remora.text().count("configuration reloaded") == turn)
        warned = [line for line in remora.text().splitlines() if "need a restart" in line]
        assert len(warned) == turn and "listen, loops, cache.exact.bytes_max, log.access" in warned[-1]
        after = httpx.get(remora.admin + "/api/config").json()
        assert after["cache"]["exact"]["mode"] == "off"
        after["cache"]["exact"]["mode"] = "serve"
        assert after == before
    assert cache_of(ask(client)) == "BYPASS" and eventually(remora.access)


def test_sighup_drops_nothing(remora, upstream):
    upstream.delay = 0.01
    stop, failures, done = threading.Event(), [], []

    def caller(number):
        with httpx.Client(base_url=remora.base, headers={"authorization": f"Bearer {number}"}, timeout=60) as http:
            turn = 0
            while not stop.is_set():
                turn += 1
                answer = ask(http, chat_body(f"{number} {turn}", stream=bool(turn % 2)))
                if answer.status_code != 200 or not content_of(answer):
                    failures.append(answer)
            done.append(turn)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(caller, n) for n in range(4)]
        for turn in range(10):
            remora.write_config(timeouts={"idle": f"{60 + turn}s"})
            remora.signal(signal.SIGHUP)
            time.sleep(0.15)
        stop.set()
        for one in callers:
            one.result()
    assert not failures and sum(done) > 20


def test_sighup_reopens_the_access_log(remora, client):
    ask(client)
    eventually(remora.access)
    (remora.folder / "access.log").rename(remora.folder / "access.log.1")
    remora.signal(signal.SIGHUP)
    eventually(lambda: (remora.folder / "access.log").exists())
    ask(client, chat_body("again"))
    assert len(eventually(remora.access)) == 1


def test_sigterm_lets_requests_finish(start, upstream):
    remora = start()
    upstream.delay = 1.5
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(httpx.post, remora.base + "/chat/completions", json=chat_body(str(n), stream=bool(n % 2)),
                             timeout=30) for n in range(4)]
        upstream.wait_count(4)
        remora.signal(signal.SIGTERM)
        eventually(lambda: refused(remora.port), what="it still accepts connections")
        assert [content_of(c.result()).endswith("end") for c in calls] == [True] * 4
    assert remora.wait() == 0


def refused(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


def test_drain_has_a_deadline(start, upstream):
    remora = start(timeouts={"drain": "500ms"})
    upstream.delay = 60
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        call = pool.submit(httpx.post, remora.base + "/chat/completions", json=chat_body(), timeout=30)
        upstream.wait_count(1)
        remora.signal(signal.SIGTERM)
        assert remora.wait(20) == 0
        with pytest.raises(httpx.HTTPError):
            call.result().raise_for_status()


@pytest.mark.parametrize("taken, as_what", [("admin", "listen"), ("listen", "admin"), ("listen", "listen"), ("admin", "admin")])
@pytest.mark.parametrize("loops", [1, 3])
def test_a_taken_port_is_said_plainly(remora, client, tmp_path, taken, as_what, loops):
    """Another Remora's too: it gets not one of the first one's requests."""
    other = tmp_path / "other"
    other.mkdir()
    lines = {"listen": "127.0.0.1:0", "admin": "127.0.0.1:0", as_what: remora.config[taken], "data": f"{other}/data", "loops": loops}
    (other / "c.yaml").write_text("".join(f"{k}: {v}\n" for k, v in lines.items()), encoding="utf-8")
    program = Program("second", [BIN / "remora", "serve", "-c", other / "c.yaml"], other)
    try:
        assert program.wait(20) == 1
    finally:
        program.kill()
    errors = [line for line in program.text().splitlines() if " error " in line.lower()]
    assert len(errors) == 1, program.text()
    assert f"cannot listen on {remora.config[taken]}: address already in use" in errors[0]
    assert ask(client).status_code == 200


def test_a_restart_takes_the_port_at_once(start):
    """Connections that the first one closed still linger in TIME_WAIT; one stays open on the caller's side."""
    first = start()
    idle = [socket.create_connection(("127.0.0.1", first.port)) for _ in range(4)]
    assert httpx.get(first.base + "/models").status_code == 200
    first.stop()
    for one in idle[1:]:
        assert one.recv(1) == b""
        one.close()
    second = start(listen=first.config["listen"], admin=first.config["admin"], loops=3)
    assert httpx.get(second.base + "/models").status_code == 200
    idle[0].close()


def test_a_damaged_store_is_set_aside(start, upstream):
    first = start()
    with httpx.Client(base_url=first.base, headers={"authorization": "Bearer a"}) as http:
        ask(http)
    first.stop()
    data = first.folder / "data"
    spoilt = [p for p in data.rglob("data.mdb")]
    assert spoilt, "no store found"
    for path in spoilt:
        path.write_bytes(b"not a database" * 4096)
    second = start()
    with httpx.Client(base_url=second.base, headers={"authorization": "Bearer a"}) as http:
        assert ask(http).status_code == 200
