"""Asks one model server: which models it has, and questions."""

from phoenix_hypervisor.verify.answered import No
from phoenix_hypervisor.verify.llm.exchange import Refused, Way
from phoenix_hypervisor.verify.llm.question import OPTIONAL, Question, Server
from phoenix_hypervisor.verify.llm.reading import Answer, read

_NOT_UNDERSTOOD = (400, 422)


class Client:
    """One server over one way. What it refuses of the `OPTIONAL` words is not asked again."""

    def __init__(self, way: Way, server: Server) -> None:
        self._way = way
        self._server = server
        self._without: frozenset[str] = frozenset()

    async def models(self) -> list[str]:
        """The names of the server's models, in its own order. Raises `No` where it has none."""
        exchange = await self._way.send(self._server.request("GET", "/models"))
        content = exchange.json()
        listed = content.get("data") if isinstance(content, dict) else None
        names = [one.get("id") for one in listed or () if isinstance(one, dict)]
        found = [name for name in names if isinstance(name, str) and name]
        if not found:
            raise No(f"{exchange.where} names no model")
        return found

    async def ask(self, question: Question) -> Answer:
        """The answer to one question. Raises `No` where there is none."""
        try:
            return await self._try(question, self._without)
        except Refused as refused:
            sent = [word for word in OPTIONAL if word in question.words(self._without)]
            if refused.status not in _NOT_UNDERSTOOD or not sent:
                raise
            first = refused
        without = self._without
        for word in sent:
            without |= {word}
            try:
                answer = await self._try(question, without)
            except Refused as refused:
                if refused.status not in _NOT_UNDERSTOOD:
                    raise
            else:
                self._without = without
                return answer
        raise first

    async def _try(self, question: Question, without: frozenset[str]) -> Answer:
        request = self._server.request("POST", question.path, question.words(without))
        return read(question, await self._way.send(request))
