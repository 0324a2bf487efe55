"""The compose file: what it starts is what the commands take, and machines have in common what they need to."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer

import wam
from wam.cli import app

ROOT = Path(wam.__file__).parents[1]
yaml = pytest.importorskip("yaml", reason="needs PyYAML")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
    return content


def parsed(line: list[str]) -> dict[str, Any]:
    """A command line as the program reads it."""
    command: Any = typer.main.get_command(app).commands[line[0]]  # type: ignore[attr-defined]
    context = command.make_context(line[0], line[1:], resilient_parsing=False)
    return dict(context.params)


def test_both_machines_share_what_one_service_needs(compose: dict[str, Any]) -> None:
    machines = [compose["services"][name] for name in ("wam1", "wam2")]
    for machine in machines:
        asked = parsed(machine["command"])
        (mount,) = machine["volumes"]
        folder = mount.partition(":")[2]
        assert asked["shared"].startswith(folder + "/") and asked["rates"].startswith("redis://counts:")
        assert asked["host"] == "0.0.0.0" and machine["environment"]["WAM_REGISTRY"].startswith("postgresql://")
        assert f"XDG_DATA_HOME={folder}" in (ROOT / "Dockerfile").read_text()  # where keys are looked for
        address = compose["services"]["balancer"]["networks"]["inside"]["ipv4_address"]
        assert asked["proxies"] == address
    assert machines[0]["command"] == machines[1]["command"] and machines[0]["volumes"] == machines[1]["volumes"]


def test_what_it_names_is_there(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert source in compose["volumes"] or (ROOT / "deploy" / source).exists(), mount
        for other in service.get("depends_on", {}):
            assert "healthcheck" in services[other], other
        build = service.get("build")
        if build is not None:
            context = (ROOT / "deploy" / build["context"]).resolve()
            text = (context / "Dockerfile").read_text()
            assert all(f"ARG {argument}" in text for argument in build["args"])
    upstream = re.findall(r"server (\w+):8000;", (ROOT / "deploy" / "nginx.conf").read_text())
    assert upstream == ["wam1", "wam2"]


def test_the_balancer_passes_on_no_address_that_a_client_made_up_and_takes_the_largest_body() -> None:
    from wam.service.settings import Limits

    text = (ROOT / "deploy" / "nginx.conf").read_text()
    assert "X-Forwarded-For $remote_addr;" in text
    match = re.search(r"client_max_body_size (\d+)m;", text)
    assert match is not None and int(match[1]) << 20 > Limits().job_bytes
