"""The data of the measurement on real text: subsets, passages, and the arms of each regime."""

import hashlib
import json
import random
import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.evidence import results
from benchmarks.evidence.chain import CONFIGURATIONS, combinations, study_command
from benchmarks.evidence.explain import summary
from benchmarks.evidence.passages import MOST, passages
from benchmarks.evidence.regimes import FURTHER, regime
from benchmarks.evidence.subsets import ranked, write_subsets
from support.command import write_task
from support.shared import SHARED
from tartan.config.store import register
from tartan.plugins import discover
from tartan.study import options as study_options
from tartan.study.command_line import Typed
from tartan.study.plan import arms, read_options
from tartan.study.statistics import holm

README = (results.ROOT / "README.md").read_text(encoding="utf-8")
IN_README = {
    ("MiniLM", "128"): ["b128", "rest128"],
    ("MiniLM", "all"): ["a"],
    ("random weights", "all"): ["c"],
}
"""Studies of a row of its table; a later one's arms replace an earlier one's."""

REGIMES = ["b128", "c", *FURTHER]


@pytest.fixture
def registered() -> None:
    register(discover())
    study_options.register()


@given(st.lists(st.sampled_from("aaaabbc"), min_size=1, max_size=60), st.integers(0, 5))
def test_every_beginning_has_each_class_in_proportion(labels: list[str], seed: int):
    order = ranked(labels, random.Random(seed))
    assert sorted(order) == list(range(len(labels)))
    counts = Counter(labels)
    assert {labels[row] for row in order[: len(counts)]} == set(counts)
    for size in range(len(counts), len(labels) + 1):
        found = Counter(labels[row] for row in order[:size])
        for name, count in counts.items():
            assert abs(found[name] - size * count / len(labels)) <= len(counts)


def test_subsets_are_nested_and_the_rest_is_text_without_labels(tmp_path: Path):
    task = write_task(tmp_path / "task")
    write_subsets(task, tmp_path / "out", seeds=2, sizes=[4, 8])
    whole = (task / "train.jsonl").read_text().splitlines()
    chosen = {}
    for seed in (0, 1):
        for size in (4, 8):
            place = tmp_path / "out" / f"task-{size}" / f"seed{seed}"
            chosen[seed, size] = set((place / "train.jsonl").read_text().splitlines())
            assert len(chosen[seed, size]) == size
            rest = (place / "unlabelled.txt").read_text().splitlines()
            texts = {json.loads(line)["text"] for line in set(whole) - chosen[seed, size]}
            assert set(rest) == texts
            assert (place / "dev.jsonl").read_text() == (task / "dev.jsonl").read_text()
        assert chosen[seed, 4] < chosen[seed, 8]
    assert chosen[0, 8] != chosen[1, 8]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared")
@pytest.mark.parametrize("task", ["citation_intent", "sciie"])
def test_subsets_are_those_that_the_studies_were_trained_on(task: str, tmp_path: Path):
    recorded = json.loads((results.RESULTS / "data.json").read_text())["sha256"]
    sizes = [int(name.removeprefix(f"{task}-")) for name in recorded if name.startswith(task)]
    assert sorted(sizes) == [64, 128, 256, 512]
    write_subsets(SHARED / "data" / task, tmp_path, seeds=12, sizes=sizes)
    for size in sizes:
        digest = hashlib.sha256()
        for seed in range(12):
            for name in ("train.jsonl", "unlabelled.txt"):
                digest.update((tmp_path / f"{task}-{size}" / f"seed{seed}" / name).read_bytes())
        assert digest.hexdigest() == recorded[f"{task}-{size}"], size


def test_passages_are_whole_sentences_of_at_most_so_many_words():
    sentences = ["One " + "word " * 19 + "here."] * 5 + ["Long " + "word " * 60 + "here."]
    found = list(passages(" ".join(sentences)))
    assert [len(one.split()) for one in found] == [42, 42, 21, 62]
    assert " ".join(found) == " ".join(sentences)
    assert len(found[0].split()) <= MOST


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("name", REGIMES)
def test_a_regimes_study_is_one_that_tartan_accepts(name: str, tmp_path: Path):
    """Every arm gets its own values, and each seed of (b) its own data."""
    what = regime(name, tmp_path)
    rate = "optimizer.body_lr=1e-4"
    chosen = {arm: [rate, "weighting.lr=0.5"] if arm == "meta" else [rate] for arm in what.arms}
    _, flag, directory, *overrides = study_command(name, what, chosen)
    assert (flag, directory) == ("--config-dir", str(CONFIGURATIONS))
    typed = Typed.split(overrides, str(CONFIGURATIONS))
    options = read_options(typed)
    assert options.against == "finetune"
    found = arms(options, typed)
    assert [arm.name for arm in found] == list(what.arms)
    assert all(rate in arm.overrides for arm in found)
    assert any("${seed}" in text for text in found[0].overrides) == ("seed$" in what.data)


