"""An authority of one's own: it certifies, others trust it, and what it certified is renewed."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.featurebench import Bench

from phoenix_hypervisor import features
from phoenix_hypervisor.model.desired import FeatureUse

pytestmark = pytest.mark.incus

SITE = {"name": "demo", "host": "hello.phoenix.test"}
WEB: dict[str, Any] = {"sites": [SITE], "tls": {"acme": {"from": "ca"}}}
TRUST: dict[str, Any] = {"from": "ca"}
FETCH = "curl -sS --max-time 10 -o /dev/null -w '%{http_code} %{ssl_verify_result}' "
SHOWN = (
    "openssl s_client -connect {0}:443 -servername hello.phoenix.test </dev/null 2>/dev/null |"
    " openssl x509 -noout {1}"
)


def use(bench: Bench, guest: str, feature: str, options: dict[str, Any]) -> None:
    """What the files say, for those who read them: nothing is done in the guest."""
    known = features.available()[feature]
    bench.change(guest, features=(FeatureUse(feature, known.options.model_validate(options)),))


@pytest.fixture(scope="module")
def certified(names_bench: Bench) -> Bench:
    """An authority, a web server that it certified, and a client that knows names and trusts it."""
    bench = names_bench
    for guest in ("web", "client"):
        bench.change(guest, dependencies=(bench.guests["ca"].address,))
    use(bench, "web", "nginx", WEB)
    bench.deploy("ca", "acme_ca")
    bench.deploy("web", "nginx", WEB)
    bench.deploy("client", "dnsmasq")
    bench.sh("client", "echo nameserver 127.0.0.1 > /etc/resolv.conf")
    bench.deploy("client", "trusted_ca", TRUST)
    return bench


def shown(bench: Bench, what: str = "-serial") -> str:
    """A field of the certificate that Nginx serves now."""
    return bench.sh("web", SHOWN.format("127.0.0.1", what))


def soon(holds: Callable[[], bool]) -> bool:
    """Whether it holds within ten seconds: what Nginx served goes on until its workers are new."""
    end = time.monotonic() + 10
    while not (held := holds()) and time.monotonic() < end:
        time.sleep(0.2)
    return held


def fetched(bench: Bench, url: str, *words: str) -> str:
    """Status and TLS' verdict as the client gets them: `200 0` is right, and trusted."""
    return bench.sh("client", f"{FETCH} {' '.join(words)} {url} || true")


def test_a_client_by_name_and_without_a_warning(certified: Bench) -> None:
    assert fetched(certified, "https://hello.phoenix.test/") == "200 0"
    assert fetched(certified, "https://web.phoenix.test/.phoenix/health") == "200 0"
    said = certified.sh("client", "curl -sS https://hello.phoenix.test/")
    assert "served by Nginx" in said
    assert soon(lambda: "Phoenix Intermediate" in shown(certified, "-issuer"))
    # The name has to be one that was certified, and the root one that is trusted.
    other = f"--connect-to other.phoenix.test:443:{certified.ip('web')}:443"
    assert fetched(certified, "https://other.phoenix.test/", other).startswith("000")
    assert fetched(certified, "https://hello.phoenix.test/", "--cacert /dev/null") != "200 0"


def test_plain_http_leads_to_https(certified: Bench) -> None:
    said = certified.sh("client", "curl -sSi 'http://hello.phoenix.test/a/b?c=d'")
    assert said.startswith("HTTP/1.1 308")
    assert re.search(r"^Location: https://hello\.phoenix\.test/a/b\?c=d\r?$", said, re.MULTILINE)
    assert fetched(certified, "http://hello.phoenix.test/.phoenix/health") == "200 0"


def test_a_second_deploy_changes_nothing(certified: Bench) -> None:
    serial = shown(certified)
    for guest, feature, options in (
        ("ca", "acme_ca", {}),
        ("web", "nginx", WEB),
        ("client", "trusted_ca", TRUST),
    ):
        use(certified, "web", "nginx", WEB)
        use(certified, "ca", "acme_ca", {})
        assert certified.deploy(guest, feature, options).changed == 0, feature
        assert not certified.examine(guest, feature, options).drifted, feature
    assert shown(certified) == serial


def test_a_renewed_certificate_is_served_at_once(certified: Bench) -> None:
    before = shown(certified)
    certified.sh("web", "certbot renew --force-renewal --quiet --no-random-sleep-on-renew")
    assert soon(lambda: shown(certified) != before)
    assert fetched(certified, "https://hello.phoenix.test/") == "200 0"
    assert certified.sh("web", "systemctl is-enabled certbot.timer") == "enabled"
    assert certified.sh("web", "systemctl is-active certbot.timer") == "active"
    assert certified.deploy("web", "nginx", WEB).changed == 0


