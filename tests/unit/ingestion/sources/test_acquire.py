"""Which source is taken, and what lands."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.core import params
from services.core.contract.use_case import OfficialFile, UseCase
from services.core.errors import VigieError
from services.core.params import Ingest, Params, Simulate, UseCaseParams
from services.core.paths import VigiePaths
from services.core.pipeline.workspace import write_params
from services.core.raw_files import landing
from services.ingestion.sources import acquire as acquire_module
from services.ingestion.sources.acquire import acquire

NOBODY_LISTENS = "http://127.0.0.1:9/deliveries.csv"


@pytest.fixture
def home(tmp_path: Path) -> VigiePaths:
    return VigiePaths(tmp_path / "home")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    entry = UseCaseParams(code="tests/toy", ingest=Ingest(simulate=Simulate(rows=30, days=2)))
    write_params(folder, Params(use_cases={"toy": entry}))
    return folder


@pytest.fixture
def landed(tmp_path: Path) -> Path:
    return tmp_path / "landing"


def origins(folder: Path) -> list[tuple[str, str]]:
    return [(file.origin, file.name) for file in landing.list_files(folder)]


def test_a_folder_lands_the_files_that_it_knows_in_order_and_reports_the_others(
    home: VigiePaths, root: Path, landed: Path, tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    deliveries("drop/2.csv", [2])
    deliveries("drop/1.csv", [1])
    (tmp_path / "drop" / "readme.md").write_text("hello")
    acquired = acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root)
    assert origins(landed) == [("folder", "1.csv"), ("folder", "2.csv")]
    assert acquired.added == ("1.csv", "2.csv")
    assert acquired.ignored == {"readme.md": "unknown header"}
    assert acquired.simulated is False


def test_a_file_with_the_same_content_lands_once_whatever_its_name(
    home: VigiePaths, root: Path, landed: Path, tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    deliveries("drop/a.csv", [1])
    acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root)
    deliveries("drop/copy of a.csv", [1])
    again = acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root)
    assert again.known == ("a.csv", "copy of a.csv")
    assert origins(landed) == [("folder", "a.csv")]


def test_a_folder_without_any_known_file_is_an_error_and_lands_nothing(
    home: VigiePaths, root: Path, landed: Path, tmp_path: Path
) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(VigieError, match=r"holds no file of toy: x\.csv \(unknown header\)"):
        acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root)
    assert not landed.exists()


def test_a_folder_that_does_not_exist_is_an_error(home: VigiePaths, root: Path, landed: Path) -> None:
    with pytest.raises(VigieError, match="there is no such folder"):
        acquire("toy", "/no/such/folder", landed, home=home, root=root)


def test_the_simulator_lands_what_the_parameters_ask_for_and_says_that_it_is_simulated(
    home: VigiePaths, root: Path, landed: Path
) -> None:
    acquired = acquire("toy", "simulator", landed, home=home, root=root)
    assert acquired.simulated is True
    assert origins(landed) == [("simulated", "deliveries-simulated.csv")]
    assert landing.list_files(landed)[0].path.read_text().count("\n") == 31


def test_the_simulator_again_changes_nothing(home: VigiePaths, root: Path, landed: Path) -> None:
    acquire("toy", "simulator", landed, home=home, root=root)
    before = landing.list_files(landed)
    again = acquire("toy", "simulator", landed, home=home, root=root)
    assert again.added == ()
    assert landing.list_files(landed) == before


def test_other_parameters_replace_what_was_simulated_before(home: VigiePaths, root: Path, landed: Path) -> None:
    acquire("toy", "simulator", landed, home=home, root=root)
    entry = params.load_params(root).of("toy")
    changed = entry.model_copy(update={"ingest": Ingest(simulate=Simulate(rows=40, days=2))})
    write_params(root, Params(use_cases={"toy": changed}))
    acquire("toy", "simulator", landed, home=home, root=root)
    (file,) = landing.list_files(landed)
    assert file.path.read_text().count("\n") == 41


def test_simulated_files_go_when_real_ones_land(
    home: VigiePaths, root: Path, landed: Path, tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    acquire("toy", "simulator", landed, home=home, root=root)
    deliveries("drop/real.csv", range(5))
    acquired = acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root)
    assert acquired.dropped == ("deliveries-simulated.csv",)
    assert origins(landed) == [("folder", "real.csv")]


def test_simulated_data_is_refused_where_real_data_has_landed(
    home: VigiePaths, root: Path, landed: Path, tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    deliveries("drop/real.csv", range(5))
    acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root)
    with pytest.raises(VigieError, match="simulated data is never mixed with it"):
        acquire("toy", "simulator", landed, home=home, root=root)


def test_a_fresh_start_forgets_what_landed_before(
    home: VigiePaths, root: Path, landed: Path, tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    deliveries("first/a.csv", range(5))
    deliveries("second/b.csv", range(9))
    acquire("toy", str(tmp_path / "first"), landed, home=home, root=root)
    acquire("toy", str(tmp_path / "second"), landed, home=home, root=root, fresh=True)
    assert origins(landed) == [("folder", "b.csv")]
    acquire("toy", "simulator", landed, home=home, root=root, fresh=True)
    assert origins(landed) == [("simulated", "deliveries-simulated.csv")]


def test_a_file_that_calls_itself_simulated_counts_as_simulated(
    home: VigiePaths, root: Path, landed: Path, tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    deliveries("drop/deliveries-simulated-july.csv", range(5))
    assert acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root).simulated is True
    deliveries("drop/real.csv", range(6))
    acquired = acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root)
    assert acquired.ignored == {"deliveries-simulated-july.csv": "simulated, and there are real files"}
    assert origins(landed) == [("folder", "real.csv")]


def test_auto_takes_the_drop_folder_when_there_is_no_official_source(
    home: VigiePaths, root: Path, landed: Path, deliveries: Callable[..., Path]
) -> None:
    home.drop("toy").mkdir(parents=True)
    (home.drop("toy") / "a.csv").write_bytes(deliveries("a.csv", [1]).read_bytes())
    assert acquire("toy", "auto", landed, home=home, root=root).source == "folder"


def test_auto_falls_back_on_the_simulator(home: VigiePaths, root: Path, landed: Path) -> None:
    assert acquire("toy", "auto", landed, home=home, root=root).source == "simulator"


def test_auto_keeps_real_files_when_no_source_is_there(
    home: VigiePaths, root: Path, landed: Path, tmp_path: Path, deliveries: Callable[..., Path]
) -> None:
    deliveries("drop/real.csv", range(5))
    acquire("toy", str(tmp_path / "drop"), landed, home=home, root=root)
    acquired = acquire("toy", "auto", landed, home=home, root=root)
    assert (acquired.source, acquired.simulated) == ("none", False)
    assert origins(landed) == [("folder", "real.csv")]


def test_auto_passes_by_an_official_source_that_is_out_of_reach(
    home: VigiePaths, root: Path, landed: Path, toy: UseCase, monkeypatch: pytest.MonkeyPatch
) -> None:
    offline = dataclasses.replace(
        toy, data=dataclasses.replace(toy.data, official_files=(OfficialFile(NOBODY_LISTENS, "deliveries"),))
    )
    monkeypatch.setattr(acquire_module, "use_case_registry", SimpleNamespace(get=lambda _: offline))
    assert acquire("toy", "auto", landed, home=home, root=root).source == "simulator"


def test_a_use_case_without_an_official_download_says_so(home: VigiePaths, root: Path, landed: Path) -> None:
    with pytest.raises(VigieError, match="toy has no official download"):
        acquire("toy", "official", landed, home=home, root=root)


def test_a_workspace_without_an_entry_for_the_use_case_uses_the_defaults(
    home: VigiePaths, root: Path, landed: Path
) -> None:
    write_params(root, Params(use_cases={}))
    acquire("toy", "simulator", landed, home=home, root=root)
    assert landing.list_files(landed)[0].path.read_text().count("\n") == Simulate().rows + 1
