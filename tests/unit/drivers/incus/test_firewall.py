"""Firewalls as nftables text, judged by the real nft."""

import asyncio
import os
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phoenix_hypervisor.drivers.incus import firewall
from phoenix_hypervisor.model.desired import Firewall, FirewallRule

NFT = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
needs_nft = pytest.mark.skipif(NFT is None, reason="nft is not installed here")

WEB = Firewall(
    enabled=True,
    rules=(
        FirewallRule("in", "ACCEPT", proto="tcp", ports=("22", "8000-8010"), comment="web"),
        FirewallRule("in", "REJECT", source="10.0.0.0/24", dest="10.0.1.5"),
        FirewallRule("out", "DROP", dest="fd00::/64", proto="udp", ports=("53",)),
        FirewallRule("in", "ACCEPT", proto="icmp"),
        FirewallRule("in", "ACCEPT", proto="icmpv6"),
        FirewallRule("in", "ACCEPT", ports=("80",)),
        FirewallRule("out", "ACCEPT", proto="gre"),
    ),
    policy_in="DROP",
    policy_out="REJECT",
)
GOLDEN = """\
add table inet phoenix
delete table inet phoenix
table inet phoenix {
  chain input {
    type filter hook input priority filter; policy accept;
    ct state established,related accept
    iif lo accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, \
nd-router-solicit, packet-too-big } accept
    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
    tcp dport { 22, 8000-8010 } accept comment "web"
    ip saddr 10.0.0.0/24 ip daddr 10.0.1.5 reject
    meta l4proto icmp accept
    meta l4proto ipv6-icmp accept
    tcp dport { 80 } accept
    udp dport { 80 } accept
    drop
  }

  chain output {
    type filter hook output priority filter; policy accept;
    ct state established,related accept
    oif lo accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, \
nd-router-solicit, packet-too-big } accept
    icmp type { destination-unreachable, time-exceeded, parameter-problem } accept
    ip6 daddr fd00::/64 udp dport { 53 } drop
    meta l4proto gre accept
    reject
  }
}
"""


