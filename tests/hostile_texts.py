"""Texts that no site should send, for whatever shows them."""

from __future__ import annotations

LONG = "x" * 100_000
HOSTILE = (
    '<img src="https://elsewhere.test/x.png"><b>Bold</b>',
    '<a href="https://elsewhere.test">Sign in here</a>',
    "<<b>img src=x><</b>script>alert(1)</script>",
    "<img src=x onerror=alert(1)",
    "&lt;img src=x&gt;<br/>",
    "<!-- --><table><tr><td>x",
    "<?xml version='1.0'?><html>x</html>",
    "a\x00b\x1b[31mc\r\nd\u202ee\u200bf",
    "lone \ud800 surrogate",
    LONG,
)
