"""What clients ask of the two stacks."""

from tests.chaos.clients import Endpoint
from tests.chaos.stacks import KEY, Stacks

_REPLICAS = {"hello-1": 50, "hello-2": 51}
_OF_A_PROXY_S = 10.0
"""A proxy that tries the next replica takes longer, and loses nothing by that."""


def all_of(stacks: Stacks) -> list[Endpoint]:
    """Each service is behind one of them at least, and each replica is asked by itself as well:
    so it is seen how long it was away, though nobody missed it.
    """
    one, other = stacks.quickstart.lab.subnet(), stacks.replicas.lab.subnet()
    key = {"Authorization": f"Bearer {KEY}"}
    search = "/api/projects?q=postgres"
    asked = [
        ("the page, by web", f"http://{one}.13/", "<title>Portfolio</title>", {}),
        ("a search, by web, api, db", f"http://{one}.13{search}", "tsvector", {}),
        ("the service itself, by api, db", f"http://{one}.12:8000/api/health", "ok", {}),
        # The list of models is the proxy's own; this is asked of the model server.
        ("the model server, by web, llm", f"http://{one}.13/v1/health", "ok", key),
        ("embeddings itself, by llm", f"http://{one}.14:8001/health", "384", {}),
    ]
    found = [Endpoint(title, "quickstart", url, text, head) for title, url, text, head in asked]
    found.append(
        Endpoint(
            "the replicas, by their proxy",
            "replicas",
            f"http://{other}.10/",
            "hello",
            patience_s=_OF_A_PROXY_S,
            kept_by_replicas=True,
        )
    )
    for name, at in _REPLICAS.items():
        found.append(Endpoint(f"{name} itself", "replicas", f"http://{other}.{at}:8000/", "hello"))
    return found
