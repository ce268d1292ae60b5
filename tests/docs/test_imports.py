"""Who may import whom."""

from __future__ import annotations

from shared import domains
from support.imports import circle, imports, modules


def package(name: str) -> str:
    return name.partition(".")[0]


SERVICES = {package(service.module) for service in domains.SERVICES}


def test_all_is_looked_at() -> None:
    assert SERVICES | {"shared", "local_run"} == {package(name) for name in modules()}
    assert "shared.errors" in imports()["shared.redis"]
    assert "shared.domains" not in imports()["shared.keys"]  # whose types alone it needs
    assert circle({"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b")}) == ["b", "c", "b"]


def test_services_import_nothing_of_each_other() -> None:
    """Not even a type: web is the end of the road, and shared knows no service."""
    for name, others in imports(types=True).items():
        allowed = {package(name), "shared"} if package(name) != "shared" else {"shared"}
        assert {package(other) for other in others} <= allowed, name


def test_no_module_leads_back_to_itself() -> None:
    assert not circle(imports())


def test_what_a_fold_works_out_does_no_input_or_output() -> None:
    """Folds are handed events and give back changes: no module that their `fold` imports opens a connection."""
    folds = [name for name in modules() if name.endswith(".fold") and package(name) in SERVICES]
    assert len(folds) >= 3
    for fold in folds:
        reached, left = set[str](), {fold}
        while left:
            name = left.pop()
            reached.add(name)
            left |= imports()[name] - reached
        assert not reached & {"shared.service", "shared.rpc", "shared.consumer", "shared.bus", "shared.settings"}, fold
