"""Words in sentences."""

from collections.abc import Sequence

__all__ = ["listed", "quoted"]


def listed(words: Sequence[str], most: int | None = None, last: str = "and") -> str:
    """Write words as an English list: "a, b and c".

    Args:
        most: how many entries it may have; of more words, the last says how many are left out.
        last: the word before the last entry.
    """
    if most is not None and len(words) > most:
        words = [*words[: most - 1], f"{len(words) - most + 1} more"]
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def quoted(word: str) -> str:
    """Write a word as code does, in double quotes."""
    return f'"{word}"'
