"""A Python service: released, restarted under load, and taken back when it is broken."""

import shutil
import threading

import pytest
from tests.support.featurebench import API, OWN_FOLDER, Bench, get

pytestmark = pytest.mark.incus


class TestPythonApiService:
    def test_a_second_deploy_changes_nothing(self, bench: Bench, api: str) -> None:
        bench.deploy("api", "python_api_service", API)
        assert bench.deploy("api", "python_api_service", API).changed == 0

    def test_odd_values_arrive_literally(self, bench: Bench, api: str) -> None:
        odd = bench.sh(
            "api",
            "tr '\\0' '\\1' < /proc/$(systemctl show -p MainPID --value api)/environ"
            " | tr '\\n\\1' '|\\n' | sed -n s/^ODD=//p",
        )
        assert odd == 'a "b" $HOME `c` \\|d'
        assert bench.sh("api", "stat -c %a%U /etc/phoenix/api/environment") == "600root"

    def test_the_service_is_closed_in(self, bench: Bench, api: str) -> None:
        told = (
            "pid=$(systemctl show -p MainPID --value api);"
            " ps -o user= -p $pid && grep NoNewPrivs /proc/$pid/status"
        )
        # It may just be starting anew, with what the test before this one changed.
        found = bench.sh("api", f"for i in 1 2 3 4 5; do {{ {told}; }} && break; sleep 1; done")
        user, privileges = found.splitlines()[-2:]
        assert (user, privileges.split()) == ("api", ["NoNewPrivs:", "1"])
        pid = bench.sh("api", "systemctl show -p MainPID --value api")
        bench.sh("api", f"! nsenter -t {pid} -m setpriv --reuid=api touch /opt/api/x 2>/dev/null")

    def test_a_restart_under_load_loses_no_request(self, bench: Bench, api: str) -> None:
        statuses: list[object] = []
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                try:
                    statuses.append(get(f"{api}:8000", "/health")[0])
                except OSError as error:
                    statuses.append(error)

        workers = [threading.Thread(target=load) for _ in range(4)]
        slow: list[object] = []
        workers.append(
            threading.Thread(target=lambda: slow.append(get(f"{api}:8000", "/api/slow")[0]))
        )
        for worker in workers:
            worker.start()
        try:
            for says in ("two", "three", "one"):
                changed = API | {"environment": {**API["environment"], "SAYS": says}}
                bench.deploy("api", "python_api_service", changed)
                assert f'"says":"{says}"' in get(f"{api}:8000", "/health")[1]
        finally:
            over.set()
            for worker in workers:
                worker.join()
        assert slow == [200]
        assert len(statuses) > 100
        assert set(statuses) == {200}

    def test_a_release_that_does_not_come_up_is_taken_back(self, bench: Bench, api: str) -> None:
        source = bench.folder / "api/main.py"
        source.write_text("raise RuntimeError('broken on purpose')\n")
        try:
            said = bench.refused("api", "python_api_service", API)
        finally:
            shutil.copy(OWN_FOLDER / "api/main.py", source)
        assert "broken on purpose" in said
        assert get(f"{api}:8000", "/health")[0] == 200
        bench.deploy("api", "python_api_service", API)

    def test_several_workers(self, bench: Bench, api: str) -> None:
        bench.deploy("api", "python_api_service", API | {"workers": 2})
        pids = {get(f"{api}:8000", "/health")[1] for _ in range(60)}
        assert len(pids) == 2
        bench.deploy("api", "python_api_service", API)

    def test_from_git(self, bench: Bench, api: str) -> None:
        bench.sh("api", "apt-get install -qy --no-install-recommends git >/dev/null")
        source = (OWN_FOLDER / "api/main.py").read_text()
        bench.sh(
            "api",
            "rm -rf /srv/r && mkdir /srv/r && cd /srv/r && git init -q -b main && cat > main.py"
            " && cp /opt/api/current/requirements.txt . && git add ."
            " && git config user.name t && git config user.email t@t.test"
            " && git commit -qm one && git tag -am v1 v1",
            stdin=source,
        )
        options = {key: value for key, value in API.items() if key != "source"}
        git = options | {"git": {"url": "file:///srv/r", "ref": "v1"}}
        bench.deploy("api", "python_api_service", git)
        assert get(f"{api}:8000", "/health")[0] == 200
        assert bench.deploy("api", "python_api_service", git).changed == 0
        missing = options | {"git": {"url": "file:///srv/r", "ref": "nowhere"}}
        assert "has no nowhere" in bench.refused("api", "python_api_service", missing)
        bench.sh("api", "cd /srv/r && ln -s /etc/shadow far && git add . && git commit -qm two")
        stray = options | {"git": {"url": "file:///srv/r", "ref": "main"}}
        assert "lead out of it: ./far" in bench.refused("api", "python_api_service", stray)
        bench.deploy("api", "python_api_service", API)
