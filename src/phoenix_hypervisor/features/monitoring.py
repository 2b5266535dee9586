"""monitoring: Prometheus and Alertmanager, with all that there is to watch among the guests."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from phoenix_hypervisor.features import _monitoring_conf as conf
from phoenix_hypervisor.features import _monitoring_grafana as dashboards
from phoenix_hypervisor.features import _monitoring_rules as rules
from phoenix_hypervisor.features import _monitoring_targets as targets
from phoenix_hypervisor.features._guests import reached, refuse
from phoenix_hypervisor.features._monitoring_options import MonitoringOptions
from phoenix_hypervisor.features._release import own
from phoenix_hypervisor.features._take import NewFile, differing, take
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.desired import Desired, Guest
from phoenix_hypervisor.model.errors import ConfigError, ConfigureFailed
from phoenix_hypervisor.model.feature import Feature, Flaw, Inside
from phoenix_hypervisor.model.listen import Listen

UNITS = ("prometheus", "prometheus-alertmanager", "prometheus-blackbox-exporter")
_LOCAL = "127.0.0.1"


class Monitoring(Feature[MonitoringOptions]):
    """The distribution's Prometheus, configured from the guests of the files."""

    name = "monitoring"
    options = MonitoringOptions
    units = (*(f"{unit}.service" for unit in UNITS), "grafana-server.service")
    keeps = "its measurements"

    def flaws(self, options: MonitoringOptions, guest: Guest, desired: Desired) -> Sequence[Flaw]:
        """Guests without an address, and alerts that nobody gets."""
        return list(_flaws(options, guest, desired))

    def inputs(
        self, options: MonitoringOptions, guest: Guest, desired: Desired
    ) -> Mapping[str, Any]:
        """All that is scraped and probed. Raises `ConfigError`."""
        refuse(one for one in _flaws(options, guest, desired) if one.severity == "error")
        return targets.inputs(options, guest, desired)

    def files(self, options: MonitoringOptions, guest: Guest, folder: Path) -> Sequence[Path]:
        """Own alert rules, and the key of Grafana's repository."""
        names = [*options.rules, *([options.grafana.key_file] if options.grafana else [])]
        return [own(folder / name, folder) for name in names]

    def listens(
        self, options: MonitoringOptions, guest: Guest, desired: Desired
    ) -> Sequence[Listen]:
        """Of Prometheus, Alertmanager and the blackbox exporter; of Grafana where it is wanted.

        What is open for a route is for its proxies alone: behind them it asks for no login.
        """
        opened = targets.is_open(options, guest)

        def listen(name: str, port: int, *at: str) -> Listen:
            address = None if opened[name] else _LOCAL
            shut = opened[name] and options.open is None
            return Listen(port, at, name.capitalize(), address, users_only=shut)

        found = [
            listen("prometheus", options.port, "port"),
            listen("alertmanager", options.alertmanager_port, "alertmanager_port"),
            Listen(conf.BLACKBOX_PORT, (), "the blackbox exporter", _LOCAL),
        ]
        if options.grafana is not None:
            found.append(listen("grafana", options.grafana.port, "grafana", "port"))
        return found

    def reaches(
        self, options: MonitoringOptions, guest: Guest, desired: Desired
    ) -> Sequence[tuple[Address, int | None]]:
        """Guests that are scraped and proxies that are probed."""
        found = dict.fromkeys(_reached(options, guest, desired))
        return [one for one in found if one[0] != guest.address]

    def checks(self, options: MonitoringOptions, guest: Guest) -> Sequence[Mapping[str, Any]]:
        """Both answer inside."""
        ports = [(options.port, "/-/ready"), (options.alertmanager_port, "/-/ready")]
        ports.append((conf.BLACKBOX_PORT, "/-/healthy"))
        if options.grafana is not None:
            ports.append((options.grafana.port, "/api/health"))
        return [
            {"http": {"port": port, "path": path, "from": "inside", "status": 200}}
            for port, path in ports
        ]

    def unit_at(self, options: MonitoringOptions, port: int) -> str:
        """Each program has its own."""
        ports = (options.port, options.alertmanager_port, conf.BLACKBOX_PORT)
        found = dict(zip(ports, UNITS, strict=True))
        if options.grafana is not None:
            found[options.grafana.port] = "grafana-server"
        return f"{found[port]}.service" if port in found else ""

    def deploy(self, options: MonitoringOptions, inside: Inside) -> None:
        """Installs all, writes keys, then takes a configuration that all of them accept."""
        from phoenix_hypervisor.features import _system
        from phoenix_hypervisor.features._restarting import lasting_service

        _system.install(*UNITS)
        _system.folder("/var/lib/prometheus", user="prometheus", group="prometheus")
        old_keys = _deploy_keys(options, inside)
        files = _texts(options, inside)
        changed = {file.path for file in differing(files)}
        restart = [unit for unit in UNITS if f"/etc/default/{unit}" in changed]
        take(
            "monitoring configuration",
            files,
            accept=accept_script(options, restart),
            undo=turn_script(restart),
        )
        for path in old_keys:
            _system.no_file(path)
        there = _system.ask(f"ls {conf.RULES} 2>/dev/null || true").split()
        for path in {f"{conf.RULES}/{name}" for name in there} - {file.path for file in files}:
            _system.no_file(path)
        for unit in UNITS:
            lasting_service(unit)
        if options.grafana is not None:
            dashboards.deploy(options, options.grafana, inside)
        else:
            dashboards.give_up()


