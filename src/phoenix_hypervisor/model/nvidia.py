"""What the host's kernel and NVIDIA say of its driver, the same for the host and its containers."""

import re

RUNFILE = "https://us.download.nvidia.com/XFree86/Linux-x86_64/{version}/NVIDIA-Linux-x86_64-{version}.run"
"""NVIDIA's own address of an installer."""
LIVE = "/proc/driver/nvidia/version"

_MODULE = re.compile(r"Kernel Module(?: for \S+)?\s+([0-9]+(?:\.[0-9]+)+)")
_LIBRARY = re.compile(r"libcuda\.so\.([0-9]+(?:\.[0-9]+)+)$")

ASK_LIBRARY = (
    "for each in /usr/lib/*/libcuda.so.1 /usr/lib64/libcuda.so.1 /usr/lib/libcuda.so.1; do "
    '[ ! -e "$each" ] || readlink -f "$each"; done | head -n 1'
)
"""Shell words that print the file of the CUDA driver library, whose name ends in its version."""


def live_version(text: str) -> str | None:
    """The version of the kernel's module, of what `/proc/driver/nvidia/version` says (proc(5))."""
    found = _MODULE.search(text)
    return found[1] if found else None


def library_version(path: str) -> str | None:
    """The version of the user space, of the path that `ASK_LIBRARY` prints."""
    found = _LIBRARY.search(path.strip())
    return found[1] if found else None
