"""Keys and hashes: whatever OpenSSH and crypt make is taken, and what is cut off is not."""

import subprocess
from pathlib import Path

import pytest

from phoenix_hypervisor.config.people import is_hash, key_flaw
from phoenix_hypervisor.model.secret import Secret


@pytest.mark.parametrize("kind", [("ed25519",), ("rsa", "-b", "2048"), ("ecdsa", "-b", "521")])
def test_keys_that_openssh_makes(kind: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "key"
    made = ("ssh-keygen", "-q", "-N", "", "-C", "ada@desk", "-f", str(file), "-t", *kind)
    subprocess.run(made, check=True)
    line = file.with_suffix(".pub").read_text().strip()
    assert key_flaw(line) is None
    assert key_flaw(f'from="10.0.0.0/8,fd00::/8",no-pty {line}') is None
    kind_of, key, _ = line.split()
    assert key_flaw(f"{kind_of} {key[: len(key) // 2 // 4 * 4]}") == "it is cut off"
    assert key_flaw(f"ssh-dss {key}") == "it is no key of the type ssh-dss"
    assert key_flaw(key) == "it has no type, such as ssh-ed25519"


@pytest.mark.parametrize(
    ("secret", "known"),
    [
        (None, True),
        (Secret(name="ADA_HASH"), True),
        (Secret(literal="$6$salt$abc./"), True),
        (Secret(literal="$y$j9T$salt$abc"), True),
        (Secret(literal="!"), True),
        (Secret(literal="hunter2"), False),
    ],
)
def test_hashes(secret: Secret | None, known: bool) -> None:
    assert is_hash(secret) is known
