"""A page as one file: its markup, style, script and data, and a policy under which it can request nothing.

What may run is named by its hash, so that no text of a data set or a run becomes code: names come in as data (JSON), and the
script writes them as text.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data: blob:;"
    " base-uri 'none'; form-action 'none'"
)


def document(
    folder: str, *, title: str, scripts: Sequence[str], data: Mapping[str, Any], texts: Mapping[str, str]
) -> str:
    """The HTML of a page.

    Args:
        folder: of this package, with ``page.html``, ``style.css`` and the scripts, next to those of ``shared``.
        title: of the window.
        scripts: names of its script files, in their order.
        data: what the script reads, as JSON's types.
        texts: longer texts for the script, such as base64, each by the identifier of its element.
    """
    script = _file("shared", "element.js") + "".join(_file(folder, name) for name in scripts)
    style = _file("shared", "theme.css") + _file(folder, "style.css")
    policy = POLICY.format(script=_hash(script), style=_hash(style))
    blocks = [f'<script type="application/json" id="data">{_as_data(data)}</script>']
    blocks += [f'<script type="text/plain" id="{name}">{text}</script>' for name, text in texts.items()]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            '<link rel="icon" href="data:,">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{style}</style>",
            "</head>",
            "<body>",
            _file(folder, "page.html"),
            *blocks,
            f"<script>{script}</script>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _file(folder: str, name: str) -> str:
    return files("pipeline.pages").joinpath(folder, name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _as_data(data: Mapping[str, Any]) -> str:
    """JSON in which nothing can end the element around it."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
