"""Well-known language models: their architecture as published, found by a model's name.

The numbers are those of each model's `config.json`. The parameters follow from them (embeddings,
attention, feed-forward and norms added up) and equal the published totals.
"""

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What decides how much memory a model takes.

    `parameters` are those of its text model, `hidden` is the length of its rows, `vocabulary`
    counts its tokens. `tied`: it has no output layer of its own. `local_layers` of the layers look
    back over `window` tokens only. `encoder`: it keeps no KV cache. `besides` are parameters of a
    vision tower, which no quantiser touches, and which lie in a file of their own for llama.cpp.
    `quantised`: only so many parameters are (None: all but embeddings and output layer).
    """

    parameters: int
    layers: int
    kv_heads: int
    head_dim: int
    hidden: int
    vocabulary: int
    tied: bool = False
    local_layers: int = 0
    window: int = 0
    encoder: bool = False
    besides: int = 0
    quantised: int | None = None

    @property
    def embedding(self) -> int:
        """Parameters of the token embeddings; an output layer has as many."""
        return self.vocabulary * self.hidden


_TABLE = """
name                     parameters   layers kv dim hidden vocabulary more
qwen2.5-0.5b             494032768    24     2  64  896    151936     tied
qwen2.5-1.5b             1543714304   28     2  128 1536   151936     tied
qwen2.5-3b               3085938688   36     2  128 2048   151936     tied
qwen2.5-7b               7615616512   28     4  128 3584   152064
qwen2.5-14b              14770033664  48     8  128 5120   152064
qwen2.5-32b              32763876352  64     8  128 5120   152064
qwen2.5-72b              72706203648  80     8  128 8192   152064
qwq-32b                  32763876352  64     8  128 5120   152064
deepseek-r1-distill-qwen-7b  7615616512  28  4  128 3584   152064
deepseek-r1-distill-qwen-14b 14770033664 48  8  128 5120   152064
deepseek-r1-distill-qwen-32b 32763876352 64  8  128 5120   152064
deepseek-r1-distill-llama-8b 8030261248  32  8  128 4096   128256
qwen3-0.6b               596049920    28     8  128 1024   151936     tied
qwen3-1.7b               1720574976   28     8  128 2048   151936     tied
qwen3-4b                 4022468096   36     8  128 2560   151936     tied
qwen3-8b                 8190735360   36     8  128 4096   151936
qwen3-14b                14768307200  40     8  128 5120   151936
qwen3-32b                32762123264  64     8  128 5120   151936
qwen3-30b-a3b            30532122624  48     4  128 2048   151936
qwen3-embedding-0.6b     595776512    28     8  128 1024   151669     tied
qwen3-embedding-4b       4021774336   36     8  128 2560   151665     tied
qwen3-embedding-8b       7567295488   36     8  128 4096   151665     tied
qwen3-reranker-0.6b      595776512    28     8  128 1024   151669     tied
qwen3-reranker-4b        4021774336   36     8  128 2560   151665     tied
llama-3-8b               8030261248   32     8  128 4096   128256
llama-3-70b              70553706496  80     8  128 8192   128256
llama-3.1-8b             8030261248   32     8  128 4096   128256
llama-3.1-70b            70553706496  80     8  128 8192   128256
llama-3.2-1b             1235814400   16     8  64  2048   128256     tied
llama-3.2-3b             3212749824   28     8  128 3072   128256     tied
llama-3.3-70b            70553706496  80     8  128 8192   128256
mistral-7b               7248023552   32     8  128 4096   32768
mistral-nemo             12247782400  40     8  128 5120   131072
mistral-small-24b        23572403200  40     8  128 5120   131072
mixtral-8x7b             46702792704  32     8  128 4096   32000
gemma-2-2b               2614341888   26     4  256 2304   256000     tied local=13 window=4096
gemma-2-9b               9241705984   42     8  256 3584   256000     tied local=21 window=4096
gemma-2-27b              27227128320  46     16 128 4608   256000     tied local=23 window=4096
gemma-3-270m             268098176    18     1  256 640    262144     tied local=15 window=512
gemma-3-1b               999885952    26     1  256 1152   262144     tied local=22 window=512
gemma-3-4b 3880263168 34 4 256 2560 262208 tied local=29 window=1024 besides=419816304
gemma-3-12b 11766034176 48 8 256 3840 262208 tied local=40 window=1024 besides=421290864
gemma-3-27b 27009346304 62 16 128 5376 262208 tied local=52 window=1024 besides=423060336
smollm2-135m             134515008    30     3  64  576    49152      tied
smollm2-360m             361821120    32     5  64  960    49152      tied
smollm2-1.7b             1711376384   24     32 64  2048   49152      tied
phi-4                    14659507200  40     10 128 5120   100352
gpt-oss-20b 20914757184 24 8 64 2880 201088 local=12 window=128 quantised=19116933120
bge-m3                   567754752    24     16 64  1024   250002     tied encoder
bge-small-en             33360000     12     12 32  384    30522      tied encoder
bge-base-en              109482240    12     12 64  768    30522      tied encoder
bge-large-en             335141888    24     16 64  1024   30522      tied encoder
bge-reranker-v2-m3       567755777    24     16 64  1024   250002     tied encoder
multilingual-e5-large    559890432    24     16 64  1024   250002     tied encoder
mxbai-embed-large        335141888    24     16 64  1024   30522      tied encoder
nomic-embed-text         136731648    12     12 64  768    30528      tied encoder
all-minilm-l6            22713216     6      12 32  384    30522      tied encoder
all-minilm               22713216     6      12 32  384    30522      tied encoder
"""

_VARIANTS = frozenset({"coder", "instruct", "math", "meta", "base", "it", "chat"})
"""Words in a name that change nothing of the architecture."""

_SIZE = re.compile(r"(?<![a-z0-9.])(?:(\d+)x)?(\d+(?:\.\d+)?)([bm])(?![a-z0-9])")
_SHARED = 0.8
"""Of N x M, so much is there: experts share their attention (Mixtral 8x7B: 46.7 of 56)."""


def known(model: str) -> Architecture | None:
    """The architecture of a model by its name, path or tag; None for one that is not in the table.

    `Qwen/Qwen2.5-7B-Instruct-AWQ`, `qwen2.5:7b`, `/models/Qwen2.5-7B-Instruct-Q4_K_M.gguf` and
    `Qwen/Qwen2.5-Coder-7B` are all the same one.
    """
    words = _split(model)
    best: tuple[int, Architecture | None] = (0, None)
    for key, one in _table().items():
        if len(key) > best[0] and _matches(key, words):
            best = (len(key), one)
    return best[1]


def parameters_in_name(model: str) -> int | None:
    """What the name says: `7B` is 7 000 000 000. Of several sizes the largest; None for none."""
    found = [
        float(size) * (float(experts) * _SHARED if experts else 1) * (1e9 if unit == "b" else 1e6)
        for experts, size, unit in _SIZE.findall(_last(model))
    ]
    return round(max(found)) if found else None


def _last(model: str) -> str:
    return re.split(r"[/\\]", model.strip().lower().rstrip("/"))[-1]


def _split(model: str) -> tuple[str, ...]:
    apart = re.sub(r"(?<=[a-z])(?=\d)", "-", _last(model))
    return tuple(word for word in re.split(r"[-_: ]", apart) if word)


def _matches(key: tuple[str, ...], words: tuple[str, ...]) -> bool:
    """Whether the name begins with the key, words between them left out that change nothing."""
    rest = list(key)
    for word in words:
        if word == rest[0]:
            rest.pop(0)
            if not rest:
                return True
        elif word not in _VARIANTS:
            return False
    return False


@cache
def _table() -> dict[tuple[str, ...], Architecture]:
    rows = [line.split() for line in _TABLE.strip().splitlines()[1:]]
    return {_split(row[0]): _row(row) for row in rows}


def _row(row: list[str]) -> Architecture:
    parameters, layers, kv_heads, head_dim, hidden, vocabulary = map(int, row[1:7])
    more = dict(word.split("=") for word in row[7:] if "=" in word)
    return Architecture(
        parameters=parameters,
        layers=layers,
        kv_heads=kv_heads,
        head_dim=head_dim,
        hidden=hidden,
        vocabulary=vocabulary,
        tied="tied" in row,
        encoder="encoder" in row,
        local_layers=int(more.get("local", 0)),
        window=int(more.get("window", 0)),
        besides=int(more.get("besides", 0)),
        quantised=int(more["quantised"]) if "quantised" in more else None,
    )
