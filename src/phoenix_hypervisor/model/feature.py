"""The contract of a feature: one file under `features/` that knows one piece of software."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from phoenix_hypervisor.model.errors import SecretMissing

if TYPE_CHECKING:
    from phoenix_hypervisor.model.address import Address
    from phoenix_hypervisor.model.desired import Desired, Guest
    from phoenix_hypervisor.model.gpu import Claim
    from phoenix_hypervisor.model.listen import Listen
    from phoenix_hypervisor.model.secret import Secret
    from phoenix_hypervisor.model.serving import Engine


class FeatureOptions(BaseModel):
    """Base of every feature's options: unknown keys are errors, values are frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, defer_build=True)


@dataclass(frozen=True, slots=True)
class InFolder:
    """Marks an option, in its `Annotated`, that names a file or folder of the configuration folder.

    `under` is the folder it is looked for in, such as `sites`. The files are checked when the
    folder is read, so that a missing one is told with its place. `or_text`: a value that holds
    this is no name but the content itself, such as a certificate.
    """

    under: str = ""
    kind: Literal["file", "folder", "any"] = "any"
    or_text: str = ""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What can't be, though every option by itself is right, with the way to its place.

    `at` leads there from the feature's options, or, where `guest` is named, from that guest's own
    words: `("routes", 0)` counts the routes of `Guest.routes`. A warning is what can be meant so,
    but mostly isn't.
    """

    message: str
    at: tuple[str | int, ...] = ()
    guest: "Address | None" = None
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


@dataclass(frozen=True, slots=True)
class Inside:
    """What a deploy function gets beside its options; it crosses into a worker process.

    `inputs` is what `Feature.inputs` gave; `secrets` holds only the secrets this feature needs.
    """

    guest: "Guest"
    folder: Path
    inputs: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def reveal(self, secret: "Secret") -> str:
        """A secret's value."""
        return secret.reveal(self._lookup)

    def _lookup(self, name: str) -> str:
        try:
            return self.secrets[name]
        except KeyError:
            raise SecretMissing(f"the secret {name} was not handed to this feature") from None


def _ending(units: Sequence[str]) -> str:
    """Only units that are there: others are listed too, where one that is there names them."""
    patterns = shlex.join(units)
    return f"""\
failed=0
units=$({{ systemctl list-unit-files --no-legend --plain {patterns} | awk '{{ print $1 }}'
systemctl list-units --all --no-legend --plain {patterns} | awk '$2 != "not-found" {{ print $1 }}'
}} 2>/dev/null | grep -v '@\\.' | sort -u)
for unit in $units; do systemctl disable --now --quiet "$unit" || failed=1; done
exit $failed
"""


NOTE = "Made by Phoenix"
"""What the first line of a file says that is Phoenix's alone."""


def _removal(files: Sequence[str]) -> str:
    """Only files that bear the note: one of the same name may be another's by now."""
    return f"""\
for file in {shlex.join(files)}; do
    ! head -n 1 "$file" 2>/dev/null | grep -q '{NOTE}' || rm "$file" || exit 1
done
"""


OptionsT = TypeVar("OptionsT", bound=FeatureOptions)


class Feature(Generic[OptionsT]):
    """One piece of software inside a guest.

    `name` is the word in `features` and equals the module's name. All methods but `deploy` are
    pure: they say what the feature needs, so that a plan knows it without asking the guest.
    """

    name: ClassVar[str]
    options: type[OptionsT]
    sets: ClassVar[Sequence[str]] = ()
    """Options with a password that the feature sets itself, so that any new one will do, as they
    stand below its name: `password`, `roles/*/password`."""

    units: ClassVar[Sequence[str]] = ()
    """The systemd units that it runs, by names or patterns: they end where it is taken out."""

    keeps: ClassVar[str] = ""
    """What lies in its guest and in no other, such as `its databases`: such a guest has no
    replicas. Empty: nothing that can't be made again."""

    def flaws(self, options: OptionsT, guest: "Guest", desired: "Desired") -> Sequence[Flaw]:
        """All that makes these options impossible among these guests.

        Asked when the folder is read, so that `phoenix validate` tells it all, each with its place.
        """
        return ()

    def inputs(self, options: OptionsT, guest: "Guest", desired: "Desired") -> Mapping[str, Any]:
        """All that the feature uses from elsewhere in the files, as plain JSON values and Secrets.

        The fingerprint covers it: where another guest's route changes the proxy's
        configuration, the proxy's guest is configured again.
        """
        return {}

    def files(self, options: OptionsT, guest: "Guest", folder: Path) -> Sequence[Path]:
        """Files and folders of the operator's machine whose content goes into the guest."""
        return ()

    def checks(self, options: OptionsT, guest: "Guest") -> Sequence[Mapping[str, Any]]:
        """Checks that prove the feature, in the words of the files: `{"http": {"port": 80}}`."""
        return ()

    def unit_at(self, options: OptionsT, port: int) -> str:
        """Which of its units a check of that TCP port is about; empty where that can be any."""
        return ""

    def engines(self, options: OptionsT, guest: "Guest", desired: "Desired") -> Sequence["Engine"]:
        """The model servers that it runs, for proxies, firewalls, checks and benchmarks."""
        return ()

    def reaches(
        self, options: OptionsT, guest: "Guest", desired: "Desired"
    ) -> Sequence[tuple["Address", int | None]]:
        """Other guests, with their TCP ports, that it connects to; firewalls let it through.

        No port: any at which a model server of that guest listens.
        """
        return ()

    def listens(self, options: OptionsT, guest: "Guest", desired: "Desired") -> Sequence["Listen"]:
        """The ports of the guest that it takes; two that collide are told as an error."""
        return ()

    def claims(self, options: OptionsT, guest: "Guest", desired: "Desired") -> Sequence["Claim"]:
        """What it asks of the guest's graphics cards."""
        return ()

    def leave_script(self) -> str:
        """POSIX shell that ends what it runs, for a guest that it is taken out of.

        Packages, configuration and data stay. Empty: it runs nothing.
        """
        return _ending(self.units) if self.units else ""

    host_only: ClassVar[bool] = False
    """Whether no guest may name it: only `for_host` asks for it."""

    host_files: ClassVar[Sequence[str]] = ()
    """Files of the host that are Phoenix's alone, with its note in their first line.

    By them a later run knows what the host got, and ends it where the files no longer ask for it.
    """

    def leave_host_script(self) -> str:
        """POSIX shell that ends what it runs on the host, and removes its `host_files`.

        Packages and data stay.
        """
        end = f"(\n{self.leave_script()}) || exit 1\n" if self.leave_script() else ""
        return f"{end}{_removal(self.host_files)}systemctl daemon-reload\n"

    host_turn: ClassVar[int] = 50
    """Where it stands among the features of the host; smaller ones are applied first."""

    host_needs: ClassVar[Sequence[str]] = ("package_sources",)
    """Features of the host without which it is not applied there, where they fail."""

    def for_host(self, desired: "Desired") -> OptionsT | None:
        """The options with which the host itself gets it, from the hypervisor file's own words.

        None: the host doesn't get it.
        """
        return None

    def deploy(self, options: OptionsT, inside: Inside) -> None:
        """Makes it so, with pyinfra operations; runs in a worker process. Idempotent.

        Import pyinfra here, not at the top: it costs half a second.
        """
        raise NotImplementedError
