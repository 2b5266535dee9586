"""Runs `phoenix bench llm`: finds the server, measures, and gives the result in all its forms."""

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from phoenix_hypervisor.cli._bench_result import Objective, Result, as_json, judged, table
from phoenix_hypervisor.cli._context import EXIT_FAILED, EXIT_INTERRUPTED, Context
from phoenix_hypervisor.model.errors import CheckFailed, UsageError

if TYPE_CHECKING:
    from phoenix_hypervisor.app.bench import Found
    from phoenix_hypervisor.verify.llm.bench import Bench
    from phoenix_hypervisor.verify.llm.load import Load


@dataclass(frozen=True, slots=True)
class Asked:
    """The command's options."""

    where: str | None
    concurrency: tuple[int, ...]
    requests: int | None
    seconds: float
    prompt_tokens: int
    output_tokens: int
    model: str | None
    kind: Any
    via: Any
    api_key_env: str | None
    insecure: bool
    out: Path | None
    first_token_ms: float | None
    total_p95_ms: float | None

    @property
    def is_url(self) -> bool:
        """Whether a URL is measured, for which no folder is needed."""
        return self.where is not None and "://" in self.where


def run(context: Context, asked: Asked) -> int:
    """Measures and shows it; the exit status."""
    if asked.out is not None and asked.out.suffix != ".svg":
        raise UsageError(
            f"--out {asked.out}: the picture is an SVG", hint="name a file that ends in .svg"
        )
    if asked.is_url and asked.via is not None:
        raise UsageError("--via is for a guest", hint="name a guest, or leave --via out")
    result = context.run(_measured(context, asked))
    if asked.out is not None and result.levels:
        _draw(result, asked.out)
    if context.json:
        context.document(as_json(result))
    else:
        _show(context, result, asked.out)
    if result.interrupted:
        return EXIT_INTERRUPTED
    return 0 if result.ok else EXIT_FAILED


async def _measured(context: Context, asked: Asked) -> Result:
    from phoenix_hypervisor.app import bench as finding
    from phoenix_hypervisor.app.hiding import errors as hiding
    from phoenix_hypervisor.verify.llm.bench import Bench, Work
    from phoenix_hypervisor.verify.llm.client import Client
    from phoenix_hypervisor.verify.llm.outside import Outside

    at_once = max(asked.concurrency)
    key = _key(asked.api_key_env)
    context.redactor.add(key or "")
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(hiding(context.redactor))
        if asked.is_url:
            server = finding.by_url(asked.where or "", key, verify_tls=not asked.insecure)
            url = f"{asked.where}".rstrip("/")
            found = finding.Found(server, Outside(), url, asked.model, asked.kind or "chat")
        else:
            session = await stack.enter_async_context(context.session())
            found = await stack.enter_async_context(
                finding.of_stack(
                    session,
                    asked.where,
                    model=asked.model,
                    via=asked.via,
                    api_key=key,
                    at_once=at_once,
                    timeout_s=asked.seconds,
                )
            )
        work = Work(
            kind=asked.kind or found.kind,
            concurrency=asked.concurrency,
            requests=asked.requests,
            seconds=asked.seconds,
            prompt_tokens=asked.prompt_tokens,
            output_tokens=asked.output_tokens,
        )
        client = Client(found.way, found.server)
        bench = Bench(client, found.model or "", work)
        interrupted = await _run(context, bench, asked)
        for load in bench.loads:
            load.errors = [context.redactor(message) for message in load.errors]
        return _result(asked, found, bench, interrupted=interrupted)


async def _run(context: Context, bench: "Bench", asked: Asked) -> bool:
    """Runs it, showing how far it is; True where it was interrupted. Raises `CheckFailed`."""
    from phoenix_hypervisor.verify.answered import No

    async with AsyncExitStack() as stack:
        status = None
        if context.err.is_terminal:
            status = stack.enter_context(context.err.status("warming up"))

        def tell(load: "Load", requests: int) -> None:
            if status is not None:
                done = len(load.answers) + len(load.errors)
                status.update(f"{load.concurrency} at once: {done} of {requests} answers")

        try:
            await bench.run(tell)
        except asyncio.CancelledError:
            return True
        except No as no:
            raise CheckFailed(no.message, hint=_hint(no.message, asked)) from no
    return False


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    value = os.environ.get(variable, "")
    if not value:
        raise UsageError(f"the variable {variable} is not set", hint="set it to the API key")
    if not value.isprintable() or not value.isascii():
        raise UsageError(f"the variable {variable} holds what no key can: not printable ASCII")
    return value


def _hint(message: str, asked: Asked) -> str:
    if " answers 401" in message or " answers 403" in message:
        return "--api-key-env NAME names the variable that holds the key"
    if " answers 503" in message:
        return "the server is still starting: try again when `phoenix check` says that it answers"
    if message.startswith("the warm-up was not"):
        return "where it is only slow, such as while it loads its model, give it more --seconds"
    if " answers 429" in message:
        return "the route's rate limit: ask less (--requests, --concurrency), or --via inside"
    if " answers 501" in message:
        return "it does not do this: --kind chat, embedding or rerank"
    if "context" in message:
        return "ask less with --prompt-tokens and --output-tokens, or give the server more context"
    if asked.via == "port":
        return "a port that a route leads to is closed to others: --via route, or --via inside"
    if asked.is_url:
        return "is the address right, and does it end in /v1?"
    return "`phoenix check` asks the checks of the guests"


def _result(asked: Asked, found: "Found", bench: "Bench", *, interrupted: bool) -> Result:
    levels = [load.figures() for load in bench.loads]
    objectives = [
        Objective("first_token_ms", asked.first_token_ms),
        Objective("total_ms", asked.total_p95_ms),
    ]
    return Result(
        where=found.told,
        model=bench.model,
        kind=bench.work.kind,
        prompt_tokens=asked.prompt_tokens,
        output_tokens=asked.output_tokens,
        levels=levels,
        unfinished=[load.concurrency for load in bench.loads if not load.in_time],
        verdicts=judged(levels, objectives),
        interrupted=interrupted,
    )


def _draw(result: Result, out: Path) -> None:
    from phoenix_hypervisor.cli._bench_picture import svg

    try:
        out.write_text(svg(result), encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"{out} can't be written: {error.strerror}", hint="choose another --out"
        ) from error


def _show(context: Context, result: Result, out: Path | None) -> None:
    if result.interrupted:
        context.say("[yellow]interrupted:[/] this is what was measured so far")
    context.print(f"{escape(result.where)}, {escape(result.model)} ({result.kind})")
    if result.levels:
        context.out.print(table(result))
    for level in result.levels:
        for message, times in level.errors.items():
            context.say(
                f"[red]failed with {level.concurrency} at once:[/] {escape(message)} ({times}x)"
            )
        if level.concurrency in result.unfinished and not result.interrupted:
            context.say(f"[yellow]out of time[/] with {level.concurrency} at once: see --seconds")
    for verdict in result.verdicts:
        sign = "[green]✓[/]" if verdict.ok else "[red]✗[/]"
        context.print(f"{sign} {verdict.told}")
    if out is not None and result.levels:
        context.print(f"wrote {escape(str(out))}")
