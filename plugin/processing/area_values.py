"""The area of interest of algorithms: their parameters for it, and how those of a run are read.

Three of them: a layer of polygons, which wins over an extent, whose parameter has another name in
each algorithm; or a file of areas by scale in place of both. None of them: the whole cache.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessing,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
)
from qgis.PyQt.QtCore import QCoreApplication, QVariant

from ..core.errors import BadCacheOption
from ..host import areas, rule_file, rule_sources
from .extents import check_crs, reversed_extent
from .reading import Values
from .values import is_there

AREA_OF_INTEREST = "AREA_OF_INTEREST"
AREA_RULES = "AREA_RULES"

Cancelled = areas.Cancelled
resolve = areas.resolve


def parameters(extent: str, extent_label: str) -> list[QgsProcessingParameterDefinition]:
    """The three parameters; `extent`: name of the one for an extent."""
    file = QgsProcessingParameterFile.Behavior.File
    files = _tr("Areas by scale ({files});;All files (*)").format(files="*.json")
    return [
        QgsProcessingParameterFeatureSource(
            AREA_OF_INTEREST,
            _tr("Area of interest"),
            [QgsProcessing.SourceType.TypeVectorPolygon],
            optional=True,
        ),
        QgsProcessingParameterExtent(extent, extent_label, optional=True),
        QgsProcessingParameterFile(
            AREA_RULES,
            _tr("Areas by scale (file of rules, in place of both)"),
            file,
            optional=True,
            fileFilter=files,
        ),
    ]


def check(values: Values, extent: str) -> None:
    """Raises BadCacheOption for an area given as nothing, or twice; BadRules."""
    polygons = _tr("a layer of polygons, or leave it out for the whole cache")
    numbers = _tr("xmin,xmax,ymin,ymax [EPSG:code], or leave it out for the whole cache")
    rules = _tr("a file of areas by scale, or leave it out")
    for name, allowed in ((AREA_OF_INTEREST, polygons), (extent, numbers)):
        if values.is_nothing(name):
            raise BadCacheOption(name, "", allowed)
    if not _are_rules_given(values):
        return
    if values.is_nothing(AREA_RULES):
        raise BadCacheOption(AREA_RULES, "", rules)
    for name in (AREA_OF_INTEREST, extent):
        if is_there(values.parameters, name):
            allowed = _tr("no rules, or leave out {name}").format(name=name)
            raise BadCacheOption(AREA_RULES, _rules_path(values), allowed)
    rule_file.load_rules(Path(_rules_path(values)))


def area(values: Values, extent: str) -> areas.AreaSource:
    """What the area is made from; the polygons win over the extent. Main thread.

    The whole cache only where nothing is given. An empty layer, a NULL or an expression without
    result is given, and no word for "everywhere", where tiles may be deleted.
    Raises BadCacheOption, BadRules, BadArea, BadExtent.
    """
    check(values, extent)
    transforms = values.context.transformContext()
    if _are_rules_given(values):
        rules = rule_file.load_rules(Path(_rules_path(values)))
        return rule_sources.make_areas(rules, values.context.project(), None, transforms)
    if is_there(values.parameters, AREA_OF_INTEREST):
        source = values.algorithm.parameterAsSource(
            values.parameters, AREA_OF_INTEREST, values.context
        )
        return areas.LayerArea.of_source(source, _selected_only(values), transforms)
    if is_there(values.parameters, extent):
        return _rectangle(values, extent)
    return areas.FullExtent()


def _rectangle(values: Values, extent: str) -> areas.AreaSource:
    """The area of an extent. Raises BadExtent."""
    transforms = values.context.transformContext()
    check_crs(values.text(extent))
    given = (values.parameters, extent, values.context)
    crs = values.algorithm.parameterAsExtentCrs(*given)
    # Numbers that nothing gives a CRS are in that of the cache.
    is_layer = values.algorithm.parameterAsLayer(*given) is not None
    crs = crs if is_layer or crs.isValid() else None
    across = reversed_extent(values.text(extent), crs, transforms)
    if across is not None:
        return across
    rectangle = values.algorithm.parameterAsExtent(*given)
    return areas.RectangleArea(extent, rectangle, crs, transforms)


def _are_rules_given(values: Values) -> bool:
    """Whether a file was given, even as ""; QGIS's own forms leave NULL where none was chosen."""
    value: Any = values.parameters.get(AREA_RULES)
    return not (value is None or (isinstance(value, QVariant) and value.isNull()))


def _rules_path(values: Values) -> str:
    return str(values.algorithm.parameterAsFile(values.parameters, AREA_RULES, values.context))


def _selected_only(values: Values) -> bool:
    value = values.parameters[AREA_OF_INTEREST]
    is_definition = isinstance(value, QgsProcessingFeatureSourceDefinition)
    return is_definition and bool(value.selectedFeaturesOnly)


def _tr(text: str) -> str:
    return QCoreApplication.translate("AreaValues", text)
