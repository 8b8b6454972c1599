"""Reading pages as a person does: forms with their fields, links, headings."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


@dataclass
class PageForm:
    """One form: its target and method, and its fields with what stands in them."""

    target: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)


class Page(HTMLParser):
    """A page that was read; raises ValueError where a tag is left open or closed twice."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[PageForm] = []
        self.links: list[str] = []
        self.labels: set[str] = set()
        self.controls: list[tuple[str, str]] = []  # (id, type) of what a person fills in
        self.attributes: list[tuple[str, str, str]] = []  # (tag, name, value)
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        if self._open:
            raise ValueError(f"left open: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what a test may ask about."""
        given = {name: value or "" for name, value in attrs}
        self.attributes += [(tag, name, value) for name, value in given.items()]
        if (tag not in VOID and tag not in {"rect", "line", "path"}) or tag in {"rect", "line", "path"}:
            self._open.append(tag)
        if tag == "form":
            self.forms.append(PageForm(given.get("action", ""), given.get("method", "get")))
        if tag == "a":
            self.links.append(given.get("href", ""))
        if tag == "label" and "for" in given:
            self.labels.add(given["for"])
        if tag in {"input", "select", "textarea"}:
            if self.forms and "name" in given:
                self.forms[-1].fields[given["name"]] = given.get("value", "")
            if given.get("type") != "hidden" and "label" not in self._open:
                self.controls.append((given.get("id", ""), tag))

    def handle_endtag(self, tag: str) -> None:
        """Close what was opened last."""
        if not self._open or self._open[-1] != tag:
            raise ValueError(f"</{tag}> closes {self._open[-1:]}")
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text += data

    def form(self, action: str, task: str | None = None) -> PageForm:
        """Return the form of an action; raises StopIteration where the page does not offer it."""
        return next(one for one in self.forms if one.fields.get("action") == action and task in {None, one.fields.get("task")})

    def actions(self) -> set[str]:
        """Return the actions that the page offers."""
        return {one.fields["action"] for one in self.forms if "action" in one.fields}
