#!/usr/bin/python3
"""Mounts a folder of the tests' node in a running container: phx-plug PID SOURCE TARGET.

As Proxmox VE does it: the mount is made here and moved there. Source: open_tree(2), move_mount(2).
"""

import ctypes
import os
import sys
from pathlib import Path

OPEN_TREE, MOVE_MOUNT = 428, 429
AT_FDCWD, CLONE, CLOEXEC, EMPTY_PATH, CLONE_NEWNS = -100, 1, 0o2000000, 4, 0x20000
LIBC = ctypes.CDLL(None, use_errno=True)


def must(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


pid, source, target = sys.argv[1:]
tree = must(LIBC.syscall(OPEN_TREE, AT_FDCWD, source.encode(), CLONE | CLOEXEC))
space = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY)
must(LIBC.setns(space, CLONE_NEWNS))
Path(target).mkdir(parents=True, exist_ok=True)
must(LIBC.syscall(MOVE_MOUNT, tree, b"", AT_FDCWD, target.encode(), EMPTY_PATH))
