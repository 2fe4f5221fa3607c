"""Schemes are recognised from the tags, and where tags do not tell, from their order."""

from collections.abc import Sequence

import pytest

from tartan.errors import ConfigError
from tartan.spans import Tag
from tartan.tags import TagScheme


def scheme_of(rows: Sequence[Sequence[str]]) -> tuple[TagScheme, list[list[int]]]:
    """The scheme of rows of tags, and the rows as ids."""
    tags = sorted({tag for row in rows for tag in row})
    ids = [[tags.index(tag) for tag in row] for row in rows]
    return TagScheme.find(tags, ids), ids


BIO = [["B-A", "I-A", "O", "B-B", "B-A", "O"], ["O", "B-B", "I-B", "I-B"]]
SCHEMES = {
    "BIO": BIO,
    "IOB1": [["I-A", "I-A", "B-A", "O", "I-B"], ["O", "I-B", "B-B"]],
    "IO": [["I-A", "I-A", "O", "I-B"]],
    "IOE": [["I-A", "E-A", "O", "E-B"]],
    "BIOES": [["B-A", "I-A", "E-A", "S-B", "O"]],
    "BILOU": [["B-A", "I-A", "L-A", "U-B", "O"]],
    "BMES": [["B-A", "M-A", "E-A", "S-B", "O"]],
    "BMEWO": [["B-A", "M-A", "E-A", "W-B", "O"]],
}
FORMS = {
    "prefix": lambda tag: tag,
    "underscore": lambda tag: tag.replace("-", "_"),
    "colon": lambda tag: tag.replace("-", ":"),
    "suffix": lambda tag: "-".join(reversed(tag.split("-"))),
    "underscore suffix": lambda tag: "_".join(reversed(tag.split("-"))),
    "lower letters": lambda tag: tag if tag == "O" else tag[0].lower() + tag[1:],
    "lower case": lambda tag: tag.lower(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SCHEMES)
def test_every_scheme_is_recognised_in_every_form(name: str, form: str):
    plain, ids = scheme_of(SCHEMES[name])
    assert plain.name == name
    other, its_ids = scheme_of([[FORMS[form](tag) for tag in row] for row in SCHEMES[name]])
    assert (other.name, other.other) == (name, ())
    lower = form == "lower case"
    for row, its in zip(ids, its_ids, strict=True):
        expected = {(s.start, s.end, s.type.lower() if lower else s.type) for s in plain.spans(row)}
        assert set(other.spans(its)) == expected
    assert any(plain.spans(row) for row in ids)


@pytest.mark.parametrize(
    ("tags", "name", "read"),
    [
        (["O", "PER"], "IO", [("O", ""), ("I", "PER")]),
        (["o", "per"], "IO", [("O", ""), ("I", "per")]),
        (["NOUN", "VERB"], "plain", [("S", "NOUN"), ("S", "VERB")]),
        (["E", "S"], "plain", [("S", "E"), ("S", "S")]),
        (["E", "O", "S"], "IO", [("I", "E"), ("O", ""), ("I", "S")]),
        (["a", "e", "i", "o", "u"], "plain", [("S", vowel) for vowel in "aeiou"]),
        (["B", "I", "O"], "BIO", [("B", ""), ("I", ""), ("O", "")]),
        (["B-", "I-", "O"], "BIO", [("B", ""), ("I", ""), ("O", "")]),
        (["S-", "E-", "O"], "IO", [("I", "S-"), ("I", "E-"), ("O", "")]),
        (["B-NP", "I-NP"], "BIO", [("B", "NP"), ("I", "NP")]),
        (["B-work-of-art", "O"], "BIO", [("B", "work-of-art"), ("O", "")]),
        (["I-a", "I-b"], "IO", [("I", "a"), ("I", "b")]),
        (["E-mail", "S-mail"], "plain", [("S", "E-mail"), ("S", "S-mail")]),
        (["NN", "PRP$", "WP-S"], "plain", [("S", "NN"), ("S", "PRP$"), ("S", "WP-S")]),
    ],
)
def test_tags_are_read(tags: list[str], name: str, read: list[tuple[str, str]]):
    scheme = TagScheme.find(tags)
    assert (scheme.name, list(scheme.tags)) == (name, read)


def test_tags_without_a_letter_among_others_are_types():
    scheme = TagScheme.find(["B-A", "I-A", "O", "X"])
    assert (scheme.name, scheme.other) == ("BIO", ("X",))
    assert scheme.tags[3] == Tag("I", "X")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("BMES BE S BMME", "BMES"),
        ("BE S BE", "BIOES"),
        ("BIIOOBIOB", "BIO"),
        ("IIOOIBIOI IIO", "IOB1"),
        # Languages: Bengali, English, Spanish; Bengali, Indonesian and others.
        ("EEESSSBBBEE SSSEEBB", "plain"),
        ("IIIIOIIBBBBOIIII OBBBBIII", "IO"),
    ],
)
def test_letters_alone_are_a_scheme_where_they_follow_each_other_as_it_says(text: str, name: str):
    assert scheme_of([list(row) for row in text.split()])[0].name == name


def test_a_scheme_may_be_given():
    tags = ["B-A", "I-A", "O"]
    assert TagScheme.named("BIOES", tags).tags == TagScheme.find(tags).tags
    assert TagScheme.named("plain", tags).tags == (Tag("S", "B-A"), Tag("S", "I-A"), Tag("O", ""))
    assert TagScheme.named("IO", tags).tags == (Tag("I", "B-A"), Tag("I", "I-A"), Tag("O", ""))
    assert TagScheme.named("BMES", ["E", "S"]).tags == (Tag("E", ""), Tag("S", ""))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BOI", "scheme=BOI: did you mean 'BIO'?"),
        ("BIO", "scheme=BIO: tag 'E-A' is neither O nor a type with one of B, I: choose another "
         "scheme, or auto"),
    ],
)  # fmt: skip
def test_a_scheme_that_tags_do_not_have_is_refused(name: str, message: str):
    with pytest.raises(ConfigError) as caught:
        TagScheme.named(name, ["B-A", "E-A", "O"])
    assert str(caught.value) == message