def _reached(
    options: MonitoringOptions, guest: Guest, desired: Desired
) -> Iterator[tuple[Address, int | None]]:
    for other, port in targets.asked(options, guest, desired):
        yield other.address, port
    for one in options.phoenix:
        for address, _ in reached([one.address], desired):
            yield address, one.port


def _flaws(options: MonitoringOptions, guest: Guest, desired: Desired) -> Iterator[Flaw]:
    lost = list(targets.flaws(options, guest, desired))
    yield from lost
    if not lost:
        try:
            targets.inputs(options, guest, desired)
        except ConfigError as error:
            yield Flaw(error.message)
    if options.alerts.webhook is None and options.alerts.mail is None:
        yield Flaw(
            "alerts of monitoring reach nobody",
            hint='add "alerts": {"webhook": …} or {"mail": …}',
            severity="warning",
        )
    if not options.phoenix:
        yield Flaw(
            "monitoring doesn't know where Phoenix's own metrics are",
            hint='add "phoenix": [{"address": …, "port": …}], where `phoenix watch --metrics` '
            "answers",
            severity="warning",
        )
    mail = options.alerts.mail
    if mail is not None and (mail.username is None) != (mail.password is None):
        yield Flaw("a login has a username and a password", ("alerts", "mail"))


def _deploy_keys(options: MonitoringOptions, inside: Inside) -> list[str]:
    """Writes all that are wanted; the paths of the others, which the old configuration names."""
    from phoenix_hypervisor.features import _system

    wanted = conf.key_files(options, inside.inputs)
    there = _system.ask(f"ls {conf.KEYS} 2>/dev/null || true").split()
    if wanted or there:
        _system.folder(conf.KEYS, mode="750", group="prometheus")
    for path, secret in wanted.items():
        _system.secret_file(path, inside.reveal(secret), group="prometheus")
    return [path for name in there if (path := f"{conf.KEYS}/{name}") not in wanted]


def _texts(options: MonitoringOptions, inside: Inside) -> list[NewFile]:
    from phoenix_hypervisor.features import _system

    _system.folder(conf.RULES)
    webhook = inside.reveal(options.alerts.webhook) if options.alerts.webhook else None
    if webhook is not None and not webhook.startswith(("http://", "https://")):
        raise ConfigureFailed("the webhook of monitoring is no web address")
    mail = options.alerts.mail
    password = inside.reveal(mail.password) if mail and mail.password else None
    told = conf.alertmanager(options, webhook, password)
    plain = {
        f"{conf.ETC}/prometheus.yml": conf.document(conf.prometheus(options, inside.inputs)),
        f"{conf.ETC}/blackbox.yml": conf.document(conf.blackbox(inside.inputs)),
        f"{conf.RULES}/phoenix.yml": conf.document(rules.groups(options, inside.inputs)),
        **conf.arguments(options, inside.inputs),
    }
    for path, name in conf.own_rules(options).items():
        plain[path] = own(inside.folder / name, inside.folder).read_text()
    files = [NewFile(path, text) for path, text in plain.items()]
    secret = conf.document(told)
    path = f"{conf.ETC}/alertmanager.yml"
    return [*files, NewFile(path, secret, mode="640", group="prometheus")]


def accept_script(options: MonitoringOptions, restart: Sequence[str]) -> str:
    """Shell words that fail where one of them refuses its files, or does not come up with them."""
    return f"""
promtool check config {conf.ETC}/prometheus.yml
amtool check-config {conf.ETC}/alertmanager.yml
prometheus-blackbox-exporter --config.check --config.file={conf.ETC}/blackbox.yml
{turn_script(restart)}
left=600
until promtool check ready --url=http://{_LOCAL}:{options.port} &&
    amtool --alertmanager.url=http://{_LOCAL}:{options.alertmanager_port} config show > /dev/null
do
    left=$((left - 1))
    if [ $left -eq 0 ]; then
        journalctl -u prometheus -u prometheus-alertmanager -n 20 --no-pager -o cat
        exit 1
    fi
    sleep 0.1
done 2>&1
"""


def turn_script(restart: Sequence[str]) -> str:
    """Shell words by which all of them take their files; those with other arguments begin anew."""
    rest = [unit for unit in UNITS if unit not in restart]
    words = [f"systemctl restart {' '.join(restart)}"] if restart else []
    words += [f"systemctl reload-or-restart {' '.join(rest)}"] if rest else []
    return "\n".join(words)
