"""The tiny task on which plugins are tested: one for each kind of label, with corpora and body."""

from dataclasses import dataclass
from functools import cache
from random import Random

from tartan.batch import LabelKind
from tartan.body import Body, ModelSource
from tartan.data.cache import caching
from tartan.data.rows import Example, Label
from tartan.data.task import SPLITS, Task, build_task
from tartan.experiment.context import TaskContext
from tartan.experiment.texts import Texts, Training
from tartan.objective import PrimaryObjective
from tartan.seeding import seeded
from tartan.testing.end_task import TinyEndTask, TinyEndTaskOptions
from tartan.testing.models import tiny_source, tiny_tokenizer

CLASSES = ("method", "result", "use")
ROWS = {"train": 24, "dev": 6, "test": 6, "unlabelled": 12, "domain": 24}


@dataclass(frozen=True)
class World:
    """A tokenised task, and the source of bodies and heads.

    Attributes:
        task: the end task; it has a task corpus and a domain corpus.
        texts: its texts as the tokenizer reads them.
        source: a tiny BERT with random weights.
    """

    task: Task
    texts: Texts
    source: ModelSource

    def body(self) -> Body:
        """Return a body; all have the same weights."""
        with seeded(0, "body"):
            return self.source.body()

    def context(
        self,
        body: Body,
        seed: int,
        end_task: PrimaryObjective | None = None,
        section: str | None = None,
    ) -> TaskContext:
        """Return the context of an objective; `end_task` is None for the end task itself."""
        return TaskContext("mine", self._training(), body, seed, end_task, section)

    def end_task(self, body: Body, seed: int) -> TinyEndTask:
        """Return an end task, in evaluation mode, for an auxiliary objective that uses it."""
        context = TaskContext("task", self._training(), body, seed, section="primary")
        task = TinyEndTask(TinyEndTaskOptions(), context)
        task.eval()
        return task

    def _training(self) -> Training:
        return self.texts.training(self.texts.split("train"))


@cache
def world(kind: LabelKind = LabelKind.CLASS) -> World:
    """Return the world whose task has labels of a kind; cached."""
    random, source = Random(0), tiny_source()
    words = sorted(w for w in tiny_tokenizer().get_vocab() if w.isalpha())
    splits = {
        split: [_example(random, words, kind, f"{split}:{row}") for row in range(ROWS[split])]
        for split in ("train", "dev", "test")
    }
    unlabelled, domain = (
        [" ".join(_words(random, words)) for _ in range(ROWS[corpus])]
        for corpus in ("unlabelled", "domain")
    )
    with caching(False):
        task = build_task("the tiny world", splits, unlabelled, domain, kind=kind)
        texts = Texts(task, source)
        for split in SPLITS:
            texts.split(split)
        for corpus in task.corpora:
            texts.training(texts.split("train")).corpora.rows(corpus)
    return World(task, texts, source)


def _words(random: Random, words: list[str]) -> list[str]:
    """Sample a text of 3 to 12 words."""
    return random.choices(words, k=random.randint(3, 12))


def _example(random: Random, words: list[str], kind: LabelKind, place: str) -> Example:
    """Sample a labelled row. Classes and tags alternate, so that train has all of them."""
    text = _words(random, words)
    number = int(place.rpartition(":")[2])
    classes = [CLASSES[(number + word) % len(CLASSES)] for word in range(len(text))]
    labels: dict[LabelKind, Label] = {
        LabelKind.CLASS: classes[0],
        LabelKind.NUMBER: random.uniform(-9, 9),  # nobody writes these by hand
        LabelKind.SETS: tuple(sorted(set(classes[: number % 3]))),
        LabelKind.TAGS: tuple(classes),
    }
    tagged = tuple(text) if kind is LabelKind.TAGS else ()
    return Example(" ".join(text), labels[kind], place, words=tagged)
