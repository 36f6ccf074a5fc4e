"""Which files exist for a program: the rules of Landlock."""

from __future__ import annotations

import os
import site
import struct
import sys
import sysconfig
from collections.abc import Iterable
from ctypes import c_size_t
from pathlib import Path

from mathwright.tools.isolation import (
    LANDLOCK_ADD_RULE,
    LANDLOCK_CREATE_RULESET,
    checked,
    landlock_version,
    libc,
)

_LANDLOCK_PATH_BENEATH = 1
_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_MAKE_DIR, _MAKE_REGULAR, _REFER, _TRUNCATE = 1 << 7, 1 << 8, 1 << 13, 1 << 14
_FILE_RIGHTS = _WRITE_FILE | _READ_FILE | _TRUNCATE
# Not the right to remove or rename: a file that is removed while it is mapped goes on taking space that nobody can see.
_WRITABLE = _FILE_RIGHTS | _READ_DIR | _MAKE_DIR | _MAKE_REGULAR


def readable_paths() -> list[str]:
    """The standard library, installed packages and shared libraries: what an import may need."""
    python = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    python += [*site.getsitepackages(), sysconfig.get_config_var("LIBDIR")]
    # Folders of packages that an environment takes over from another one by a .pth file.
    python += [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    # pyvenv.cfg beside a virtual environment's interpreter is not needed any more once Python runs.
    system = ["/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/share/zoneinfo"]
    # Not /dev/zero: mapped as shared it is memory that no limit counts.
    files = ["/etc/ld.so.cache", "/etc/localtime", "/dev/urandom"]
    return sorted({str(path) for path in [*python, *system, *files] if path and Path(path).exists()})


def ruleset(readable: Iterable[str], writable: str) -> int | None:
    """A descriptor of rules that deny every file but those beneath `readable` and in the folder `writable`, TCP, and
    signals and abstract sockets across their border; None where the kernel has no Landlock.
    """
    version = landlock_version() if sys.platform.startswith("linux") else 0
    if version < 1:
        return None
    handled = (1 << 13) - 1
    if version >= 2:
        handled |= _REFER
    if version >= 3:
        handled |= _TRUNCATE
    if version >= 5:
        handled |= 1 << 15  # ioctl on devices
    network = 0b11 if version >= 4 else 0
    scoped = 0b11 if version >= 6 else 0
    attributes = struct.pack("QQQ", handled, network, scoped)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    create = libc().syscall(LANDLOCK_CREATE_RULESET, attributes, c_size_t(size), 0)
    rules = checked(create, "landlock_create_ruleset")
    for path in readable:
        _allow_beneath(rules, path, (_READ_FILE | _READ_DIR) & handled)
    _allow_beneath(rules, "/dev/null", (_READ_FILE | _WRITE_FILE) & handled)
    _allow_beneath(rules, writable, _WRITABLE & handled)
    return rules


def _allow_beneath(rules: int, path: str, rights: int) -> None:
    if not Path(path).is_dir():
        rights &= _FILE_RIGHTS
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = struct.pack("=Qi", rights, descriptor)
        added = libc().syscall(LANDLOCK_ADD_RULE, rules, _LANDLOCK_PATH_BENEATH, rule, 0)
        checked(added, f"landlock_add_rule {path}")
    finally:
        os.close(descriptor)
