"""NVIDIA's user space: versions compared, and scripts run against doubles of NVIDIA's programs.

There is no card here: installer, nvidia-smi and toolkit are doubles that take the same words.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features import _nvidia_parts as parts
from phoenix_hypervisor.features.nvidia import Nvidia, NvidiaOptions
from phoenix_hypervisor.model import address
from phoenix_hypervisor.model import nvidia as driver
from phoenix_hypervisor.model.desired import FeatureUse, Gpu, Guest, Host, Image, NvidiaDriver

FEATURE = Nvidia()
MODULES = {
    "NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22 01:44:30 UTC 2024\n"
    "GCC version:  gcc version 12.2.0 (Debian 12.2.0-14)\n": "550.54.14",
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.76.05  Release Build  (dvs)\n": (
        "580.76.05"
    ),
    "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  570.86.15  Release\n": "570.86.15",
    "": None,
}
TI = "NVIDIA GeForce RTX 5060 Ti"


def doubles(folder: Path, **scripts: str) -> dict[str, str]:
    """An environment in which these shell scripts are the programs of their names."""
    folder.mkdir(exist_ok=True)
    for name, text in scripts.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    return {"PATH": f"{folder}:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def sh(script: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script], env=env, capture_output=True, text=True, check=False
    )


class TestVersions:
    @pytest.mark.parametrize("text", MODULES)
    def test_of_the_kernels_module(self, text: str) -> None:
        assert driver.live_version(text) == MODULES[text]

    def test_of_the_user_space(self) -> None:
        path = "/usr/lib/x86_64-linux-gnu/libcuda.so.580.76.05\n"
        assert driver.library_version(path) == "580.76.05"
        assert driver.library_version("/usr/lib/libcuda.so.1") is None
        assert driver.library_version("") is None

    def test_of_an_installer(self) -> None:
        assert parts.version_in_url(driver.RUNFILE.replace("{version}", "580.76.05")) == "580.76.05"
        assert parts.version_in_url("https://a.test/NVIDIA-580.76.05.run?x=1") == "580.76.05"
        assert parts.version_in_url("https://a.test/driver.run") is None
        assert parts.version_in_url("https://a.test/NVIDIA-{version}.run") is None

    def test_of_packages(self) -> None:
        said = (
            " libcuda1 | 580.82.07-1 | https://a.test ./ Packages\n"
            " libcuda1 | 1:580.76.05-0ubuntu1 | https://a.test ./ Packages\n"
            " libcuda1 | 580.76.05-1 | https://b.test ./ Packages\n"
        )
        assert parts.fitting(said, "libcuda1", "580.76.05") == "1:580.76.05-0ubuntu1"
        assert parts.fitting(said, "libcuda1", "580.76") is None
        assert parts.fitting(said, "libcuda", "580.76.05") is None

    def test_usual_packages(self) -> None:
        assert "nvidia-utils-580" in parts.usual_packages("ubuntu", "580.76.05")
        assert "libcuda1" in parts.usual_packages("debian", "580.76.05")


class TestInstaller:
    @pytest.mark.parametrize("flag", ["--no-kernel-module", "--no-kernel-modules"])
    def test_everything_but_the_module(self, tmp_path: Path, flag: str) -> None:
        installer = (
            'if [ "$1" = --advanced-options ]; then echo "  FLAG"; exit 0; fi\n'
            'echo "$@" > "$OUT/given"'
        ).replace("FLAG", flag)
        runfile = self._runfile(tmp_path, installer)
        env = doubles(tmp_path / "bin", ldconfig=":") | {"OUT": str(tmp_path)}
        done = sh(parts.runfile_script(str(runfile)), env)
        assert done.returncode == 0, done.stderr
        given = (tmp_path / "given").read_text().split()
        assert given[:2] == ["--silent", flag]
        assert "--no-nouveau-check" in given
        assert not runfile.exists()
        assert not Path(f"{runfile}.d").exists()

    def test_a_broken_one_is_not_run(self, tmp_path: Path) -> None:
        runfile = self._runfile(tmp_path, "touch $OUT/given", check="exit 1")
        done = sh(parts.runfile_script(str(runfile)), doubles(tmp_path / "bin"))
        assert done.returncode != 0
        assert not (tmp_path / "given").exists()

    def _runfile(self, tmp_path: Path, installer: str, check: str = "exit 0") -> Path:
        path = tmp_path / "driver.run"
        path.write_text(
            f'if [ "$1" = --check ]; then {check}; fi\n'
            '[ "$1 $2" = "--extract-only --target" ] || exit 9\n'
            'mkdir "$3"\n'
            f"cat > \"$3/nvidia-installer\" <<'END'\n#!/bin/sh\n{installer}\nEND\n"
            'chmod +x "$3/nvidia-installer"\n'
        )
        return path


class TestPackages:
    def test_exactly_these_and_held(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        note = f'echo "$(basename $0) $@" >> {log}'
        env = doubles(tmp_path / "bin", apt_get=note, apt_mark=note)
        done = sh(parts.packages_script(["libcuda1=580.76.05-1", "nvidia-smi=580.76.05-1"]), env)
        assert done.returncode == 0, done.stderr
        unhold, install, hold = log.read_text().splitlines()
        assert unhold == "apt-mark unhold libcuda1 nvidia-smi"
        assert install.endswith("--allow-downgrades libcuda1=580.76.05-1 nvidia-smi=580.76.05-1")
        assert hold == "apt-mark hold libcuda1 nvidia-smi"

    def test_a_source_names_its_key(self) -> None:
        text = parts.source_script(
            "phoenix-nvidia", "https://a.test/key.gpg", "deb [signed-by={key}] https://a.test/ /"
        )
        key = "/usr/share/keyrings/phoenix-nvidia.gpg"
        assert f"echo 'deb [signed-by={key}] https://a.test/ /'" in text
        assert sh(f"sh -n <<'END'\n{text}\nEND", {"PATH": "/usr/bin:/bin"}).returncode == 0
        assert "phoenix-nvidia.asc" in parts.source_script("phoenix-nvidia", "https://a/gpgkey", "")


class TestCards:
    def ask(self, tmp_path: Path, expected: list[str], smi: str) -> tuple[int, str, str]:
        """What the check's script says where nvidia-smi answers so."""
        names = tmp_path / "cards"
        names.write_text(parts.expected_text(expected))
        script = parts.CARDS_SCRIPT.replace(parts.EXPECTED, str(names))
        done = sh(script, doubles(tmp_path / "bin", nvidia_smi=smi))
        return done.returncode, done.stdout, done.stderr

    def line(self, name: str) -> str:
        return f"echo '{name}, 16311 MiB, 580.76.05'"

    def test_as_expected(self, tmp_path: Path) -> None:
        both = f"{self.line(TI)}\n{self.line(TI)}"
        status, out, _ = self.ask(tmp_path, ["RTX 5060 Ti", ""], both)
        assert status == 0
        assert out.count(TI) == 2

    @pytest.mark.parametrize(
        ("expected", "smi", "why"),
        [
            ([TI, TI], f"echo '{TI}, 16311 MiB, 580.76.05'", "names 1 cards, not 2"),
            (["RTX 6000"], f"echo '{TI}, 16311 MiB, 580.76.05'", "names no RTX 6000"),
            (
                [TI],
                "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18",
                "Driver/library version mismatch",
            ),
        ],
    )
    def test_otherwise_it_says_why(
        self, tmp_path: Path, expected: list[str], smi: str, why: str
    ) -> None:
        status, _, err = self.ask(tmp_path, expected, smi)
        assert status == 1
        assert why in err

    def test_it_is_asked_where_there_are_cards(self) -> None:
        options = NvidiaOptions()
        ((check,),) = [list(FEATURE.checks(options, guest(1, "a", gpus=(0,))))]
        assert check == {"command": {"name": "nvidia-smi", "command": f"sh {parts.CARDS}"}}
        assert not FEATURE.checks(options, guest(1, "a"))


