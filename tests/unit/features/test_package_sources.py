"""Proxmox VE's package sources: both formats, both wishes, and all else left as it is."""

from dataclasses import replace

from tests.unit.features.guests import desired

from phoenix_hypervisor.features._deb_sources import OURS, Source, changed, is_proxmox, listed
from phoenix_hypervisor.features.package_sources import PackageSources, PackageSourcesOptions
from phoenix_hypervisor.model.desired import Host
from phoenix_hypervisor.model.host import HostSetup
from phoenix_hypervisor.model.host.system import System

D = "/etc/apt/sources.list.d"
KEY = "/usr/share/keyrings/proxmox-archive-keyring.gpg"
FREE = Source("no-subscription", "trixie", KEY)
PAID = replace(FREE, proxmox="enterprise")
DEBIAN = """\
Types: deb
URIs: http://mirror.test/debian/
Suites: trixie trixie-updates
Components: main contrib non-free-firmware
"""
PVE = f"""\
Types: deb
URIs: https://enterprise.proxmox.com/debian/pve
Suites: trixie
Components: pve-enterprise
Signed-By: {KEY}
"""
CEPH = f"""\
# Ceph, as the installer leaves it
Types: deb
URIs: https://enterprise.proxmox.com/debian/ceph-squid
Suites: trixie
Components: enterprise
Signed-By: {KEY}
"""
PVE9 = {
    f"{D}/ceph.sources": CEPH,
    f"{D}/debian.sources": DEBIAN,
    f"{D}/pve-enterprise.sources": PVE,
}
PVE8 = {
    "/etc/apt/sources.list": "deb http://mirror.test/debian bookworm main contrib\n",
    f"{D}/pve-enterprise.list": "deb https://enterprise.proxmox.com/debian/pve bookworm "
    "pve-enterprise\n",
    f"{D}/ceph.list": "# deb http://download.proxmox.com/debian/ceph-quincy bookworm "
    "no-subscription\n",
}


def after(files: dict[str, str], wanted: Source) -> dict[str, str]:
    """All files as they are afterwards; a second time changes nothing."""
    now = files | changed(files, wanted)
    assert changed(now, wanted) == {}
    return now


def test_without_a_subscription() -> None:
    now = after(PVE9, FREE)
    assert now[f"{D}/debian.sources"] == DEBIAN
    assert now[f"{D}/pve-enterprise.sources"] == f"Enabled: no\n{PVE}"
    head, _, rest = CEPH.partition("\n")
    assert now[f"{D}/ceph.sources"] == f"{head}\nEnabled: no\n{rest}"
    stanza = (
        "Types: deb\nURIs: http://download.proxmox.com/debian/{}\nSuites: trixie\nComponents: {}\n"
    )
    assert now[OURS].partition("\n")[2] == "\n".join(
        f"{stanza.format(*one)}Signed-By: {KEY}\n"
        for one in (("pve", "pve-no-subscription"), ("ceph-squid", "no-subscription"))
    )


def test_back_to_a_subscription() -> None:
    now = after(after(PVE9, FREE), PAID)
    assert "Components:" not in now.pop(OURS)
    assert now == PVE9


def test_the_format_of_lines() -> None:
    now = after(PVE8, replace(FREE, codename="bookworm"))
    assert now[f"{D}/pve-enterprise.list"] == f"# {PVE8[f'{D}/pve-enterprise.list']}"
    assert now["/etc/apt/sources.list"] == PVE8["/etc/apt/sources.list"]
    assert now[f"{D}/ceph.list"] == PVE8[f"{D}/ceph.list"]
    assert "Suites: bookworm" in now[OURS]
    assert "ceph" not in now[OURS]
    paid = after(now, replace(PAID, codename="bookworm"))
    assert paid[f"{D}/pve-enterprise.list"] == PVE8[f"{D}/pve-enterprise.list"]
    assert paid[f"{D}/ceph.list"] == PVE8[f"{D}/ceph.list"]


def test_what_somebody_else_has_already_is_not_added_again() -> None:
    line = "deb http://download.proxmox.com/debian/pve trixie pve-no-subscription\n"
    files = {f"{D}/mine.list": line, f"{D}/pve-enterprise.sources": PVE}
    now = after(files, FREE)
    assert OURS not in now
    assert now[f"{D}/mine.list"] == line
    off = {f"{D}/mine.list": f"#{line}", f"{D}/pve-enterprise.sources": PVE}
    assert "pve-no-subscription" in after(off, FREE)[OURS]


def test_a_subscription_where_no_source_is_left() -> None:
    now = after({"/etc/apt/sources.list": ""}, PAID)
    assert "URIs: https://enterprise.proxmox.com/debian/pve\n" in now[OURS]
    assert "Components: pve-enterprise\n" in now[OURS]


def test_several_stanzas_of_one_file() -> None:
    files = {f"{D}/all.sources": f"{DEBIAN}\n{PVE}\n \n{DEBIAN}"}
    now = after(files, FREE)
    assert now[f"{D}/all.sources"] == f"{DEBIAN}\nEnabled: no\n{PVE}\n \n{DEBIAN}"


def test_printed_files_are_read() -> None:
    found = listed("==> /a\nx\n\ny\n==> /b\n==> /c\nz")
    assert found == {"/a": "x\n\ny\n", "/b": "", "/c": "z\n"}
    assert is_proxmox(PVE9)
    assert is_proxmox(PVE8)
    assert not is_proxmox({"/etc/apt/sources.list": DEBIAN})


def test_the_host_gets_it_where_it_is_asked_for() -> None:
    host = Host(setup=HostSetup(system=System(repositories="enterprise")))
    found = PackageSources().for_host(desired(host=host))
    assert found == PackageSourcesOptions(proxmox="enterprise")
    assert PackageSources().for_host(desired()) is None
