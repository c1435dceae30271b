"""`python -m ops.image.inside JSON`: in namespaces of its own, become a process of an image.

ops.image.namespaces starts it in fresh namespaces for mounts, processes and the network. It mounts what a
container engine would, changes to the image's root and user, and turns into the command.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1  # SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP
_DROP_CAPABILITY, _NO_NEW_PRIVILEGES = 24, 38  # of prctl


@dataclass(frozen=True)
class Process:
    """What is to run, and in what.

    `binds` are folders of this machine, by the name under /run at which they are seen, to be read only.
    `is_locked` is how the service is to be run: the root read-only, a tmpfs on /tmp, no capabilities.
    """

    root: str
    command: list[str]
    environment: dict[str, str]
    working_directory: str
    user: int
    group: int
    binds: dict[str, str]
    is_locked: bool


def main() -> None:
    """Never returns, but by an exception."""
    process = Process(**json.loads(sys.argv[1]))
    _bring_loopback_up()
    _mount_all(process)
    os.chroot(process.root)
    os.chdir(process.working_directory)
    if process.is_locked:
        _lock()
    os.setgroups([])
    os.setresgid(process.group, process.group, process.group)
    os.setresuid(process.user, process.user, process.user)
    os.execvpe(process.command[0], process.command, process.environment)  # noqa: S606 - there is to be no shell


def _mount_all(process: Process) -> None:
    root = Path(process.root)
    _mount("--bind", str(root), str(root))
    _mount("-t", "proc", "proc", str(root / "proc"))
    _mount("-t", "sysfs", "-o", "ro", "sysfs", str(root / "sys"))
    _mount_devices(root / "dev")
    _mount("-t", "tmpfs", "tmpfs", str(root / "run"))
    for name, source in process.binds.items():
        (root / "run" / name).mkdir()
        _mount("--bind", "-o", "ro", source, str(root / "run" / name))
    if process.is_locked:
        _mount("-t", "tmpfs", "-o", "mode=1777,size=64m,nosuid,nodev", "tmpfs", str(root / "tmp"))
        _mount("-o", "remount,ro", str(root / "run"))
        _mount("-o", "remount,bind,ro", str(root))


def _mount_devices(folder: Path) -> None:
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", str(folder))
    for name in _DEVICES:
        (folder / name).touch()
        _mount("--bind", f"/dev/{name}", str(folder / name))
    for name, target in _LINKS.items():
        (folder / name).symlink_to(target)
    (folder / "shm").mkdir()
    _mount("-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", str(folder / "shm"))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)  # noqa: S607 - the machine's own


def _bring_loopback_up() -> None:
    with socket.socket() as any_socket:
        request = struct.pack("16sh22x", b"lo", 0)
        name, flags = struct.unpack("16sh22x", fcntl.ioctl(any_socket, _GET_FLAGS, request))
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh22x", name, flags | _UP))


def _lock() -> None:
    """As `cap_drop: [ALL]` and `no-new-privileges` of compose.yaml."""
    libc = ctypes.CDLL(None, use_errno=True)
    capability = 0
    while libc.prctl(_DROP_CAPABILITY, capability, 0, 0, 0) == 0:
        capability += 1
    if libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


if __name__ == "__main__":
    main()
