"""The layer that a rule of areas by scale names, and what a rule keeps of a layer. Main thread."""

from __future__ import annotations

import re

from qgis.core import QgsMapLayer, QgsProject, QgsVectorLayer

from ..core.errors import BadArea, BadAreaReason
from .area_rules import RuleArea, RuleAreaKind

_QUOTED = r"(?:(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")+|[^\s'\"&;,|]*)"
_FILTER = rf"\bfilter={_QUOTED}|(?:\bsql=|\|subset=).*"
_SECRET = re.compile(
    rf"(?P<filter>{_FILTER})"
    rf"|[&;,|]?\s*\b(?:password|passwd|pwd|user|username|uid|authcfg|token|access_token|api_?key"
    rf"|\w*secret\w*|http-header:authorization)\s*=\s*{_QUOTED}",
    re.IGNORECASE | re.DOTALL,
)
_USER_INFO = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@'\"]*@", re.IGNORECASE)

NOT_KEPT = ("memory",)
"""Providers whose layers hold nothing once the project is closed."""


def layer_area(
    layer: QgsVectorLayer,
    expression: str = "",
    selected_only: bool = False,
    buffer_metres: float = 0.0,
) -> RuleArea:
    """The area of a rule that is `layer`, or some of its features; nothing is read of them."""
    return RuleArea(
        RuleAreaKind.LAYER,
        layer_id=layer.id(),
        layer_name=layer.name(),
        layer_source=without_secrets(layer.source()),
        provider=layer.providerType(),
        expression=expression,
        selected_only=selected_only,
        buffer_metres=buffer_metres,
    )


def layer_of(area: RuleArea, project: QgsProject | None) -> QgsVectorLayer | None:
    """The layer of `project` that `area` names: by its id, else by name and source, else by source.

    None where it has none of these.
    """
    layers = [] if project is None else list(project.mapLayers().values())
    tests = (
        lambda layer: layer.id() == area.layer_id,
        lambda layer: layer.name() == area.layer_name and _is_from(layer, area),
        lambda layer: _is_from(layer, area),
    )
    for is_meant in tests:
        for layer in layers:
            if isinstance(layer, QgsVectorLayer) and is_meant(layer):
                return layer
    return None


def opened_layer(area: RuleArea, project: QgsProject | None) -> QgsVectorLayer:
    """The same, or where `project` has none a new one from where it was. Raises BadArea."""
    layer = layer_of(area, project)
    if layer is not None:
        return layer
    if area.layer_source and area.provider and area.provider not in NOT_KEPT:
        layer = QgsVectorLayer(area.layer_source, area.layer_name, area.provider)
        if layer.isValid():
            return layer
    raise BadArea(area.layer_name, BadAreaReason.LAYER_GONE)


def without_secrets(source: str) -> str:
    """The source of a layer without user names, passwords, tokens and sign-in configurations.

    A filter in it stays as it is: without it, the layer would be another one.
    """

    def kept(found: re.Match[str]) -> str:
        return found["filter"] or ""

    return _SECRET.sub(kept, _USER_INFO.sub(r"\1", source)).strip()


def _is_from(layer: QgsMapLayer, area: RuleArea) -> bool:
    is_named = bool(area.layer_source) and area.provider not in NOT_KEPT
    return (
        is_named
        and layer.providerType() == area.provider
        and without_secrets(layer.source()) == area.layer_source
    )
