"""Tool tips for texts that may come from a site."""

from __future__ import annotations

import html


def plain_tip(text: str) -> str:
    """`text` for a tool tip, which shows it as it is: Qt reads mark-up in tool tips."""
    return f"<span>{html.escape(text)}</span>"
