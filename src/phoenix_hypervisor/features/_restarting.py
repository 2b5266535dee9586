"""Services of the distribution's packages begin again by themselves when they die.

Most of their units don't, or give up after a few tries. A drop-in beside the package's unit says
that they do: at once, then with growing pauses of up to half a minute, and for ever. The growing
needs systemd 254; an older one notes in its log that it doesn't know those two words, and keeps to
the first pause. Source: systemd.service(5), systemd.unit(5).
"""

from typing import Literal

FILE = "phoenix-restart.conf"


def drop_in(when: Literal["always", "on-failure"] = "always") -> str:
    """The text. `on-failure`: not where the service ended well, such as by its own command."""
    return f"""\
# Made by Phoenix from the files; changes made by hand are overwritten.
[Unit]
StartLimitIntervalSec=0

[Service]
Restart={when}
RestartSec=200ms
RestartSteps=8
RestartMaxDelaySec=30s
"""


def lasting_service(
    unit: str,
    *,
    restart: bool = False,
    of: str | None = None,
    when: Literal["always", "on-failure"] = "always",
) -> None:
    """Makes a unit run now, at boot, and again whenever it died. Call it in a deploy function.

    `unit` is its name without `.service`; `of` the template that it is made of, such as
    `postgresql@`, for all of its instances. A unit that runs is not restarted for it.
    """
    from phoenix_hypervisor.features import _system

    folder = f"/etc/systemd/system/{of or unit}.service.d"
    _system.folder(folder)
    new = _system.text_file(f"{folder}/{FILE}", drop_in(when))
    _system.service(unit, restart=restart, units=new)
