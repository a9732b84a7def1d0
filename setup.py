"""Puts templates/ and static/ into the wheel; everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithPages(build_py):
    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for folder in ("templates", "static"):
            shutil.copytree(folder, Path(self.build_lib) / "config" / folder, dirs_exist_ok=True)


setup(cmdclass={"build_py": BuildWithPages})