class TestToolkit:
    def test_control_groups_are_left_alone(self, tmp_path: Path) -> None:
        config = tmp_path / "config.toml"
        ctk = (
            '[ "$*" = "config --in-place --set nvidia-container-cli.no-cgroups=true" ] || exit 9\n'
            f"printf '[nvidia-container-cli]\\nno-cgroups = true\\n' > {config}"
        )
        env = doubles(tmp_path / "bin", nvidia_ctk=ctk)
        done = sh(parts.TOOLKIT_SCRIPT.replace(parts.RUNTIME, str(config)), env)
        assert done.returncode == 0, done.stderr
        env = doubles(tmp_path / "bin", nvidia_ctk=f"echo '#no-cgroups = false' > {config}")
        assert sh(parts.TOOLKIT_SCRIPT.replace(parts.RUNTIME, str(config)), env).returncode != 0

    def test_docker_is_told(self, tmp_path: Path) -> None:
        log = tmp_path / "log"
        note = f'echo "$(basename $0) $@" >> {log}'
        env = doubles(tmp_path / "bin", nvidia_ctk=note, systemctl=note)
        assert sh(parts.DOCKER_SCRIPT, env).returncode == 0
        assert log.read_text().splitlines() == [
            "nvidia-ctk runtime configure --runtime=docker",
            "systemctl try-restart docker.service",
        ]


