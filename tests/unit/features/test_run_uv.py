"""uv with the settings of pip: what pip says of itself becomes uv's environment."""

import json
import subprocess
import sys
from pathlib import Path

from phoenix_hypervisor.features import _run_uv
from phoenix_hypervisor.features._run_uv import settings, variables

LISTED = """\
:env:.find-links='/srv/wheels'
global.cert='/etc/ssl/certs/ca-certificates.crt'
global.extra-index-url='file:///srv/one/simple file:///srv/two/simple'
global.find-links='/srv/old'
global.index-url='https://user:p%40ss@mirror.test/simple'
global.constraint='/etc/constraints.txt'
global.proxy='http://proxy.test:3128'
global.trusted-host='mirror.test'
freeze.user='true'
nonsense
"""


def test_pip_is_understood() -> None:
    found = settings(LISTED)
    assert found["find-links"] == "/srv/wheels"
    assert "user" not in found


def test_uv_is_told_the_same() -> None:
    assert variables(settings(LISTED)) == {
        "UV_DEFAULT_INDEX": "https://user:p%40ss@mirror.test/simple",
        "UV_INDEX": "file:///srv/one/simple file:///srv/two/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_FIND_LINKS": "/srv/wheels",
        "UV_CONSTRAINT": "/etc/constraints.txt",
        "UV_INSECURE_HOST": "mirror.test",
        "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
        "HTTP_PROXY": "http://proxy.test:3128",
        "HTTPS_PROXY": "http://proxy.test:3128",
    }
    assert variables({}) == {}
    assert variables({"no-index": "true"}) == {"UV_NO_INDEX": "1"}


def test_it_runs_what_it_is_given_with_them(tmp_path: Path) -> None:
    fake = tmp_path / "uv"
    fake.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([sys.argv[1:], os.environ.get('UV_DEFAULT_INDEX')]))\n"
    )
    fake.chmod(0o755)
    done = subprocess.run(
        [sys.executable, _run_uv.__file__, str(fake), "pip", "install", "a b"],
        env={"PATH": "/usr/bin:/bin", "PIP_INDEX_URL": "https://mirror.test/simple"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [["pip", "install", "a b"], "https://mirror.test/simple"]
