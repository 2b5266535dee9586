"""Which route of a proxy answers a question that is put to it. Pure."""

from phoenix_hypervisor.features._nginx_inputs import published
from phoenix_hypervisor.features.nginx import NginxOptions
from phoenix_hypervisor.model.desired import Desired, Guest, Route


def answering(
    proxy: Guest, port: int, host: str | None, path: str, desired: Desired
) -> tuple[Guest, Route] | None:
    """The route that nginx of this guest takes for a host name and a path, and who publishes it.

    Routes of that name go before those of every name, then longer paths before shorter ones.
    None: no nginx listens at that port, or no route is there.
    """
    found = [
        (owner, route)
        for use in proxy.features
        if isinstance(use.options, NginxOptions) and port in _ports(use.options)
        for owner, _, route in published(use.options.proxy, proxy, desired)
        if route.host is None or (host is not None and route.host.lower() == host.lower())
        if f"{path.rstrip('/')}/".startswith(f"{route.path.rstrip('/')}/")
    ]
    return max(found, key=lambda one: (one[1].host is not None, len(one[1].path)), default=None)


def _ports(options: NginxOptions) -> set[int]:
    return {options.port, *([options.tls.port] if options.tls is not None else [])}
