"""Fixtures for end-to-end and fault tests. REMORA_BIN names the folder of the programs (default build/bin)."""
import pathlib
import sys

import httpx
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))

import programs  # noqa: E402
import upstream as upstream_module  # noqa: E402


@pytest.fixture
def upstream():
    """A scripted provider, new for each test."""
    server = upstream_module.Upstream()
    yield server
    server.close()


@pytest.fixture
def start(tmp_path, upstream):
    """start(**configuration) -> a Remora before `upstream`; each must end cleanly when the test does."""
    running = []

    def starter(upstream_url=None, **changes):
        running.append(programs.Remora(tmp_path, upstream_url or upstream.url, name=f"remora{len(running)}", **changes))
        return running[-1]

    yield starter
    for remora in running:
        remora.stop()


@pytest.fixture
def remora(start):
    return start()


@pytest.fixture
def client(remora):
    """An HTTP client of the default Remora, with a credential."""
    with httpx.Client(base_url=remora.base, headers={"authorization": "Bearer sk-test-one"}, timeout=60) as http:
        yield http


@pytest.fixture(scope="session")
def mock(tmp_path_factory):
    """remora-bench mock, one for the whole session; its URL."""
    port = programs.free_port()
    program = programs.Program("mock", [programs.BIN / "remora-bench", "mock", "--listen", f"127.0.0.1:{port}"],
                               tmp_path_factory.mktemp("mock"), ready_url=f"http://127.0.0.1:{port}/stats")
    program.url = f"http://127.0.0.1:{port}"
    yield program
    program.stop()
