"""Small XML files from anywhere, read without trust."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NoReturn

# Nothing that makes expat dangerous gets past this file: a document type, without which there are
# no entities and nothing external, is refused as it begins; depth and size have limits.
from xml.parsers import expat  # nosec B407

from ..errors import DamagedCache, HostileFile

LARGEST = 4 * 1024 * 1024
"""Bytes of a file; a conf.xml of 100 levels has 40,000."""

_DEEPEST = 64
_MOST_ELEMENTS = 100_000


@dataclass
class Element:
    """An element of a file: `name` without prefix, its own `text`, trimmed, what it holds."""

    name: str
    text: str = ""
    children: list[Element] = field(default_factory=list)

    def find(self, *names: str) -> Element | None:
        """The element found by going down along `names`; None where there is none."""
        found: Element | None = self
        for name in names:
            inside = found.children if found is not None else []
            found = next((each for each in inside if each.name == name), None)
        return found

    def all(self, name: str) -> list[Element]:
        """The elements right inside it with that name."""
        return [each for each in self.children if each.name == name]

    def text_at(self, *names: str) -> str:
        """The text of the element along `names`; "" where there is none."""
        found = self.find(*names)
        return found.text if found is not None else ""


def parse(content: bytes, file: str) -> Element:
    """The root element of `content`, which `file` holds.

    Raises HostileFile (a document type, entities, too large, too deep), DamagedCache (no XML).
    """
    if len(content) > LARGEST:
        raise HostileFile(file, f"more than {LARGEST} bytes of XML")
    reading = _Reading(file)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reading.refuse_type
    parser.EntityDeclHandler = reading.refuse_entity
    parser.ExternalEntityRefHandler = reading.refuse_reference
    parser.StartElementHandler = reading.start
    parser.EndElementHandler = reading.end
    parser.CharacterDataHandler = reading.take
    try:
        parser.Parse(content, True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the last two: of encodings
        raise DamagedCache(file, f"no XML: {error}") from error
    return reading.root


class _Reading:
    """What the parser has come across so far."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._open = [Element("")]
        self._texts: list[list[str]] = [[]]
        self._count = 0

    @property
    def root(self) -> Element:
        return self._open[0].children[0]

    def start(self, name: str, _attributes: object) -> None:
        self._count += 1
        if len(self._open) > _DEEPEST or self._count > _MOST_ELEMENTS:
            raise HostileFile(self._file, "XML too deep or too long")
        element = Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)
        self._texts.append([])

    def end(self, _name: str) -> None:
        self._open.pop().text = "".join(self._texts.pop()).strip()

    def take(self, text: str) -> None:
        self._texts[-1].append(text)

    def refuse_type(self, *_of_it: object) -> NoReturn:
        raise HostileFile(self._file, "an XML document type")

    def refuse_entity(self, *_of_it: object) -> NoReturn:
        raise HostileFile(self._file, "an XML entity")

    def refuse_reference(self, *_of_it: object) -> NoReturn:
        raise HostileFile(self._file, "an external XML entity")
