"""Models that stay in memory between tasks: a few, of which the one that was used longest ago goes first."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Literal

ModelKind = Literal["synthesiser", "composer", "separator", "audio"]

Key = tuple[str, str, tuple[tuple[str, Any], ...]]


class ModelShelf:
    """Keeps loaded pipelines.

    Args:
        limit: Most of them at a time, at least 1; the one used longest ago goes before another is loaded.
        threads: CPU threads of torch in tasks; torch's own choice where None. Separating computes with one.

    Raises:
        ValueError: If there is room for none.
    """

    def __init__(self, limit: int = 1, threads: int | None = None) -> None:
        if limit < 1:
            raise ValueError(f"a shelf for {limit} models: 1 or more is needed")
        self.limit, self.threads = limit, threads
        self._held: OrderedDict[Key, Any] = OrderedDict()

    def pipeline(self, kind: ModelKind, name: str, **how: Any) -> Any:
        """A model, loaded where it is not there yet.

        Args:
            kind: What it does.
            name: A bundled name, folder or Hub id.
            how: As of the function that opens this kind: `vocoder`, `int8`.

        Raises:
            UserError: If there is no such model, or its weights are damaged.
        """
        key = (kind, name, tuple(sorted((option, value) for option, value in how.items() if value)))
        if key not in self._held:
            while len(self._held) >= self.limit:
                self._held.popitem(last=False)
            self._held[key] = _opened(kind, name, dict(key[2]))
        self._held.move_to_end(key)
        return self._held[key]

    def loaded(self) -> list[str]:
        """Names of the models in memory, the one used longest ago first."""
        return [name for _, name, _ in self._held]


def _opened(kind: ModelKind, name: str, how: dict[str, Any]) -> Any:
    """A model by its name; see the functions called here."""
    if kind == "synthesiser":
        from ondes.pipelines.opening import open_pipeline  # noqa: PLC0415

        return open_pipeline(name, **how)
    if kind == "composer":
        from ondes.pipelines.composer_opening import open_composer  # noqa: PLC0415

        return open_composer(name, **how)
    if kind == "separator":
        from ondes.pipelines.separation_opening import open_separator  # noqa: PLC0415

        return open_separator(name, **how)
    from ondes.pipelines.audio_opening import open_audio_pipeline  # noqa: PLC0415

    return open_audio_pipeline(name, **how)