class TestFiles:
    def box(self, *features: str, **words: Any) -> Guest:
        uses = tuple(FeatureUse(name, NvidiaOptions()) for name in features)
        return guest(1, "a", features=uses, **words)

    def test_inputs(self) -> None:
        host = Host(
            gpus=(Gpu(1, TI), Gpu(0, "RTX 6000")),
            nvidia=NvidiaDriver(version="580.76.05", repo_url="https://r.test"),
        )
        box = self.box("nvidia", "docker", gpus=(1, 0))
        assert FEATURE.inputs(NvidiaOptions(), box, desired(box, host=host)) == {
            "version": "580.76.05",
            "runfile_url": driver.RUNFILE,
            "repository": "https://r.test",
            "cards": ["RTX 6000", TI],
            "docker": True,
        }

    def test_another_version_than_the_hosts_is_a_flaw(self) -> None:
        box = self.box("nvidia")
        host = Host(nvidia=NvidiaDriver(version="580.76.05"))
        stack = desired(box, host=host)
        (flaw,) = FEATURE.flaws(NvidiaOptions(version="570.86.15"), box, stack)
        assert flaw.at == ("version",)
        assert "570.86.15, but the host has 580.76.05" in flaw.message
        other = NvidiaOptions(runfile_url="https://a.test/NVIDIA-570.86.15.run")
        (flaw,) = FEATURE.flaws(other, box, stack)
        assert flaw.at == ("runfile_url",)
        same = NvidiaOptions(runfile_url="https://a.test/NVIDIA-{version}.run")
        assert not FEATURE.flaws(same, box, stack)

    def test_a_machine_has_a_kernel_of_its_own(self) -> None:
        machine = Guest(
            address=address.vm(7),
            kind="vm",
            id=7,
            name="m",
            source=Image("debian-13"),
            memory_mb=512,
            cores=1,
        )
        (flaw,) = FEATURE.flaws(NvidiaOptions(), machine, desired(machine))
        assert "virtual machine" in flaw.message

    @pytest.mark.parametrize(
        "words",
        [{"version": "latest"}, {"version": "580.76.05; reboot"}, {"checksum": "md5:0"}],
    )
    def test_what_cannot_be(self, words: dict[str, Any]) -> None:
        with pytest.raises(ValidationError):
            NvidiaOptions.model_validate(words)