async def in_a_network_of_its_own(script: str, text: str = "") -> str:
    """Runs a script as root in a new network namespace, with `text` on standard input."""
    process = await asyncio.create_subprocess_exec(
        "unshare", "--map-root-user", "--net", "sh", "-ec", script,
        env={**os.environ, "NFT": str(NFT), "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    out, _ = await process.communicate(text.encode())
    assert process.returncode == 0, f"{text}\n{out.decode()}"
    return out.decode()


def test_the_whole_text() -> None:
    assert firewall.ruleset(WEB) == GOLDEN


@needs_nft
async def test_nft_takes_it_and_takes_it_again() -> None:
    shown = await in_a_network_of_its_own(
        'text="$(cat)"; for _ in 1 2; do echo "$text" | "$NFT" -f -; done; "$NFT" list ruleset',
        firewall.ruleset(WEB),
    )
    assert shown.count("table inet phoenix") == 1
    assert shown.count("tcp dport { 22, 8000-8010 } accept") == 1


NETWORKS = st.sampled_from([None, "10.0.0.5", "10.0.0.5/24", "0.0.0.0/0", "fd00::5", "fd00::/8"])


@st.composite
def rules(draw: st.DrawFn) -> FirewallRule:
    """Rules as the files may hold them: ports only with a protocol that has some."""
    proto = draw(
        st.sampled_from([None, "tcp", "udp", "icmp", "icmpv6", "sctp", "esp", "ah", "gre", "igmp"])
    )
    source = draw(NETWORKS)
    dest = draw(NETWORKS.filter(lambda d: not (d and source) or (":" in d) == (":" in source)))
    single = st.integers(1, 65535).map(str)
    spans = st.tuples(st.integers(1, 65535), st.integers(0, 99)).map(
        lambda pair: f"{pair[0]}-{min(pair[0] + pair[1], 65535)}"
    )
    ports = st.lists(single | spans, max_size=4)
    return FirewallRule(
        direction=draw(st.sampled_from(["in", "out"])),
        action=draw(st.sampled_from(["ACCEPT", "DROP", "REJECT"])),
        source=source,
        dest=dest,
        proto=proto,
        ports=tuple(draw(ports)) if proto in ("tcp", "udp", "sctp") else (),
        comment=draw(st.sampled_from(["", 'a "quoted" } comment', "# \n drop"])),
    )


@needs_nft
@settings(max_examples=30, deadline=None)
@given(st.lists(rules(), max_size=6), st.sampled_from(["ACCEPT", "DROP", "REJECT"]))
def test_nft_takes_whatever_the_files_may_hold(found: list[FirewallRule], policy: str) -> None:
    wanted = Firewall(True, tuple(found), policy, policy)  # type: ignore[arg-type] # one of these
    text = firewall.ruleset(wanted)
    asyncio.run(in_a_network_of_its_own('"$NFT" -c -f -', text))
    order = [line.strip() for line in text.splitlines()]
    assert order.count("chain input {") == order.count("chain output {") == 1


@needs_nft
@pytest.mark.parametrize(
    "source",
    [
        "10.0.0.0/24,10.1.0.0/24",
        "10.0.0.1-10.0.0.9",
        "10.0.0.0/24, fd00::/8",
        "10.0.0.5/24,10.0.0.7,10.0.0.1-10.0.0.9,0.0.0.0/0,fd00::1-fd00::9,::/0",
    ],
)
async def test_lists_and_ranges_of_addresses(source: str) -> None:
    rule = FirewallRule("in", "ACCEPT", source=source)
    await in_a_network_of_its_own('"$NFT" -c -f -', firewall.ruleset(Firewall(True, (rule,))))


@pytest.mark.parametrize(
    ("source", "dest", "lines"),
    [
        ("10.0.0.1,10.0.0.5", None, ["ip saddr { 10.0.0.1, 10.0.0.5 } accept"]),
        ("10.0.0.1-10.0.0.9", None, ["ip saddr 10.0.0.1-10.0.0.9 accept"]),
        (
            "10.0.0.1,fd00::1",
            "fd00::2,10.0.0.2",
            [
                "ip saddr 10.0.0.1 ip daddr 10.0.0.2 accept",
                "ip6 saddr fd00::1 ip6 daddr fd00::2 accept",
            ],
        ),
        ("10.0.0.1,fd00::1", "10.0.0.2", ["ip saddr 10.0.0.1 ip daddr 10.0.0.2 accept"]),
        ("10.0.0.1", "fd00::2", []),
    ],
)
def test_addresses_by_family(source: str, dest: str | None, lines: list[str]) -> None:
    rule = FirewallRule("in", "ACCEPT", source=source, dest=dest)
    text = firewall.ruleset(Firewall(True, (rule,)))
    assert [one.strip() for one in text.splitlines() if "addr " in one] == lines


@needs_nft
async def test_it_filters_what_it_says() -> None:
    """Packets between two network namespaces: what is allowed passes, what is not does not."""
    wanted = Firewall(
        enabled=True, rules=(FirewallRule("in", "ACCEPT", proto="tcp", ports=("8080",)),)
    )
    shown = await in_a_network_of_its_own(
        """\
        rules="$(cat)"
        unshare --net sleep 20 & other=$!
        sleep 0.3
        ip link add name v0 type veth peer name v1 netns $other
        ip addr add 10.9.0.1/24 dev v0; ip link set v0 up; ip link set lo up
        in_other() { nsenter --target $other --net "$@"; }
        in_other ip addr add 10.9.0.2/24 dev v1
        in_other ip link set v1 up
        printf '%s\\n' "$rules" | "$NFT" -f -
        for port in 8080 8081; do
          python3 -c "
import socket, time
s = socket.create_server(('10.9.0.1', $port)); time.sleep(15)" & servers="$servers $!"
        done
        sleep 0.7
        for port in 8080 8081; do
          in_other python3 -c "
import socket
try:
    socket.create_connection(('10.9.0.1', $port), timeout=1).close(); print('$port open')
except OSError as error:
    print('$port', type(error).__name__)"
        done
        kill $other $servers
        """,
        firewall.ruleset(wanted),
    )
    assert shown.splitlines()[-2:] == ["8080 open", "8081 TimeoutError"]


def test_the_unit_loads_it_before_the_network() -> None:
    unit = firewall.UNIT.splitlines()
    assert f"ExecStart=/usr/sbin/nft -f {firewall.PATH}" in unit
    assert f"ConditionPathExists={firewall.PATH}" in unit
    assert "Before=network-pre.target" in unit