@pytest.mark.parametrize("name", REGIMES)
def test_every_arm_has_the_same_number_of_trials(name: str, tmp_path: Path):
    what = regime(name, tmp_path)
    if what.values:  # those that earlier trials chose
        assert set(what.values) == set(what.arms)
    else:
        assert {combinations(what.trials(arm)) for arm in what.arms} == {4 if name == "c" else 2}


def test_metas_logits_can_part_in_every_budget(tmp_path: Path):
    """Their learning rate times the number of measurements is the same in each regime."""
    for name in ("b128", "c", "rest128", "supcon128", "after64"):
        what = regime(name, tmp_path)
        (text,) = (one for one in what.overrides("meta") if one.startswith("weighting.lr="))
        measurements = what.steps / 4
        assert float(text.split("=")[1]) * measurements == pytest.approx(22, rel=0.01)


@pytest.mark.parametrize("page", results.PAGES, ids=lambda page: page.stem)
def test_the_pages_say_what_the_results_files_say(page: Path):
    text = page.read_text("utf-8")
    found = results.published("study")
    assert results.fill(text, found, results.published("unseen")) == text


def test_the_first_pages_table_says_what_the_results_files_say():
    found = results.published("study")
    rows = re.findall(
        r"^\| (MiniLM|random weights), (.*?) labels \| (.*) \|$", README, re.MULTILINE
    )
    assert len(rows) == 6
    for model, labels, cells in rows:
        regimes = IN_README.get((model, labels), [f"b{labels}"])
        arms = {arm["name"]: arm["test"] for name in regimes for arm in found[name]["arms"]}
        for name, cell in zip(results.ARMS, cells.split(" | "), strict=True):
            score = f"{arms[name]['mean']:.3f} ± {arms[name]['std']:.3f}"
            assert cell.removesuffix(r" \*").rstrip(" ↑↓") == score


def test_scores_over_labels_need_two_numbers_of_labels():
    study = results.published("study")["b128"]
    assert results.over_labels({"b128": study, "rest128": study}) is None
    plot = results.over_labels({"b64": study, "b128": study})
    assert plot is not None
    assert "End task alone: (0.29" in plot.told
    assert results.over_labels({"b64": study, "b128": study, "rest128": study}).told == plot.told


def test_agreement_is_of_alignments_and_look_aheads():
    def batch(end_task: float, mlm: float, factor: float) -> dict[str, dict[str, float]]:
        return {
            name: {"alignment": value, "ahead_sgd": value * factor, "ahead_adam": -value}
            for name, value in (("classification", end_task), ("mlm", mlm))
        }

    found = summary([{"batches": [batch(0.3, 0.1, 2), batch(0.2, -0.1, 2)]}])
    assert found["means"]["classification"]["alignment"] == pytest.approx(0.25)
    assert found["agreement"]["ahead_sgd"]["correlation"] == pytest.approx(1)
    assert found["agreement"]["ahead_sgd"]["same_sign"] == 1
    assert found["agreement"]["ahead_adam"]["correlation"] == pytest.approx(-1)
    assert found["agreement"]["ahead_adam"]["same_sign"] == 0


def test_the_comparisons_that_are_left_after_a_correction_over_all_are_those_of_the_page():
    pairs = [
        (f"{kind}-{name}", pair["first"], pair["p"])
        for kind in ("study", "unseen")
        for name, content in results.published(kind).items()
        for pair in content["pairs"]
    ]
    corrected = holm([p for *_, p in pairs])
    left = {
        (where, arm): round(p, 3)
        for (where, arm, _), p in zip(pairs, corrected, strict=True)
        if p < 0.05
    }
    assert left == {("unseen-again128", "mt"): 0.009, ("unseen-released128", "released"): 0.018}
    page = " ".join((results.ROOT / "docs/evidence.md").read_text(encoding="utf-8").split())
    assert f"over all {len(pairs)} comparisons" in page
    assert (
        "are left, with 0.009 (the least that a test with 28 seeds can give here) and 0.018" in page
    )
