"""What the alert rules say of stories of metrics, told in minutes, for `promtool test rules`."""

from typing import Any

from tests.unit.features.guests import desired, guest

from phoenix_hypervisor.features import _monitoring_conf as conf
from phoenix_hypervisor.features import _monitoring_rules as rules
from phoenix_hypervisor.features import _monitoring_targets as targets
from phoenix_hypervisor.features import available
from phoenix_hypervisor.features._monitoring_options import MonitoringOptions
from phoenix_hypervisor.model.address import Address
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.desired import FeatureUse, Guest, Route

Story = tuple[dict[str, str], dict[int, set[str]]]
"""Series with a value a minute, as promtool writes them, and by the minute all alerts that fire
then: name, severity and guest."""

HERE = 'job="phoenix",instance="host:9470"'
WEB = f'guest="lxc/1",name="web",{HERE}'
DOWN = f'phoenix_guest_health{{health="down",{WEB}}}'
PLANNED = f"phoenix_guest_planned{{{WEB}}}"
UP = f"up{{{HERE}}}"
ROUTE = 'probe_success{job="routes",guest="lxc/1",name="web",proxy="lxc/9",route="a/"}'
SHOP = 'probe_success{job="routes",name="shop",proxy="lxc/9",route="b/"}'
XID = 'DCGM_FI_DEV_XID_ERRORS{gpu="0",Hostname="h"}'


def health(guest: str, kind: str) -> str:
    return f'phoenix_guest_health{{health="{kind}",guest="{guest}",name="x",{HERE}}}'


def burn(window: str) -> str:
    return f'phoenix_slo_burn_rate{{window="{window}",{WEB}}}'


def check(what: str) -> str:
    return f'phoenix_check_{what}_total{{check="c",{WEB}}}'


STORIES: dict[str, Story] = {
    "Phoenix ends while a guest is down: it stays so for an hour, and somebody is told": (
        {UP: "1 1 1 0x90", DOWN: "0 1 1 stale"},
        {
            2: {"GuestDown page lxc/1"},
            7: {"GuestDown page lxc/1", "ScrapeFails ticket "},
            8: {"GuestDown page lxc/1", "ScrapeFails ticket ", "NotWatched page "},
            70: {"ScrapeFails ticket ", "NotWatched page "},
        },
    ),
    "a guest that comes up while Phoenix answers is up at once": (
        {UP: "1x20", DOWN: "1 1 1 0x20"},
        {2: {"GuestDown page lxc/1"}, 3: set()},
    ),
    "a guest that is gone while Phoenix answers": (
        {UP: "1x20", DOWN: "1 1 1 stale"},
        {2: {"GuestDown page lxc/1"}, 4: set()},
    ),
    "a moment without an answer of Phoenix's": ({UP: "1 1 0 0 1x20"}, {5: set(), 8: set()}),
    "`phoenix serve` answers, but nobody watches": (
        {UP: "1x20", f'phoenix_check_last_answer_timestamp_seconds{{check="c",{WEB}}}': "60x20"},
        {6: set(), 7: {"NotWatched page "}},
    ),
    "a budget burns fast, then no more": (
        {burn("1h"): "20x20", burn("5m"): "20x5 0x20", burn("6h"): "5x20", burn("30m"): "5x20"},
        {1: {"BudgetBurns page lxc/1"}, 7: set()},
    ),
    "a budget burns slower": (
        {burn("6h"): "7x9", burn("30m"): "7x9", burn("1h"): "9x9", burn("5m"): "9x9"},
        {1: {"BudgetBurns page lxc/1"}},
    ),
    "a budget will not last": (
        {burn("3d"): "1.5x9", burn("6h"): "1.5x9", burn("30m"): "1.5x9"},
        {1: {"BudgetBurns ticket lxc/1"}},
    ),
    "every tenth answer is slow": (
        {check("slow"): "0+1x30", check("answers"): "0+10x30"},
        {20: {"AnswersTooSlow ticket lxc/1"}},
    ),
    "every twenty-fifth answer is slow": (
        {check("slow"): "0+1x30", check("answers"): "0+25x30"},
        {20: set()},
    ),
    "healing gives up": (
        {f'phoenix_happenings_total{{what="gave-up",{WEB}}}': "0x5 1x40"},
        {5: set(), 7: {"HealingGaveUp page lxc/1"}, 30: set()},
    ),
    "the last apply was killed": (
        {f'phoenix_apply_last_end_timestamp_seconds{{result="killed",{HERE}}}': "1x9"},
        {1: {"ApplyFailed ticket "}},
    ),
    "what inhibits and what is inhibited have one `guest`": (
        {DOWN: "1x9", ROUTE: "0x9", burn("1h"): "20x9", burn("5m"): "20x9"},
        {5: {"GuestDown page lxc/1", "RouteFails page lxc/1", "BudgetBurns page lxc/1"}},
    ),
    "a guest that may be away": (
        {
            PLANNED: "1x5 0x20",
            ROUTE: "0x20",
            'nginx_up{job="nginx",guest="lxc/1",name="web"}': "0x20",
            'up{job="node",guest="lxc/1",name="web"}': "0x20",
        },
        {
            5: set(),
            9: {"RouteFails page lxc/1", "ServerDown page lxc/1", "ScrapeFails ticket lxc/1"},
        },
    ),
    "a guest that is away on purpose, as `phoenix serve` tells it": (
        {health("lxc/1", "planned"): "1x9", ROUTE: "0x9"},
        {5: set()},
    ),
    "the proxy may be away": (
        {health("lxc/9", "planned"): "1x5 0x20", ROUTE: "0x20", SHOP: "0x20"},
        {5: set(), 8: {"RouteFails page lxc/1", "RouteFails page "}},
    ),
    "replicas: of one that is down or away the route says nothing, all may be away": (
        {
            health("lxc/2", "planned"): "1x20",
            health("lxc/3", "planned"): "0x5 1x20",
            health("lxc/3", "down"): "1x5 0x20",
            SHOP: "0x20",
        },
        {4: {"GuestDown page lxc/3", "RouteFails page "}, 7: set()},
    ),
    "a card's error is told once, though it is there until the driver is loaded anew": (
        {XID: "0x5 43x40"},
        {5: set(), 7: {"CardFails page "}, 25: set()},
    ),
}


