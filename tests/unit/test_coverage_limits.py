"""Limits on the share of lines that tests run."""

from __future__ import annotations

from tests.coverage_limits import below_limit, package_of, shares


def test_services_use_cases_and_parts_of_core_are_packages() -> None:
    paths = {
        "services/gateway/users/routes.py": "services.gateway",
        "services/core/auth/roles.py": "services.core.auth",
        "services/core/io.py": "services.core.io",
        "services/use_cases/wine_quality/features.py": "services.use_cases.wine_quality",
        "services/__init__.py": "services.__init__",
    }
    assert {path: package_of(path) for path in paths} == paths


def test_one_package_with_too_few_lines_fails_where_the_whole_is_enough() -> None:
    found = shares({"services/drift/window.py": (79, 100), "services/cli/console.py": (2_000, 2_000)})
    assert found["services.drift"] == 79.0
    assert below_limit(found) == ["services.drift"]
    assert below_limit(shares({"services/drift/a.py": (89, 100)})) == ["all"]
