"""The words of `monitoring`: what is looked at, from when on it is an alert, and who is told."""

from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from phoenix_hypervisor.features._words import (
    AddressOf,
    Name,
    PackageName,
    PlainHost,
    PlainText,
    Port,
    RelativePath,
)
from phoenix_hypervisor.model.feature import FeatureOptions, InFolder
from phoenix_hypervisor.model.secret import Secret

Ip = IPv4Address | IPv6Address
Scheme = Literal["http", "https"]
HttpPath = Annotated[str, StringConstraints(pattern=r"^/[A-Za-z0-9._~%/:@+,-]*$")]
Target = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$|^\[[0-9a-fA-F:]+\]:[0-9]{1,5}$")
]
"""`host:port`, an IPv6 address in brackets."""
Origin = Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/?$")]
Mail = Annotated[str, StringConstraints(pattern=r"^[^\s,<>\x00-\x1f]+@[^\s,<>\x00-\x1f]+$")]


class PhoenixMetrics(FeatureOptions):
    """Where `phoenix watch --metrics` or `phoenix serve` answers."""

    address: Ip | PlainHost | AddressOf = Field(description="An address, a name, or a guest.")
    port: Port = Field(9470, description="TCP port.")
    scheme: Scheme = Field("http", description="`http` or `https`.")
    path: HttpPath = Field("/metrics", description="The path.")
    token: Secret | None = Field(None, description="The token that it asks for.")
    verify_tls: bool = Field(True, description="Whether its certificate must be a trusted one.")


class Scrape(FeatureOptions):
    """More to be scraped."""

    name: Name = Field(description="The job's name.")
    targets: Annotated[tuple[Target, ...], Field(min_length=1)] = Field(
        description="`host:port` of each."
    )
    path: HttpPath = Field("/metrics", description="The path.")
    scheme: Scheme = Field("http", description="`http` or `https`.")


class PveExporter(FeatureOptions):
    """A prometheus-pve-exporter that is there already, and the nodes that it is asked for."""

    exporter: Target = Field(description="Its `host:port`; it listens on 9221 by itself.")
    nodes: Annotated[tuple[PlainHost, ...], Field(min_length=1)] = Field(
        description="Nodes of Proxmox VE, by name or address."
    )


class MailAlerts(FeatureOptions):
    """Alerts by e-mail."""

    to: Mail = Field(description="Who gets them.")
    sender: Mail = Field(alias="from", description="Whom they come from.")
    server: Target = Field(description="The mail server, as `mail.example.com:587`.")
    username: PlainText | None = Field(None, description="The login there.")
    password: Secret | None = Field(None, description="Its password.")
    require_tls: bool = Field(True, description="Send nothing without STARTTLS.")


class AlertRouting(FeatureOptions):
    """Whom Alertmanager tells, and how patiently."""

    webhook: Secret | None = Field(
        None, description="A web address that gets Alertmanager's JSON by POST."
    )
    mail: MailAlerts | None = Field(None, description="By e-mail.")
    group_wait_s: int = Field(10, ge=0, description="What begins within it is one message.")
    group_interval_s: int = Field(60, ge=1, description="Between messages of one group.")
    repeat_s: int = Field(4 * 3600, ge=1, description="After it what lasts is told again.")
    resend_s: int = Field(
        60, ge=1, description="How often Prometheus tells Alertmanager what lasts, at most."
    )


class AlertLimits(FeatureOptions):
    """From when on something is an alert."""

    down_s: int = Field(30, ge=0, description="A guest or route is down for so long.")
    scrape_s: int = Field(120, ge=0, description="A target can't be scraped for so long.")
    disk_free_percent: float = Field(10, gt=0, lt=100, description="Less of a disk is free.")
    certificate_days: int = Field(14, ge=1, description="A certificate ends sooner.")


class Grafana(FeatureOptions):
    """Grafana with dashboards of the stack, from a package repository that has it."""

    repository: Annotated[str, StringConstraints(pattern=r"^https?://[A-Za-z0-9._~/:@+,-]+$")] = (
        Field("https://apt.grafana.com", description="The package repository.")
    )
    suite: Name = Field("stable", description="Its suite.")
    key_file: Annotated[RelativePath, InFolder("", "file")] = Field(
        description="The repository's signing key, as a file of the folder (ASCII-armored)."
    )
    package: PackageName = Field("grafana", description="The package.")
    port: Port = Field(3000, description="TCP port.")
    password: Secret = Field(description="The password of `admin`, set when it is installed.")


class MonitoringOptions(FeatureOptions):
    """Options of `monitoring`."""

    phoenix: tuple[PhoenixMetrics, ...] = Field(
        (), description="Where Phoenix's own metrics are: guests, checks, objectives, cards."
    )
    scrape: tuple[Scrape, ...] = Field((), description="More to be scraped.")
    nvidia: tuple[Target, ...] = Field(
        (), description="Exporters of graphics cards that are there already (DCGM's, port 9400)."
    )
    pve: PveExporter | None = Field(None, description="Proxmox VE's own figures.")
    probe_routes: bool = Field(True, description="Ask all routes that `nginx` publishes.")
    rules: tuple[Annotated[RelativePath, InFolder("", "file")], ...] = Field(
        (), description="Own files of alert rules, in Prometheus's YAML."
    )
    limits: AlertLimits = Field(AlertLimits(), description="From when on something is an alert.")
    alerts: AlertRouting = Field(AlertRouting(), description="Whom Alertmanager tells.")
    scrape_interval_s: int = Field(15, ge=1, le=600, description="How often is scraped.")
    retention_days: int = Field(30, ge=1, description="Older measurements go.")
    retention_gb: int = Field(8, ge=1, description="So much is kept at most, in GB.")
    port: Port = Field(9090, description="Prometheus's TCP port.")
    alertmanager_port: Port = Field(9093, description="Alertmanager's TCP port.")
    open: bool | None = Field(
        None,
        description="Whether both can be reached from outside, without a login. By default only by "
        "the proxies of routes that lead to them.",
    )
    external_url: Origin | None = Field(
        None, description="Where people reach Prometheus: links in alerts lead there."
    )
    grafana: Grafana | None = Field(None, description="Grafana as well.")
