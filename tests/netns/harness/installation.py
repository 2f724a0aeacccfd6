"""A build installed below a folder of the test's own, as packagers do, and taken away again."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Installation:
    def __init__(self, build: Path, root: Path) -> None:
        if not root.is_absolute() or root == Path("/"):
            raise ValueError(f"{root}: not a folder to install into")
        self.build, self.root = build, root
        cache = (build / "CMakeCache.txt").read_text()
        self._cache = dict(re.findall(r"^(\w+):\w+=(.*)$", cache, re.MULTILINE))

    def folder(self, kind: str) -> Path:
        """Of CMake's GNUInstallDirs: SBINDIR, say. Without the root in front."""
        prefix = Path(self._cache["CMAKE_INSTALL_PREFIX"])
        if kind == "SYSCONFDIR" and prefix == Path("/usr"):
            return Path("/etc")
        usual = {"DATAROOTDIR": "share", "MANDIR": "share/man", "DOCDIR": "share/doc/clatvisor"}
        return prefix / (self._cache.get(f"CMAKE_INSTALL_{kind}") or usual[kind])

    def path(self, kind: str, *parts: str) -> Path:
        """Below the root."""
        return self.root / self.folder(kind).joinpath(*parts).relative_to("/")

    @property
    def clatvisor(self) -> Path:
        return self.path("SBINDIR", "clatvisor")

    @property
    def clatd(self) -> Path:
        return self.path("LIBEXECDIR", "clatvisor", "clatd")

    @property
    def clatctl(self) -> Path:
        return self.path("BINDIR", "clatctl")

    @property
    def config(self) -> Path:
        return self.path("SYSCONFDIR", "clatvisor", "clatvisor.yaml")

    @property
    def prefix(self) -> Path:
        return self.root / Path(self._cache["CMAKE_INSTALL_PREFIX"]).relative_to("/")

    def files(self) -> set[Path]:
        return {path for path in self.root.rglob("*") if not path.is_dir()}

    def install(self, *options: str) -> subprocess.CompletedProcess:
        return self._run("cmake", "--install", str(self.build), *options)

    def uninstall(self) -> subprocess.CompletedProcess:
        return self._run("cmake", "--build", str(self.build), "--target", "uninstall")

    def _run(self, *argv: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "DESTDIR": str(self.root)}
        with self._alone():
            return subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=300)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Both steps read and write notes in the build folder, which several tests install from."""
        with (self.build / ".install.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
