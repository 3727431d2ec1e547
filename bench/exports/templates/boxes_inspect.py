"""The boxes task in Inspect. entity-tracking-bench, installed beside it, reads the answers.

inspect eval THIS_FILE --model ...
A base model of hf/ also needs -M do_sample=false -M "chat_template='{{ messages[0].content }}'".
"""

from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser, GenerateConfig
from inspect_ai.scorer import SampleScore, Score, Target, metric, scorer
from inspect_ai.solver import TaskState, generate

from bench.exports.boxes import buckets_of, read_jsonl, score

ROLES = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}


@task
def boxes(chat: bool = False, prefilled: bool = False) -> Task:
    """The boxes task. chat: give the instruction and the two worked examples as turns, for chat models.

    prefilled: begin the answer of the model with "Statement:".
    """
    docs = read_jsonl(Path(__file__).parent / "boxes.jsonl")
    samples = [
        Sample(
            input=asked(doc, chat, prefilled),
            target=doc["gold"],
            id=doc["id"],
            metadata=doc,
        )
        for doc in docs
    ]
    config = GenerateConfig(temperature=0.0, max_tokens=docs[0]["max_new_tokens"], stop_seqs=["\n\n"])
    return Task(MemoryDataset(samples, name="boxes"), solver=generate(), scorer=by_box(), config=config)


def asked(doc: dict, chat: bool, prefilled: bool) -> str | list:
    if not chat:
        return doc["prompt"] + "\nStatement:" * prefilled
    begun = [ChatMessageAssistant(content="Statement:")] * prefilled
    return [ROLES[role](content=text) for role, text in doc["turns"]] + begun


@metric
def by_operations():
    """accuracy_0..accuracy_7 and accuracy_1plus, and random guessing for each."""

    def measure(scores: list[SampleScore]) -> dict[str, float]:
        found: dict[str, list[float]] = {}
        for sample in scores:
            for num_ops, correct, random in sample.score.metadata["boxes"]:
                for bucket in buckets_of(num_ops):
                    found.setdefault(f"accuracy_{bucket}", []).append(correct)
                    found.setdefault(f"random_{bucket}", []).append(random)
        return {name: sum(values) / len(values) for name, values in sorted(found.items())}

    return measure


@scorer(metrics=[by_operations()])
def by_box():
    """The share of boxes with exactly right contents, and the result of each box for the metrics."""

    async def scored(state: TaskState, target: Target) -> Score:
        found = score(state.metadata, state.output.completion)
        boxes = [
            [box["num_ops"], float(correct), box["random"]]
            for box, (correct, _) in zip(state.metadata["boxes"], found, strict=True)
        ]
        return Score(
            value=sum(correct for correct, _ in found) / len(found),
            answer=state.output.completion,
            explanation="\n".join(f"box {box}: {stated}" for box, (_, stated) in enumerate(found)),
            metadata={"boxes": boxes},
        )

    return scored
