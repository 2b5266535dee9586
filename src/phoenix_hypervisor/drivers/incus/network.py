"""The inside of a guest's network: files that systemd-networkd reads, and its host name.

They are written through Incus's file API, so that a stopped guest comes up with its static
address at once. Source: systemd.network(5).
"""

from phoenix_hypervisor.model.desired import Guest, Nic


def unit_path(nic: Nic) -> str:
    """Sorts before what images bring along (netplan writes `10-netplan-…`)."""
    return f"/etc/systemd/network/05-phoenix-{nic.name}.network"


def unit(nic: Nic) -> str:
    """The card's `.network` file."""
    lines = ["[Match]", f"Name={nic.name}", "", "[Network]"]
    if nic.address == "dhcp":
        lines.append("DHCP=yes")
    elif nic.address is None:
        lines += ["DHCP=no", "LinkLocalAddressing=no"]
    else:
        lines.append(f"Address={nic.address}")
        if nic.gateway:
            lines.append(f"Gateway={nic.gateway}")
    lines += [f"DNS={server}" for server in nameservers(nic)]
    return "\n".join(lines) + "\n"


def nameservers(nic: Nic) -> tuple[str, ...]:
    """The servers asked for; without any, the gateway, which answers DNS on Incus's bridges."""
    if nic.nameservers or nic.gateway is None:
        return nic.nameservers
    return (nic.gateway,)


def resolv_conf(guest: Guest) -> str | None:
    """`/etc/resolv.conf` for guests without systemd-resolved; None: leave it to DHCP."""
    servers = [server for nic in guest.nics for server in nameservers(nic)]
    return "".join(f"nameserver {server}\n" for server in dict.fromkeys(servers)) or None


def hosts(guest: Guest) -> str:
    """`/etc/hosts`: the guest must resolve its own name also without DNS."""
    return (
        "127.0.0.1 localhost\n"
        f"127.0.1.1 {guest.name}\n"
        "::1 localhost ip6-localhost ip6-loopback\n"
        "ff02::1 ip6-allnodes\n"
        "ff02::2 ip6-allrouters\n"
    )
