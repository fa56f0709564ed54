"""The rules of areas by scale that all dialogs have in common, kept from session to session."""

from __future__ import annotations

from weakref import WeakSet

from qgis.PyQt import sip

from ..plugin.core.errors import BadRules
from ..plugin.host import rule_file
from ..plugin.host.area_rules import AreaRule
from ..plugin.host.settings import Settings
from .rules_model import RulesModel

KEPT_LETTERS = 200_000
"""Rules whose text is longer, for the outlines in them, are not kept beyond the session."""

_joined: WeakSet[RulesModel] = WeakSet()


def join(model: RulesModel) -> None:
    """Give `model` the rules of the others, else those that were kept, and what they become."""
    model.set_rules(_first_rules())
    _joined.add(model)


def leave(model: RulesModel) -> None:
    """Let `model` have nothing in common with others any more."""
    _joined.discard(model)


def share(model: RulesModel) -> None:
    """Keep the rules of `model`, and have all others show them."""
    rules = model.rules
    text = rule_file.rules_text(rules) if rules else ""
    # Of rules that are too long none are kept, and no older ones come back in their place.
    Settings().area_rules = text if len(text) <= KEPT_LETTERS else ""
    for other in _others(model):
        other.set_rules(rules)


def _others(model: RulesModel | None) -> list[RulesModel]:
    return [each for each in _joined if each is not model and not sip.isdeleted(each)]


def _first_rules() -> tuple[AreaRule, ...]:
    """What cannot be read any more is as if never kept."""
    for model in _others(None):
        return model.rules
    kept = Settings().area_rules
    try:
        return rule_file.read_rules(kept) if kept else ()
    except BadRules:
        return ()
