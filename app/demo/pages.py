"""What a person does with an answer page: read the forms of an HTML page and fill one in."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import msgspec


class PageForm(msgspec.Struct, kw_only=True):
    """One form of a page: its target, the fields with what stands in them, and the choices that buttons and lists offer."""

    target: str
    fields: dict[str, str] = {}
    choices: dict[str, list[str]] = {}


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self._list = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(PageForm(target=given.get("action", "")))
        elif self.forms:
            self._field(self.forms[-1], tag, given)

    def _field(self, form: PageForm, tag: str, given: dict[str, str]) -> None:
        name = given.get("name", "")
        if tag == "option" and self._list:
            form.choices.setdefault(self._list, []).append(given.get("value", ""))
        elif tag == "select":
            self._list = name
            form.fields.setdefault(name, "")
        elif name and (tag == "button" or given.get("type") in {"submit", "radio", "checkbox"}):
            form.choices.setdefault(name, []).append(given.get("value", ""))
        elif name and tag in {"input", "textarea"}:
            form.fields[name] = given.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._list = ""


def read_forms(html: str) -> list[PageForm]:
    """Return the forms of a page, in order."""
    reader = _Reader()
    reader.feed(html)
    return reader.forms


def fill_in(html: str, address: str, action: str, answers: dict[str, Any], operator: str) -> tuple[str, dict[str, str]] | None:
    """Return where to send the form for `action` and what it then says; None where the page has no such form.

    A field is recognised by its name, with or without a prefix that ends in a dot, a hyphen or a bracket. Lists go one per line.
    """
    for form in read_forms(html):
        if form.fields.get("action") != action and action not in form.choices.get("action", ()):
            continue
        told = {name: value for name, value in form.fields.items() if value} | {"action": action}
        for name in (*form.fields, *form.choices):
            plain = name.rstrip("]").replace("[", ".").rpartition(".")[2]
            if plain in answers:
                value = answers[plain]
                told[name] = "\n".join(value) if isinstance(value, list) else str(value)
            elif plain in {"operator", "actor", "name"}:
                told[name] = operator
        return urljoin(address, form.target), told
    return None
