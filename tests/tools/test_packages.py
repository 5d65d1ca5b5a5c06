"""Packages of tools: wheels only, installed once a set, shown to the sandbox, and errors that say what went wrong."""

from __future__ import annotations

import asyncio
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from runstead.domain.stored_tool import Requirement
from runstead.errors import Invalid
from runstead.settings import Settings
from runstead.tools import packages
from runstead.tools.packages import CannotInstall, Packages, check_requirements
from runstead.tools.sandbox import Job, Sandbox

pytestmark = pytest.mark.slow
SMALL = Requirement("small", "1.0")


def wheel(folder: Path, name: str, version: str) -> None:
    """A package of one module."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/__init__.py", f"VERSION = {version!r}\n")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the installer looks for packages, and nowhere else."""
    folder = tmp_path / "shop"
    folder.mkdir()
    wheel(folder, "small", "1.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.mark.usefixtures("shop")
async def test_a_set_is_installed_once_and_imported(tmp_path: Path) -> None:
    """Two calls at once install it once; the sandbox can import it and not write to it."""
    settings = Settings(data_dir=tmp_path / "data")
    made = Packages(settings)
    first, second = await asyncio.gather(made.folder([SMALL]), Packages(settings).folder([SMALL]))
    assert first == second
    assert first is not None
    again = await made.folder([SMALL])
    assert again == first
    assert [each.name for each in first.parent.iterdir() if each.is_dir()] == [first.name]
    sandbox = Sandbox(settings)
    ran = await sandbox.run(Job("code", "import small\nsmall.VERSION", packages=first), timeout_s=60)
    assert (ran.ok, ran.text) == (True, "'1.0'")
    writing = Job("code", "import small\nopen(small.__file__, 'w')", packages=first)
    assert not (await sandbox.run(writing, timeout_s=60)).ok
    assert await made.folder([]) is None


@pytest.mark.usefixtures("shop")
async def test_what_cannot_be_had_is_told(tmp_path: Path) -> None:
    """The package's name, and no address of a registry; nothing is left behind."""
    os.environ["PIP_EXTRA_INDEX_URL"] = "http://user:hush@127.0.0.1:9/simple"
    try:
        with pytest.raises(CannotInstall, match=r"nowhere-to-be-found==1\.0") as caught:
            await Packages(Settings(data_dir=tmp_path)).folder([Requirement("nowhere-to-be-found", "1.0")])
    finally:
        del os.environ["PIP_EXTRA_INDEX_URL"]
    assert "hush" not in str(caught.value)
    assert [each for each in (tmp_path / "packages").iterdir() if each.is_dir()] == []


async def test_nothing_of_a_package_is_run_while_it_is_installed(tmp_path: Path, shop: Path) -> None:
    """A source archive would run its own code: it is not taken."""
    folder = shop / "evil-1.0"
    folder.mkdir()
    (folder / "setup.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')")
    with zipfile.ZipFile(shop / "evil-1.0.zip", "w") as archive:
        archive.write(folder / "setup.py", "evil-1.0/setup.py")
    with pytest.raises(CannotInstall):
        await Packages(Settings(data_dir=tmp_path)).folder([Requirement("evil", "1.0")])
    assert not (tmp_path / "owned").exists()


async def test_old_sets_make_room(tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was unused the longest goes first; a set that is too large is not kept."""
    monkeypatch.setattr(packages, "SETS_MAX", 1)
    wheel(shop, "other", "2.0")
    made = Packages(Settings(data_dir=tmp_path))
    first = await made.folder([SMALL])
    assert first is not None
    os.utime(first, (1, 1))
    second = await made.folder([Requirement("other")])
    assert second is not None
    assert (first.exists(), second.exists()) == (False, True)
    monkeypatch.setattr(packages, "SET_BYTES_MAX", 10)
    with pytest.raises(CannotInstall, match="at most 10"):
        await made.folder([SMALL])


@pytest.mark.usefixtures("shop")
async def test_what_an_installation_left_that_was_killed_goes(tmp_path: Path) -> None:
    """Once it is old; one that may still be under way stays. An installation itself leaves its set alone, and no cache."""
    folder = tmp_path / "packages"
    old, under_way = folder / "old.draft", folder / "new.tmp"
    for each in (old, under_way):
        each.mkdir(parents=True)
    (old / "big").write_bytes(bytes(1000))
    os.utime(old, (1, 1))
    made = await Packages(Settings(data_dir=tmp_path)).folder([SMALL])
    assert made is not None
    assert {each for each in folder.iterdir() if each.is_dir()} == {made, under_way}


@pytest.mark.usefixtures("shop")
async def test_what_goes_away_meanwhile_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process ends its installation, or takes a set away as unused, while this one looks."""
    made = Packages(Settings(data_dir=tmp_path))
    folder = tmp_path / "packages"
    folder.mkdir()
    for name in ("other.draft", "other"):
        (folder / name).symlink_to(folder / "gone")  # it is in the list, and not there
    touch, taken = os.utime, list[Path]()

    def taken_away(place: Path) -> None:
        if not taken:
            taken.append(place)
            shutil.rmtree(place)
        touch(place)

    monkeypatch.setattr(packages.os, "utime", taken_away)
    place = await made.folder([SMALL])
    assert taken == [place]
    assert place is not None
    assert (place / "small" / "__init__.py").exists()


async def test_a_place_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """As of a disk that is full: an error for the model that says why."""
    (tmp_path / "packages").write_text("no folder")
    with pytest.raises(CannotInstall, match="cannot be kept here"):
        await Packages(Settings(data_dir=tmp_path)).folder([SMALL])


async def test_all_sets_together_have_a_limit(
    tmp_path: Path, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few they are; the one that is asked for is there all the same."""
    wheel(shop, "other", "2.0")
    made = Packages(Settings(data_dir=tmp_path))
    first = await made.folder([SMALL])
    assert first is not None
    os.utime(first, (1, 1))
    monkeypatch.setattr(packages, "ALL_BYTES_MAX", 1)
    second = await made.folder([Requirement("other")])
    assert second is not None
    assert (first.exists(), second.exists()) == (False, True)


@pytest.mark.parametrize(
    "requirement",
    [
        Requirement("-r"),
        Requirement("a b"),
        Requirement("a; import os"),
        Requirement("git+https://x/y"),
        Requirement("../x"),
        Requirement("a", "1.0 --index-url=x"),
        Requirement("a", "@ file:///x"),
    ],
)
def test_only_plain_names_and_versions(requirement: Requirement) -> None:
    """Nothing that the installer would read as an option or an address."""
    with pytest.raises(Invalid):
        check_requirements([requirement])


def test_usual_requirements_pass() -> None:
    """Extras and all kinds of versions."""
    check_requirements(
        [Requirement("a"), Requirement("a-b.c_d[x,y]", "1!2.0.post1+local"), Requirement("z", "1.*")]
    )
    with pytest.raises(Invalid, match="50 packages"):
        check_requirements([Requirement("a")] * 51)
