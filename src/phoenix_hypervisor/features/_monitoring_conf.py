"""The configuration of Prometheus, Alertmanager and the blackbox exporter. Pure.

Sources: prometheus.io/docs (configuration of Prometheus and Alertmanager, storage), and the
blackbox exporter's CONFIGURATION.md. YAML is written by a library, so that no value becomes syntax.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from phoenix_hypervisor.features._monitoring_options import MonitoringOptions

HEAD = "# Made by Phoenix from the files; changes made by hand are overwritten.\n"
ETC = "/etc/prometheus"
RULES = f"{ETC}/phoenix-rules"
KEYS = f"{ETC}/phoenix-keys"
BLACKBOX_PORT = 9115
_ANSWERED = [*range(200, 209), 226, *range(300, 309), *range(400, 432), 451]
"""Codes (RFC 9110 and others) with which an application answers: a proxy that can't reach it says
502 to 504."""
_REFUSED = [200, 401, 403, 404, 405, 429]


def document(content: Mapping[str, Any]) -> str:
    """As YAML."""
    text: str = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=100)
    return HEAD + text


def key_files(options: MonitoringOptions, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Paths of tokens, each with its secret.

    They are named by who is asked, and not by their turn: one is read at each scrape, also before
    a new configuration is taken, and must never be sent to another server.
    """
    found = {
        f"{KEYS}/{_slug('phoenix', at)}": one.token
        for one, at in zip(options.phoenix, inputs["phoenix"], strict=True)
        if one.token is not None
    }
    for one in inputs["engines"]:
        if one["secret"] is not None:
            found[f"{KEYS}/{one['feature']}-{one['key']}"] = one["secret"]
    return found


def _slug(kind: str, at: str) -> str:
    """A name for who answers at an address and port."""
    return f"{kind}-{re.sub('[^A-Za-z0-9.]', '-', at)}"


