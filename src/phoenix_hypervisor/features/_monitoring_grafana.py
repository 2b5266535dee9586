"""Grafana: installed from a vendor's repository, with its data source and dashboards as files.

Source: Grafana's documentation, "Provision Grafana" and "Dashboard JSON model".
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from phoenix_hypervisor.features._monitoring_conf import HEAD, document

if TYPE_CHECKING:
    from phoenix_hypervisor.features._monitoring_options import Grafana, MonitoringOptions
    from phoenix_hypervisor.model.feature import Inside

_SOURCE = "phoenix-prometheus"
_BOARDS = "/var/lib/grafana-dashboards"
_KEY = "/etc/apt/keyrings/phoenix-grafana.asc"
_LIST = "/etc/apt/sources.list.d/phoenix-grafana.sources"
_PASSWORD = "/etc/grafana/phoenix-admin"  # noqa: S105 - a path
_DEFAULTS = "/etc/grafana/grafana.ini"
_PROVISIONED = "/etc/grafana/provisioning"
_OURS = (
    f"{_PROVISIONED}/datasources/phoenix.yaml",
    f"{_PROVISIONED}/dashboards/phoenix.yaml",
)
_WIDTH, _HEIGHT = 12, 8
_COLUMNS = 24
Panel = dict[str, Any]


def panel(
    kind: str, title: str, unit: str, queries: Mapping[str, str], *, bounds: Mapping[str, float]
) -> Panel:
    """One panel; `queries` maps legends to expressions."""
    targets = [
        {
            "refId": chr(ord("A") + number),
            "expr": expression,
            "legendFormat": legend,
            "datasource": {"type": "prometheus", "uid": _SOURCE},
        }
        for number, (legend, expression) in enumerate(queries.items())
    ]
    return {
        "type": kind,
        "title": title,
        "datasource": {"type": "prometheus", "uid": _SOURCE},
        "fieldConfig": {"defaults": {"unit": unit, **bounds}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}}
        if kind == "timeseries"
        else {},
        "targets": targets,
    }


def _lines(title: str, unit: str, **queries: str) -> Panel:
    return panel("timeseries", title, unit, _legends(queries), bounds={"min": 0})


def _share(title: str, **queries: str) -> Panel:
    bounds = {"min": 0.0, "max": 1.0}
    return panel("timeseries", title, "percentunit", _legends(queries), bounds=bounds)


def _legends(queries: Mapping[str, str]) -> dict[str, str]:
    """`name` stands for the guest's, others for themselves."""
    return {"{{name}}" if key == "name" else key: value for key, value in queries.items()}


def _p(share: float, metric: str) -> str:
    return f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket[10m])))"


def boards() -> dict[str, dict[str, Any]]:
    """The dashboards, by the names of their files."""
    return {
        "phoenix-overview.json": _board(
            "phoenix-overview",
            "Phoenix: overview",
            [
                panel(
                    "stat",
                    "Guests by health",
                    "short",
                    {"{{health}}": "sum by (health) (phoenix_guest_health)"},
                    bounds={},
                ),
                panel(
                    "bargauge",
                    "Error budget left in 30 days",
                    "percentunit",
                    {"{{name}}": 'phoenix_slo_error_budget_remaining_ratio{window="30d"}'},
                    bounds={"min": 0.0, "max": 1.0},
                ),
                _share("Availability in a day", name='phoenix_slo_availability_ratio{window="1d"}'),
                _lines("Burn rate of an hour", "short", name='phoenix_slo_burn_rate{window="1h"}'),
                _lines(
                    "p95 of checks",
                    "s",
                    name="histogram_quantile(0.95, sum by (le, name) "
                    "(rate(phoenix_check_latency_seconds_bucket[10m])))",
                ),
                _share(
                    "Claimed share of graphics cards",
                    **{"card {{gpu}}": "phoenix_gpu_claimed_ratio"},
                ),
                _lines(
                    "Steps of healing in an hour",
                    "short",
                    **{
                        "{{name}} {{step}}": "sum by (name, step) "
                        "(increase(phoenix_healing_steps_total[1h]))"
                    },
                ),
                _lines(
                    "Lateness of checks",
                    "s",
                    **{"share {{quantile}}": "phoenix_watch_lateness_seconds"},
                ),
            ],
        ),
        "phoenix-llm.json": _board(
            "phoenix-llm",
            "Phoenix: language models",
            [
                _lines(
                    "Time to the first token",
                    "s",
                    p50=_p(0.5, "phoenix_llm_first_token_seconds"),
                    p95=_p(0.95, "phoenix_llm_first_token_seconds"),
                    p99=_p(0.99, "phoenix_llm_first_token_seconds"),
                ),
                _lines(
                    "Time to a whole answer",
                    "s",
                    p50=_p(0.5, "phoenix_llm_answer_seconds"),
                    p95=_p(0.95, "phoenix_llm_answer_seconds"),
                    p99=_p(0.99, "phoenix_llm_answer_seconds"),
                    promised="max(phoenix_slo_latency_objective_seconds)",
                ),
                _lines("Tokens per second", "short", name="phoenix_llm_tokens_per_second"),
                _lines(
                    "Requests that vLLM runs and lets wait",
                    "short",
                    running="sum(vllm:num_requests_running)",
                    waiting="sum(vllm:num_requests_waiting)",
                ),
                _lines(
                    "Requests that llama.cpp runs and lets wait",
                    "short",
                    running="sum(llamacpp:requests_processing)",
                    waiting="sum(llamacpp:requests_deferred)",
                ),
                _lines(
                    "Memory of graphics cards",
                    "bytes",
                    **{
                        "card {{gpu}}, claimed": "sum by (gpu) (phoenix_gpu_claimed_bytes)",
                        "card {{gpu}}, used": "DCGM_FI_DEV_FB_USED * 1024 * 1024",
                    },
                ),
            ],
        ),
        "phoenix-nodes.json": _board(
            "phoenix-nodes",
            "Phoenix: inside of guests",
            [
                _share(
                    "Processors",
                    name='1 - avg by (name) (rate(node_cpu_seconds_total{mode="idle"}[5m]))',
                ),
                _share(
                    "Memory",
                    name="1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes",
                ),
                _share(
                    "Disks",
                    **{
                        "{{name}} {{mountpoint}}": "1 - node_filesystem_avail_bytes"
                        '{fstype!~"tmpfs|ramfs|overlay|fuse.lxcfs"} / node_filesystem_size_bytes'
                    },
                ),
                _lines(
                    "Network",
                    "Bps",
                    **{
                        "{{name}} in": "sum by (name) (rate(node_network_receive_bytes_total"
                        '{device!="lo"}[5m]))',
                        "{{name}} out": "sum by (name) (rate(node_network_transmit_bytes_total"
                        '{device!="lo"}[5m]))',
                    },
                ),
            ],
        ),
    }


