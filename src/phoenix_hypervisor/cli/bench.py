"""`phoenix bench`: measures what is served."""

import re
from pathlib import Path
from typing import Annotated

import typer

from phoenix_hypervisor.cli._context import Context
from phoenix_hypervisor.model.errors import UsageError

bench = typer.Typer(
    help="Measures what the stack serves.",
    epilog="Example: phoenix bench llm",
    no_args_is_help=True,
    add_completion=False,
)

_KINDS = ("chat", "embedding", "rerank")
_WAYS = ("route", "port", "inside")
_MOST_AT_ONCE = 1024
_MOST_INSIDE = 8
_NUMBER = re.compile(r"[1-9][0-9]{0,3}")


@bench.callback()
def _group() -> None:
    """Keeps `llm` a word of its own, though it is the only one."""


@bench.command(
    "llm",
    epilog="Examples: phoenix bench llm · "
    "phoenix bench llm llm --concurrency 1,4,8 --out llm.svg · "
    "phoenix bench llm http://10.0.0.5:8080/v1 --slo-p95-ms 2000",
)
def llm(
    ctx: typer.Context,
    where: Annotated[
        str | None,
        typer.Argument(help="A guest with a model server, or a URL; default: the only one."),
    ] = None,
    concurrency: Annotated[
        str, typer.Option(metavar="N,…", help="Requests at once; each number is measured.")
    ] = "1,4",
    requests: Annotated[
        int | None,
        typer.Option(
            min=1, max=100_000, help="At each concurrency; default: 10, at least 4 by each at once."
        ),
    ] = None,
    seconds: Annotated[
        float,
        typer.Option(min=1, max=86_400, help="No request begins later, at each concurrency."),
    ] = 120.0,
    prompt_tokens: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="About so many tokens in each prompt.")
    ] = 128,
    output_tokens: Annotated[
        int, typer.Option(min=1, max=100_000, help="Tokens of each answer.")
    ] = 64,
    model: Annotated[str | None, typer.Option(help="The model; default: the first one.")] = None,
    kind: Annotated[
        str | None, typer.Option(help="chat, embedding or rerank; default: what the model is.")
    ] = None,
    via: Annotated[
        str | None,
        typer.Option(
            help="For a guest: route (through the proxy), port, or inside (from within it); "
            "default: its route, else its port."
        ),
    ] = None,
    api_key_env: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The variable that holds the key; else the files' own."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Take any certificate of an https:// URL.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Draw the result into this .svg file.")] = None,
    slo_first_token_ms: Annotated[
        float | None,
        typer.Option(metavar="MS", min=0.001, help="Objective for p95 of the first token."),
    ] = None,
    slo_p95_ms: Annotated[
        float | None,
        typer.Option(metavar="MS", min=0.001, help="Objective for p95 of complete answers."),
    ] = None,
) -> None:
    """Measures a model server: times to first token, complete answers, tokens per second.

    Questions of equal length, no two alike; the first ones warm up and don't count. Exits with 1
    where a request failed or an objective is missed. Ctrl-C shows what was measured so far.
    """
    from phoenix_hypervisor.cli import _bench

    context: Context = ctx.obj
    numbers = _numbers(concurrency)
    if via == "inside" and max(numbers) > _MOST_INSIDE:
        raise UsageError(
            f"--via inside asks at most {_MOST_INSIDE} at once: each is a process in the guest, "
            "on the model server's own cores",
            hint="--via port asks more from here",
        )
    asked = _bench.Asked(
        where=where,
        concurrency=numbers,
        requests=requests,
        seconds=seconds,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        model=model,
        kind=_one_of("--kind", kind, _KINDS),
        via=_one_of("--via", via, _WAYS),
        api_key_env=api_key_env,
        insecure=insecure,
        out=out,
        first_token_ms=slo_first_token_ms,
        total_p95_ms=slo_p95_ms,
    )
    raise typer.Exit(_bench.run(context, asked))


def _numbers(text: str) -> tuple[int, ...]:
    parts = [part.strip() for part in text.split(",")]
    if not all(_NUMBER.fullmatch(part) and int(part) <= _MOST_AT_ONCE for part in parts):
        raise UsageError(
            f"--concurrency {text!r}: numbers from 1 to {_MOST_AT_ONCE}, with commas between them",
            hint="such as --concurrency 1,4,8",
        )
    return tuple(dict.fromkeys(map(int, parts)))


def _one_of(option: str, word: str | None, words: tuple[str, ...]) -> str | None:
    if word is not None and word not in words:
        raise UsageError(f"{option} {word} is not one of {', '.join(words)}")
    return word
