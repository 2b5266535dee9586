"""Small building blocks of deploy functions that pyinfra has no operation for.

All of it must be called in a deploy function, where operations run at once.
"""

import io

INDEX_AGE_S = 6 * 3600
APT_PATIENCE = "-o DPkg::Lock::Timeout=300"

_NO_LOGIN = "/usr/sbin/nologin"


def ask(command: str, *, stdin: str | None = None) -> str:
    """What a command that changes nothing prints. `stdin`: as for `run`."""
    from pyinfra.context import host
    from pyinfra.facts.server import Command

    if stdin is None:
        return host.get_fact(Command, command=command) or ""
    return host.get_fact(Command, command=command, _stdin=stdin) or ""


def install(*packages: str) -> bool:
    """Installs Debian packages that are missing; returns whether any was.

    The package index is only fetched where something is missing and the index is older than
    six hours or not there. A lock that unattended-upgrades holds is waited for.
    """
    from pyinfra.context import host
    from pyinfra.facts.deb import DebPackages
    from pyinfra.operations import apt, server

    there = host.get_fact(DebPackages)
    missing = [p for p in packages if p.partition("=")[0].partition(":")[0] not in there]
    pinned = [p for p in packages if "=" in p and p not in missing and not _has(there, p)]
    if not missing and not pinned:
        return False
    fresh = ask(
        "find /var/lib/apt/lists -maxdepth 1 -name '*Packages*' "
        f"-mmin -{INDEX_AGE_S // 60} 2>/dev/null | head -n 1"
    )
    if not fresh:
        server.shell(
            name="Fetch the package index",
            commands=[
                # Acquire::Retries outlives a mirror's hiccup; the index' own files get the date
                # of the mirror, so the check above needs them touched.
                f"apt-get {APT_PATIENCE} -o Acquire::Retries=3 update"
                " && find /var/lib/apt/lists -maxdepth 1 -type f -exec touch {} +"
            ],
        )
    done = apt.packages(
        name=f"Install {', '.join([*missing, *pinned])}",
        packages=[*missing, *pinned],
        no_recommends=True,
        extra_install_args=APT_PATIENCE,
    )
    return done.did_change()


def _has(there: dict[str, set[str]], pinned: str) -> bool:
    name, _, version = pinned.partition("=")
    return version in there.get(name.partition(":")[0], ())


def text_file(
    path: str, text: str, *, mode: str = "644", user: str = "root", group: str = "root"
) -> bool:
    """Makes a file hold a text; returns whether anything had to be changed."""
    from pyinfra.operations import files

    done = files.put(
        name=f"Write {path}", src=io.StringIO(text), dest=path, user=user, group=group, mode=mode
    )
    return done.did_change()


def secret_file(path: str, text: str, *, user: str = "root", group: str = "root") -> bool:
    """As `text_file`, for its owner (and group, if one is named) alone.

    The content travels as a file, never in a command's arguments.
    """
    mode = "600" if group == "root" else "640"
    return text_file(path, text, mode=mode, user=user, group=group)


def service_user(user: str, home: str) -> None:
    """Makes a user for a service: nobody logs in as that, and `home` is not made."""
    from pyinfra.operations import server

    server.user(
        name=f"Make the user {user}",
        user=user,
        home=home,
        shell=_NO_LOGIN,
        system=True,
        create_home=False,
        ensure_home=False,
    )


def no_file(path: str) -> bool:
    """Removes a file or link; returns whether it was there."""
    from pyinfra.operations import server

    if ask(f"test -e {path} -o -L {path} && echo there || true") != "there":
        return False
    server.shell(name=f"Remove {path}", commands=[f"rm -f {path}"])
    return True


def folder(path: str, *, mode: str = "755", user: str = "root", group: str = "root") -> bool:
    """Makes a folder; returns whether anything had to be changed."""
    from pyinfra.operations import files

    done = files.directory(name=f"Make {path}", path=path, mode=mode, user=user, group=group)
    return done.did_change()


def run(name: str, script: str, *, stdin: str | None = None) -> str:
    """Runs a POSIX shell script that changes something; returns what it prints.

    `stdin` is for what must not be seen in a process's arguments.
    """
    from pyinfra.operations import server

    if stdin is None:
        return server.shell(name=name, commands=[script]).stdout
    return server.shell(name=name, commands=[script], _stdin=stdin).stdout


def service(unit: str, *, restart: bool = False, reload: bool = False, units: bool = False) -> bool:
    """Makes a unit run now and at boot; restarts or reloads it where asked.

    `units`: unit files have changed, so systemd reads them again first.
    """
    from pyinfra.operations import systemd

    done = systemd.service(
        name=f"Run {unit}",
        service=unit,
        running=True,
        enabled=True,
        restarted=restart,
        reloaded=reload and not restart,
        daemon_reload=units,
    )
    return done.did_change()


def os_release() -> tuple[str, str]:
    """Distribution and version, such as `("debian", "13")` or `("ubuntu", "24.04")`."""
    said = ask('. /etc/os-release && echo "$ID $VERSION_ID"').split()
    return (said[0], said[1] if len(said) > 1 else "")
