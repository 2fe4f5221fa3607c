import pytest

from tartan.spelling import spelled


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Uses", "Uses"),
        ("Uses ", r"Uses\x20"),
        (" Uses", r"\x20Uses"),
        ("a  b", r"a \x20b"),
        ("a b c", "a b c"),
        ("a\u00a0b", r"a\xa0b"),
        ("a\u200bb", r"a\u200bb"),
        ("a\tb\n", r"a\tb\n"),
        ("caf\u00e9", "café"),
        ("cafe\u0301", r"cafe\u0301"),
        ("\u212b", r"\u212b"),
        ("हिन्दी", "हिन्दी"),
        ("日本", "日本"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_cannot_be_seen_is_an_escape(text: str, shown: str):
    assert spelled(text) == shown
    assert shown.isprintable()
