"""The last step of the corpus: kept documents to token shards, a share of them held out.

The format is `mathwright.lm.shards`, which the pre-training reads.
"""

from __future__ import annotations

import hashlib
import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mathwright.corpus.urls import address
from mathwright.errors import MathwrightError
from mathwright.lm.shards import ShardWriter
from mathwright.lm.tokenise import encode


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardCounts:
    """What was written to a folder of shards."""

    num_documents: int
    num_tokens: int
    """End-of-sequence tokens included."""
    num_bytes: int


def choose_heldout(urls: Sequence[str], share: float, seed: int) -> set[str]:
    """The URLs held out: that share of them, rounded up, by the order of a keyed hash.

    Whether a page is held out hardly depends on which other pages there are, so corpora stay comparable; nor does it
    depend on the port, which a server on the loopback chooses each time. Raises
    MathwrightError where nothing would be left on one side.
    """
    num = math.ceil(share * len(urls))
    if share > 0 and not 0 < num < len(urls):
        raise MathwrightError(
            f"{len(urls)} documents cannot be split with a held-out share of {share}",
            hint="collect more pages (corpus.budget_tokens) or lower corpus.heldout_share",
        )

    def order(url: str) -> tuple[bytes, str]:
        return hashlib.sha256(f"{seed}:{address(url)}".encode()).digest(), url

    return set(heapq.nsmallest(num, urls, key=order))  # never the keys of all


def write_shards(
    rows: Iterable[Mapping[str, Any]], tokenizer: Any, folders: Mapping[bool, Path], heldout: set[str]
) -> dict[bool, ShardCounts]:
    """Tokenise documents and write them to `folders[True]` if their URL is held out, else to `folders[False]`.

    Special tokens that a page spells out are text. Raises MathwrightError where the tokenizer has no end token.
    """
    if tokenizer.eos_token_id is None:
        raise MathwrightError("the tokenizer has no end-of-sequence token", hint="set eos_token in its configuration")
    num_documents = {False: 0, True: 0}
    with (
        ShardWriter(folders[False], vocab_size=len(tokenizer), eos_token=tokenizer.eos_token_id) as train,
        ShardWriter(folders[True], vocab_size=len(tokenizer), eos_token=tokenizer.eos_token_id) as held_out,
    ):
        writers = {False: train, True: held_out}
        for row in rows:
            side = row["url"] in heldout
            tokens = encode(tokenizer, row["text"], parse_special=False)
            writers[side].write(
                tokens, num_bytes=row["num_bytes"], url=row["url"], archive=row["archive"], offset=row["offset"]
            )
            num_documents[side] += 1
    return {
        side: ShardCounts(num_documents=num_documents[side], num_tokens=writer.num_tokens, num_bytes=writer.num_bytes)
        for side, writer in writers.items()
    }
