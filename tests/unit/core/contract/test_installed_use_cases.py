"""Use cases come from installed packages too. One that is broken is reported and skipped; the others are there."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.commands import doctor
from services.core import params, use_case_registry
from services.core.errors import VigieError
from services.core.settings import CHECKOUT
from tests.installed_packages import forget, install, toy_called

OWN = {"fire_response", "product_category", "rain_tomorrow", "road_accidents", "wine_quality"}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that packages are installed into."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {path.name for path in tmp_path.iterdir()}:
            del sys.modules[name]
    monkeypatch.undo()
    forget()


def _only(name: str) -> use_case_registry.SkippedUseCase:
    (skipped,) = use_case_registry.skipped()
    assert skipped.name == name
    assert set(use_case_registry.names()) >= OWN
    return skipped


def test_every_use_case_of_the_platform_is_sound() -> None:
    assert use_case_registry.skipped() == ()
    assert set(use_case_registry.names()) >= OWN


def test_an_installed_package_is_a_use_case_like_any_other(site: Path) -> None:
    toy_called("parcels", site)
    install(site, "vigie-parcels", {"parcels": "parcels"})
    assert set(use_case_registry.names()) >= {"parcels", *OWN}
    assert use_case_registry.skipped() == ()
    assert (
        Path(str(sys.modules[type(use_case_registry.get("parcels").features).__module__].__file__)).parent
        == site / "parcels"
    )
    assert params.load_params(CHECKOUT).including("parcels").of("parcels").code == "parcels"


def test_its_declaration_need_not_say_which_package_it_is(site: Path) -> None:
    declaration = toy_called("errands", site) / "declaration.py"
    declaration.write_text(declaration.read_text().replace('    package="errands",\n', ""))
    install(site, "errands", {"errands": "errands"})
    assert use_case_registry.get("errands").package == "errands"
    assert use_case_registry.get("errands").features.FEATURE_NAMES


def test_an_entry_point_of_another_group_is_none_of_ours(site: Path) -> None:
    toy_called("stranger", site)
    install(site, "stranger", {"stranger": "stranger"}, group="console_scripts")
    assert "stranger" not in use_case_registry.names()


BROKEN = {
    "import error": ("import there_is_no_such_module\n", "there_is_no_such_module"),
    "syntax error": ("def", "SyntaxError"),
    "exits": ("raise SystemExit(1)\n", "SystemExit"),
    "nothing": ("", "USE_CASE"),
    "no use case": ("USE_CASE = 'fire'\n", "is a str"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("way", ["entry point", "variable"])
def test_a_package_that_declares_nothing_is_left_out(
    site: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str, way: str
) -> None:
    text, said = BROKEN[kind]
    (toy_called("crate", site) / "declaration.py").write_text(text)
    if way == "entry point":
        install(site, "vigie-crate", {"crate": "crate"})
    else:
        monkeypatch.setenv(use_case_registry.EXTRA_USE_CASES_VARIABLE, "crate")
    with caplog.at_level(logging.ERROR):
        skipped = _only("crate")
    assert said in str(skipped.reason)
    assert ("vigie-crate" if way == "entry point" else use_case_registry.EXTRA_USE_CASES_VARIABLE) in skipped.origin
    assert "use case skipped: crate" in caplog.text
    assert said in caplog.text
    with pytest.raises(VigieError, match="crate"):
        use_case_registry.get("crate")


BREACHES = {
    "another name": ('name="van"', 'name="lorry"', "lorry"),
    "another package": ('package="van"', 'package="lorry"', "lorry"),
    "targets twice": ('name="late"', 'name="seconds"', "more than one target"),
    "variant of nothing": ('"seconds", without=', '"minutes", without=', "minutes"),
    "variant without an unknown field": ('without=("town",)', 'without=("village",)', "village"),
    "invalid example": ("examples=[3.2]", "examples=[-1]", "distance"),
    "no words": ('title=Text("Distance", "Distance")', 'title=Text("", "")', "distance"),
    "baseline fails": ('"late": BinaryPrediction(0.4, 0.5),', '"late": 1 / 0,', "ZeroDivisionError"),
    "answer of another form": ('"size": size.labels', '"sizes": size.labels', "ValidationError"),
    "request is no model": ("request=ToyRequest", "request=dict", "request is no pydantic model"),
    "targets are no list": ("    targets=(", "    targets=5 or (", "TypeError"),
}


@pytest.mark.parametrize("kind", BREACHES)
def test_a_declaration_that_breaks_the_contract_is_left_out_with_what_it_breaks(site: Path, kind: str) -> None:
    before, after, said = BREACHES[kind]
    declaration = toy_called("van", site) / "declaration.py"
    text = declaration.read_text()
    assert before in text
    declaration.write_text(text.replace(before, after, 1))
    install(site, "vigie-van", {"van": "van"})
    assert said in str(_only("van").reason)


def test_a_package_without_one_of_the_modules_is_left_out(site: Path) -> None:
    (toy_called("cart", site) / "raw.py").unlink()
    install(site, "vigie-cart", {"cart": "cart"})
    assert "no module raw" in _only("cart").reason.problem


@pytest.mark.parametrize("name", ["all", "Wrong-Name", "x"])
def test_a_name_that_cannot_be_one_is_left_out(site: Path, name: str) -> None:
    install(site, "vigie-named", {name: "tests.toy"})
    assert "cannot be the name" in _only(name).reason.problem


def test_a_name_that_is_taken_stays_with_the_platforms_own_use_case(site: Path) -> None:
    toy_called("wine_quality", site)
    install(site, "vigie-wine", {"wine_quality": "wine_quality"})
    assert "belongs to services.use_cases.wine_quality" in _only("wine_quality").reason.problem
    assert use_case_registry.get("wine_quality").serving.request.__module__.startswith("services.use_cases.")


def test_one_package_named_twice_is_one_use_case(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toy_called("handcart", site)
    install(site, "vigie-handcart", {"handcart": "handcart"})
    monkeypatch.setenv(use_case_registry.EXTRA_USE_CASES_VARIABLE, "handcart, handcart")
    assert "handcart" in use_case_registry.names()
    assert use_case_registry.skipped() == ()


def test_the_doctor_names_what_is_left_out_and_what_to_do(site: Path) -> None:
    (toy_called("sledge", site) / "declaration.py").write_text("import there_is_no_such_module\n")
    install(site, "vigie-sledge", {"sledge": "sledge"})
    good, left_out = doctor.check_use_cases()
    assert good.good
    assert "wine_quality" in good.found
    assert not left_out.good
    assert left_out.what == "use case sledge"
    assert "there_is_no_such_module" in left_out.found
    assert "vigie-sledge" in left_out.found
    assert "import sledge.declaration" in left_out.action


def test_the_command_line_starts_and_says_so(site: Path) -> None:
    """In a process of its own, as a person starts it."""
    toy_called("parcels", site)
    (toy_called("sledge", site) / "declaration.py").write_text("import there_is_no_such_module\n")
    install(site, "vigie-parcels", {"parcels": "parcels", "sledge": "sledge"})
    done = subprocess.run(
        [sys.executable, "-m", "services.cli", "run", "--help"],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(site), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "parcels" in done.stdout
    assert "sledge" not in done.stdout
    assert "use case skipped: sledge" in done.stderr
    assert "there_is_no_such_module" in done.stderr
