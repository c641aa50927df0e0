"""lm-eval's model class, running what prompts have in common only once.

The four options of a question share its prompt, and few-shot prompts of a subject share their
examples. lm-eval runs each option's prompt anew and the LM head over every token of it. Here one
row holds a prompt and its options, positions restarting and attention blocked between options;
the examples' keys and values are computed once for their subject; the LM head sees only
the tokens that predict an option. Log-probs are lm-eval's up to the rounding of sums.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import torch
from lm_eval.models.huggingface import HFLM
from lm_eval.models.utils import _add_special_kwargs, has_bos_prefix

from stages.errors import ModelError
from stages.inference.mmlu.option_rows import (
    PrefixGroup,
    Prompt,
    Tokens,
    build_row,
    collect_prompts,
    group_by_prefix,
    split_batches,
)
from stages.inference.mmlu.row_scoring import Answer, run_beginning, run_rows, why_not_shared
from stages.run.processes import deal, gather, is_main_process, n_processes
from stages.run.progress import say, track

if TYPE_CHECKING:
    from lm_eval.api.instance import Instance

Request = tuple[tuple[str, str], list[int], list[int]]  # texts, context tokens, continuation tokens

MIN_SHARED_TOKENS = 64  # below this a cache costs more than it saves


class SharedPrefixLM(HFLM):
    """`HFLM` for multiple choice; rows and batches as the module describes."""

    def __init__(self, *, max_batch_tokens: int, **kwargs: Any) -> None:
        """`max_batch_tokens`: padded tokens of one forward pass; the rest is HFLM's."""
        super().__init__(batch_size=1, softmax_dtype="float32", **kwargs)
        self.max_batch_tokens = max_batch_tokens
        self._tokens: dict[str, list[int]] = {}  # what tok_encode would give, for the texts at hand

    def loglikelihood(self, requests: list["Instance"], disable_tqdm: bool = False) -> list[Answer]:
        """lm-eval's, but every text is tokenized once and all of them in one call, on all cores."""
        texts = {text for one in requests for text in (one.args[0].rstrip(), one.args[0] + one.args[1])}
        self._tokens = self._encode_all(sorted(texts))
        answers: list[Answer] = super().loglikelihood(requests, disable_tqdm)
        self._tokens = {}
        return answers

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """The tokens of a text; lm-eval's own way where they are not at hand."""
        if add_special_tokens is None and not kwargs and string in self._tokens:
            return self._tokens[string]
        tokens: list[int] = super().tok_encode(string, add_special_tokens, **kwargs)
        return tokens

    def _encode_all(self, texts: list[str]) -> dict[str, list[int]]:
        """As HFLM.tok_encode: special tokens by default, but none where a text opens with BOS itself."""
        opening = self.tokenizer.decode(self.prefix_token_id)
        default = _add_special_kwargs(None, self.add_bos_token)
        tokens: dict[str, list[int]] = {}
        for is_open, settings in ((False, default), (True, default | {"add_special_tokens": False})):
            chosen = [text for text in texts if has_bos_prefix(text, opening) == is_open]
            if chosen:
                with all_cores_for_tokenizers():
                    tokens |= zip(chosen, self.tokenizer(chosen, **settings)["input_ids"], strict=True)
        return tokens

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = False, override_bs: int | None = None
    ) -> list[Answer]:
        refuse_truncation(requests, self.max_length)
        prompts = collect_prompts((context, option) for _, context, option in requests)
        reason = why_not_shared(self.model)
        if reason is not None:
            say(f"mmlu: {self.config.model_type} is scored by lm-eval's own, slower forward pass: {reason}")
            own = self._ask_apart(requests, disable_tqdm, override_bs) if is_main_process() else []
            return list(gather(dict(enumerate(own))).values())
        done: dict[tuple[Tokens, Tokens], Answer] = {}
        n_here = -(-len(prompts) // n_processes())  # about: batches are dealt, not prompts
        for prompt, scored in track(self._score(prompts), total=n_here, label="mmlu", unit="questions"):
            done |= {
                (prompt.context, option): one for option, one in zip(prompt.options, scored, strict=True)
            }
        answers = gather(done)
        return [answers[tuple(context), tuple(option)] for _, context, option in requests]

    def _ask_apart(
        self, requests: list[Request], disable_tqdm: bool, override_bs: int | None
    ) -> list[Answer]:
        """lm-eval's own way, one row an option; of several processes the first does it all."""
        self.batch_size_per_gpu = max(1, self.max_batch_tokens // max(map(_count_tokens, requests)))
        return super()._loglikelihood_tokens(requests, disable_tqdm, override_bs)  # type: ignore[no-any-return]

    @torch.inference_mode()
    def _score(self, prompts: Sequence[Prompt]) -> Iterator[tuple[Prompt, list[Answer]]]:
        """Each prompt of this process's batches, with what its options got."""
        groups = group_by_prefix([one.context for one in prompts], min_shared=MIN_SHARED_TOKENS)
        batches = deal([(group, batch) for group in groups for batch in self._cut(group, prompts)])
        for group, of_group in groupby(batches, key=itemgetter(0)):
            shared = run_beginning(self.model, prompts[group.members[0]].context[: group.n_shared])
            for _, batch in of_group:
                rows = [build_row(prompts[place], n_shared=group.n_shared) for place in batch]
                flat = iter(run_rows(self.model, rows, shared))
                for place in batch:
                    options = prompts[place].options
                    yield prompts[place], [_add_up([next(flat) for _ in option]) for option in options]

    def _cut(self, group: PrefixGroup, prompts: Sequence[Prompt]) -> list[list[int]]:
        """A group's prompts, as places, in batches."""
        rows = [build_row(prompts[place], n_shared=group.n_shared) for place in group.members]
        batches = split_batches([len(row.tokens) for row in rows], max_tokens=self.max_batch_tokens)
        return [[group.members[place] for place in batch] for batch in batches]


@contextmanager
def all_cores_for_tokenizers() -> Iterator[None]:
    """The shell switches the tokenizers' threads off for forking data loaders; here nothing forks."""
    name = "TOKENIZERS_PARALLELISM"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        os.environ.pop(name)
        os.environ.update({name: before} if before is not None else {})


def refuse_truncation(requests: Sequence[Request], max_length: int) -> None:
    """ModelError for a prompt that does not fit: lm-eval would cut off its head in a warning."""
    for (text, _), context, option in requests:
        n_tokens = len(context) + len(option)
        if n_tokens > max_length + 1:
            raise ModelError(
                f"mmlu: a prompt of {n_tokens} tokens does not fit the model's {max_length} "
                f"({text[:60]!r}); lower mmlu.num_fewshot or use a model with a longer context"
            )


def _count_tokens(request: Request) -> int:
    return len(request[1]) + len(request[2])


def _add_up(tokens: Sequence[Answer]) -> Answer:
    """Sum of a continuation's log-probs; it is greedy if each of its tokens is."""
    return sum(logprob for logprob, _ in tokens), all(is_greedy for _, is_greedy in tokens)
