"""Which raw options of LXC a restored container keeps, that is only there to be checked.

Those that it needs to run as itself, and that concern nothing but itself. All others go: a mount
leads to data of the guest that it is a copy of, a hook runs on the host, a card or a device is a
way out. Source: lxc.container.conf(5).
"""

_OWN = (
    "lxc.apparmor.",
    "lxc.arch",
    "lxc.cap.",
    "lxc.environment",
    "lxc.idmap",  # its files belong to these ids
    "lxc.init.",
    "lxc.no_new_privs",
    "lxc.prlimit.",
    "lxc.pty.",
    "lxc.seccomp.allow_nesting",
    "lxc.seccomp.profile",
    "lxc.signal.",
    "lxc.sysctl.net.",  # others are the host's own
    "lxc.tty.",
)


def stays(key: str) -> bool:
    """Whether the raw option of that name is kept."""
    return key.startswith(_OWN)
