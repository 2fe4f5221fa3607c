"""The demo task: sentences of pseudo-words, where unlabelled text helps where labels are few.

Each class is a topic with words of its own; fillers belong to none. The labelled sentences use only
a few words of each topic, every other split uses them all. What most test words mean can thus be
learned in one way alone: from their company in the unlabelled text.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from random import Random

from tartan.batch import LabelKind
from tartan.checks import check_range, check_ranges
from tartan.data.rows import Example
from tartan.data.task import SPLITS, Task, build_task
from tartan.errors import ConfigError
from tartan.seeding import derive

CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
SYLLABLES = ["".join(letters) for letters in product(CONSONANTS, VOWELS)]
MAX_WORDS = len(SYLLABLES) ** 2
"""Every word is two syllables long."""


@dataclass
class DemoOptions:
    """Options of `source: demo`.

    Attributes:
        seed: what the task is generated from; not the run's seed, so that runs share the task.
        classes: number of classes, each a topic.
        topic_words: words of each topic.
        labelled_words: how many of a topic's words the labelled training sentences use.
        fillers: words that belong to no topic.
        min_words: words of the shortest sentences.
        max_words: words of the longest sentences.
        topic_share: share of a sentence's words that belong to its topic.
        stray_share: share of its words that belong to any other topic; the rest are fillers.
        train: labelled training sentences.
        dev: dev sentences.
        test: test sentences.
        unlabelled: sentences without labels, for the task corpus.
    """

    seed: int = 0
    classes: int = 4
    topic_words: int = 50
    labelled_words: int = 5
    fillers: int = 40
    min_words: int = 6
    max_words: int = 12
    topic_share: float = 0.6
    stray_share: float = 0.1
    train: int = 64
    dev: int = 200
    test: int = 400
    unlabelled: int = 3000


@dataclass(frozen=True)
class Lexicon:
    """The words of the task.

    Attributes:
        topics: the words of each topic; those of the labelled sentences come first.
        fillers: words that belong to no topic.
    """

    topics: Sequence[Sequence[str]]
    fillers: Sequence[str]


def load_demo(
    options: DemoOptions, labels: LabelKind = LabelKind.CLASS, splits: Sequence[str] = SPLITS
) -> Task:
    """Generate the task; its arguments are those of `load_task`.

    Raises:
        ConfigError: no task can be made with the options, or with labels of the kind.
    """
    if labels is not LabelKind.CLASS:
        raise ConfigError(
            f"data.source=demo has sentences with classes, not {labels.value}: choose data=files, "
            "data=jsonl or data=hub"
        )
    check_options(options)
    lexicon = make_lexicon(options)
    narrow = Lexicon([words[: options.labelled_words] for words in lexicon.topics], lexicon.fillers)
    rows = {
        split: _examples(
            split, getattr(options, split), narrow if split == "train" else lexicon, options
        )
        for split in splits
    }
    unlabelled = _examples("unlabelled", options.unlabelled, lexicon, options)
    return build_task("demo", rows, unlabelled=(example.text for example in unlabelled))


def check_options(options: DemoOptions) -> None:
    """Raise ConfigError at the first option that no task can be made with."""
    check_ranges(
        "data",
        options,
        classes=f"[2, {MAX_WORDS}]",
        topic_words=f"[1, {MAX_WORDS}]",
        labelled_words=f"[1, {options.topic_words}]",
        fillers=f"[1, {MAX_WORDS}]",
        min_words=f"[1, {options.max_words}]",
        topic_share="[0, 1]",
        stray_share="[0, 1]",
        train=f"[{options.classes}, inf)",
        dev="[1, inf)",
        test="[1, inf)",
        unlabelled="[0, inf)",
    )
    words = options.classes * options.topic_words + options.fillers
    check_range("data.classes * topic_words + fillers", words, f"[1, {MAX_WORDS}]")


def make_lexicon(options: DemoOptions) -> Lexicon:
    """Return distinct pronounceable words, divided among the topics and the fillers."""
    rng = Random(derive(options.seed, "demo", "lexicon"))
    size = options.topic_words
    count = options.classes * size
    words = ["".join(pair) for pair in product(SYLLABLES, repeat=2)]
    sampled = rng.sample(words, count + options.fillers)
    topics = [sampled[start : start + size] for start in range(0, count, size)]
    return Lexicon(topics, sampled[count:])


def sentences(
    count: int, lexicon: Lexicon, options: DemoOptions, rng: Random
) -> Iterator[tuple[str, int]]:
    """Yield sentences and their topics, in turn, so that classes are balanced."""
    everyone = range(options.classes)
    others = [[w for t in everyone if t != topic for w in lexicon.topics[t]] for topic in everyone]
    for number in range(count):
        topic = number % options.classes
        length = rng.randint(options.min_words, options.max_words)
        on_topic = max(1, round(options.topic_share * length))
        stray = min(length - on_topic, round(options.stray_share * length))
        words = rng.choices(lexicon.topics[topic], k=on_topic)
        words += rng.choices(others[topic], k=stray)
        words += rng.choices(lexicon.fillers, k=length - on_topic - stray)
        rng.shuffle(words)
        yield " ".join(words), topic


def _examples(split: str, count: int, lexicon: Lexicon, options: DemoOptions) -> Iterator[Example]:
    rng = Random(derive(options.seed, "demo", split))
    for row, (text, topic) in enumerate(sentences(count, lexicon, options, rng), start=1):
        yield Example(text, f"topic-{topic}", f"demo {split} row {row}")