def _guests() -> list[Guest]:
    shop = [
        guest(
            number,
            f"shop-{number - 1}",
            replica=Replica(Address("lxc/2"), "shop", number - 1),
            routes=(Route("b", "/", 8000),),
        )
        for number in (2, 3)
    ]
    features = {
        name: FeatureUse(name, available()[name].options()) for name in ("nginx", "exporters")
    }
    proxy = guest(9, "proxy", features=tuple(features.values()))
    web = guest(1, "web", features=(features["exporters"],), routes=(Route("a", "/", 8000),))
    return [web, *shop, proxy]


def rules_text() -> str:
    """The rules, with a route to one guest and another to replicas."""
    words = {"phoenix": [{"address": "10.0.0.254"}], "nvidia": ["10.0.0.254:9400"]}
    options = MonitoringOptions.model_validate(words)
    me = guest(8, "watch")
    told = targets.inputs(options, me, desired(me, *_guests()))
    return conf.document(rules.groups(options, told))


def stories_text(rule_file: str) -> str:
    """The stories for `promtool test rules`, with the file of the rules beside it."""
    tests = [
        {
            "name": name,
            "interval": "1m",
            "input_series": [{"series": one, "values": told} for one, told in series.items()],
            "promql_expr_test": [_fires(minute, alerts) for minute, alerts in fires.items()],
        }
        for name, (series, fires) in STORIES.items()
    ]
    return conf.document({"rule_files": [rule_file], "evaluation_interval": "1m", "tests": tests})


def _fires(minute: int, alerts: set[str]) -> dict[str, Any]:
    samples = []
    for alert in sorted(alerts):
        labels = zip(("alertname", "severity", "guest"), alert.split(" "), strict=True)
        told = ",".join(f'{name}="{value}"' for name, value in labels if value)
        samples.append({"labels": f"{{{told}}}", "value": 1})
    return {
        "expr": 'count by (alertname, severity, guest) (ALERTS{alertstate="firing"})',
        "eval_time": f"{minute}m",
        "exp_samples": samples,
    }
