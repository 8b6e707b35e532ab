"""The demo's shortcuts: fewer boosting rounds, and a platform that starts beside the training."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from services.cli.commands.demo import MAX_ETA, ROUNDS_SHARE, quick_params
from services.cli.local_platform.service_specs import ServiceSpec
from services.cli.local_platform.startup import BackgroundStart
from services.cli.local_platform.supervisor import Supervisor
from services.core import use_case_registry
from services.core.contract.learners import BoostedTrees
from services.core.errors import VigieError
from services.core.params import load_params
from services.core.paths import VigiePaths
from services.core.settings import CHECKOUT


def test_simulated_data_is_learned_in_fewer_and_larger_steps_and_other_data_as_declared() -> None:
    assert quick_params("official") is None
    quick, declared = quick_params("simulator"), load_params(CHECKOUT)
    assert quick is not None
    assert quick.gate == declared.gate, "the gate asks what it always asks"
    for name in use_case_registry.names():
        assert quick.use_cases[name].ingest == declared.use_cases[name].ingest
        for target in use_case_registry.get(name).modelling.targets:
            learned = quick.use_cases[name].train.learners.get(target.name)
            if not isinstance(target.learner, BoostedTrees):
                assert learned is None
                continue
            assert learned is not None
            first = target.learner.members[0]
            assert learned.num_boost_round == max(10, first.num_boost_round // ROUNDS_SHARE)
            eta = learned.parameters["eta"]
            assert isinstance(eta, float)
            assert float(first.parameters.get("eta", MAX_ETA)) <= eta <= MAX_ETA


def _sleeper(name: str = "sleeper") -> ServiceSpec:
    return ServiceSpec(name, [sys.executable, "-c", "import time; time.sleep(600)"], check=["/bin/true"])


def test_services_start_in_the_background_and_a_fault_is_told_where_it_is_waited_for(tmp_path: Path) -> None:
    processes = Supervisor(VigiePaths(tmp_path / "home"))
    failing = ServiceSpec("prepare", [sys.executable, "-c", "raise SystemExit('no such database')"], once=True)
    starting = BackgroundStart(processes, lambda: [_sleeper(), failing], wait=30, tell=lambda *_: None)
    starting.begin()
    with pytest.raises(VigieError, match="prepare ended: no such database") as raised:
        starting.result()
    assert str(processes.log("prepare")) in raised.value.action
    assert "\n" not in raised.value.problem
    starting.end()
    assert processes.orphans() == []


def test_what_has_ended_starts_nothing_any_more(tmp_path: Path) -> None:
    processes = Supervisor(VigiePaths(tmp_path / "home"))
    starting = BackgroundStart(processes, lambda: [_sleeper()], wait=30, tell=lambda *_: None)
    starting.end()
    with pytest.raises(RuntimeError):
        starting.begin()
    assert processes.pid() is None
