"""OpenAI-compatible endpoints: which model server answers, streams as they come, errors as JSON.

Pure. Nginx can't choose by what a body says, so njs reads the body, looks for `model`, and hands
the request to the location of its server; from there on Nginx alone passes the answer on. Facts:
nginx.org/en/docs/njs (`internalRedirect`, `requestText`), and the error objects of OpenAI's API.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from phoenix_hypervisor.features import _nginx_guard as guard
from phoenix_hypervisor.features import _nginx_peers as peers
from phoenix_hypervisor.features._nginx_routes import Endpoint, Proxied

SCRIPT = "llm.js"
LOG = "/var/log/nginx/llm.log"


@dataclass(frozen=True, slots=True)
class Shared:
    """What the locations of an endpoint use: the folder `current` of the configuration, headers of
    the server block, and what model servers ask of their clients, by their number.
    """

    current: str
    headers: Sequence[str]
    timeout_s: int
    engine_keys: Mapping[int, str]


def http(current: str) -> list[str]:
    """Lines for `http`, where there is any endpoint. Names of keys are logged, never values."""
    return [
        f"js_import phoenix_llm from {current}/{SCRIPT};",
        'log_format phoenix_llm escape=json \'{"time":"$time_iso8601",\'',
        '    \'"client":"$remote_addr","key":"$phoenix_key","model":"$phoenix_model",\'',
        '    \'"method":"$request_method","path":"$uri","status":"$status",\'',
        '    \'"engine":"$upstream_addr","first_byte_s":"$upstream_header_time",\'',
        '    \'"total_s":"$request_time","bytes":"$body_bytes_sent"}\';',
    ]


def common(timeout_s: int) -> str:
    """What all locations of model servers share, as a file to include."""
    return f"""\
access_log {LOG} phoenix_llm;
gzip off;
proxy_http_version 1.1;
proxy_set_header Host $proxy_host;
proxy_set_header Connection "";
proxy_set_header X-Real-IP $remote_addr;
proxy_set_header X-Forwarded-For $remote_addr;
proxy_set_header X-Forwarded-Host $http_host;
proxy_set_header X-Forwarded-Proto $phoenix_scheme;
proxy_set_header Forwarded "";
proxy_send_timeout {timeout_s}s;
# Words go out as they come, whatever a server asks for.
proxy_buffering off;
proxy_ignore_headers X-Accel-Buffering X-Accel-Redirect X-Accel-Limit-Rate;
proxy_intercept_errors off;
"""


def script(endpoints: Mapping[str, tuple[str, Endpoint]]) -> str:
    """The text of the njs module. `endpoints`: path and endpoint by the key of the route."""
    table = {
        key: {
            "base": "" if path == "/" else path,
            "models": [
                {"name": model, "engine": number, "owner": engine.owner}
                for number, engine in enumerate(one.engines)
                for model in engine.models
            ],
            "engines": len(one.engines),
        }
        for key, (path, one) in sorted(endpoints.items())
    }
    return f"const ENDPOINTS = {json.dumps(table, indent=1)};\n{_SCRIPT}"


def locations(route: Proxied, one: Endpoint, places: Sequence[str], shared: Shared) -> list[str]:
    """All locations of one endpoint, which stands at `places`."""
    key, rate = route.key, route.rate
    who = f"${guard.variable(key)}" if route.by_token else '""'
    entry = [
        f"access_log {LOG} phoenix_llm;",
        f"set $phoenix_route {key};",
        'set $phoenix_model "";',
        f"set $phoenix_key {who};",
        *(guard.bearer(key) if route.by_token else []),
        *(guard.limit(key, rate) if rate else []),
        f"error_page 413 @{key}-413;",
        f"client_max_body_size {one.body_mb}m;",
        # njs sees a body only where it lies in memory as a whole.
        f"client_body_buffer_size {one.body_mb}m;",
        "client_body_in_single_buffer on;",
        "js_content phoenix_llm.choose;",
    ]
    lines = [line for place in places for line in _location(place, entry)]
    if route.by_token:
        lines += guard.unknown(key, _said(401, "a valid API key is needed", "invalid_api_key"))
    if rate:
        message = "too many requests: wait a little and try again"
        lines += guard.too_many(key, rate, _said(429, message, "rate_limit_exceeded"))
    too_large = f"the request is larger than {one.body_mb} MB"
    lines += _named(f"@{key}-413", _said(413, too_large, "request_too_large"))
    lines += _named(f"@{key}-502", _said(502, "the model's server does not answer", "unavailable"))
    for number, engine in enumerate(one.engines):
        asked = shared.engine_keys.get(number)
        bearer = f"Bearer {guard.plain(asked, 'the api_key of a model server')}" if asked else ""
        inner = [
            f"include {shared.current}/llm.inc;",
            *shared.headers,
            "add_header X-Accel-Buffering no always;",
            *peers.patience(engine.peers, one.timeout_s or shared.timeout_s),
            f'proxy_set_header Authorization "{bearer}";',
            f"client_max_body_size {one.body_mb}m;",
            f"error_page 502 504 @{key}-502;",
            *_moved(route.path, engine.path),
            f"proxy_pass http://{engine.upstream};",
        ]
        lines += _named(f"@{key}-{number}", inner)
    return lines


def _moved(path: str, engine_path: str) -> Iterator[str]:
    """The line that puts the server's own path for the endpoint's."""
    ours, theirs = path.rstrip("/"), engine_path.rstrip("/")
    if ours != theirs:
        pattern = re.escape(ours).replace('"', '\\"')
        yield f'rewrite "^{pattern}(/.*)?$" "{theirs}$1" break;'


def _location(place: str, inner: Sequence[str]) -> list[str]:
    return [f"location {place} {{", *(f"    {line}" for line in inner), "}"]


def _named(name: str, inner: Sequence[str]) -> list[str]:
    return _location(name, ["internal;", *inner])


def _said(status: int, message: str, code: str) -> list[str]:
    """An error as OpenAI's clients read it."""
    kind = "server_error" if status >= 500 else "invalid_request_error"  # noqa: PLR2004 - RFC 9110
    error = {"message": message, "type": kind, "param": None, "code": code}
    text = json.dumps({"error": error}).replace("'", "\\'")
    return [
        f"access_log {LOG} phoenix_llm;",
        "default_type application/json;",
        f"return {status} '{text}';",
    ]


