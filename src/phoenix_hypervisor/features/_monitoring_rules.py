"""The alert rules. Pure.

Burn rates: "The Site Reliability Workbook", chapter 5. Names of metrics: node_exporter's and
blackbox_exporter's own; those of Phoenix: `phoenix_…`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from phoenix_hypervisor.features._monitoring_options import AlertLimits, MonitoringOptions

BURNING = (("page", "1h", "5m", 14.4), ("page", "6h", "30m", 6.0), ("ticket", "3d", "6h", 1.0))
"""Severity, the long window, the short one, and the rate in both from which on it is told."""
_DISKS = 'fstype!~"tmpfs|ramfs|overlay|squashfs|fuse.lxcfs|efivarfs"'
_WHO = "{{ $labels.name }} ({{ $labels.guest }})"
_DAY_S = 86400
_LOST_S = 300
Rule = dict[str, Any]


def groups(options: MonitoringOptions, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The whole document, with the groups of what is scraped."""
    found = [_group("scraping", scraping(options.limits))]
    if inputs["phoenix"]:
        found.append(_group("phoenix", phoenix(options.limits)))
    if inputs["servers"]:
        found.append(_group("servers", servers(options.limits)))
        found.append(_group("nodes", nodes(options.limits)))
    if inputs["probes"]:
        found.append(_group("routes", routes(options.limits, inputs["replicas"])))
    if options.nvidia:
        found.append(_group("cards", cards()))
    return {"groups": found}


def _group(name: str, rules: list[Rule]) -> Rule:
    return {"name": f"phoenix-{name}", "rules": rules}


def _rule(
    name: str, severity: str, expr: str, summary: str, *, for_s: float = 0, more: str = ""
) -> Rule:
    rule: Rule = {"alert": name, "expr": expr}
    if for_s:
        rule["for"] = f"{for_s:.0f}s"
    notes = {"summary": summary} | ({"description": more} if more else {})
    return rule | {"labels": {"severity": severity}, "annotations": notes}


def planned(addresses: Sequence[str] = ()) -> str:
    """Guests, all or some, that may be away on purpose just now: 1 by `guest`.

    Empty where Phoenix isn't scraped. Only `phoenix watch` knows of those that are up.
    """
    some = f'guest=~"{"|".join(addresses)}"' if addresses else ""
    away = ",".join(['health="planned"', *([some] if some else [])])
    return (
        f"(max by (guest) (phoenix_guest_planned{{{some}}} or phoenix_guest_health{{{away}}}) == 1)"
    )


def scraping(limits: AlertLimits) -> list[Rule]:
    """What does not answer."""
    return [
        _rule(
            "ScrapeFails",
            "ticket",
            f"up == 0 unless on (guest) {planned()}",
            "{{ $labels.job }} at {{ $labels.instance }} can't be scraped",
            for_s=limits.scrape_s,
        ),
        _rule(
            "MessagesNotSent",
            "ticket",
            "rate(alertmanager_notifications_failed_total[5m]) > 0",
            "Alertmanager can't send messages by {{ $labels.integration }}",
            for_s=limits.scrape_s,
        ),
    ]


def phoenix(limits: AlertLimits) -> list[Rule]:
    """Of what Phoenix knows: guests, objectives, healing, and its own watch."""
    found = [
        _rule(
            "GuestDown",
            "page",
            # What was said last counts for an hour, where Phoenix itself ceases to answer: else
            # everybody would be told that the guest is up again.
            'phoenix_guest_health{health="down"} == 1 or '
            '(last_over_time(phoenix_guest_health{health="down"}[1h]) == 1 '
            'and on (job, instance) up{job="phoenix"} == 0)',
            f"{_WHO} is down",
            for_s=limits.down_s,
        ),
        _rule(
            "GuestUnknown",
            "ticket",
            # One that was never made is not missed.
            'phoenix_guest_health{health="unknown"} == 1 '
            'unless on (guest) phoenix_guest_state{state="absent"} == 1',
            f"nothing is known of {_WHO}",
            for_s=300,
        ),
        _rule(
            "HealingGaveUp",
            "page",
            'increase(phoenix_happenings_total{what="gave-up"}[15m]) > 0',
            f"{_WHO} could not be healed",
        ),
        _rule(
            "AnswersTooSlow",
            "ticket",
            "sum by (guest, name) (increase(phoenix_check_slow_total[1h])) > 0.05 * "
            "sum by (guest, name) (increase(phoenix_check_answers_total[1h]))",
            f"more than 5 % of the answers of {_WHO} are slower than promised",
            for_s=300,
        ),
        _rule(
            "NotWatched",
            "page",
            f"time() - max by (instance) (phoenix_check_last_answer_timestamp_seconds) > {_LOST_S}",
            "no check was answered for 5 minutes: does `phoenix watch` run?",
        ),
        _rule(
            "NotWatched",
            "page",
            'up{job="phoenix"} == 0',
            "Phoenix tells nothing at {{ $labels.instance }}: does `phoenix watch` run?",
            for_s=_LOST_S,
        ),
        _rule(
            "MeasurementsLost",
            "ticket",
            "phoenix_watch_writes == 0 or phoenix_measurements_readable == 0",
            "measurements can't be written or read",
            for_s=60,
        ),
        _rule(
            "ApplyFailed",
            "ticket",
            'phoenix_apply_last_end_timestamp_seconds{result=~"failed|interrupted|killed"}',
            "the last change of the stack did not come to its end: {{ $labels.result }}",
        ),
    ]
    for severity, long, short, rate in BURNING:
        both = " and ignoring (window) ".join(
            f'phoenix_slo_burn_rate{{window="{window}"}} > {rate:g}' for window in (long, short)
        )
        words = f"{_WHO} uses its error budget up {{{{ $value | humanize }}}} times too fast"
        found.append(
            _rule("BudgetBurns", severity, both, words, more=f"over {long} and over {short}")
        )
    return found


