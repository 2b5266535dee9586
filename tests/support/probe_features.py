"""Small features for the tests of `configure`; importable, since worker processes import them."""

import io
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.feature import Feature, FeatureOptions, Inside
from phoenix_hypervisor.model.secret import Secret


class ProbeOptions(FeatureOptions):
    """A text to be written, a package to be installed, a command to be run."""

    text: str = "hello"
    package: str | None = None
    command: str | None = None
    password: Secret | None = None
    limit_s: int | None = None
    source: str | None = None


class Probe(Feature[ProbeOptions]):
    """Uses packages, files, a service and the shell; each operation's result is seen at once."""

    name = "probe"
    units: ClassVar[Sequence[str]] = ("probe.service",)
    options = ProbeOptions

    def files(self, options: ProbeOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        return (folder / options.source,) if options.source else ()

    def deploy(self, options: ProbeOptions, inside: Inside) -> None:
        from pyinfra.context import host
        from pyinfra.facts.files import File
        from pyinfra.operations import apt, files, server, systemd

        if options.package:
            apt.packages(name="Install", packages=[options.package], update=True, cache_time=3600)
        path = f"/etc/{self.name}.txt"
        files.put(name="Write", src=io.StringIO(options.text), dest=path, mode="640")
        if not host.get_fact(File, path=path):
            raise AssertionError("a fact must see what the operation before it did")
        if options.source:
            files.put(
                name="Upload", src=str(inside.folder / options.source), dest=f"{path}.uploaded"
            )
        unit = "[Service]\nExecStart=/bin/sleep inf\n[Install]\nWantedBy=multi-user.target\n"
        unit_file = files.put(
            name="Unit", src=io.StringIO(unit), dest="/etc/systemd/system/probe.service"
        )
        systemd.service(
            name="Run",
            service="probe",
            running=True,
            enabled=True,
            daemon_reload=unit_file.did_change(),
        )
        server.user(name="User", user="prober", shell="/bin/sh")  # noqa: S604 - a login shell
        if options.command:
            server.shell(name="Command", commands=[options.command])


class Second(Probe):
    """The same under another name, for what comes after."""

    name = "second"
    units = ()

    def deploy(self, options: ProbeOptions, inside: Inside) -> None:
        from pyinfra.operations import server

        print("a feature that prints")  # noqa: T201 - must not get into Phoenix's output
        server.shell(name="Command", commands=[options.command or "true"], _timeout=options.limit_s)


class Secretive(Feature[ProbeOptions]):
    """Does with a secret what features do, and then fails with it on its lips."""

    name = "secretive"
    options = ProbeOptions

    def inputs(self, options: ProbeOptions, guest: Guest, desired: Desired) -> Mapping[str, Any]:
        return {"token": Secret(name="TOKEN")}

    def deploy(self, options: ProbeOptions, inside: Inside) -> None:
        from pyinfra.operations import files, server

        password = inside.reveal(options.password or Secret(literal=""))
        token = inside.reveal(inside.inputs["token"])
        files.put(name="Write it", src=io.StringIO(password), dest="/etc/secretive")
        server.shell(name=f"Use {token}", commands=[f"echo {shlex.quote(password)} >&2"])
        match options.text:
            case "exception":
                raise ValueError(f"the password is {password!r}")
            case "operation":
                server.shell(
                    name="Tell it",
                    commands=[f'echo {token}; echo "{password}" | base64 -d; exit 7'],
                    _env={"TOKEN": token},
                )


class Odd(Feature[ProbeOptions]):
    """Everything else that a deploy function may do."""

    name = "odd"
    options = ProbeOptions

    def deploy(self, options: ProbeOptions, inside: Inside) -> None:
        from pyinfra.context import host
        from pyinfra.facts.server import Command
        from pyinfra.operations import apt, files, python, server

        match options.text:
            case "sleeps here":
                time.sleep(600)
            case "fact fails":
                host.get_fact(Command, command="echo gathering; echo no such thing >&2; exit 9")
            case "fact is slow":
                host.get_fact(Command, command="sleep 271")
            case "wrong arguments":
                wrong: Any = files.file
                wrong(path="/etc/odd", nonsense=True)
            case "no such package":
                apt.packages(packages=["phoenix-no-such-package"])
            case "other user":
                server.user(user="odd", ensure_home=True)
                files.put(src=io.StringIO("theirs"), dest="/home/odd/file", _su_user="odd")
                server.shell(
                    commands=["id -un >who; cat >said", "exit 3"],
                    _su_user="odd",
                    _chdir="/home/odd",
                    _stdin="by stdin",
                    _env={"A": "b"},
                    _success_exit_codes=[0, 3],
                )
            case "goes on":
                server.shell(name="Ignored", commands=["exit 4"], _ignore_errors=True)
                done = server.shell(
                    name="Retried",
                    commands=["echo x >>/tries; grep -c x /tries | grep -q 3"],
                    _retries=3,
                    _retry_delay=0,
                )
                assert done.was_retried
                late = server.shell(
                    name="Late", commands=["sleep 30"], _timeout=1, _ignore_errors=True
                )
                assert not late.did_succeed()

                def nested() -> None:
                    server.shell(name="Nested", commands=["touch /nested"])

                python.call(name="Call", function=nested)
            case "dies":
                import os

                os.kill(os.getpid(), 9)


class Unimportable(Feature[ProbeOptions]):
    """Stands for a feature whose class a worker can't import."""

    name = "unimportable"
    options = ProbeOptions

    def __reduce__(self) -> tuple[Any, ...]:
        return (_explode, ())


def _explode() -> None:
    raise ImportError("no module named gone")


FEATURES: dict[str, Feature[Any]] = {
    each.name: each() for each in (Probe, Second, Secretive, Odd, Unimportable)
}