def test_the_key_stays_where_it_is(certified: Bench) -> None:
    ca = certified.ip("ca")
    for path in (
        "root.key",
        "intermediate.key",
        "root.pem/../root.key",
        "root.pem%2f..%2froot.key",
    ):
        assert fetched(certified, f"http://{ca}/{path}", "--path-as-is").startswith("404"), path
    keys = certified.sh("ca", "stat -c %a /var/lib/phoenix-ca /var/lib/phoenix-ca/pki")
    assert keys.split() == ["700", "700"]
    assert certified.sh("ca", "ls /usr/local/share/ca-certificates | grep phoenix || true") == ""


def test_a_name_that_is_nobodys_is_not_certified(certified: Bench) -> None:
    before = shown(certified)
    tls = {"acme": {"from": "ca"}, "names": ["stranger.example.org"]}
    said = certified.refused("web", "nginx", {**WEB, "tls": tls})
    assert "stranger.example.org" in said
    assert shown(certified) == before
    assert fetched(certified, "https://hello.phoenix.test/") == "200 0"


def test_one_more_name_is_one_more_in_the_certificate(certified: Bench) -> None:
    more = {**WEB, "tls": {"acme": {"from": "ca"}, "names": ["shop.phoenix.test"]}}
    use(certified, "web", "nginx", more)
    certified.deploy("ca", "acme_ca")
    certified.deploy("web", "nginx", more)
    assert soon(lambda: "shop.phoenix.test" in shown(certified, "-ext subjectAltName"))
    use(certified, "web", "nginx", WEB)
    certified.deploy("ca", "acme_ca")
    certified.deploy("web", "nginx", WEB)
    assert soon(lambda: "shop.phoenix.test" not in shown(certified, "-ext subjectAltName"))


def test_what_is_changed_by_hand_is_seen_and_mended(certified: Bench) -> None:
    use(certified, "ca", "acme_ca", {})
    certified.sh("web", "ln -sfn /etc/nginx/phoenix-tls-own /etc/nginx/phoenix-tls")
    certified.sh("web", "rm /etc/letsencrypt/renewal-hooks/deploy/phoenix-nginx; nginx -s reload")
    assert certified.examine("web", "nginx", WEB).drifted
    certified.deploy("web", "nginx", WEB)
    assert soon(lambda: "Phoenix Intermediate" in shown(certified, "-issuer"))
    certified.sh(
        "client", "rm /usr/local/share/ca-certificates/phoenix-*; update-ca-certificates -f"
    )
    assert fetched(certified, "https://hello.phoenix.test/") != "200 0"
    assert certified.examine("client", "trusted_ca", TRUST).drifted
    certified.deploy("client", "trusted_ca", TRUST)
    assert fetched(certified, "https://hello.phoenix.test/") == "200 0"


def test_another_root_is_trusted_only_where_the_files_say_so(certified: Bench) -> None:
    certified.sh("ca", "systemctl stop phoenix-ca; rm -rf /var/lib/phoenix-ca")
    use(certified, "web", "nginx", WEB)
    certified.deploy("ca", "acme_ca")
    said = certified.refused("client", "trusted_ca", TRUST)
    assert "another root than the one that was trusted before" in said
    pin = re.search(r'"fingerprint": "([0-9a-f]{64})"', said)
    assert pin
    bad = certified.refused("client", "trusted_ca", {"from": "ca", "fingerprint": "00" * 32})
    assert f"has the fingerprint {pin[1]}" in bad
    assert "another root" in certified.refused("web", "nginx", WEB)
    anew = {**WEB, "tls": {"acme": {"from": "ca", "fingerprint": pin[1]}}}
    certified.deploy("client", "trusted_ca", {"from": "ca", "fingerprint": pin[1]})
    certified.deploy("web", "nginx", anew)
    assert fetched(certified, "https://hello.phoenix.test/") == "200 0"
    assert certified.deploy("web", "nginx", anew).changed == 0


def test_tls_given_up_leaves_nothing_behind(certified: Bench) -> None:
    plain = {"sites": [SITE]}
    certified.deploy("web", "nginx", plain)
    assert certified.deploy("web", "nginx", plain).changed == 0
    assert fetched(certified, "http://hello.phoenix.test/") == "200 0"
    left = "ls -d /etc/nginx/phoenix-tls* /etc/letsencrypt/live/phoenix 2>/dev/null || true"
    assert certified.sh("web", left) == ""
    assert certified.sh("web", "ls /usr/local/share/ca-certificates | grep phoenix || true") == ""
    assert certified.sh("web", "ss -Hlnt 'sport = :443'") == ""
