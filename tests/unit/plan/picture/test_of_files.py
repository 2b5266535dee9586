"""What stands in the graph of a folder."""

from dataclasses import replace

from tests.unit.plan import worlds
from tests.unit.plan.picture.pictures import folder

from phoenix_hypervisor.features.nginx import NginxOptions
from phoenix_hypervisor.model.address import lxc
from phoenix_hypervisor.model.availability import Replica
from phoenix_hypervisor.model.desired import FeatureUse, Nic, Route, RouteAuth, Volume
from phoenix_hypervisor.model.secret import Secret
from phoenix_hypervisor.plan.picture.graph import Edge, Node
from phoenix_hypervisor.plan.picture.mermaid import mermaid
from phoenix_hypervisor.plan.picture.of_files import of_files
from phoenix_hypervisor.plan.picture.svg import svg

ROUTES = (Route(None, "/", 80),)
PROXY = (FeatureUse("nginx", NginxOptions.model_validate({})),)


def test_sources_dependencies_routes_volumes_and_bridges() -> None:
    base = worlds.template(900, features=())
    db = worlds.clone(101, base, name="db", volumes=(Volume("data", "tank", 10, "/data"),))
    api = worlds.clone(
        102, base, name="api", dependencies=(db.address,), routes=(Route("a.example", "/", 80),)
    )
    web = worlds.clone(103, base, name="web", features=PROXY, dependencies=(api.address,))
    plain = (replace(one, features=()) for one in (db, api))
    graph = of_files(worlds.desired(base, *plain, web))
    kinds = {(node.key, node.kind) for node in graph.nodes}
    assert kinds == {
        ("bridge/vmbr0", "bridge"),
        ("lxc/900", "template"),
        *((f"lxc/{number}", "guest") for number in (101, 102, 103)),
        ("lxc/101 volume data", "volume"),
        ("lxc/102 route 0", "route"),
    }
    assert set(graph.edges) == {
        *(Edge("lxc/900", f"lxc/{number}", "clone") for number in (101, 102, 103)),
        *(Edge("bridge/vmbr0", f"lxc/{number}", "network") for number in (900, 101, 102, 103)),
        Edge("lxc/101", "lxc/102"),
        Edge("lxc/102", "lxc/103"),
        Edge("lxc/101", "lxc/101 volume data", "volume"),
        Edge("lxc/102", "lxc/102 route 0", "route"),
        Edge("lxc/102 route 0", "lxc/103", "route"),
    }
    volume = next(node for node in graph.nodes if node.kind == "volume")
    assert volume == Node("lxc/101 volume data", "volume", "data", ("10 GB in tank", "at /data"))
    assert graph.description == "1 bridge, 3 guests, 1 template, 1 volume, 1 route"


def test_replicas_share_their_routes() -> None:
    web = [
        worlds.plain(100 + number, replica=Replica(lxc(101), "web", number), routes=ROUTES)
        for number in (1, 2)
    ]
    graph = of_files(worlds.desired(*web, worlds.plain(103, features=PROXY)))
    assert [node.key for node in graph.nodes if node.kind == "route"] == ["lxc/101 route 0"]
    sources = {edge.source for edge in graph.edges if edge.target == "lxc/101 route 0"}
    assert sources == {"lxc/101", "lxc/102"}


def test_only_the_named_proxy_publishes() -> None:
    def proxy(*, told: bool) -> tuple[FeatureUse, ...]:
        return (FeatureUse("nginx", NginxOptions(proxy=told)),)

    api = worlds.plain(101, routes=(Route(None, "/api", 80),))
    one = worlds.plain(102, features=proxy(told=True))
    other = worlds.plain(103, features=PROXY)
    graph = of_files(worlds.desired(api, one, other))
    assert [e.target for e in graph.edges if e.source == "lxc/101 route 0"] == ["lxc/102"]


def test_a_bridge_of_many_stands_in_their_boxes() -> None:
    few = of_files(worlds.desired(*(worlds.plain(n) for n in range(101, 113))))
    many = of_files(worlds.desired(*(worlds.plain(n) for n in range(101, 114))))
    assert len(few.edges) == 12
    assert many.edges == ()
    assert many.nodes[0].lines == ("10.0.0.1/24", "13 guests")
    assert all("vmbr0" in node.lines[-1] for node in many.nodes[1:])


def test_what_the_files_do_not_hold_is_drawn_as_such() -> None:
    lost = worlds.plain(101, dependencies=(lxc(999),), nics=(Nic("eth0", "vmbr9"),))
    graph = of_files(replace(worlds.desired(lost), bridges={}))
    kinds = {node.key: node.kind for node in graph.nodes}
    assert kinds == {"lxc/101": "guest", "lxc/999": "outside", "bridge/vmbr9": "bridge"}
    assert "lxc/999" in svg(graph)


def test_no_secret_is_in_a_picture() -> None:
    auth = RouteAuth("basic", "ann", Secret(literal="hunter2hunter2"))
    guest = worlds.plain(101, routes=(Route(None, "/", 80, auth),))
    graph = of_files(worlds.desired(guest, worlds.plain(102, features=PROXY)))
    assert "basic auth" in svg(graph)
    assert "hunter2" not in svg(graph) + mermaid(graph)


def test_the_same_folder_gives_the_same_picture() -> None:
    assert svg(of_files(folder(40))) == svg(of_files(folder(40)))
