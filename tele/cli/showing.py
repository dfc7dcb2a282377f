"""`tele view`: where the page goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tele.errors import BadInput
from tele.face import page_path

if TYPE_CHECKING:
    from tele.store.reader import Store

__all__ = ["write_page"]


def write_page(store: Store, target: str, output: Path | None) -> Path:
    """Write the page of `target` to `output`, else to a file in this folder that bears its name."""
    from tele.viewer import view

    path = output or page_path(target)
    try:
        view(store, target, path)
    except OSError as error:
        raise BadInput(f"Cannot write {path}: {error.strerror}.") from None
    return path