_SCRIPT = """
function said(r, status, value) {
    r.headersOut['Content-Type'] = 'application/json';
    r.return(status, JSON.stringify(value) + '\\n');
}

function failed(r, status, message, param, code) {
    const error = { message: message, type: 'invalid_request_error', param: param, code: code };
    said(r, status, { error: error });
}

function shown(model) {
    return { id: model.name, object: 'model', created: 0, owned_by: model.owner };
}

function unknown(r, name, models) {
    const known = models.map(model => model.name).join(', ');
    const message = `The model \\`${name}\\` does not exist. Models are: ${known}`;
    failed(r, 404, message, 'model', 'model_not_found');
}

function wanted(r, alone) {
    const type = r.headersIn['Content-Type'] || '';
    const text = r.requestText;
    if (!text || /^multipart\\//i.test(type)) {
        return alone ? null : undefined;
    }
    const body = JSON.parse(text);
    if (typeof body !== 'object' || body === null || Array.isArray(body)) {
        throw new SyntaxError('the body is no JSON object');
    }
    if (body.model === undefined || body.model === null) {
        return alone ? null : undefined;
    }
    return String(body.model);
}

function choose(r) {
    const key = r.variables.phoenix_route;
    const endpoint = ENDPOINTS[key];
    const models = endpoint.models;
    const below = r.uri.slice(endpoint.base.length).replace(/\\/$/, '');
    if ((r.method === 'GET' || r.method === 'HEAD') && below === '/models') {
        said(r, 200, { object: 'list', data: models.map(shown) });
        return;
    }
    if ((r.method === 'GET' || r.method === 'HEAD') && below.startsWith('/models/')) {
        const name = below.slice('/models/'.length);
        const model = models.find(one => one.name === name);
        if (model) {
            said(r, 200, shown(model));
        } else {
            unknown(r, name, models);
        }
        return;
    }
    let name;
    try {
        name = wanted(r, endpoint.engines === 1);
    } catch (error) {
        failed(r, 400, `The request can't be read as JSON: ${error.message}`, null, 'invalid_json');
        return;
    }
    if (name === undefined) {
        failed(r, 400, 'The request names no `model`.', 'model', 'model_missing');
        return;
    }
    let engine = 0;
    if (name !== null) {
        r.variables.phoenix_model = name.slice(0, 200);
        const model = models.find(one => one.name === name);
        if (!model) {
            unknown(r, name, models);
            return;
        }
        engine = model.engine;
    }
    r.internalRedirect(`@${key}-${engine}`);
}

export default { choose };
"""
