"""Gives a clone an identity of its own, and mends what an interruption left half installed."""

from phoenix_hypervisor.model.errors import ConfigureFailed
from phoenix_hypervisor.shell import Shell

# systemd-machine-id-setup(1) takes over D-Bus's copy of the id, so that has to go first.
_RENEW = r"""
set -e
if command -v systemd-machine-id-setup >/dev/null 2>&1; then
  rm -f /var/lib/dbus/machine-id
  : >/etc/machine-id
  systemd-machine-id-setup
  if [ -d /var/lib/dbus ]; then ln -s /etc/machine-id /var/lib/dbus/machine-id; fi
  # It would go on writing under the old id, where journalctl does not look.
  systemctl try-restart systemd-journald.service
fi
if [ -f /etc/ssh/sshd_config ] && command -v ssh-keygen >/dev/null 2>&1; then
  rm -f /etc/ssh/ssh_host_*_key /etc/ssh/ssh_host_*_key.pub
  ssh-keygen -A
  if command -v systemctl >/dev/null 2>&1; then
    systemctl try-restart ssh.service sshd.service 2>/dev/null || :
  fi
fi
"""

INTERRUPTED = r"""{ [ -n "$(ls /var/lib/dpkg/updates 2>/dev/null)" ] || grep -qE \
  '^Status: .* (half-configured|half-installed|unpacked|triggers-awaited|triggers-pending)$' \
  /var/lib/dpkg/status 2>/dev/null; }"""
"""A shell's condition: an installation of packages broke off. Source: dpkg(1), "Package states"."""

# dpkg refuses all work after it was killed, until this was done. Its lock can't be waited for, and
# unattended-upgrades may hold it.
_MEND = rf"""
command -v dpkg >/dev/null 2>&1 || exit 0
if {INTERRUPTED}; then
  echo interrupted
  export LC_ALL=C
  keep='--force-confdef --force-confold'
  n=0
  until said=$(dpkg $keep --configure -a 2>&1); do
    n=$((n + 1))
    case $said in *lock*) [ $n -le 150 ] && sleep 2 && continue ;; esac
    break  # packages that it needs are not even unpacked: apt gets them
  done
  echo "$said"
  apt-get --yes -o DPkg::Lock::Timeout=300 -o Dpkg::Options::=--force-confdef \
    -o Dpkg::Options::=--force-confold --fix-broken install
fi
"""


def renew(shell: Shell, timeout_s: float) -> None:
    """A new machine id and new SSH host keys. Raises `ConfigureFailed` and what `Shell` raises."""
    answer = shell.run(_RENEW, timeout_s=timeout_s)
    if not answer.ok:
        raise ConfigureFailed(
            f"{shell.name}: the clone can't be given an identity of its own",
            detail=answer.words(),
        )


def mend_packages(shell: Shell, timeout_s: float) -> bool:
    """Completes an interrupted installation; whether there was one.

    Raises `ConfigureFailed` and what `Shell` raises.
    """
    answer = shell.run(_MEND, timeout_s=timeout_s)
    if not answer.ok:
        raise ConfigureFailed(
            f"{shell.name}: an interrupted installation of packages can't be completed",
            hint="Look into the guest: `dpkg --audit`, `dpkg --configure -a`.",
            detail=answer.words(),
        )
    return answer.out.startswith(b"interrupted")