def servers(limits: AlertLimits) -> list[Rule]:
    """Servers that their exporters don't reach."""
    return [
        _rule(
            "ServerDown",
            "page",
            f"(nginx_up == 0 or pg_up == 0) unless on (guest) {planned()}",
            f"{{{{ $labels.job }}}} of {_WHO} does not answer its exporter",
            for_s=limits.down_s,
        ),
    ]


def nodes(limits: AlertLimits) -> list[Rule]:
    """The insides of guests, by their node exporters."""
    share = limits.disk_free_percent / 100
    disk = f"{_WHO}: {{{{ $labels.mountpoint }}}}"
    return [
        _rule(
            "DiskNearlyFull",
            "ticket",
            f"node_filesystem_avail_bytes{{{_DISKS}}} < "
            f"{share:g} * node_filesystem_size_bytes{{{_DISKS}}}",
            f"{disk} has less than {limits.disk_free_percent:g} % left",
            for_s=60,
        ),
        _rule(
            "DiskFull",
            "page",
            f"node_filesystem_avail_bytes{{{_DISKS}}} < "
            f"0.02 * node_filesystem_size_bytes{{{_DISKS}}}",
            f"{disk} has less than 2 % left",
            for_s=60,
        ),
        _rule(
            "InodesNearlyGone",
            "ticket",
            f"node_filesystem_files_free{{{_DISKS}}} < "
            f"{share:g} * node_filesystem_files{{{_DISKS}}} and node_filesystem_files > 0",
            f"{disk} has hardly any inodes left",
            for_s=60,
        ),
        _rule(
            "MemoryNearlyFull",
            "ticket",
            "node_memory_MemAvailable_bytes < 0.05 * node_memory_MemTotal_bytes",
            f"{_WHO} has less than 5 % of its memory left",
            for_s=600,
        ),
    ]


def _failing(replicas: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Routes that fail, though neither who answers nor the proxy is away on purpose."""
    proxy = f'unless on (proxy) label_replace({planned()}, "proxy", "$1", "guest", "(.+)")'
    cases = {'guest!=""': f"on (guest) {planned()}"}
    for name, addresses in replicas.items():
        all_away = f"(count({planned(addresses)}) == {len(addresses)})"
        cases[f'guest="",name="{name}"'] = f"on () {all_away}"
    for which, away in cases.items():
        yield f'probe_success{{job="routes",{which}}} == 0 unless {away} {proxy}'


def routes(limits: AlertLimits, replicas: Mapping[str, Sequence[str]]) -> list[Rule]:
    """What people reach, asked by name. `replicas`: addresses by the name that routes bear."""
    left = "probe_ssl_earliest_cert_expiry - time()"
    return [
        *(
            _rule(
                "RouteFails",
                "page",
                failing,
                "{{ $labels.route }} does not answer",
                for_s=limits.down_s,
            )
            for failing in _failing(replicas)
        ),
        _rule(
            "CertificateEnds",
            "ticket",
            f"{left} < {limits.certificate_days * _DAY_S}",
            "the certificate of {{ $labels.route }} ends in {{ $value | humanizeDuration }}",
        ),
    ]


def cards() -> list[Rule]:
    """Graphics cards, by NVIDIA's DCGM exporter."""
    return [
        _rule(
            "CardTooHot",
            "ticket",
            "DCGM_FI_DEV_GPU_TEMP > 87",
            "card {{ $labels.gpu }} of {{ $labels.Hostname }} has {{ $value }} °C",
            for_s=300,
        ),
        _rule(
            "CardFails",
            "page",
            # It tells the last error for as long as the driver is loaded.
            "DCGM_FI_DEV_XID_ERRORS > 0 and changes(DCGM_FI_DEV_XID_ERRORS[10m]) > 0",
            "card {{ $labels.gpu }} of {{ $labels.Hostname }} tells Xid error {{ $value }}",
        ),
    ]
