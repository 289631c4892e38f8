"""The lock files agree with pyproject.toml for every Python, and name no package index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tools.lock import EXTRAS, FOLDER, PROGRAMS, example_requirements, project

PROJECT = project()["project"]
PYTHONS = [
    line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.fullmatch(r"Programming .* :: 3\.\d+", line)
]
LOCKED = [*EXTRAS, "constraints"]
STALE = "requirements/{}.txt does not fit pyproject.toml: {}. Run: make lock"

Pins = dict[str, list[Requirement]]


def pins(name: str) -> Pins:
    """The locked versions of each package; several where they differ by Python or platform."""
    found: Pins = {}
    for line in (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        if re.match(r"[a-zA-Z0-9]", line):
            requirement = Requirement(line.removesuffix("\\").strip())
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def asked(name: str) -> list[Requirement]:
    """What pyproject.toml asks for, with the extras of an environment and those that they name."""
    extras = list(EXTRAS[name]) if name in EXTRAS else sorted({each for group in EXTRAS.values() for each in group})
    lines = [*PROJECT["dependencies"], *project()["build-system"]["requires"]]
    if name == "constraints":
        lines += example_requirements()
    for extra in extras:  # grows while it is read
        for line in PROJECT["optional-dependencies"][extra]:
            requirement = Requirement(line)
            if requirement.name == "memhost":
                extras += [each for each in sorted(requirement.extras) if each not in extras]
            else:
                lines.append(line)
    return [Requirement(line) for line in lines]


def on(python: str) -> dict[str, str]:
    """The environment of a Python as markers see it, on this platform."""
    return {**default_environment(), "python_version": python, "python_full_version": f"{python}.9"}  # type: ignore[dict-item]


def faults(wanted: list[Requirement], locked: Pins, python: str) -> Iterator[str]:
    """What is asked for and not locked, or not in the version asked for."""
    environment = on(python)
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate(environment):
            continue
        entries = locked.get(canonicalize_name(requirement.name), [])
        fitting = [each for each in entries if each.marker is None or each.marker.evaluate(environment)]
        if len(fitting) != 1:
            yield f"{requirement.name} is locked {len(fitting)} times for Python {python}"
        elif not requirement.specifier.contains(version(fitting[0]), prereleases=True):
            yield f"{fitting[0].name} is locked as {version(fitting[0])}, outside of {requirement.specifier}"


def version(pin: Requirement) -> str:
    """The one version of a pin."""
    (only,) = pin.specifier
    assert only.operator == "==", pin
    return only.version


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("name", LOCKED)
def test_lock_fits_the_ranges(name: str, python: str) -> None:
    found = list(faults(asked(name), pins(name), python))
    assert not found, STALE.format(name, "; ".join(found))


@pytest.mark.parametrize("name", EXTRAS)
def test_lock_holds_nothing_that_is_no_longer_asked_for(name: str) -> None:
    wanted = {canonicalize_name(requirement.name) for requirement in asked(name)}
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text)[1:]
    direct = {canonicalize_name(re.split("==", each)[0]) for each in entries if "memhost (pyproject.toml)" in each}
    assert direct
    assert not direct - wanted, STALE.format(name, f"nothing asks for {sorted(direct - wanted)}")


@pytest.mark.parametrize("name", EXTRAS)
def test_locks_agree_with_the_constraints(name: str) -> None:
    constraints = {(key, version(pin)) for key, found in pins("constraints").items() for pin in found}
    assert {(key, version(pin)) for key, found in pins(name).items() for pin in found} <= constraints


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_are_locked_within_their_bounds(name: str) -> None:
    found = list(faults([Requirement(PROGRAMS[name])], pins(name), PYTHONS[0]))
    assert not found, STALE.format(name, "; ".join(found))


@pytest.mark.parametrize("name", [*LOCKED, *PROGRAMS])
def test_lock_names_no_address(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert not re.findall(r".*(?:://|--(?!hash=sha256:)|\bfile:|localhost|@).*", text)


@pytest.mark.parametrize("name", [*EXTRAS, *PROGRAMS])
def test_every_locked_version_has_a_hash(name: str) -> None:
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text)[1:]
    assert len(entries) > 30 or name in PROGRAMS
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_a_dependency_that_was_not_locked_is_told() -> None:
    locked = pins("test")
    wanted = [*asked("test"), Requirement("not-locked-yet>=1"), Requirement("litestar>=99")]
    found = list(faults(wanted, locked, PYTHONS[0]))
    assert found == [
        f"not-locked-yet is locked 0 times for Python {PYTHONS[0]}",
        f"litestar is locked as {version(locked['litestar'][0])}, outside of >=99",
    ]


def test_every_supported_python_is_locked() -> None:
    assert PYTHONS[0] == PROJECT["requires-python"].removeprefix(">=")
    assert len(PYTHONS) >= 3


def test_npm_packages_are_locked_without_addresses() -> None:
    folder = FOLDER / "mcp-conformance"
    lock = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))
    manifest = json.loads((folder / "package.json").read_text(encoding="utf-8"))
    packages = lock["packages"]
    assert packages.pop("")["dependencies"] == manifest["dependencies"], "Run: make lock"
    assert all(f"node_modules/{name}" in packages for name in manifest["dependencies"])
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert "://" not in json.dumps(lock)