def prometheus(options: MonitoringOptions, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """prometheus.yml."""
    interval = f"{options.scrape_interval_s}s"
    return {
        "global": {
            "scrape_interval": interval,
            "scrape_timeout": f"{min(10, options.scrape_interval_s)}s",
            "evaluation_interval": interval,
            "external_labels": {"stack": inputs["stack"].replace("$", "$$")},
        },
        "rule_files": [f"{RULES}/phoenix.yml", *own_rules(options)],
        "alerting": {
            "alertmanagers": [_static([f"127.0.0.1:{options.alertmanager_port}"], wrap=True)]
        },
        "scrape_configs": list(_jobs(options, inputs)),
    }


def own_rules(options: MonitoringOptions) -> dict[str, str]:
    """Where the operator's own rules are in the guest, each with its file of the folder."""
    return {f"{RULES}/own-{number}.yml": name for number, name in enumerate(options.rules)}


def _jobs(options: MonitoringOptions, inputs: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    own = {"prometheus": options.port, "alertmanager": options.alertmanager_port}
    jobs = [_job(name, [_static([f"127.0.0.1:{port}"])]) for name, port in own.items()]
    keys = key_files(options, inputs)
    for one, at in zip(options.phoenix, inputs["phoenix"], strict=True):
        name = _slug("phoenix", at)
        job = _job(name, [_static([at]) | {"labels": {"job": "phoenix"}}])
        job |= {"metrics_path": one.path, "scheme": one.scheme}
        job |= _authorization(f"{KEYS}/{name}", keys)
        if not one.verify_tls:
            job["tls_config"] = {"insecure_skip_verify": True}
        jobs.append(job)
    kinds: dict[str, list[dict[str, Any]]] = {}
    for one in inputs["servers"]:
        kinds.setdefault(one["feature"], []).append(_labelled(one))
    jobs += [_job(name, configs) for name, configs in kinds.items()]
    for one in inputs["engines"]:
        name = f"{one['feature']}-{one['key']}"
        job = _job(name, [_labelled(one, job=one["feature"])])
        jobs.append(job | _authorization(f"{KEYS}/{name}", keys))
    for more in options.scrape:
        job = _job(f"own-{more.name}", [_static(more.targets)])
        jobs.append(job | {"metrics_path": more.path, "scheme": more.scheme})
    if options.nvidia:
        jobs.append(_job("nvidia", [_static(options.nvidia)]))
    if options.pve is not None:
        job = _job("pve", [_static(options.pve.nodes)])
        job |= {"metrics_path": "/pve", "params": {"cluster": ["1"], "node": ["1"]}}
        jobs.append(job | {"relabel_configs": _through(options.pve.exporter)})
    if inputs["probes"]:
        jobs.append(_routes(inputs["probes"]))
    return jobs


def _routes(probes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    configs = [
        {"targets": [one["url"]], "labels": {**one["labels"], "__param_module": _module(one)}}
        for one in probes
    ]
    job = _job("routes", configs) | {"metrics_path": "/probe"}
    return job | {"relabel_configs": _through(f"127.0.0.1:{BLACKBOX_PORT}")}


def _through(exporter: str) -> list[dict[str, Any]]:
    """Asks an exporter about each target."""
    return [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"source_labels": ["__param_target"], "target_label": "instance"},
        {"target_label": "__address__", "replacement": exporter},
    ]


def _job(name: str, configs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"job_name": name, "static_configs": list(configs)}


def _static(targets: Sequence[str], *, wrap: bool = False) -> dict[str, Any]:
    found = {"targets": list(targets)}
    return {"static_configs": [found]} if wrap else found


def _labelled(one: Mapping[str, Any], **labels: str) -> dict[str, Any]:
    return {"targets": [one["target"]], "labels": {**one["labels"], **labels}}


def _authorization(path: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    return {"authorization": {"credentials_file": path}} if path in keys else {}


def _module(probe: Mapping[str, Any]) -> str:
    """One for each host name and kind of guard."""
    guard = "guarded" if probe["guarded"] else "answers"
    return f"{guard}_{probe['host'] or 'any'}"


def blackbox(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """blackbox.yml: a module says which name is asked for, and what a good answer is."""
    modules: dict[str, Any] = {"tcp_connect": {"prober": "tcp"}}
    for one in inputs["probes"]:
        tls: dict[str, Any] = {"insecure_skip_verify": True}
        http: dict[str, Any] = {
            "valid_status_codes": _REFUSED if one["guarded"] else _ANSWERED,
            "follow_redirects": False,
            "preferred_ip_protocol": "ip4",
            "tls_config": tls,
        }
        if one["host"]:
            http["headers"] = {"Host": one["host"]}
            tls["server_name"] = one["host"]
        modules[_module(one)] = {"prober": "http", "timeout": "5s", "http": http}
    return {"modules": modules}


def alertmanager(
    options: MonitoringOptions, webhook: str | None, mail_password: str | None
) -> dict[str, Any]:
    """alertmanager.yml, with the secrets revealed."""
    alerts, receiver = options.alerts, dict[str, Any](name="operator")
    if webhook is not None:
        receiver["webhook_configs"] = [{"url": webhook, "send_resolved": True}]
    if alerts.mail is not None:
        mail = alerts.mail
        sent: dict[str, Any] = {
            "to": mail.to,
            "from": mail.sender,
            "smarthost": mail.server,
            "require_tls": mail.require_tls,
            "send_resolved": True,
        }
        if mail.username is not None:
            sent |= {"auth_username": mail.username, "auth_password": mail_password or ""}
        receiver["email_configs"] = [sent]
    return {
        "route": {
            "receiver": "operator",
            "group_by": ["alertname", "severity"],
            "group_wait": f"{alerts.group_wait_s}s",
            "group_interval": f"{alerts.group_interval_s}s",
            "repeat_interval": f"{alerts.repeat_s}s",
        },
        "inhibit_rules": [
            {
                "source_matchers": ['alertname="GuestDown"'],
                "target_matchers": ['alertname=~"RouteFails|ScrapeFails|BudgetBurns"'],
                "equal": ["guest"],
            },
            {
                "source_matchers": ['alertname="DiskFull"'],
                "target_matchers": ['alertname="DiskNearlyFull"'],
                "equal": ["guest", "mountpoint"],
            },
        ],
        "receivers": [receiver],
    }


def arguments(options: MonitoringOptions, inputs: Mapping[str, Any]) -> dict[str, str]:
    """The files that hold the units' arguments, as Debian's packages read them: paths to texts."""
    opened = inputs["open"]

    def at(name: str, port: int) -> str:
        return f"--web.listen-address={'' if opened[name] else '127.0.0.1'}:{port}"

    words = {
        "prometheus": [
            at("prometheus", options.port),
            f"--storage.tsdb.retention.time={options.retention_days}d",
            f"--storage.tsdb.retention.size={options.retention_gb}GB",
            f"--rules.alert.resend-delay={options.alerts.resend_s}s",
            *([f"--web.external-url={options.external_url}"] if options.external_url else []),
        ],
        "prometheus-alertmanager": [
            at("alertmanager", options.alertmanager_port),
            "--cluster.listen-address=",
        ],
        "prometheus-blackbox-exporter": [
            f"--config.file={ETC}/blackbox.yml",
            f"--web.listen-address=127.0.0.1:{BLACKBOX_PORT}",
        ],
    }
    return {
        f"/etc/default/{unit}": f'{HEAD}ARGS="{" ".join(found)}"\n' for unit, found in words.items()
    }
