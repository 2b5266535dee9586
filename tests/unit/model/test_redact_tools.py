"""Real programs say a secret in their own ways, line by line: no line of it is left."""

import os
import subprocess

import pytest
from tests.support.canary import Canary, seen

from phoenix_hypervisor.model.redact import Redactor

VALUES = [
    "p4-{}",
    "x'{}\"$HOME`id`\\ %s ünï\n second {}\t#;&|<>{}",
    "-----BEGIN KEY-----\n{}{}{}\n{}\n-----END KEY-----\n",
    "it's {} 'quoted' \"{}\" %d%% {{ {} }} \\\\ \\n !",
    "\u202e{}\U0001f511e\u0301",
]
WAYS = {
    "echo": 'printf "%s\\n" "$V"',
    "in a sentence": 'echo "the password is $V, or so."',
    "printf %q": 'printf "%q\\n" "$V"',
    "set -x of bash": 'set -x; : "$V"',
    "set -x of bash, an assignment": "set -x; a=$V",
    "set -x of sh": "sh -xc ': \"$V\"'",
    "declare -p": "declare -p V",
    "export -p of sh": "sh -c 'export -p'",
    "set of sh": "sh -c set | grep -a -A9 ^V=",
    "base64": 'printf %s "$V" | base64',
    "base64 of a login": 'printf "user:%s" "$V" | base64 -w0',
    "od": 'printf %s "$V" | od -An -tx1 -w99999 | tr -d " "',
    "xargs -t": 'printf "%s\\0" "$V" | xargs -0t true',
    "JSON": "python3 -c 'import json,os; print(json.dumps({1: os.environ[\"V\"]}))'",
    "repr": "python3 -c 'import os; print([os.environ[\"V\"]])'",
    "a traceback": "python3 -c 'import os; raise ValueError(os.environ[\"V\"])'",
    "a URL": "python3 -c 'import os,urllib.parse as u; print(u.urlencode({1: os.environ[\"V\"]}))'",
    "sed l": 'printf %s "$V" | sed -n "s/^/=/p"',
    "grep": 'printf "%s\\n" "$V" | grep -an .',
    "ls of a missing file": 'ls -- "/$V"',
    "cat of a missing file": 'cat -- "/$V"',
    "an error of bash": '"/$V"',
    "blanks for newlines": 'printf %s "$V" | tr "\\n" " "',
    "diff": 'diff <(echo) <(printf "%s\\n" "$V")',
}


@pytest.mark.parametrize("pattern", VALUES)
def test_no_line_of_what_a_program_says(pattern: str) -> None:
    canary = Canary("V", pattern)
    redact = Redactor([canary.value])
    leaks = {}
    for way, script in WAYS.items():
        done = subprocess.run(
            ["bash", "-c", script],
            env=os.environ | {"V": canary.value, "LC_ALL": "C.UTF-8"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        said = done.stdout.decode(errors="replace")
        assert seen([canary], said), f"{way} did not say it: {said}"
        shown = "\n".join(redact(line) for line in said.splitlines())
        if found := seen([canary], shown):
            leaks[way] = found
    assert leaks == {}