def _board(uid: str, title: str, panels: Sequence[Panel]) -> dict[str, Any]:
    return {
        "uid": uid,
        "title": title,
        "tags": ["phoenix"],
        "timezone": "browser",
        "schemaVersion": 39,
        "editable": False,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "panels": list(_placed(panels)),
    }


def _placed(panels: Sequence[Panel]) -> Iterator[Panel]:
    """Two beside each other."""
    for number, one in enumerate(panels):
        row, column = divmod(number * _WIDTH, _COLUMNS)
        place = {"x": column, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT}
        yield {"id": number + 1, "gridPos": place, **one}


def provisioning(options: "MonitoringOptions") -> dict[str, str]:
    """Paths to texts: where Grafana's data come from, and its dashboards."""
    source = {
        "name": "Prometheus",
        "uid": _SOURCE,
        "type": "prometheus",
        "access": "proxy",
        "url": f"http://127.0.0.1:{options.port}",
        "isDefault": True,
        "jsonData": {"timeInterval": f"{options.scrape_interval_s}s"},
    }
    provider = {"name": "phoenix", "type": "file", "options": {"path": _BOARDS}}
    documents = (
        {"apiVersion": 1, "datasources": [source]},
        {"apiVersion": 1, "providers": [provider]},
    )
    found = {path: document(each) for path, each in zip(_OURS, documents, strict=True)}
    for name, board in boards().items():
        found[f"{_BOARDS}/{name}"] = json.dumps(board, indent=1) + "\n"
    return found


def settings(grafana: "Grafana", *, opened: bool) -> str:
    """grafana.ini: what differs from Grafana's own defaults."""
    return (
        HEAD.replace("#", ";")
        + f"""\
[server]
http_addr = {"" if opened else "127.0.0.1"}
http_port = {grafana.port}

[security]
admin_password = $__file{{{_PASSWORD}}}

[analytics]
reporting_enabled = false
check_for_updates = false

[users]
allow_sign_up = false
"""
    )


def source(grafana: "Grafana") -> str:
    """The package source (deb822, sources.list(5))."""
    return (
        f"{HEAD}Types: deb\nURIs: {grafana.repository}\nSuites: {grafana.suite}\n"
        f"Components: main\nSigned-By: {_KEY}\n"
    )


def deploy(options: "MonitoringOptions", grafana: "Grafana", inside: "Inside") -> None:
    """Installs Grafana, and gives it its data source and dashboards."""
    from phoenix_hypervisor.features import _system
    from phoenix_hypervisor.features._release import own
    from phoenix_hypervisor.features._restarting import lasting_service

    key = own(inside.folder / grafana.key_file, inside.folder).read_text()
    _system.folder("/etc/apt/keyrings")
    new = _system.text_file(_KEY, key)
    if _system.text_file(_LIST, source(grafana)) or new:
        _system.run("Fetch the index of Grafana's packages", "apt-get update")
    # The first start makes the login, with the password that is there by then. The package brings
    # the group that may read it, and starts nothing.
    _system.install(grafana.package)
    changed = _system.secret_file(_PASSWORD, inside.reveal(grafana.password), group="grafana")
    opened = inside.inputs["open"]["grafana"]
    changed |= _system.text_file(
        _DEFAULTS, settings(grafana, opened=opened), mode="640", group="grafana"
    )
    _system.folder(_BOARDS)
    for path, text in provisioning(options).items():
        changed |= _system.text_file(path, text)
    lasting_service("grafana-server", restart=changed)


def give_up() -> None:
    """Where Grafana was, and is no more: it ends. Its package and data stay."""
    from phoenix_hypervisor.features import _system

    if _system.ask(f"test -e {_OURS[0]} && echo there || true") != "there":
        return
    _system.run(
        "End Grafana",
        "systemctl disable --now grafana-server.service &&\n"
        f"rm -rf {_BOARDS} {_PASSWORD} {_LIST} {_KEY} {_OURS[1]} && rm {_OURS[0]}",
    )
